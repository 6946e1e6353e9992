"""Data in any order and of any size to a store: judged, in the units asked for, sorted by series and time.

Rows go through files on the disk: first as they come, then into as many heaps of whole series as memory asks for.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.data.columns import Columns, usage_of
from gym_jax.data.formats import open_table
from gym_jax.data.formats.arrow import table_of
from gym_jax.data.formats.table import Table
from gym_jax.data.index import open_file, portions
from gym_jax.data.panel import Panel
from gym_jax.data.read import find_files, judged, series_names, to_panel
from gym_jax.data.reading import Reading
from gym_jax.data.remote import PARQUET, find_place, is_remote, parquet_files, partitions_of
from gym_jax.data.rows import Rows, read_rows
from gym_jax.data.words import named
from gym_jax.data.write_store import FILE_ROWS, GROUP_ROWS, Written, write_store
from gym_jax.errors import DataError

MEMORY = 1 << 30
"""Bytes that a heap of rows takes while it is sorted and judged, about."""
COPIES = 8
"""How often the numbers of a heap are in memory at once: read, sorted, on the grid, as a frame, as Arrow."""


class Heap(NamedTuple):
    """Rows that were read, as they are read again: nothing is left to find out about them."""

    reading: Reading
    columns: Columns
    notes: tuple[str, ...]
    wide: Reading | None = None
    """How wide files were read: which of their columns, now series, are usage."""


def convert(
    path: str | Path,
    out: str | Path,
    reading: Reading | None = None,
    *,
    memory: int = MEMORY,
    every: bool = False,
    group_rows: int = GROUP_ROWS,
    file_rows: int = FILE_ROWS,
    **options: Any,
) -> Written:
    """Write a file, folder or glob as a store at `out`, with about `memory` bytes; the rest is as in `read`.

    Parquet files are read by row groups, also in folders of folders and at an address; a file of another format must
    fit in memory by itself. Raises DataError with everything that the policy refuses; nothing is left then.
    """
    reading = judged(reading, options)
    here = None if is_remote(out) else Path(out).expanduser().absolute().parent
    if here is not None:
        here.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gymjax-convert-", dir=here) as folder:
        heap, counts = _spill(path, reading, every, Path(folder) / "rows.arrow")
        width = 8 * (len(heap.columns.numeric) + len(heap.columns.static) + 3)
        most = max(1, memory // (COPIES * width))
        names = sorted(counts)
        heaps = _deal(names, counts, most)
        if len(heaps) > 1:
            files = _sort_out(Path(folder) / "rows.arrow", heap, heaps, Path(folder))
            (Path(folder) / "rows.arrow").unlink()
        else:
            files = [Path(folder) / "rows.arrow"]
        return write_store(_panels(files, heap), out, group_rows=group_rows, file_rows=file_rows)


def _tables(path: str | Path, reading: Reading) -> Iterator[tuple[int, Table, str, str]]:
    """Yield the data as tables that fit in memory.

    Each with its first row in its file, the id of a series without one, and its name.
    """
    place = find_place(path)
    if is_remote(path) or (Path(place.root).is_dir() and not _has_other(path)) or place.root.lower().endswith(PARQUET):
        files = parquet_files(place)
        stems = series_names([Path(file.path) for file in files])
        for file in files:
            opened, _ = open_file(place, file, named(Path(file.path)), partitions_of(file.path, place.root))
            for begin, table in portions(place, opened):
                yield begin, table, stems[Path(file.path)], opened.where
        return
    found = find_files(path)
    stems = series_names(found)
    for one in found:
        yield 0, open_table(one, reading), stems[one], named(one)


def _has_other(path: str | Path) -> bool:
    """Return whether a folder holds data of another format than Parquet."""
    try:
        return any(not file.name.lower().endswith(PARQUET) for file in find_files(path))
    except DataError:  # there may be folders in it
        return False


def _spill(path: str | Path, reading: Reading, every: bool, out: Path) -> tuple[Heap, Counter[str]]:
    """Read everything once, and write it as it comes; return how to read it again, and the rows of every series."""
    import pyarrow as pa

    counts: Counter[str] = Counter()
    before: Counter[str] = Counter()  # rows of each series in the portions of a file so far
    notes: dict[str, None] = {}
    first: Rows | None = None
    nothing = np.empty(0, np.int64)
    limited: set[str] = set()
    with ExitStack() as stack:
        writer = None
        for begin, table, stem, where in _tables(path, reading):
            rows = read_rows(table, reading, stem, where, every=every)
            if not begin:
                before.clear()
            if rows.columns.time is None:  # rows are counted, and not anew in every portion
                wide = reading.layout == "wide"
                since = np.array([begin if wide else before[name] for name in rows.ids], np.int64)[rows.codes]
                rows = rows._replace(times=rows.times._replace(stamps=rows.times.stamps + since))
            if first is None:  # how it was read, without what
                first = rows._replace(codes=nothing, values=nothing, limits={})
                first = first._replace(times=rows.times._replace(stamps=nothing))
            if rows.columns.numeric != first.columns.numeric or rows.times[1:3] != first.times[1:3]:
                raise DataError(
                    f"{where} has other columns, or times of another kind, than what was read before it",
                    hint="files that are read together need the same columns; name the target",
                    attempt="gymjax data convert ... --target COLUMN",
                    code="data.mixed_files",
                )
            notes |= dict.fromkeys(note for note in (*rows.notes, rows.times.note) if note)
            limited |= {name for name, limit in rows.limits.items() if not np.isnan(limit).all()}
            for code, count in zip(*np.unique(rows.codes, return_counts=True), strict=True):
                counts[rows.ids[code]] += int(count)
                before[rows.ids[code]] += int(count)
            batch = _as_arrow(rows)
            if writer is None:
                writer = stack.enter_context(pa.ipc.new_file(str(out), batch.schema))
            writer.write_table(batch, max_chunksize=1 << 20)
    if first is None:
        raise DataError("the data hold no rows", hint="the file has a header at most", code="data.empty")
    return _heap(first, reading, limited, tuple(notes)), counts


def _as_arrow(rows: Rows) -> Any:
    """Return rows as an Arrow table of id, time, channels, their capacities, static numbers and words."""
    import pyarrow as pa

    columns, count = rows.columns, len(rows.codes)
    clock = pa.int64() if rows.times.clock == "step" else pa.timestamp("ns", "UTC" if rows.times.zone else None)
    out: dict[str, Any] = {
        "id": pa.DictionaryArray.from_arrays(pa.array(rows.codes.astype(np.int32)), pa.array(rows.ids)).cast(
            pa.string()
        ),
        "time": pa.array(rows.times.stamps).cast(clock),
    }
    for place, name in enumerate(columns.numeric):
        out[f"value {name}"] = pa.array(np.ascontiguousarray(rows.values[:, place]), from_pandas=True)
        limit = np.broadcast_to(rows.limits.get(name, np.nan), count)
        out[f"limit {name}"] = pa.array(np.ascontiguousarray(limit, np.float64), from_pandas=True)
    for place, name in enumerate(columns.static):
        out[f"static {name}"] = pa.array(rows.static[rows.codes, place], from_pandas=True)
    for place, name in enumerate(columns.categories):
        words = pa.array(list(rows.categories[:, place]), pa.string())
        codes = pa.array(rows.codes.astype(np.int32))
        out[f"word {name}"] = pa.DictionaryArray.from_arrays(codes, words).cast(pa.string())
    return pa.table(out)


def _heap(rows: Rows, reading: Reading, limited: set[str], notes: tuple[str, ...]) -> Heap:
    """Return how spilled rows are read again: by name, in no unit, with the zone that their times have."""
    columns = rows.columns
    again = replace(
        reading,
        layout="long",
        id="id",
        time="time",
        target=tuple(f"value {name}" for name in columns.target),
        past=tuple(f"value {name}" for name in columns.past),
        known=tuple(f"value {name}" for name in columns.known),
        static=tuple(f"static {name}" for name in columns.static),
        categories=tuple(f"word {name}" for name in columns.categories),
        capacity={f"value {name}": f"limit {name}" for name in columns.numeric if name in limited},
        usage=tuple(f"value {name}" for name, used in rows.usage.items() if np.any(used)),
        units={},
        time_unit="step" if rows.times.clock == "step" else "auto",
        time_format=None,
        missing_words=(),
    )
    return Heap(again, columns, notes, reading if reading.layout == "wide" else None)


def _deal(names: Sequence[str], counts: Counter[str], most: int) -> list[str]:
    """Return the last name of each heap: series in the order of their names, about `most` rows together."""
    out, held = [], 0
    for before, name in zip(["", *names], names, strict=False):
        if held and held + counts[name] > most:
            out.append(before)
            held = 0
        held += counts[name]
    return [*out, names[-1]]


def _sort_out(spilled: Path, heap: Heap, heaps: Sequence[str], folder: Path) -> list[Path]:
    """Write every row to the heap that its series belongs to; return the heaps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    files = [folder / f"heap-{number:05d}.arrow" for number in range(len(heaps))]
    with pa.memory_map(str(spilled)) as source, ExitStack() as stack:
        reader = pa.ipc.open_file(source)
        writers = [stack.enter_context(pa.ipc.new_file(str(file), reader.schema)) for file in files]
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            ids = batch.column("id").dictionary_encode()
            place = np.searchsorted(np.array(heaps, object), np.array(ids.dictionary.to_pylist(), object))
            owner = place[ids.indices.to_numpy()]
            for own in np.unique(owner).tolist():
                writers[own].write(pa.record_batch(batch.filter(pc.equal(pa.array(owner), own))))
    return files


