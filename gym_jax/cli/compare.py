"""`gymjax compare`: a leaderboard of finished runs, and which differences can be chance."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_run
from gym_jax.cli.options import AsJson, CompileCache, OtherData, Platform, Root


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Run folders, names under --root, or latest.", autocompletion=complete_run)
    ],
    data: OtherData = None,
    part: Annotated[
        Literal["train", "val", "test"], typer.Option("--part", "--split", help="Which part to judge.")
    ] = "test",
    metric: Annotated[str, typer.Option(help="mae, mse, rmse, smape or mase.")] = "mae",
    target: Annotated[str | None, typer.Option(help="Column to judge by; default the first.")] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="last, seasonal or linear beside them; may be repeated.",
            autocompletion=lambda: ["last", "seasonal", "linear"],
        ),
    ] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="Write the JSON document into this file too.")] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling.", min=0)] = 0,
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Compare finished runs on the windows that all of them forecast: who is better, and can it be chance?

    Runs may differ in model, context and stride; one run and a --baseline will do. Nothing is written but --out.
    """
    from gym_jax.cli.compare_show import show_comparison
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, write_document
    from gym_jax.run.compare import compare_runs

    choose_platform(platform, compile_cache)
    found = compare_runs(
        runs, data=data, part=part, metric=metric, target=target, baselines=baseline or (), root=root, seed=seed
    )
    document = {**found, "data": data, "out": write_document("compare", found, out) if out else None}
    if as_json:
        print_json("compare", document)
    else:
        show_comparison(document)
