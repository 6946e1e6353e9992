"""`gymjax evaluate`: scores of a finished run, and whether they are good enough."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from gym_jax.cli.options import AsJson, CompileCache, Members, OtherData, Platform, Root, Run


def evaluate(
    run: Run,
    data: OtherData = None,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which part to score.")] = "test",
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GATE",
            help="Leave with exit code 9 when a score is worse: mae=0.1, cpu:mae=0.1, 'coverage_80<0.75'; "
            "may be repeated.",
        ),
    ] = None,
    members: Members = "mean",
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Score a run over every window of a part, beside the baselines. Nothing is written."""
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, print_scores
    from gym_jax.errors import GateFailed
    from gym_jax.evaluate.gates import failing, judge_gates, parse_gates
    from gym_jax.run.evaluate import evaluate_run
    from gym_jax.run.runs import open_run

    gates = parse_gates(fail_over or ())
    choose_platform(platform, compile_cache)
    scores = evaluate_run(open_run(run, root), data=data, part=split, members=members)
    verdicts = judge_gates(gates, scores)
    if gates:
        scores["gates"] = verdicts
    failed = failing(verdicts)
    if not as_json:
        print_scores(scores)
        _print_gates(verdicts)
    elif failed is None:
        print_json("evaluate", scores)
    if failed is not None:
        raise GateFailed(failed, document=scores, attempt=f"gymjax runs show {scores['run']}")


def _print_gates(verdicts: Sequence[Mapping[str, Any]]) -> None:
    from gym_jax.cli.show import print_table

    rows = [
        (one["word"], one["target"], one["value"], f"{one['fails']} {one['bound']:g}", one["passed"])
        for one in verdicts
    ]
    if rows:
        print_table(("gate", "target", "value", "fails", "passed"), rows, "\nquality gates")