def _panels(files: Sequence[Path], heap: Heap) -> Iterator[Panel]:
    """Yield the judged panel of every heap, its columns named as they were."""
    import pyarrow as pa

    blank: set[int] | None = None
    for file in files:
        with pa.memory_map(str(file)) as source:
            table = pa.ipc.open_file(source).read_all()
            opened = table_of(table.schema, len(table), lambda names, words, t=table: t.select(list(names)), "the data")
            rows = read_rows(opened, heap.reading, "series", "the data")
        panel = to_panel(_renamed(rows, heap), heap.reading, partial=True)
        own = {c for c in range(len(panel.channels)) if not panel.mask[:, c].any()}
        blank = own if blank is None else blank & own
        yield panel
    if blank:
        names = ", ".join(f"`{heap.columns.numeric[c]}`" for c in sorted(blank))
        raise DataError(
            f"column {names} has no value in any row",
            hint="name the columns to keep, without it",
            attempt="gymjax data convert ... --target COLUMN",
            code="data.blank",
        )


def _renamed(rows: Rows, heap: Heap) -> Rows:
    """Return rows with the columns named as they were."""

    def own(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removeprefix("value "): value for name, value in named.items()}

    usage = own(rows.usage)
    if heap.wide is not None:
        used = {*usage_of(rows.ids, heap.wide)}
        usage = {"value": np.array([name in used for name in rows.ids])[rows.codes]}
    return rows._replace(limits=own(rows.limits), usage=usage, columns=heap.columns, notes=heap.notes)
