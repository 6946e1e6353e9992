"""A pull from the first question to the whole file: page after page, kept, joined."""

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gym_jax.errors import ConfigError, DataError
from gym_jax.pull.http import Server, TooMuch
from gym_jax.pull.pages import Pages, drop_pages, open_pages
from gym_jax.pull.prometheus import Page, Wait, ask_range, greet
from gym_jax.pull.request import ID, TIME, Request
from gym_jax.pull.table import join_pages, write_pulled

LARGEST = 11_000
"""Points of a series that Prometheus gives in one answer."""
FIRST = 360
"""Points of the first page, when it is not known yet how many series there are."""
VALUES = 250_000
"""Values that a page is to hold: some 7 MB of JSON."""


def pull_prometheus(
    server: Server,
    request: Request,
    out: str | Path,
    *,
    end_said: bool = False,
    labels: Sequence[str] = (),
    watch: Callable[[str], None] | None = None,
    wait: Wait = time.sleep,
) -> dict[str, Any]:
    """Pull into a Parquet file of id, time and a column per query; return what is in it.

    Pages lie beside the file until it is whole. A pull that was interrupted is taken up by the same call, with the end
    of its range, and becomes the same bytes. Raises ConfigError, DataError, RunInUse, StorageError; the pages stay.
    """
    tell = watch or (lambda words: None)
    path = Path(out).expanduser().absolute()
    if path.suffix != ".parquet":
        raise ConfigError(
            f"`{path.name}` is no name of a Parquet file",
            hint="gymjax data convert makes other formats of it",
            attempt=f"gymjax data pull ... --out {path.with_suffix('.parquet').name}",
            code="usage",
        )
    asked = {"url": server.url, **request._asdict(), "end": request.end if end_said else None, "last": request.end}
    clock = greet(server, wait)
    with open_pages(path, asked) as (pages, begun):
        # pages are numbered by the order of the queries they were begun with
        request = request._replace(end=begun["last"], queries=begun["queries"])
        found, kept = {}, 0
        for number, (column, query) in enumerate(request.queries.items()):
            own, old = _pull_query(server, request, number, column, query, pages, tell, wait)
            found[column], kept = own, kept + old
        tell("joining")
        pulled = join_pages(request, found, labels)
        if not len(pulled.codes):
            raise _empty(server, request, pages, pulled.notes)
        facts = {
            "from": server.url,
            "queries": request.queries,
            "labels": list(pulled.labels),
            "first": _moment(request.first),
            "last": _moment(request.end),
            "step_seconds": request.step / 1000,
        }
        write_pulled(request, pulled, path, facts)
        drop_pages(pages)
    said = dict.fromkeys(words for own in found.values() for page in own for words in page.warnings)
    notes = [*(f"the server says: {words}" for words in said), *pulled.notes, *_clock_note(clock), *_open_note(server)]
    if kept:
        notes.append(f"an interrupted pull was taken up: {kept:,} pages were there, the range ends as it did then")
    counts = {"rows": len(pulled.codes), "series": len(pulled.ids), "columns": [ID, TIME, *pulled.columns]}
    return {"out": str(path), **facts, **counts, "notes": notes}


def _pull_query(
    server: Server,
    request: Request,
    number: int,
    column: str,
    query: str,
    pages: Pages,
    tell: Callable[[str], None],
    wait: Wait,
) -> tuple[list[Page], int]:
    """Return the pages of one query, and how many of them were there already."""
    found: list[Page] = []
    place, size, most, old = 0, FIRST, LARGEST, 0
    while place < request.points:
        if (there := pages.at(number, place)) is not None:
            page, count = there
            old += 1
        else:
            count = min(size, request.points - place)
            begin = request.first + place * request.step
            try:
                page = ask_range(server, query, begin, begin + (count - 1) * request.step, request.step, wait)
            except TooMuch:
                if count == 1:
                    raise
                most = size = count // 2
                continue
            pages.keep(number, place, count, page)
        found.append(page)
        place += count
        size = max(1, min(most, VALUES // max(1, len(page.labels))))
        tell(f"{column}: {place:,} of {request.points:,} points, {len(page.labels):,} series")
    return found, old


def _empty(server: Server, request: Request, pages: Pages, notes: list[str]) -> DataError:
    drop_pages(pages)
    columns, times = " and ".join(request.queries), f"{_moment(request.first)} to {_moment(request.end)}"
    said = "".join(f"; {note}" for note in notes if "left out" in note)
    metrics = list(dict.fromkeys(re.findall(r"\b[a-zA-Z_][\w:]*(?=[{\[])", " ".join(request.queries.values()))))
    return DataError(
        f"{server.url} has nothing of {columns} from {times}{said}",
        hint=f"is {' or '.join(f'`{name}`' for name in metrics) or 'it'} scraped there, and kept for so long?",
        attempt=f"curl '{server.url}/api/v1/query?query=count({metrics[0]})'"
        if metrics
        else f"curl {server.url}/api/v1/label/__name__/values",
        code="pull.empty",
    )


def _clock_note(clock: float | None) -> list[str]:
    """Return a note when the server's clock and this machine's are a minute apart."""
    apart = 0.0 if clock is None else time.time() - clock
    if abs(apart) < 60:
        return []
    return [f"this machine's clock is {abs(apart):,.0f} s {'ahead of' if apart > 0 else 'behind'} the server's"]


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _open_note(server: Server) -> list[str]:
    """Return a note when a token or password went over a network that anybody may listen to."""
    host = urlsplit(server.url).hostname
    if (
        not any(name.lower() == "authorization" for name in server.headers)
        or server.url.startswith("https:")
        or host in ("127.0.0.1", "::1", "localhost")
    ):
        return []
    return ["the token went unencrypted: the address is http, not https"]
