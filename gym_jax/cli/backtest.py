"""`gymjax backtest`: rolling origins over the test part."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_config, complete_run
from gym_jax.cli.options import AsJson, CompileCache, Platform, Root


def backtest(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(help="A run folder, a name under --root, or latest.", autocompletion=complete_run),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", "-c", help="Instead of a run: a configuration.", autocompletion=complete_config),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="With --config: a setting, key=value; may be repeated.")
    ] = None,
    origins: Annotated[int, typer.Option(help="Blocks of the test part.", min=1)] = 5,
    every: Annotated[int | None, typer.Option(help="Instead of --origins: a block for so many rows.", min=1)] = None,
    refit: Annotated[str, typer.Option(help="never, or before every so many blocks.")] = "never",
    grow: Annotated[
        Literal["expanding", "sliding"], typer.Option(help="Refit on all rows before, or on as many as at first.")
    ] = "expanding",
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Forecast the test part block after block, as time would go on: error and coverage of each, mean and deviation.

    A run forecasts all blocks as it is, or is trained anew on what has come. Nothing is written.
    """
    import os

    from gym_jax.cli.cv import print_folds
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json
    from gym_jax.cli.telling import telling, tells_folds
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError
    from gym_jax.run.backtest import backtest
    from gym_jax.run.runs import open_run

    if refit != "never" and not refit.isdigit():
        raise ConfigError(
            f"--refit {refit} is no number",
            hint="never, or before every so many blocks",
            attempt="gymjax backtest RUN --refit 1",
            code="usage",
        )
    if (run is None) == (not config and not overrides):
        raise ConfigError(
            "a backtest is of a run or of a configuration",
            hint="name one of them",
            attempt="gymjax backtest latest",
            code="usage",
        )
    choose_platform(platform, compile_cache)
    settings = None if run is not None else load_config(config or [], overrides or [], {}, os.environ)
    with telling(ctx.obj) as tell:
        tell("forecasting" if refit == "never" else "training")
        found = backtest(
            None if run is None else open_run(run, root),
            config=settings,
            origins=origins,
            every=every,
            refit=None if refit == "never" else int(refit),
            grow=grow,
            tell=tells_folds(tell),
        )
    if as_json:
        print_json("backtest", found)
        return
    kept = "never refit" if found["refit"] is None else f"refit every {found['refit']}, {grow}"
    print_folds(found, "origin", f"{len(found['folds'])} origins, {kept}")
