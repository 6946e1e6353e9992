"""Files and data frames to a Panel: CSV(.gz) and Parquet, long and wide."""

import glob
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gym_jax.data.clock import TimeUnit, read_times
from gym_jax.data.columns import Columns, Layout, find_columns
from gym_jax.data.panel import Panel, make_panel
from gym_jax.errors import DataError


class Table(NamedTuple):
    """A file before it is read: its column kinds, and a function that reads the named columns."""

    kinds: dict[str, bool]
    load: Callable[[Sequence[str], str | None], pd.DataFrame]


def open_csv(path: Path) -> Table:
    """Open a comma-separated file, plain or gzipped, with one header line."""
    with _readable(path), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        head = pd.read_csv(path, nrows=1000, index_col=False)
    separator = next((mark for mark in ";\t|" if mark in str(head.columns[0])), None)
    if len(head.columns) == 1 and separator:
        raise DataError(
            f"`{path.name}` is separated by {separator!r}, not by commas",
            hint="write it with commas, or as Parquet",
            code="data.separator",
        )
    _refuse_empty(len(head), f"`{path.name}`")
    kinds = {str(name): pd.api.types.is_numeric_dtype(head[name]) for name in head.columns}

    def load(columns: Sequence[str], id: str | None) -> pd.DataFrame:
        with _readable(path):
            return pd.read_csv(path, usecols=list(columns), dtype={id: str} if id else None, low_memory=False)

    return Table(kinds, load)


def open_parquet(path: Path) -> Table:
    """Open a Parquet file; only the columns that are asked for are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _readable(path):
        schema, rows = pq.read_schema(path), pq.read_metadata(path).num_rows
    _refuse_empty(rows, f"`{path.name}`")
    kinds = {
        field.name: pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_decimal(field.type)
        for field in schema
        if not field.name.startswith("__index")
    }

    def load(columns: Sequence[str], id: str | None) -> pd.DataFrame:
        with _readable(path):
            table = pq.read_table(path, columns=list(columns), read_dictionary=[id] if id else None)
            for place, column in enumerate(table.schema):
                if pa.types.is_decimal(column.type):
                    table = table.set_column(place, column.name, table[column.name].cast(pa.float64()))
            return table.to_pandas(self_destruct=True, split_blocks=True, ignore_metadata=True)

    return Table(kinds, load)


FORMATS: dict[str, Callable[[Path], Table]] = {
    ".csv": open_csv,
    ".csv.gz": open_csv,
    ".parquet": open_parquet,
    ".pq": open_parquet,
}


def read(
    path: str | Path,
    *,
    layout: Layout = "long",
    id: str | None = None,
    time: str | None = None,
    target: Sequence[str] = (),
    past: Sequence[str] = (),
    time_unit: TimeUnit = "auto",
) -> Panel:
    """Read a file, a folder of files or a glob into one Panel.

    A file without an id column is one series named after the file. Raises DataError with what is wrong and where.
    """
    files = find_files(path)
    names = _series_names(files)
    frames, chosen, units = [], None, []
    for file in files:
        table = FORMATS[_suffix(file)](file)
        columns = find_columns(
            table.kinds, id=id, time=time, target=target, past=past, layout=layout, where=f"`{file.name}`"
        )
        wanted = [c for c in (columns.id, columns.time, *columns.numeric) if c]
        frame = table.load(wanted, columns.id)
        _refuse_text(frame, columns, f"`{file.name}`")
        frames.append(_long(frame, columns, names[file], f"`{file.name}`"))
        chosen = chosen or columns
        units.append(read_times(frame[columns.time], columns.time, time_unit, where=f"`{file.name}`"))
        if columns.numeric != chosen.numeric and layout == "long":
            raise DataError(
                f"`{file.name}` has the columns {', '.join(columns.numeric)}, "
                f"`{files[0].name}` has {', '.join(chosen.numeric)}",
                hint="files that are read together need the same columns; name the target",
                attempt="gymjax train ... --target COLUMN",
                code="data.mixed_files",
            )
    assert chosen is not None
    if len({unit.clock for unit in units}) > 1 or len({unit.zone for unit in units}) > 1:
        raise DataError(
            "the files mix times with and without a zone",
            hint="write every file's times alike",
            code="data.mixed_files",
        )
    return _assemble(frames, units, chosen)


def read_frame(
    frame: pd.DataFrame,
    *,
    name: str = "series",
    layout: Layout = "long",
    id: str | None = None,
    time: str | None = None,
    target: Sequence[str] = (),
    past: Sequence[str] = (),
    time_unit: TimeUnit = "auto",
) -> Panel:
    """Make a Panel of a pandas data frame; `name` is the id of the series when there is no id column."""
    _refuse_empty(len(frame), "the data frame")
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    kinds = {name: pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns}
    columns = find_columns(kinds, id=id, time=time, target=target, past=past, layout=layout, where="the data frame")
    _refuse_text(frame, columns, "the data frame")
    times = read_times(frame[columns.time], columns.time, time_unit, where="the data frame")
    return _assemble([_long(frame, columns, name, "the data frame")], [times], columns)


def find_files(path: str | Path) -> list[Path]:
    """Return the data files that a path, folder or glob names, sorted."""
    text = str(path)
    found = Path(text).expanduser()
    if found.is_dir():
        files = sorted(f for f in found.iterdir() if f.is_file() and _suffix(f) in FORMATS)
    elif found.is_file():
        files = [found]
    else:
        files = sorted(Path(f) for f in glob.glob(text, recursive=True) if Path(f).is_file())
    if not files:
        raise DataError(
            f"no data at `{text}`" if not found.is_dir() else f"no {', '.join(FORMATS)} file in `{text}`",
            hint="give a file, a folder of files, or a quoted glob",
            attempt="gymjax generate --out cpu.parquet",
            code="data.not_found",
        )
    if odd := [f for f in files if _suffix(f) not in FORMATS]:
        raise DataError(
            f"`{odd[0].name}` is of no format that can be read",
            hint=f"choose from {', '.join(FORMATS)}",
            code="data.format",
        )
    return files


def _suffix(path: Path) -> str:
    parts = "".join(path.suffixes[-2:]).lower()
    return parts if parts in FORMATS else path.suffix.lower()


def _series_names(files: Sequence[Path]) -> dict[Path, str]:
    """Return the id of each file without an id column: its name, with its folder or ending where names repeat."""
    stems = {file: file.name[: -len(_suffix(file))] for file in files}
    names = list(stems.values())
    return {f: stem if names.count(stem) == 1 else f"{f.parent.name}/{f.name}" for f, stem in stems.items()}


class _readable:
    """Turn what readers raise on a damaged file into one DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception) or isinstance(error, DataError | MemoryError):
            return
        if isinstance(error, pd.errors.EmptyDataError):
            raise DataError(
                f"`{self.path.name}` is empty", hint="it holds no header and no row", code="data.empty"
            ) from error
        raise DataError(
            f"`{self.path.name}` can not be read: {(str(error).strip() or kind.__name__).splitlines()[0][:200]}",
            hint="the file is damaged, cut short or of another format than its name says",
            code="data.unreadable",
        ) from error


