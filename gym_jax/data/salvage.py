"""A piece of a store some of whose series can not be read: the others, and what is wrong with each that can not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from gym_jax.data.columns import find_columns
from gym_jax.data.index import read_groups
from gym_jax.data.panel import Panel
from gym_jax.data.read import to_panel
from gym_jax.data.rows import read_rows
from gym_jax.data.store import Piece, Store, read_piece
from gym_jax.errors import DataError

T = TypeVar("T")
OF_FILES = ("data.changed", "data.index", "data.unreadable", "data.not_found")
"""What is wrong with a file as a whole."""


class Unread(NamedTuple):
    """A series that can not be read, or not be answered, and why."""

    series: str
    code: str
    message: str


def read_sound(store: Store, piece: Piece, unread: list[Unread]) -> list[Panel]:
    """Return the series of a piece that can be read, all in one panel where nothing is wrong; add the others to
    `unread`. Raises DataError when it is the file that can not be read.
    """
    try:
        panels = [read_piece(store, piece)]
    except DataError as error:
        if error.code in OF_FILES:
            raise
        panels = _sound(store, piece, error, unread)
    there = {name for panel in panels for name in panel.series} | {one.series for one in unread}
    unread += [Unread(name, "data.blank", "it has no value in any row") for name in piece.series if name not in there]
    return panels


def _sound(store: Store, piece: Piece, why: DataError, unread: list[Unread]) -> list[Panel]:
    """Find by halves which series can not be read: an error names the first of them at most."""
    import pyarrow as pa
    import pyarrow.compute as pc

    opened = store.files[piece.file]
    id = find_columns(opened.kinds, store.reading, where=opened.where, every=store.every).id
    if id is None or id not in opened.schema.names:
        unread += [Unread(name, why.code, why.message) for name in piece.series]
        return []
    loaded: dict[tuple[str, ...], Any] = {}

    def read(names: Sequence[str]) -> Panel:
        def read(columns: Sequence[str]) -> Any:
            if (key := tuple(columns)) not in loaded:
                loaded[key] = read_groups(store.place, opened, piece.begin, piece.end, columns)
            return loaded[key].filter(pc.is_in(loaded[key][id].cast(pa.string()), pa.array(names, pa.string())))

        rows = read_rows(opened.table(read), store.reading, "", opened.where, every=store.every)
        return to_panel(rows, store.reading, partial=True)

    return list(by_halves(piece.series, read, unread))


def by_halves(names: Sequence[str], read: Callable[[Sequence[str]], T], unread: list[Unread]) -> Iterator[T]:
    """Yield what is read of series together, of their halves where that is refused; add single ones to `unread`."""
    try:
        yield read(names)
    except DataError as error:
        if len(names) == 1:
            unread.append(Unread(names[0], error.code, error.message))
            return
        half = len(names) // 2
        yield from by_halves(names[:half], read, unread)
        yield from by_halves(names[half:], read, unread)
