"""`gymjax runs`: what was run, what became of it, which was best, which may go."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_kind
from gym_jax.cli.options import AsJson, Root, Run

ALL_STATUS = "done, stopped, failed, pruned, running or damaged; several with commas."


def list_runs(
    root: Root = None,
    sort: Annotated[
        Literal["oldest", "newest", "name", "model", "status", "epochs", "steps", "val_loss", "test_mae"],
        typer.Option(help="What comes first; of numbers the smallest."),
    ] = "oldest",
    limit: Annotated[
        int | None, typer.Option(help="Show the first N; in the order `oldest`, the last N.", min=1)
    ] = None,
    status: Annotated[str | None, typer.Option(help=f"Only {ALL_STATUS}")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Only this kind; several with commas.", autocompletion=complete_kind),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs under a folder, oldest first."""
    from gym_jax.cli import tables

    tables.show_runs(root, as_json, sort=sort, limit=limit, status=status, model=model)


def show_run(
    run: Run,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: settings, status, scores, checkpoints. Leaves with 4 when there is no such run."""
    from gym_jax.cli import tables

    tables.show_run(run, root, as_json)


def best_run(
    metric: Annotated[
        str, typer.Option(help="mae, rmse, r2, ... of the test scores, or val_loss. Lower is better; of r2, higher.")
    ] = "mae",
    root: Root = None,
    target: Annotated[str | None, typer.Option(help="Column to judge by; default the first of each run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank the finished runs by a test metric; only runs of the same data, target, horizon and windows together.

    Leaves with 2 when no run has that metric or target, with 4 when no run is finished.
    """
    from gym_jax.cli import tables

    tables.show_best(root, metric, target, as_json)


def prune_runs(
    root: Root = None,
    keep: Annotated[
        int | None, typer.Option(help="Of the runs that the other criteria choose, the newest N stay.", min=0)
    ] = None,
    status: Annotated[str | None, typer.Option(help=f"Only {ALL_STATUS}")] = None,
    older_than: Annotated[str | None, typer.Option(help="Only runs untouched for so long: 12h, 7d.")] = None,
    best_too: Annotated[
        bool, typer.Option("--all", help="Also the best run of each group that `runs best` ranks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them; without it nothing is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which runs would go and how many bytes that frees; with --yes, remove them.

    A run in use, a symlink and a folder that gymjax train did not make are never touched. Leaves with 2 when no
    criterion is given, with 6 when a folder can not be removed.
    """
    from gym_jax.cli import tables

    tables.prune_runs(root, as_json, keep=keep, status=status, older_than=older_than, best_too=best_too, yes=yes)
