"""`gymjax train`: configuration to a finished run."""

from typing import Annotated, Any, Literal

import typer

from gym_jax.cli.candidates import complete_config, complete_kind, complete_override, complete_resume

PANEL = "What to train"
PROFILED = 3
"""Chunks that `--profile` traces."""


def train(
    ctx: typer.Context,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings as key=value in Hydra's grammar, such as model.hidden=128.",
            show_default=False,
            autocompletion=complete_override,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Model kind; see `gymjax models list`.",
            rich_help_panel=PANEL,
            autocompletion=complete_kind,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="File, folder or glob: CSV(.gz) or Parquet.", rich_help_panel=PANEL),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Column to forecast; may be repeated.", rich_help_panel=PANEL)
    ] = None,
    context: Annotated[int | None, typer.Option(help="Steps the model looks back.", rich_help_panel=PANEL)] = None,
    horizon: Annotated[int | None, typer.Option(help="Steps it forecasts.", rich_help_panel=PANEL)] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            "-c",
            help="YAML file or shipped name; may be repeated.",
            rich_help_panel=PANEL,
            autocompletion=complete_config,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs at most.", rich_help_panel=PANEL)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Windows per optimiser step.", rich_help_panel=PANEL)] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.", rich_help_panel=PANEL)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, dropout and order.", rich_help_panel=PANEL)] = None,
    placement: Annotated[str | None, typer.Option(help="one, cores, shard or pmap.", rich_help_panel=PANEL)] = None,
    devices: Annotated[int | None, typer.Option(help="Devices to use; default all.", rich_help_panel=PANEL)] = None,
    run_dir: Annotated[str | None, typer.Option(help="Folder of this run; default a new one under run.root.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of this run under run.root.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with RUN; `auto`: with the newest unfinished run of these settings, if any.",
            autocompletion=complete_resume,
        ),
    ] = None,
    fork: Annotated[
        bool, typer.Option("--fork", help="With --resume RUN: a new run that continues it with other settings.")
    ] = False,
    init_from: Annotated[
        str | None,
        typer.Option(help="Begin with the weights of RUN; see train.init_parts.", autocompletion=complete_resume),
    ] = None,
    max_time: Annotated[str | None, typer.Option(help="Stop and save after this long, such as 90s, 30m, 2h.")] = None,
    platform: Annotated[
        Literal["cpu", "gpu", "tpu"] | None, typer.Option(help="Where to run.", show_choices=True)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge settings and data, show the plan, write nothing.")
    ] = False,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Try rising learning rates, suggest one, write nothing.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Trace some chunks with JAX's profiler, into the run folder.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Progress as plain lines.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model on time series, score it beside the baselines, and keep it in a run folder.

    Without --data it trains on a generated CPU-allocation panel, and says so.
    """
    import os

    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.progress import watcher
    from gym_jax.cli.show import print_json, print_scores
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError
    from gym_jax.run.folder import RunFolder, open_run
    from gym_jax.run.load import read_config
    from gym_jax.run.plan import plan_run
    from gym_jax.run.start import child_of, find_start, refuse_changes, settle
    from gym_jax.run.train import find_resumable, resume_run, train_run

    given: dict[str, Any] = {
        "model": model,
        "data.path": data,
        "data.target": target or None,
        "task.context": context,
        "task.horizon": horizon,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "optim.lr": lr,
        "train.seed": seed,
        "train.placement": placement,
        "train.devices": devices,
        "train.init_from": init_from and _path_of(init_from),
        "track.profile": PROFILED if profile else None,
        "run.name": name,
    }
    options = {key: value for key, value in given.items() if value is not None}
    seconds = parse_seconds(max_time) if max_time else None
    choose_platform(platform)
    named = resume if resume not in (None, "auto") else None
    if fork and named is None:
        raise ConfigError(
            "--fork needs the run to continue",
            hint="a child goes on where its parent was saved last",
            attempt="gymjax train --resume RUN --fork optim.lr=1e-4",
        )
    if named and not fork and (config or run_dir):
        raise ConfigError(
            f"--resume RUN goes on in place: {'--config' if config else '--run-dir'} is for new runs",
            hint="--fork starts a child run that continues with other settings",
            attempt=f"gymjax train --resume {named} --fork",
        )
    run: RunFolder | None = None
    if named:
        run = open_run(named)
        beginning = child_of(run) if fork else {}
        files = [str(run.path / "config.yaml"), *(config or [])]
        settings = load_config(files, overrides or [], beginning | options, os.environ if fork else None)
        if fork:
            run = None
        else:
            refuse_changes(read_config(run), settings, run)
            if find_lr:
                raise ConfigError(
                    "--find-lr tries a run that is yet to begin",
                    hint="a child begins where its parent stands",
                    attempt=f"gymjax train --resume {named} --fork --find-lr",
                )
    else:
        settings = load_config(config or [], overrides or [], options, os.environ)
        run = find_resumable(settings, run_dir) if resume == "auto" else None
    if find_lr:
        _show_trial(settings, as_json)
        return
    if dry_run:
        plan = plan_run(settle(settings) if run is None else settings)
        if run is None:
            find_start(plan)
        _show_plan(plan, as_json)
        return
    with stop_on_signals() as stop, watcher(ctx.obj, plain=plain) as watch:
        if run is not None:
            result = resume_run(run, config=settings, watch=watch, stop=stop, max_seconds=seconds)
        else:
            result = train_run(settings, folder=run_dir, watch=watch, stop=stop, max_seconds=seconds)
    document = {**result._asdict(), "folder": str(result.folder), "run_status": result.status}
    document.pop("status")
    if as_json:
        print_json("train", document)
        return
    if result.scores:
        print_scores(result.scores)
    words = {
        "complete": "this run was already complete; nothing was done",
        "stopped": f"stopped by --max-time at step {result.steps:,}; go on with: gymjax train --resume {result.folder}",
        "done": f"best epoch {result.best.get('epoch')}, step {result.best.get('step')}",
    }
    print(f"\nrun: {result.folder} ({words[result.status]})")


def _path_of(run: str) -> str:
    """Return the path of a run by any of its names; a word that is none stays, to be refused where it is judged."""
    from gym_jax.errors import CheckpointError
    from gym_jax.run.folder import open_run

    try:
        return str(open_run(run).path)
    except CheckpointError:
        return run


def parse_seconds(text: str) -> float:
    """Return seconds out of `90`, `90s`, `30m`, `2h` or `1d`. Raises ConfigError."""
    from gym_jax.errors import ConfigError

    scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:].lower())
    try:
        seconds = float(text[:-1] if scale else text) * (scale or 1)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"--max-time {text} is no length of time", hint="write 90s, 30m, 2h or 1d")
    return seconds


def _show_trial(settings: Any, as_json: bool) -> None:
    import math

    from gym_jax.cli.show import print_json, print_table
    from gym_jax.metrics import plain
    from gym_jax.run.find import find_rate_run

    trial = find_rate_run(settings)
    curve = [
        {"lr": float(rate), "loss": plain(loss), "smoothed": plain(smooth), "remaining": plain(left)}
        for rate, loss, smooth, left in zip(trial.rates, trial.losses, trial.smoothed, trial.remaining, strict=True)
    ]
    if as_json:
        facts = {"suggestion": trial.suggestion, "reason": trial.reason, "diverged_at": trial.diverged_at}
        print_json("train", {"find_lr": {**facts, "curve": curve}})
        return
    shown = curve[:: max(1, math.ceil(len(curve) / 16))]
    print_table(("lr", "loss", "smoothed", "of the first"), [tuple(point.values()) for point in shown])
    if trial.suggestion is None:
        print(f"\nno suggestion: {trial.reason}")
    else:
        print(f"\nsuggestion: lr {trial.suggestion:.2g} ({trial.reason})")
        print(f"try: gymjax train ... --lr {trial.suggestion:.2g}")
    print("nothing was written")


def _show_plan(plan: Any, as_json: bool) -> None:
    from gym_jax.cli.show import print_json, print_table, size
    from gym_jax.run.plan import describe

    facts = describe(plan)
    if as_json:
        print_json("train", {"dry_run": True, "plan": facts, "config": plan.config.document()})
        return
    notes = facts.pop("notes")
    windows = facts.pop("windows")
    facts["windows"] = f"{windows['train']:,} train, {windows['val']:,} val"
    for key in ("data_bytes", "state_bytes"):
        facts[key.replace("_bytes", "") + " memory"] = size(facts.pop(key))
    print_table(("what", "value"), [(key.replace("_", " "), value) for key, value in facts.items()])
    for note in notes:
        print(f"note: {note}")
    print("dry run: nothing was written")