def _refuse_empty(rows: int, where: str) -> None:
    if not rows:
        raise DataError(f"{where} holds no rows", hint="it has a header at most", code="data.empty")


def _refuse_text(frame: pd.DataFrame, columns: Columns, where: str) -> None:
    for name in columns.numeric:
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any():
            numbers = pd.to_numeric(frame[name], errors="coerce")
            bad = numbers.isna() & frame[name].notna()
            row = int(np.flatnonzero(bad if bad.any() else frame[name].notna())[0])
            raise DataError(
                f"column `{name}` of {where} is not numeric: `{frame[name].iloc[row]}` in data row {row + 1}",
                hint=f"{int(bad.sum()):,} values are text; write missing values as empty cells"
                if bad.any()
                else "its numbers are stored as text: store them as numbers",
                code="data.text",
            )


def _long(frame: pd.DataFrame, columns: Columns, stem: str, where: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return series codes, ids and values [rows, channels] of one file."""
    if columns.layout == "wide":
        values = frame[list(columns.target)].to_numpy(np.float64, na_value=np.nan)
        codes = np.repeat(np.arange(values.shape[1]), values.shape[0])
        return codes, [str(name) for name in columns.target], values.T.reshape(-1, 1)
    values = np.column_stack([frame[name].to_numpy(np.float64, na_value=np.nan) for name in columns.numeric])
    if columns.id is None:
        return np.zeros(len(frame), np.int64), [stem], values
    codes, names = pd.factorize(frame[columns.id])
    empty = np.isin(codes, [-1, *(code for code, name in enumerate(names) if not str(name).strip())])
    if empty.any():
        raise DataError(
            f"id column `{columns.id}` of {where} is empty in {empty.sum():,} rows, "
            f"first in data row {int(np.flatnonzero(empty)[0]) + 1}",
            hint="every row needs the id of its series",
            code="data.id_missing",
        )
    return codes.astype(np.int64), [str(name) for name in names], values


def _assemble(
    parts: Sequence[tuple[np.ndarray, list[str], np.ndarray]], units: Sequence[Any], columns: Columns
) -> Panel:
    ids = list(dict.fromkeys(name for _, names, _ in parts for name in names))
    place = {name: position for position, name in enumerate(ids)}
    codes = [np.array([place[n] for n in names], np.int64)[c] if names else c for c, names, _ in parts]
    repeats = [len(c) // max(len(unit.stamps), 1) for (c, _, _), unit in zip(parts, units, strict=True)]
    times = [np.tile(unit.stamps, times) for unit, times in zip(units, repeats, strict=True)]
    wide = columns.layout == "wide"
    rows = np.concatenate(codes), np.concatenate(times), np.concatenate([values for _, _, values in parts])
    code, time, values = _trim(*rows, ids) if wide else rows
    return make_panel(
        code,
        ids,
        time,
        values,
        channels=("value",) if wide else columns.numeric,
        targets=1 if wide else len(columns.target),
        clock=units[0].clock,
        zone=units[0].zone,
        id_name=columns.id or "unique_id",
        time_name=columns.time,
        notes=tuple(dict.fromkeys(unit.note for unit in units if unit.note)),
    )


def _trim(
    codes: np.ndarray, times: np.ndarray, values: np.ndarray, ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the series of a wide file to their own spans: the empty cells around them are not gaps."""
    seen = ~np.isnan(values[:, 0])
    empty = np.setdiff1d(np.arange(len(ids)), codes[seen])
    if len(empty):
        raise DataError(
            f"column `{ids[empty[0]]}` has no value in any row",
            hint="name the columns to read, or take it out",
            code="data.blank",
        )
    first, last = np.full(len(ids), np.iinfo(np.int64).max), np.full(len(ids), np.iinfo(np.int64).min)
    np.minimum.at(first, codes[seen], times[seen])
    np.maximum.at(last, codes[seen], times[seen])
    own = (times >= first[codes]) & (times <= last[codes])
    return codes[own], times[own], values[own]
