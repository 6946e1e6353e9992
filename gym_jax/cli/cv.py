"""`gymjax cv`: several folds of the data instead of one split."""

from collections.abc import Mapping
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
    Target,
)


def cv(
    ctx: typer.Context,
    overrides: Overrides = None,
    model: Model = None,
    data: Data = None,
    target: Target = None,
    context: Context = None,
    horizon: Horizon = None,
    config: Configs = None,
    folds: Annotated[int, typer.Option(help="How many.", min=2)] = 5,
    kind: Annotated[
        Literal["expanding", "sliding", "blocked", "series"],
        typer.Option(help="All rows before the test rows, the block before them, blocks apart, or other series."),
    ] = "expanding",
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Train and score a configuration on several folds: error of each, mean and standard deviation.

    Nothing is written. Folds of one shape are trained in one program.
    """
    import os

    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json
    from gym_jax.cli.telling import telling, tells_folds
    from gym_jax.config.load import load_config
    from gym_jax.run.cross_validate import cross_validate

    given: dict[str, Any] = {"model": model, "data.path": data, "data.target": target or None}
    given |= {"task.context": context, "task.horizon": horizon}
    options = {key: value for key, value in given.items() if value is not None}
    choose_platform(platform, compile_cache)
    settings = load_config(config or [], overrides or [], options, os.environ)
    with telling(ctx.obj) as tell:
        tell("training")
        found = cross_validate(settings, kind=kind, folds=folds, tell=tells_folds(tell))
    if as_json:
        print_json("cv", found)
    else:
        print_folds(found, "fold", f"{folds} folds, {kind}")


def print_folds(found: Mapping[str, Any], name: str, title: str) -> None:
    """Print for each target the errors of every fold, and their mean and deviation beside the baselines."""
    from gym_jax.cells import cell
    from gym_jax.cli.show import ERROR_COLUMNS, percent, print_table

    rows = found["folds"]
    for target, spread in found["targets"].items():
        held = [fold["intervals"][target] for fold in rows if fold.get("intervals")]
        levels = [f"{100 * block['level']:g} %" for block in held[0]] if held else []
        print_table(
            (name, "train", "test", "best epoch", *ERROR_COLUMNS, *levels),
            [
                (
                    number,
                    fold["train_windows"],
                    fold["test_windows"],
                    fold["best_epoch"] or None,
                    *(fold["targets"][target][key] for key in ERROR_COLUMNS),
                    *(percent(block["coverage"]) for block in (fold["intervals"][target] if held else ())),
                )
                for number, fold in enumerate(rows, 1)
            ],
            f"\n{target}: {title}",
        )
        table = {found["model"]: spread} | {kind: block[target] for kind, block in found["baselines"].items()}
        print_table(
            ("model", *ERROR_COLUMNS),
            [(kind, *(_give_or_take(block[key], cell) for key in ERROR_COLUMNS)) for kind, block in table.items()],
            f"\nmean ± standard deviation over {len(rows)}",
        )
    for note in dict.fromkeys(note for fold in rows for note in fold["notes"]):
        print(f"\nnote: {note}")


def _give_or_take(spread: Mapping[str, Any], cell: Any) -> str | None:
    if spread["mean"] is None:
        return None
    return cell(spread["mean"]) + (f" ± {cell(spread['sd'])}" if spread["sd"] is not None else "")
