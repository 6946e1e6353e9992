"""`gymjax train`: configuration to a finished run."""

from typing import Annotated, Any, Literal

import typer

PANEL = "What to train"


def train(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings as key=value in Hydra's grammar, such as model.hidden=128.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model kind; see `gymjax models list`.", rich_help_panel=PANEL)
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
        typer.Option("--config", "-c", help="YAML file or shipped name; may be repeated.", rich_help_panel=PANEL),
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
        typer.Option(help="Go on with RUN; `auto`: with the newest unfinished run of these settings, if any."),
    ] = None,
    max_time: Annotated[str | None, typer.Option(help="Stop and save after this long, such as 90s, 30m, 2h.")] = None,
    platform: Annotated[
        Literal["cpu", "gpu", "tpu"] | None, typer.Option(help="Where to run.", show_choices=True)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge settings and data, show the plan, write nothing.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Progress as plain lines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model on time series, score it beside the baselines, and keep it in a run folder.

    Without --data it trains on a generated CPU-allocation panel, and says so.
    """
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.progress import watcher
    from gym_jax.cli.show import print_json, print_scores
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError
    from gym_jax.run.folder import RunFolder, open_run
    from gym_jax.run.load import read_config
    from gym_jax.run.plan import plan_run
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
        "run.name": name,
    }
    options = {key: value for key, value in given.items() if value is not None}
    seconds = parse_seconds(max_time) if max_time else None
    choose_platform(platform)
    if resume not in (None, "auto") and (overrides or options or config or run_dir):
        raise ConfigError(
            "--resume RUN goes on with the settings of the run; other settings can not be given with it",
            hint="leave them out, or start a run of your own with --config RUN/config.yaml",
            attempt=f"gymjax train --resume {resume}",
        )
    run: RunFolder | None
    if resume not in (None, "auto"):
        run = open_run(str(resume))
        settings = read_config(run)
    else:
        settings = load_config(config or [], overrides or [], options)
        run = find_resumable(settings, run_dir) if resume == "auto" else None
    if dry_run:
        _show_plan(plan_run(settings), as_json)
        return
    with stop_on_signals() as stop, watcher(plain=plain, quiet=quiet) as watch:
        if run is not None:
            result = resume_run(run, watch=watch, stop=stop, max_seconds=seconds)
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
