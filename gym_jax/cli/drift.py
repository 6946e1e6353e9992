"""`gymjax drift`: whether data still look as they did when a run was trained."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gym_jax.cli.options import AsJson, OtherData, Root, Run

WORST = 10
"""Series and columns that are shown."""
FEW = 5
"""Names that are shown."""
NUMBERS = ("distance", "limit", "outside", "level", "scale", "missing", "in training")


def drift(
    run: Run,
    data: OtherData = None,
    fail_over: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="Leave with exit code 9 when more than this share of series drifted."
        ),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Compare data with what a run was trained on: level, spread, values never seen, gaps, series, step.

    Without --data it is what the run's own files hold after its training. Days are compared with days: a series drifts
    when its days are farther from training than any held-out day of training was.
    """
    from gym_jax.cli.show import print_json
    from gym_jax.errors import GateFailed
    from gym_jax.run.drift import drift_run
    from gym_jax.run.runs import open_run

    found = drift_run(open_run(run, root), data)
    series, share = found["series"], found["series"]["share"]
    failed = fail_over is not None and (share is None or share > fail_over)
    if not as_json:
        _print(found)
    elif not failed:
        print_json("drift", found)
    if failed:
        said = "no series could be judged" if share is None else f"{share:.1%} of {series['judged']:,} series drifted"
        raise GateFailed(
            f"{said}, at most {fail_over:.1%} may",
            document=found,
            attempt=f"gymjax train --config {found['run']}/config.yaml --data {data or 'FILE'}",
        )


def _print(found: Mapping[str, Any]) -> None:
    from gym_jax.cli.show import print_table

    series, step = found["series"], found["step"]
    rows = [(one["name"], f"{one['drifted']:,} of {one['judged']:,}", *_numbers(one)) for one in found["columns"]]
    print_table(("column", "drifted", *NUMBERS), rows)
    drifted = sorted((one for one in found["rows"] if one["drifted"]), key=lambda one: one["limit"] - one["distance"])
    if drifted:
        shown = [(one["series"], one["column"], *_numbers(one)) for one in drifted[:WORST]]
        title = f"\nfarthest beyond their limit, {len(shown)} of {len(drifted):,}"
        print_table(("series", "column", *NUMBERS), shown, title)
    print()
    if step["changed"]:
        print(f"note: the step is {step['now']}, the run was trained on {step['trained']}")
    for word, names in (("new", series["new"]), ("gone", series["gone"])):
        if names:
            print(f"note: {len(names):,} series are {word}: {', '.join(names[:FEW])}{' ...' * (len(names) > FEW)}")
    if series["judged"]:
        print(f"{series['drifted']:,} of {series['judged']:,} series drifted")
    else:
        print("nothing could be compared: no known series has a whole day of rows")


def _numbers(one: Mapping[str, Any]) -> tuple[Any, ...]:
    from gym_jax.cli.show import percent

    outside, missing, before = (percent(one[name]) for name in ("outside", "missing", "missing_before"))
    return one["distance"], one["limit"], outside, one["level"], one["scale"], missing, before
