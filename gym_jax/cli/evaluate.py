"""`gymjax evaluate`: scores of a finished run."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.options import AsJson, CompileCache, Members, OtherData, Platform, Root, Run


def evaluate(
    run: Run,
    data: OtherData = None,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which part to score.")] = "test",
    members: Members = "mean",
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Score a run over every window of a part, beside the baselines. Nothing is written."""
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, print_scores
    from gym_jax.run.evaluate import evaluate_run
    from gym_jax.run.runs import open_run

    choose_platform(platform, compile_cache)
    scores = evaluate_run(open_run(run, root), data=data, part=split, members=members)
    if as_json:
        print_json("evaluate", scores)
    else:
        print_scores(scores)
