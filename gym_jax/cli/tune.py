"""`gymjax tune`: the best settings of a space, found by trials on the validation part."""

from typing import Annotated, Any, Literal

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

SPACE = "What is searched, and how"


def tune(
    ctx: typer.Context,
    overrides: Overrides = None,
    space: Annotated[
        str | None,
        typer.Option(help="YAML file of settings and what each may be.", rich_help_panel=SPACE),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Trials of the search, all in all.", min=1, rich_help_panel=SPACE, show_default="50"),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(help="Stop and save after this long, such as 90s, 30m, 2h.", rich_help_panel=SPACE),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of what trials are given; theirs is train.seed.", min=0, rich_help_panel=SPACE)
    ] = 0,
    sampler: Annotated[
        Literal["tpe", "random"], typer.Option(help="What a trial is given.", rich_help_panel=SPACE)
    ] = "tpe",
    pruner: Annotated[
        Literal["median", "percentile", "none"],
        typer.Option(help="Give a trial up that is behind those before it.", rich_help_panel=SPACE),
    ] = "median",
    percentile: Annotated[
        float,
        typer.Option(
            help="Of --pruner percentile: the best so many per cent go on.", min=1, max=99, rich_help_panel=SPACE
        ),
    ] = 25.0,
    warmup: Annotated[
        int, typer.Option(help="Epochs in which no trial is given up.", min=0, rich_help_panel=SPACE)
    ] = 1,
    metric: Annotated[
        str,
        typer.Option(
            help="val_loss, or mae, rmse, r2, ... of the val part. The test part is not read.", rich_help_panel=SPACE
        ),
    ] = "val_loss",
    direction: Annotated[
        Literal["minimize", "maximize"] | None,
        typer.Option(help="What is better.", rich_help_panel=SPACE, show_default="by the metric"),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(help="Trials asked for at once; alike ones share a program.", min=1, rich_help_panel=SPACE),
    ] = 1,
    model: Model = None,
    data: Data = None,
    target: Target = None,
    context: Context = None,
    horizon: Horizon = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a trial at most.")] = None,
    config: Configs = None,
    name: Annotated[str | None, typer.Option(help="Name of the search under --root; default by what is asked.")] = None,
    root: Root = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with a search: its folder, or its name under --root.")
    ] = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Search the best settings: `gymjax tune 'optim.lr=tag(log, interval(1e-4, 1e-2))' model.hidden=[64],[256]`.

    Keys with several values are searched, the others are as for `gymjax train`. The same line goes on where it was
    stopped or killed.
    """
    from gym_jax.cli.parse import parse_seconds
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.search import load_search, refuse_with_resume, search_options
    from gym_jax.cli.search_show import search_watcher, show_tuned
    from gym_jax.cli.show import print_json
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.run.several import refuse_several
    from gym_jax.tune.folder import open_search
    from gym_jax.tune.tune import begin_tune, tune

    seconds = None if timeout is None else parse_seconds(timeout, "--timeout", "tune")
    refuse_several("gymjax tune", "start it several times instead: they share the trials of one study")
    choose_platform(platform, compile_cache)
    given: dict[str, Any] = {"model": model, "data.path": data, "data.target": target or None, "task.context": context}
    given |= {"task.horizon": horizon, "train.epochs": epochs, "run.name": name}
    if resume is not None:
        refuse_with_resume(ctx, "tune", ("trials", "timeout"))
        search = open_search(resume, "tune", root)
    else:
        settings, sweeps = load_search(overrides or [], space, config or [], search_options(ctx, given, root))
        search, _ = begin_tune(
            settings,
            sweeps,
            trials=trials or 50,
            seed=seed,
            sampler=sampler,
            pruner=pruner,
            percentile=percentile,
            warmup=warmup,
            metric=metric,
            direction=direction,
            batch=batch,
        )
    with stop_on_signals() as stop, search_watcher(ctx.obj) as tell:
        found = tune(search, trials=trials, seconds=seconds, tell=tell, stop=stop)
    if as_json:
        print_json("tune", found)
    else:
        show_tuned(found)
