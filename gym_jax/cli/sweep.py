"""`gymjax sweep`: a run of every combination of a few settings."""

from typing import Annotated, Any

import typer

from gym_jax.cli.options import (
    AsJson,
    CompileCache,
    Configs,
    Context,
    Data,
    Horizon,
    Model,
    Overrides,
    Platform,
    Root,
    Target,
)


def sweep(
    ctx: typer.Context,
    overrides: Overrides = None,
    space: Annotated[str | None, typer.Option(help="YAML file of settings and the values of each.")] = None,
    batch: Annotated[int, typer.Option(help="Runs in one program at most, where they can share one.", min=1)] = 8,
    model: Model = None,
    data: Data = None,
    target: Target = None,
    context: Context = None,
    horizon: Horizon = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a run at most.")] = None,
    config: Configs = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep under --root; default by what is asked.")] = None,
    root: Root = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with a sweep: its folder, or its name under --root.")
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="Stop and save after this long, such as 90s, 30m, 2h.")] = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the combinations, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train every combination of settings: `gymjax sweep optim.lr=1e-3,3e-3 'train.seed=range(0,3)'`.

    Each is a run of its own, scored as by `gymjax train`. The same line goes on where it was stopped; what is finished
    stays.
    """
    from gym_jax.cli.parse import parse_seconds
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.search import load_search, refuse_with_resume, search_options
    from gym_jax.cli.search_show import search_watcher, show_combinations, show_swept
    from gym_jax.cli.show import print_json
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.run.several import refuse_several
    from gym_jax.tune.folder import open_search, place_of
    from gym_jax.tune.sweep import begin_sweep, combinations, sweep

    seconds = None if timeout is None else parse_seconds(timeout, "--timeout", "sweep")
    refuse_several("gymjax sweep", "one process trains run after run, or several at once with --batch")
    choose_platform(platform, compile_cache)
    given: dict[str, Any] = {"model": model, "data.path": data, "data.target": target or None, "task.context": context}
    given |= {"task.horizon": horizon, "train.epochs": epochs, "run.name": name}
    if resume is not None:
        refuse_with_resume(ctx, "sweep", ("timeout",))
        search = open_search(resume, "sweep", root)
        settings, sweeps = search.config, search.space
    else:
        settings, sweeps = load_search(overrides or [], space, config or [], search_options(ctx, given, root))
    found = combinations(settings, sweeps)
    if dry_run:
        folder = str(search.path if resume is not None else place_of("sweep", settings, sweeps, {"batch": batch}))
        listed = [values for values, _ in found]
        if as_json:
            print_json("sweep", {"dry_run": True, "folder": folder, "combinations": listed})
        else:
            show_combinations(listed, [one.key for one in sweeps], folder)
        return
    if resume is None:
        search = begin_sweep(settings, sweeps, batch)
    with stop_on_signals() as stop, search_watcher(ctx.obj) as tell:
        document = sweep(search, found, seconds=seconds, tell=tell, stop=stop)
    if as_json:
        print_json("sweep", document)
    else:
        show_swept(document)
