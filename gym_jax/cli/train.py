"""`gymjax train`: configuration to a finished run."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from gym_jax.cli.candidates import complete_config, complete_kind, complete_loss, complete_resume, complete_tracker
from gym_jax.cli.options import AsJson, CompileCache, Overrides, Platform, Root

PANEL = "What to train"
PROFILED = 3
"""Chunks that `--profile` traces."""


def train(
    ctx: typer.Context,
    overrides: Overrides = None,
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
    loss: Annotated[
        str | None,
        typer.Option(help="Loss; see `gymjax config show loss`.", rich_help_panel=PANEL, autocompletion=complete_loss),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="File, folder or glob: CSV(.gz) or Parquet.", rich_help_panel=PANEL),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Column to forecast or learn; may be repeated.", rich_help_panel=PANEL)
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
    seeds: Annotated[
        int | None, typer.Option(help="Models to train at once, with seeds from --seed on.", rich_help_panel=PANEL)
    ] = None,
    placement: Annotated[str | None, typer.Option(help="one, cores, shard or pmap.", rich_help_panel=PANEL)] = None,
    devices: Annotated[int | None, typer.Option(help="Devices to use; default all.", rich_help_panel=PANEL)] = None,
    on_nan: Annotated[
        str | None, typer.Option(help="A step that is not finite: stop, skip or rollback.", rich_help_panel=PANEL)
    ] = None,
    run_dir: Annotated[str | None, typer.Option(help="Folder of this run; default a new one under --root.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of this run under --root.")] = None,
    root: Root = None,
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
    platform: Platform = None,
    compile_cache: CompileCache = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge settings and data, show the plan, write nothing.")
    ] = False,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Try rising learning rates, suggest one, write nothing.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Trace some chunks with JAX's profiler, into the run folder.")
    ] = False,
    track: Annotated[
        str | None,
        typer.Option(
            help="Send curves to tensorboard, wandb, mlflow (comma between them), or to none.",
            autocompletion=complete_tracker,
        ),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Progress as plain lines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on time series, score it beside the baselines, and keep it in a run folder.

    Without --data it trains on a generated CPU-allocation panel, and says so.
    """
    import os
    from contextlib import nullcontext

    from gym_jax.cli.launch import find_begun, telling
    from gym_jax.cli.parse import parse_seconds, parse_trackers
    from gym_jax.cli.platform import choose_platform, keep_stdout
    from gym_jax.cli.progress import watcher
    from gym_jax.cli.show import print_json, print_scores
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError
    from gym_jax.run.folder import RunFolder
    from gym_jax.run.load import read_config
    from gym_jax.run.plan import plan_run
    from gym_jax.run.runs import free_path, open_run
    from gym_jax.run.several import join_group, refuse_several
    from gym_jax.run.start import child_of, find_start, refuse_changes, settle
    from gym_jax.run.train import plan_resumed, resume_run, train_run
    from gym_jax.track import refuse_missing

    place = _root_of(overrides or [], root)
    given: dict[str, Any] = {
        "model": model,
        "loss": loss,
        "data.path": data,
        "data.target": target or None,
        "task.context": context,
        "task.horizon": horizon,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "optim.lr": lr,
        "train.seed": seed,
        "train.seeds": seeds,
        "train.placement": placement,
        "train.devices": devices,
        "train.on_nan": on_nan,
        "train.init_from": None if init_from is None else _path_of(init_from, place),
        "track.to": None if track is None else parse_trackers(track),
        "track.profile": PROFILED if profile else None,
        "run.root": root if getattr(ctx.get_parameter_source("root"), "name", "") == "COMMANDLINE" else None,
        "run.name": name,
    }
    options = {key: value for key, value in given.items() if value is not None}
    seconds = None if max_time is None else parse_seconds(max_time)
    choose_platform(platform, compile_cache)
    named = None if resume == "auto" else resume
    if fork and named is None:
        raise ConfigError(
            "--fork needs the run to continue",
            hint="a child goes on where its parent was saved last",
            attempt="gymjax train --resume RUN --fork optim.lr=1e-4",
        )
    if name is not None and run_dir is not None:
        raise ConfigError(
            "--name and --run-dir both say where the run is kept",
            hint="--name is a name under --root, --run-dir the whole path",
            attempt=f"gymjax train ... --name {shlex.quote(name)}",
        )
    run: RunFolder | None = None
    if named is not None:
        run = open_run(named, place)
        was = read_config(run)
        for option, value in {"--config": config, "--run-dir": run_dir, "--name": name}.items():
            if value and not fork:
                raise ConfigError(
                    f"--resume RUN goes on in place: {option} is for new runs",
                    hint="--fork starts a child run that continues with other settings",
                    attempt=f"gymjax train --resume {shlex.quote(named)} --fork",
                )
        beginning = child_of(run) if fork else {}
        files = [str(run.path / "config.yaml"), *(config or [])]
        settings = load_config(files, overrides or [], beginning | options, os.environ if fork else None)
        if fork:
            run = None
        else:
            kept = settings.run.model_copy(update={"root": was.run.root})  # it said where to find the run
            settings = settings.model_copy(update={"run": kept})
            refuse_changes(was, settings, run)
            if find_lr:
                raise ConfigError(
                    "--find-lr tries a run that is yet to begin",
                    hint="a child begins where its parent stands",
                    attempt=f"gymjax train --resume {shlex.quote(named)} --fork --find-lr",
                )
    else:
        settings = load_config(config or [], overrides or [], options, os.environ)
    if find_lr or dry_run:
        refuse_several("--find-lr" if find_lr else "--dry-run", "one process can do it, and the answer is for all")
    group = join_group(settings)
    if named is None:
        run = find_begun(settings, resume, run_dir)
    if find_lr:
        _show_trial(settings, as_json)
        return
    if dry_run:
        refuse_missing(settings.track.to)
        if run is None:
            path = free_path(settings.run.root, name=settings.run.name, exact=run_dir)
            plan = plan_run(settle(settings))
            find_start(plan)
        else:
            path, plan = run.path, plan_resumed(run, settings)
        _show_plan(plan, str(path or Path(settings.run.root).absolute() / "a new folder"), as_json)
        return
    writer = group.writer
    if group.count > 1:
        keep_stdout()
    with stop_on_signals() as stop, watcher(ctx.obj, plain=plain) if writer else nullcontext() as shown:
        watch = telling(shown, as_json) if shown else None
        if run is not None:
            result = resume_run(run, config=settings, watch=watch, stop=stop, max_seconds=seconds)
        else:
            result = train_run(settings, folder=run_dir, watch=watch, stop=stop, max_seconds=seconds)
    if not writer:
        return
    document = {**result._asdict(), "folder": str(result.folder), "run_status": result.status}
    document.pop("status")
    if as_json:
        print_json("train", document)
        return
    if result.scores:
        print_scores(result.scores)
    words = {
        "complete": "this run was already complete; nothing was left to train",
        "stopped": f"stopped by --max-time at step {result.steps:,}; go on with: gymjax train --resume {result.folder}",
        "done": f"best epoch {result.best.get('epoch')}, step {result.best.get('step')}"
        + (f" of seed {result.best['seed']}" if "seed" in result.best else ""),
    }
    print(f"\nrun: {result.folder} ({words[result.status]})")


