"""Tables of results within a page of the documentation, between two marks."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """Return rows, the first of them the names of the columns, as a table."""
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, re.sub(r"[^|]+", " --- ", head), *rest])


def put(page: str, mark: str, text: str) -> None:
    """Write a text into a page in place of what stood between the marks of that name."""
    path = DOCS / page
    pattern = re.compile(rf"(<!-- results: {mark} -->\n).*?(<!-- end -->)", re.DOTALL)
    whole = path.read_text()
    if not pattern.search(whole):
        raise SystemExit(f"docs/{page} has no marks for {mark}")
    path.write_text(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", whole))


def where(machine: dict[str, object]) -> str:
    """Return on what it was measured."""
    return f"{machine['processor']}, {machine['cores']} cores, load before {machine['load_before']:.1f}"
