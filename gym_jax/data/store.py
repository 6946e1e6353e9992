"""Series that need not fit in memory: Parquet files that hold them whole, read a piece at a time.

Opening a store reads footers only, of files that `gymjax data convert` wrote; of others their ids and times too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from gym_jax.data.columns import find_columns
from gym_jax.data.findings import Tally
from gym_jax.data.index import Index, Opened, make_index, open_file, read_groups
from gym_jax.data.panel import Panel, join_panels, refuse_other_step
from gym_jax.data.read import judged, series_names, to_panel
from gym_jax.data.reading import Reading
from gym_jax.data.remote import File, Place, find_place, parquet_files, partitions_of
from gym_jax.data.rows import read_rows
from gym_jax.data.words import named, shown
from gym_jax.errors import DataError

ROWS = 1 << 20
"""Rows of a piece, at most, unless one series alone has more."""
GROUP = 1 << 17
"""Rows of a row group that are read together whatever is asked for."""


class Piece(NamedTuple):
    """A run of whole series in one file.

    >>> Piece(file=0, begin=0, end=576, series=("vm-000", "vm-001"), first=0, last=287 * 300 * 10**9).rows
    576
    """

    file: int
    """Its place among the files of the store."""
    begin: int
    """Its first row in the file."""
    end: int
    """The row behind its last."""
    series: tuple[str, ...]
    """The ids of its series, in the order of their rows."""
    first: int
    """The earliest time, in nanoseconds or counts."""
    last: int
    """The latest time, in the same units."""

    @property
    def rows(self) -> int:
        """Rows as they are stored: steps without a row are not counted."""
        return self.end - self.begin


class Store(NamedTuple):
    """Parquet files, opened but not read; `pieces` follow each other as their rows do."""

    place: Place
    """The folder, here or at an address."""
    files: tuple[Opened, ...]
    """Each with what tells that it is still the same."""
    pieces: tuple[Piece, ...]
    """In the order of their rows."""
    reading: Reading
    """How they are read."""
    stems: tuple[str, ...]
    """The id of each file that has no id column."""
    every: bool = False
    """Whether all numeric columns are targets when none is named."""

    @property
    def rows(self) -> int:
        """Rows of all pieces, as they are stored."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def series(self) -> int:
        """How many series there are."""
        return sum(len(piece.series) for piece in self.pieces)


def open_store(
    path: str | Path, reading: Reading | None = None, *, rows: int = ROWS, every: bool = False, **options: Any
) -> Store:
    """Open a Parquet file, a folder of such files (partitioned or not), or either of them at an address.

    A piece has at most `rows` rows, unless a single series has more; `options` are the fields of Reading, `every` is
    that of `read`. Raises DataError when a series does not lie together in one file.
    """
    reading = judged(reading, options)
    if reading.layout == "wide":
        raise DataError(
            "wide files are not read in portions: every column is a series, and all of them lie in every row group",
            hint="written in the long layout, they are",
            attempt="gymjax data convert FILE data.layout=wide --out FOLDER/",
            code="data.store",
        )
    place = find_place(path)
    found = parquet_files(place)
    names = series_names([Path(file.path) for file in found])
    all_of_them = [(*_open(place, file), names[Path(file.path)]) for file in found]
    # tools write a file for a partition without rows, too
    filled = [one for one in all_of_them if one[0].rows] or all_of_them
    files, stems = [opened for opened, _, _ in filled], tuple(stem for _, _, stem in filled)
    indices = [index or make_index(place, opened, reading, stem) for opened, index, stem in filled]
    _refuse_other_columns(files, reading, every)
    _refuse_scattered(indices, files)
    pieces = [piece for number, index in enumerate(indices) for piece in _pieces(number, index, files[number], rows)]
    steps = {index.step for index in indices}
    if len(steps) == 1 and reading.step is None and reading.resample.step is None and None not in steps:
        reading = replace(reading, step=steps.pop())
    return Store(place, tuple(files), tuple(pieces), reading, stems, every)


def read_piece(store: Store, piece: Piece) -> Panel:
    """Read and judge a piece exactly as `read` does a whole file; a column without any value here stays.

    Raises DataError, also when its file has changed since the store was opened.
    """
    opened = store.files[piece.file]
    refuse_changed(store.place, opened)

    def read(names: Sequence[str]) -> Any:
        return read_groups(store.place, opened, piece.begin, piece.end, names)

    rows = read_rows(opened.table(read), store.reading, store.stems[piece.file], opened.where, every=store.every)
    if {rows.ids[code] for code in np.unique(rows.codes)} != {*piece.series}:  # a dictionary may hold more words
        raise DataError(
            f"the index in {opened.where} names other series than its rows",
            hint="another tool changed the file and kept its footer; write it anew",
            attempt="gymjax data convert FOLDER --out OTHER/",
            code="data.index",
        )
    return to_panel(rows, store.reading, partial=True)


