"""`gymjax report`: one page about runs that stands alone, or its pictures as files."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_plot, complete_run
from gym_jax.cli.options import AsJson, CompileCache, Platform, Root


def report(
    ctx: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(help="Run folders, names under --root, or latest.", autocompletion=complete_run)
    ],
    html: Annotated[str | None, typer.Option(help="Write the page into this file.")] = None,
    plots: Annotated[str | None, typer.Option(help="Write the pictures alone into this folder.")] = None,
    format: Annotated[Literal["png", "svg", "pdf"], typer.Option(help="Of the pictures in --plots.")] = "png",
    dark: Annotated[bool, typer.Option("--dark", help="Dark pictures in --plots; the page has both.")] = False,
    target: Annotated[str | None, typer.Option(help="Column that is drawn; default the first.")] = None,
    series: Annotated[
        list[str] | None, typer.Option(help="Series to draw; default the worst, the best, between. May be repeated.")
    ] = None,
    windows: Annotated[int, typer.Option(help="Test windows drawn at random for pictures.", min=2)] = 4096,
    explain: Annotated[bool, typer.Option("--explain", help="Exchange inputs to see which matter, too.")] = False,
    seed: Annotated[int, typer.Option(help="Of the choice of windows.", min=0)] = 0,
    draw: Annotated[
        list[str] | None,
        typer.Option(help="A plug-in's picture too; may be repeated.", autocompletion=complete_plot),
    ] = None,
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Write what was trained on what, how good it is and where it fails, as one page without a network.

    A page of several runs compares them; unfinished runs are shown as far as they are. A learned allocation has a page
    of its own. What is there is replaced.
    """
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, size
    from gym_jax.cli.telling import telling

    choose_platform(platform, compile_cache)
    from gym_jax.run.report import report_runs
    from gym_jax.run.report_run import Asked

    asked = Asked(target, windows, tuple(series or ()), explain, seed, tuple(draw or ()))
    with telling(ctx.obj) as tell:
        document = report_runs(
            runs, html=html, plots=plots, format=format, dark=dark, root=root, asked=asked, watch=tell
        )
    if as_json:
        print_json("report", document)
        return
    if document["html"]:
        print(f"page: {document['html']} ({size(document['bytes'])}; {', '.join(document['parts'])})")
    if document["plots"]:
        print(f"pictures: {len(document['plots'])} in {plots}")