def _root_of(overrides: list[str], root: str | None) -> str | None:
    """Return where runs are looked for: as the last `run.root=` says, or the option, which knows the environment."""
    said = [word.removeprefix("run.root=") for word in overrides if word.startswith("run.root=")]
    return said[-1] if said else root


def _path_of(run: str, root: str | None) -> str:
    """Return the path of a run by any of its names; a word that is none stays, to be refused where it is judged."""
    from gym_jax.errors import CheckpointError
    from gym_jax.run.runs import open_run

    try:
        return str(open_run(run, root).path)
    except CheckpointError:
        return run


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


def _show_plan(plan: Any, folder: str, as_json: bool) -> None:
    from gym_jax.cli.show import print_json, print_table, size
    from gym_jax.run.plan import describe

    facts = {**describe(plan), "folder": folder}
    if as_json:
        print_json("train", {"dry_run": True, "plan": facts, "config": plan.config.document()})
        return
    notes = facts.pop("notes")
    name = "windows" if "windows" in facts else "cases"
    facts[name] = ", ".join(f"{count:,} {part}" for part, count in facts.pop(name).items())
    for key in ("data_bytes", "state_bytes"):
        facts[key.replace("_bytes", "") + " memory"] = size(facts.pop(key))
    print_table(("what", "value"), [(key.replace("_", " "), value) for key, value in facts.items()])
    for note in notes:
        print(f"note: {note}")
    print("dry run: nothing was written")
