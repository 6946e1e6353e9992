"""`gymjax explain`: what a finished run looks at, and where it fails; or what the code of an error means."""

from typing import Annotated, Any, Literal

import typer

from gym_jax.cli.candidates import complete_explained
from gym_jax.cli.options import AsJson, CompileCache, Members, OtherData, Platform, Root

WORST = 10
"""Series that are printed; --json has all."""
ERRORS = ("count", "mae", "rmse", "bias")


def explain(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|CODE",
            help="A run folder, a name under --root, or latest. Or the code of an error, such as data.gaps; "
            "codes lists all, data those of an area.",
            autocompletion=complete_explained,
        ),
    ],
    data: OtherData = None,
    part: Annotated[
        Literal["train", "val", "test"], typer.Option("--part", "--split", help="Which part to look at.")
    ] = "test",
    metric: Annotated[str, typer.Option(help="mae, mse, rmse or smape.")] = "mae",
    target: Annotated[str | None, typer.Option(help="Column that is forecast; default the first.")] = None,
    step: Annotated[
        int | None, typer.Option(help="Step of the horizon to attribute.", show_default="the mean of all")
    ] = None,
    windows: Annotated[int, typer.Option(help="Windows to exchange and attribute, chosen at random.")] = 1024,
    repeats: Annotated[int, typer.Option(help="Random exchanges of each input.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the choice and the exchanges.", min=0)] = 0,
    chart: Annotated[str | None, typer.Option(help="Draw it into this file: .png, .svg, .pdf.")] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="Write the JSON document into this file too.")] = None,
    members: Members = "mean",
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Show which inputs and lags a run uses, what moves its forecasts, and where it fails; or what an error means.

    Given the code of an error it says what that means, why it is refused and what to do. Nothing is written but --chart
    and --out.
    """
    from gym_jax.cli.codes import find_explanations, refuse_options, show_explanations
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, write_document
    from gym_jax.errors import CheckpointError
    from gym_jax.run.runs import open_run

    try:
        folder = open_run(run, root)
    except CheckpointError:  # a run of that name wins
        if not (found := find_explanations(run)):
            raise
        refuse_options(ctx)
        show_explanations(found, as_json)
        return

    from gym_jax.report.explanation import explanation
    from gym_jax.report.picture import refuse_chart, save_figure
    from gym_jax.run.explain import explain_run

    refuse_chart("--chart", chart)
    choose_platform(platform, compile_cache)
    told = explain_run(
        folder,
        data=data,
        part=part,
        metric=metric,
        target=target,
        step=step,
        windows=windows,
        repeats=repeats,
        members=members,
        seed=seed,
    )
    drawn = str(save_figure(explanation(told), chart)) if chart else None
    document = {**told, "chart": drawn, "out": write_document("explain", told, out) if out else None}
    if as_json:
        print_json("explain", document)
    else:
        _show(document)


def _show(document: dict[str, Any]) -> None:
    """Print an explanation for people."""
    from gym_jax.cells import cell
    from gym_jax.cli.show import print_table

    metric, importance, attribution = document["metric"], document["importance"], document["attribution"]
    shares = {row["name"]: row["share"] for row in attribution["inputs"]}
    rows: list[tuple[Any, ...]] = [
        (row["name"], row["kind"], row["increase"], row["sd"], row["share"], shares.get(row["name"]))
        for row in importance["inputs"]
    ]
    title = (
        f"{document['target']}: {document['part']}, {document['chosen']:,} of {document['windows']:,} windows; "
        f"{metric} {cell(importance['base'])}, and higher by so much when an input comes from another window"
    )
    print_table(("input", "kind", f"{metric} +", "sd", "share", "attribution"), rows, title)
    rows = [
        (row["name"], row["increase"], row["sd"], row["share"], size)
        for row, size in zip(importance["lags"], _by_block(document), strict=True)
    ]
    print_table(("lags", f"{metric} +", "sd", "share", "attribution"), rows, "\nthe same of lags, all inputs together")
    print(
        f"attribution: share of the integrated gradients of {attribution['of']}; "
        f"they miss {attribution['gap']:.2%} of what they add up to"
    )
    for name, label, title in (("by_horizon", "step", "horizon"), ("by_hour", "hour", "hour of the day")):
        if name in document:
            print_table((label, *ERRORS), _errors(document[name], label), f"\nerrors by {title}{_zone(document, name)}")
    series = document["by_series"]
    size = dict(zip(series["id"], series[metric], strict=True))
    rows = sorted(_errors(series, "id"), key=lambda row: -(size[row[0]] or 0))
    print_table(("series", *ERRORS), rows[:WORST], f"\nworst of {len(rows):,} series")
    for note in document["notes"]:
        print(f"\nnote: {note}")
    for name in ("chart", "out"):
        if document[name]:
            print(f"\n{name}: {document[name]}")


def _zone(document: dict[str, Any], name: str) -> str:
    return f", {document['hours_in']}" if name == "by_hour" and document["hours_in"] else ""


def _errors(block: dict[str, Any], label: str) -> list[tuple[Any, ...]]:
    """Return the rows of a breakdown that hold something."""
    columns = zip(*(block[key] for key in (label, *ERRORS)), strict=True)
    return [(str(row[0]), *row[1:]) for row in columns if row[1]]


def _by_block(document: dict[str, Any]) -> list[float | None]:
    """Return the share of the attributions of the past that falls on each block of lags."""
    lags = document["attribution"]["lags"]
    sizes = {lag: sum(row) for lag, row in zip(lags["lag"], lags["size"], strict=True)}
    whole = sum(sizes.values())
    out = []
    for row in document["importance"]["lags"]:
        near, _, far = row["name"].partition("-")
        held = sum(sizes[lag] for lag in range(int(near), int(far or near) + 1))
        out.append(held / whole if whole else None)
    return out
