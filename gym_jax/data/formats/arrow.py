"""Parquet and Arrow (Feather) files, and any frame that speaks Arrow: only the wanted columns are read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_jax.data.formats.table import (
    FRAME,
    MISSING,
    Kind,
    Table,
    Wanted,
    is_number,
    missing_words,
    not_numeric,
    readable,
    refuse_empty,
    refuse_repeated,
)
from gym_jax.data.reading import Reading
from gym_jax.data.words import named
from gym_jax.errors import DataError


def open_parquet(path: Path, reading: Reading) -> Table:
    """Open a Parquet file."""
    import pyarrow.parquet as pq

    where = named(path)
    with readable(where):
        schema, rows = pq.read_schema(path), pq.read_metadata(path).num_rows

    def load(names: Sequence[str], words: Sequence[str]) -> Any:
        return pq.read_table(
            path, columns=list(names), read_dictionary=list(words), partitioning=None, page_checksum_verification=True
        )

    return table_of(schema, rows, load, where)


def open_arrow(path: Path, reading: Reading) -> Table:
    """Open an Arrow file (Feather version 2) or stream."""
    import pyarrow as pa
    from pyarrow import ipc

    where = named(path)
    with readable(where):
        source = pa.memory_map(str(path))
        begin = source.read_at(8, 0)
        if not begin.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
            raise DataError(
                f"{where} is no Arrow file by its first bytes",
                hint="it is damaged, or of another format than its name says",
                code="data.format",
            )
        opened = ipc.open_file if begin.startswith(b"ARROW1") else ipc.open_stream
        table = opened(source).read_all()

    def load(names: Sequence[str], words: Sequence[str]) -> Any:
        chosen = table.select(list(names))
        chosen.validate(full=True)  # the file has no checksum: a damaged one may point anywhere
        return chosen

    return table_of(table.schema, len(table), load, where)


def open_frame(frame: Any) -> Table:
    """Open a pandas data frame, or any frame with Arrow's `__arrow_c_stream__`."""
    import pandas as pd
    import pyarrow as pa

    speaks = ("__arrow_c_stream__", "__arrow_c_array__")
    if not isinstance(frame, pd.DataFrame | Mapping) and not any(hasattr(frame, name) for name in speaks):
        raise DataError(
            f"`{type(frame).__name__}` is no data frame",
            hint="give a pandas data frame, or one that speaks Arrow (polars, DuckDB, pyarrow)",
            code="data.type",
        )
    with readable(FRAME):
        if isinstance(frame, pd.DataFrame):
            levels = [level for level in frame.index.names if level is not None and level not in frame.columns]
            frame = frame.reset_index(levels) if levels else frame  # a named index is a column, as in Parquet
            names = [str(name) for name in frame.columns]
            refuse_repeated(names, FRAME)
            columns = [_column(frame.iloc[:, place]) for place in range(len(names))]
            table = pa.table(columns, names) if names else pa.table({})
        else:
            table = pa.table(frame)
    return table_of(table.schema, len(table), lambda names, words: table.select(list(names)), FRAME)


def _column(column: Any) -> Any:
    """Return a pandas column as Arrow; words where it holds what Arrow has no type for."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    elif isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    mixed = ("mixed", "mixed-integer", "datetime")  # Arrow takes a datetime without a zone beside others for UTC
    if column.dtype != object or pd.api.types.infer_dtype(column, skipna=True) not in mixed:
        try:
            return pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass
    return pa.array(column.astype(str).where(column.notna(), None), pa.large_string(), from_pandas=True)


def table_of(schema: Any, rows: int, load: Any, where: str) -> Table:
    """Return a Table of an Arrow schema; `load(names, words)` returns columns, `words` as dictionaries if it can."""
    import pyarrow as pa

    refuse_empty(rows, where)
    with readable(where):
        names = [name for name in schema.names if not name.startswith("__index")]
        refuse_repeated(names, where)
        kinds: dict[str, Kind] = {name: kind_of(schema.field(name).type) for name in names}

    def loaded(wanted: Wanted) -> Any:
        words = [
            name for name, kind in wanted.items() if kind == "text" and pa.types.is_string(schema.field(name).type)
        ]
        with readable(where):
            return converted(load(list(wanted), words), wanted, where)

    return Table(kinds, loaded)


def kind_of(type: Any) -> Kind:
    """Return what a column of an Arrow type holds."""
    import pyarrow as pa

    of = pa.types
    if of.is_dictionary(type):
        type = type.value_type
    if of.is_integer(type) or of.is_floating(type) or of.is_decimal(type) or of.is_boolean(type) or of.is_null(type):
        return "number"
    return "time" if of.is_timestamp(type) or of.is_date(type) else "text"


def converted(table: Any, wanted: Wanted, where: str, *, said: Sequence[str] | None = None) -> Any:
    """Return an Arrow table with numbers as float64 (missing as null) and words as dictionaries.

    `said` are the user's words for missing values, where the format takes such words among numbers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for name, kind in wanted.items():
        column = table[name]
        if kind == "text" or (kind == "time" and kind_of(column.type) == "text"):
            columns.append(_words(column, name, where))
            continue
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if kind == "number" and column.type != pa.float64():
            if kind_of(column.type) != "number":
                column = _numbers(column, name, where, said)
            column = pc.cast(column, pa.float64(), safe=False)
        elif pa.types.is_decimal(column.type):
            column = column.cast(pa.int64() if column.type.scale == 0 else pa.float64())
        columns.append(column)
    return pa.table(columns, names=list(wanted))


def _words(column: Any, name: str, where: str) -> Any:
    """Return a column as a dictionary of its distinct words. Raises DataError when it holds lists or the like."""
    import pyarrow as pa
    import pyarrow.compute as pc

    of, plain = pa.types, pa.dictionary(pa.int32(), pa.string())
    if column.type == plain:
        column = column.unify_dictionaries()
        words = column.chunk(0).dictionary
        if not words.null_count and len(pc.unique(words)) == len(words):
            return column
    if of.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if of.is_nested(column.type) or of.is_duration(column.type) or of.is_time(column.type):
        raise DataError(
            f"column `{name}` of {where} holds `{column.type}`, which is neither text nor a time",
            hint="store words, dates, or numbers since 1970",
            code="data.type",
        )
    return column.cast(pa.string()).dictionary_encode().unify_dictionaries()


def _numbers(column: Any, name: str, where: str, said: Sequence[str] | None) -> Any:
    """Return nulls for a column of missing words. Raises DataError that names the first other word."""
    import pyarrow as pa

    words = [None if word is None else str(word).strip() for word in column.to_pylist()]
    given = [(row, word) for row, word in enumerate(words, 1) if word is not None and word not in MISSING]
    if not given:
        return pa.nulls(len(words))
    bad = [(row, word) for row, word in given if not is_number(word)]
    row, word = (bad or given)[0]
    missing = [] if said is None else missing_words((word for _, word in bad), said)
    raise not_numeric(name, where, word, row, len(bad), len(given) - len(bad), missing=missing)
