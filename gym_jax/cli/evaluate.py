"""`gymjax evaluate`: scores of a finished run."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_run


def evaluate(
    run: Annotated[
        str, typer.Argument(help="A run folder, a name under runs/, or latest.", autocompletion=complete_run)
    ],
    data: Annotated[str | None, typer.Option("--data", "-d", help="Other data with the same columns.")] = None,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which part to score.")] = "test",
    platform: Annotated[Literal["cpu", "gpu", "tpu"] | None, typer.Option(help="Where to run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score a run over every window of a part, beside the baselines. Nothing is written."""
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, print_scores
    from gym_jax.run.evaluate import evaluate_run

    choose_platform(platform)
    scores = evaluate_run(run, data=data, part=split)
    if as_json:
        print_json("evaluate", scores)
    else:
        print_scores(scores)