def read_pieces(store: Store, pieces: Sequence[Piece] | None = None) -> Iterator[tuple[Piece, Panel]]:
    """Yield some pieces, or all, each with its panel, one at a time. Raises DataError as `read_piece` does."""
    first: Panel | None = None
    for piece in store.pieces if pieces is None else pieces:
        panel = read_piece(store, piece)
        first = first or panel.select([0])
        refuse_other_step(first, panel, "gymjax train")
        yield piece, panel
        del panel  # the next one may be as large


def read_store(path: str | Path, reading: Reading | None = None, *, every: bool = False, **options: Any) -> Panel:
    """Read all of a store into one Panel, which then has to fit in memory."""
    store, tally = open_store(path, reading, every=every, **options), Tally()
    panels = [panel for _, panel in read_pieces(store)]
    for panel in panels:
        tally.add(panel.notes, panel.findings)
    return join_panels(panels).with_findings(tally.said, tuple(tally.findings.values()))


def refuse_changed(place: Place, opened: Opened) -> None:
    """Raise DataError when a file is gone or no longer what it was when it was opened."""
    try:
        same = place.mark(opened.file.path) == opened.file.mark
        gone = False
    except OSError:
        same, gone = False, True
    if not same:
        raise DataError(
            f"{opened.where} {'is gone' if gone else 'changed'} since it was opened",
            hint="data must stay as they are while they are read in portions, epoch after epoch",
            code="data.changed",
        )


def _open(place: Place, file: File) -> tuple[Opened, Index | None]:
    parts = partitions_of(file.path, place.root)
    return open_file(place, file, named(Path(PurePosixPath(file.path).name)), parts)


def _refuse_other_columns(files: Sequence[Opened], reading: Reading, every: bool) -> None:
    """Raise DataError when two files would be read with different columns."""
    first = find_columns(files[0].kinds, reading, where=files[0].where, every=every)
    for other in files[1:]:
        columns = find_columns(other.kinds, reading, where=other.where, every=every)
        if columns != first:
            odd = next(name for name in columns._fields if getattr(columns, name) != getattr(first, name))
            raise DataError(
                f"{other.where} has other columns than {files[0].where}: {odd} "
                f"{getattr(columns, odd)!r} instead of {getattr(first, odd)!r}",
                hint="files that are read together need the same columns; name the target",
                attempt="gymjax train ... --target COLUMN",
                code="data.mixed_files",
            )


def _refuse_scattered(indices: Sequence[Index], files: Sequence[Opened]) -> None:
    """Raise DataError when a series lies in more than one file."""
    owner: dict[str, int] = {}
    for number, index in enumerate(indices):
        for name in index.names:
            if owner.setdefault(name, number) != number:
                raise _scattered(
                    f"series `{shown(name)}` lies in {files[owner[name]].where} and in {files[number].where}"
                )


def _scattered(what: str) -> DataError:
    return DataError(
        f"{what}: it can not be read in portions",
        hint="what is read in portions holds every series together, in one file; convert sorts it so",
        attempt="gymjax data convert FOLDER --out SORTED/",
        code="data.scattered",
    )


def _pieces(file: int, index: Index, opened: Opened, rows: int) -> list[Piece]:
    """Return the pieces of a file: cut where no series is open, at row groups where these are small enough."""
    closed = np.maximum.accumulate(index.end)
    cuts = np.append(np.flatnonzero(closed[:-1] <= index.begin[1:]) + 1, len(index.names))
    aligned = cuts[np.isin(closed[cuts - 1], opened.groups)]
    if (np.diff(closed[aligned - 1], prepend=0) <= rows).all():
        cuts = aligned
    out: list[Piece] = []
    start = 0
    for number, cut in enumerate(cuts.tolist()):
        if number + 1 < len(cuts) and closed[cuts[number + 1] - 1] - index.begin[start] <= rows:
            continue  # the next run fits too
        begin, end = int(index.begin[start]), int(closed[cut - 1])
        if end - begin > rows and cut - start > 1:
            raise _scattered(
                f"the rows of {cut - start:,} series from `{shown(index.names[start])}` on lie among each other in "
                f"{opened.where}, {end - begin:,} rows in all"
            )
        groups = opened.groups
        read = groups[np.searchsorted(groups, end)] - groups[np.searchsorted(groups, begin, "right") - 1]
        if read > 2 * max(rows, end - begin, GROUP):
            raise _scattered(f"{opened.where} has row groups of {read:,} rows, for portions of {rows:,}")
        series, first, last = index.names[start:cut], index.first[start:cut].min(), index.last[start:cut].max()
        out.append(Piece(file, begin, end, tuple(series), int(first), int(last)))
        start = cut
    return out
