"""What `gymjax compare` prints: the leaderboard, the pairs, a sentence for each."""

from collections.abc import Mapping
from typing import Any

from gym_jax.cells import cell
from gym_jax.cli.show import print_table


def show_comparison(document: Mapping[str, Any]) -> None:
    """Print a comparison for people."""
    metric, board, pairs = document["metric"], document["leaderboard"], document["pairs"]
    title = (
        f"{document['target']}: {document['part']}, {document['windows']:,} windows at {document['origins']:,} origins "
        f"of {document['series']:,} series, horizon {document['horizon']} x {document['step']}"
    )
    columns: tuple[str, ...] = ("", "name", "model", metric, "95 % over series", "mean rank", "95 % over seeds")
    rows: list[tuple[Any, ...]] = [
        (row["rank"], row["name"], row["kind"], row[metric], _range(row), row["mean_rank"], _range(row.get("members")))
        for row in board
    ]
    kept = [i for i in range(len(columns)) if i < 4 or any(row[i] is not None for row in rows)]
    print_table([columns[i] for i in kept], [[row[i] for i in kept] for row in rows], title)
    rows = [
        (
            pair["first"],
            pair["second"],
            pair["difference"],
            _range(pair),
            pair["diebold_mariano"]["statistic"],
            pair["diebold_mariano"]["p_holm"],
            pair["wilcoxon"]["p"] if document["series"] > 1 else None,
            "/".join(str(_clear(pair["per_series"], sign)) for sign in (-1, 1)),
        )
        for pair in pairs
    ]
    columns = ("first", "second", f"{metric} apart", "95 %", "DM", "p (Holm)", "p Wilcoxon", "better/worse in")
    print_table(columns, rows, "\nfirst minus second")
    if found := document["friedman"]:
        print(
            f"\nFriedman over {found['series']:,} series: p = {found['p']:.3g}; mean ranks more than "
            f"{found['critical_difference']:.2f} apart differ (Nemenyi)"
        )
    for note in document["notes"]:
        print(f"\nnote: {note}")
    print()
    for pair in pairs:
        print(pair["sentence"])
    if document.get("out"):
        print(f"\nwritten: {document['out']}")


def _range(block: Mapping[str, Any] | None) -> str | None:
    """Return an interval in words."""
    return None if block is None or block["low"] is None else f"{cell(block['low'])} to {cell(block['high'])}"


def _clear(series: Mapping[str, Any], sign: int) -> int:
    """Return in how many series the first is better (-1) or worse (1) beyond chance, corrected for their number."""
    return sum(
        p is not None and p < 0.05 and sign * apart > 0
        for p, apart in zip(series["p_holm"], series["difference"], strict=True)
    )
