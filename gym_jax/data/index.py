"""Which series a Parquet file holds, and where: from its footer, or from its ids and times alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gym_jax.data.columns import Columns, find_columns
from gym_jax.data.formats.arrow import table_of
from gym_jax.data.formats.table import Kind, Table, Wanted, readable
from gym_jax.data.reading import Reading
from gym_jax.data.remote import File, Place
from gym_jax.data.rows import series_of, times_of
from gym_jax.errors import DataError

KEY = b"gym_jax.index"
"""Under which a footer keeps the index of its file."""
AT_ONCE = 1 << 20
"""Rows whose ids and times are read at once."""


class Index(NamedTuple):
    """The series of one file in the order in which they begin."""

    names: list[str]
    begin: Int[np.ndarray, " series"]
    """The first row of each, in its file."""
    end: Int[np.ndarray, " series"]
    """Behind its last one."""
    first: Int[np.ndarray, " series"]
    """Its first time, in nanoseconds or counts."""
    last: Int[np.ndarray, " series"]
    step: str | None = None
    """The time step of judged rows, in words; None where rows are yet to be judged."""

    def to_json(self) -> str:
        """Return what a footer keeps."""
        arrays = {name: getattr(self, name).tolist() for name in ("begin", "end", "first", "last")}
        return json.dumps({"names": self.names, **arrays, "step": self.step})


class Opened(NamedTuple):
    """A Parquet file whose footer has been read."""

    file: File
    where: str
    """Its name in messages."""
    parts: Mapping[str, str]
    """What its folders say, by column."""
    schema: Any
    rows: int
    groups: Int[np.ndarray, " groups_plus_one"]
    """Where its row groups begin and end."""

    @property
    def kinds(self) -> dict[str, Kind]:
        """Its columns, those of its folders last."""
        return self.table(lambda names: None).kinds

    def table(self, read: Any) -> Table:
        """Return it as a table; `read(names)` returns columns of the file itself."""
        import pyarrow as pa

        own = [name for name in self.parts if name not in self.schema.names]
        schema = self.schema
        for name in own:
            schema = schema.append(pa.field(name, pa.string()))

        def load(names: Sequence[str], words: Sequence[str]) -> Any:
            table = read([name for name in names if name not in own])
            for name in own:
                if name in names:
                    codes = pa.array(np.zeros(len(table), np.int32))
                    table = table.append_column(name, pa.DictionaryArray.from_arrays(codes, [self.parts[name]]))
            return table

        return table_of(schema, self.rows, load, self.where)


def open_file(place: Place, file: File, where: str, parts: Mapping[str, str]) -> tuple[Opened, Index | None]:
    """Read a footer; return the file and the index that it keeps, if any. Raises DataError when it is damaged."""
    import pyarrow.parquet as pq

    with readable(where), place.system.open_input_file(file.path) as stream:
        parquet = pq.ParquetFile(stream)
        meta, schema = parquet.metadata, parquet.schema_arrow
        sizes = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
        kept = (meta.metadata or {}).get(KEY)
    groups = np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))])
    opened = Opened(file, where, parts, schema.remove_metadata(), int(groups[-1]), groups)
    return opened, None if kept is None else _read_index(kept, opened)


def _read_index(kept: bytes, opened: Opened) -> Index:
    """Return an index out of a footer. Raises DataError unless it fits its file: whole series, one behind the other."""
    try:
        document = json.loads(kept)
        names, step = document["names"], document["step"]
        arrays = [np.array(document[name], np.int64) for name in ("begin", "end", "first", "last")]
        begin, end, first, last = arrays
        fits = all(array.shape == (len(names),) for array in arrays) and all(isinstance(name, str) for name in names)
        fits = fits and np.array_equal(begin, np.append(0, end[:-1])) and bool((end > begin).all())
        fits = fits and int(end[-1]) == opened.rows and (step is None or isinstance(step, str))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        fits = False
    if not fits:
        raise DataError(
            f"the index in {opened.where} does not fit its rows",
            hint="another tool changed the file and kept its footer; write it anew",
            attempt="gymjax data convert FOLDER --out OTHER/",
            code="data.index",
        )
    return Index(names, begin, end, first, last, step)


def read_groups(place: Place, opened: Opened, begin: int, end: int, wanted: Sequence[str]) -> Any:
    """Return the rows `begin` to `end` of a file as an Arrow table of some columns. Raises what pyarrow does."""
    import pyarrow.parquet as pq

    first = int(np.searchsorted(opened.groups, begin, "right")) - 1
    last = int(np.searchsorted(opened.groups, end, "left"))
    words = [name for name in wanted if str(opened.schema.field(name).type) == "string"]
    with place.system.open_input_file(opened.file.path) as stream:
        parquet = pq.ParquetFile(
            stream, read_dictionary=words, page_checksum_verification=True, pre_buffer=place.remote is not None
        )
        table = parquet.read_row_groups(list(range(first, last)), columns=list(wanted))
    return table.slice(begin - int(opened.groups[first]), end - begin)


def portions(place: Place, opened: Opened, rows: int = AT_ONCE) -> Iterator[tuple[int, Table]]:
    """Yield a file as tables of whole row groups, about `rows` each, with the first row of each."""
    begin = 0
    while begin < opened.rows:
        stop = int(np.searchsorted(opened.groups, begin + rows, "right")) - 1
        end = int(opened.groups[max(stop, int(np.searchsorted(opened.groups, begin, "right")))])

        def read(names: Sequence[str], begin: int = begin, end: int = end) -> Any:
            return read_groups(place, opened, begin, end, names)

        yield begin, opened.table(read)
        begin = end


def make_index(place: Place, opened: Opened, reading: Reading, stem: str) -> Index:
    """Return the index of a file that keeps none, out of its ids and times, a portion at a time."""
    columns = find_columns(opened.kinds, reading, where=opened.where, every=True)
    spots: dict[str, int] = {}
    bounds: list[list[int]] = []
    for offset, table in portions(place, opened):
        _note_rows(spots, bounds, offset, table, columns, reading, stem, opened.where)
    begin, end, first, last = np.array(bounds, np.int64).reshape(-1, 4).T
    return Index(list(spots), begin, end, first, last)


def _note_rows(
    spots: dict[str, int],
    bounds: list[list[int]],
    offset: int,
    table: Table,
    columns: Columns,
    reading: Reading,
    stem: str,
    where: str,
) -> None:
    """Take a portion of a file into account: where its series begin and end, and between which times they lie."""
    wanted: Wanted = {columns.id: "text"} if columns.id else {}
    wanted = {**wanted, **({columns.time: "time"} if columns.time else {})}
    data = table.load(wanted)
    codes, ids = series_of(data, columns.id, stem, where)
    stamps = times_of(data, codes, columns, reading, where).stamps
    starts = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1])
    ends = np.append(starts[1:], len(codes))
    low, high = np.minimum.reduceat(stamps, starts), np.maximum.reduceat(stamps, starts)
    for code, begin, end, first, last in zip(
        codes[starts].tolist(), starts.tolist(), ends.tolist(), low.tolist(), high.tolist(), strict=True
    ):
        spot = spots.setdefault(ids[code], len(bounds))
        if spot == len(bounds):
            bounds.append([offset + begin, offset + end, first, last])
        else:
            old = bounds[spot]
            bounds[spot] = [old[0], offset + end, min(old[2], first), max(old[3], last)]
