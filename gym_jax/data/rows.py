"""Tables to rows: series codes, times, values and what belongs to a series as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gym_jax.data.clock import Times, read_times
from gym_jax.data.columns import Columns, find_columns
from gym_jax.data.formats.table import MISSING, Kind, Table, Wanted, coded, first_rows
from gym_jax.data.reading import Reading
from gym_jax.data.units import read_quantities, scale_of, unit_in_name
from gym_jax.data.words import command, listed, shown
from gym_jax.errors import DataError


class Rows(NamedTuple):
    """What one file or frame holds: `codes` is the position of each row's series in `ids`."""

    codes: np.ndarray
    ids: list[str]
    times: Times
    values: np.ndarray
    limits: Mapping[str, np.ndarray | float]
    """Channel -> its capacity, for every row or as one number; NaN where there is none."""
    usage: Mapping[str, np.ndarray | bool]
    """Channel -> whether its rows are usage, which can not be negative."""
    static: np.ndarray
    categories: np.ndarray
    columns: Columns
    notes: tuple[str, ...]


def read_rows(table: Table, reading: Reading, stem: str, where: str, *, every: bool = False) -> Rows:
    """Read the columns that are asked for; `stem` is the id of a table without an id column. Raises DataError."""
    plain = Reading()
    said = {key: value for key, value in table.defaults.items() if getattr(reading, key) == getattr(plain, key)}
    reading = replace(reading, **said)
    columns = find_columns(table.kinds, reading, where=where, every=every)
    reading = replace(reading, units={**_units_of_limits(columns, reading), **reading.units})
    wanted: dict[str, Kind] = dict.fromkeys((*columns.numeric, *columns.static, *columns.limits), "number")
    wanted |= {name: "text" for name in reading.units if table.kinds[name] != "number" and name in wanted}
    wanted |= {name: "text" for name in (columns.id, *columns.categories) if name is not None}
    wanted |= {columns.time: "time"} if columns.time is not None else {}
    data = _load(table, wanted, reading)
    notes = list(table.notes)

    def numbers(name: str) -> np.ndarray:
        return read_numbers(data[name], name, reading, where, notes)

    values = np.empty((len(data), len(columns.numeric)))
    for place, name in enumerate(columns.numeric):
        values[:, place] = numbers(name)
    limits = {
        name: numbers(limit) if isinstance(limit, str) else float(limit) for name, limit in columns.capacity.items()
    }
    if reading.layout == "wide":
        return _wide(values, limits, data, columns, reading, where, notes)
    codes, ids = series_of(data, columns.id, stem, where)
    static = [_of_series(codes, len(ids), numbers(name), name, ids, where) for name in columns.static]
    words = [
        _words_of_series(codes, ids, data[name], name, where, reading.missing_words) for name in columns.categories
    ]
    return Rows(
        codes,
        ids,
        times_of(data, codes, columns, reading, where),
        values,
        limits,
        dict.fromkeys(columns.usage, True),
        np.column_stack(static) if static else np.empty((len(ids), 0)),
        np.column_stack(words) if words else np.empty((len(ids), 0), object),
        columns,
        tuple(notes),
    )


def _units_of_limits(columns: Columns, reading: Reading) -> dict[str, str]:
    """Return the units of the capacities that are columns: those of what they limit."""
    pairs = [(limit, name) for name, limit in columns.capacity.items() if isinstance(limit, str)]
    return {limit: reading.units[name] for limit, name in pairs if name in reading.units}


def _load(table: Table, wanted: Wanted, reading: Reading) -> Any:
    """Load; quantities with units may begin below bare numbers, in a column that was taken for numbers."""
    try:
        return table.load(wanted)
    except DataError as error:
        words: Wanted = {name: "text" for name in reading.units if wanted.get(name) == "number"}
        if not words or error.code not in ("data.text", "data.problems"):
            raise
        return table.load({**wanted, **words})


def read_numbers(column: Any, name: str, reading: Reading, where: str, notes: list[str]) -> np.ndarray:
    """Return a column as float64 in the unit that is asked for, NaN where missing."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        codes, found = coded(column)
        missing = {*MISSING, *reading.missing_words}
        words = [None if word is None or word.strip() in missing else word for word in found]
        rows = first_rows(codes, len(words))
        values, units = read_quantities(words, reading.units[name], name, where, rows=rows)
        notes.append(f"column `{name}` read in {reading.units[name]} (written in {', '.join(sorted(units)) or 'none'})")
        return np.append(values, np.nan)[codes]
    values = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    if name in reading.units:
        values = values * scale_of(name, reading.units)
        notes.append(f"column `{name}` read in {reading.units[name]} (its name says {unit_in_name(name)})")
    return values


def series_of(data: Any, id: str | None, stem: str, where: str) -> tuple[np.ndarray, list[str]]:
    """Return the code of every row's series, and their ids; `stem` is that of data without an id column."""
    if id is None:
        return np.zeros(len(data), np.int64), [stem]
    codes, words = coded(data[id])
    names = [str(name) for name in words]
    empty = np.isin(codes, [-1, *(code for code, name in enumerate(names) if not name.strip())])
    if empty.any():
        count = int(empty.sum())
        raise DataError(
            f"id column `{id}` of {where} is empty in {count:,} {'row' if count == 1 else 'rows'}, "
            f"first in data row {int(np.argmax(empty)) + 1:,}",
            hint="every row needs the id of its series",
            code="data.id_missing",
        )
    return codes, names


def times_of(data: Any, codes: np.ndarray, columns: Columns, reading: Reading, where: str) -> Times:
    """Return the times of every row; without a time column they are counted."""
    if columns.time is not None:
        return read_times(data[columns.time], columns.time, reading, where=where)
    order = np.argsort(codes, kind="stable")
    begins = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    counted = np.empty(len(codes), np.int64)
    counted[order] = np.arange(len(codes)) - begins[codes[order]]
    return Times(counted, "step", None, "there is no time column: rows are counted in the order of the data")


def _of_series(
    codes: np.ndarray, count: int, values: np.ndarray, name: str, ids: Sequence[str], where: str
) -> np.ndarray:
    """Return the one value of each series, NaN when it has none. Raises DataError when a series has two."""
    known = np.flatnonzero(~np.isnan(values))[::-1]
    out = np.full(count, np.nan)
    out[codes[known]] = values[known]
    bad = known[values[known] != out[codes[known]]]
    if len(bad):
        row = int(bad.min())
        _refuse_change(name, ids[codes[row]], f"{out[codes[row]]:g}", f"{values[row]:g}", row, where)
    return out


def _words_of_series(
    codes: np.ndarray, ids: Sequence[str], column: Any, name: str, where: str, missing: Sequence[str]
) -> np.ndarray:
    """Return the one word of each series, the empty one when it has none. Raises DataError when a series has two."""
    places, spelled = coded(column)
    found = ["" if word is None or word.strip() in missing else word.strip() for word in spelled]
    words, merged = np.unique(np.array(["", *found], object), return_inverse=True)
    marks = np.append(merged[1:], 0)[places]  # the empty word comes first
    known = np.flatnonzero(marks)[::-1]
    out = np.zeros(len(ids), np.int64)
    out[codes[known]] = marks[known]
    bad = known[marks[known] != out[codes[known]]]
    if len(bad):
        row = int(bad.min())
        _refuse_change(name, ids[codes[row]], words[out[codes[row]]], words[marks[row]], row, where)
    return words[out]


def _refuse_change(name: str, series: str, before: object, after: object, row: int, where: str) -> None:
    raise DataError(
        f"column `{name}` of {where} changes within series `{shown(series)}`: "
        f"`{shown(before)}`, then `{shown(after)}` in data row {row + 1:,}",
        hint="static numbers and categories belong to a series as a whole; what changes goes to past or known",
        code="data.static",
    )


def _wide(
    values: np.ndarray,
    limits: Mapping[str, np.ndarray | float],
    data: Any,
    columns: Columns,
    reading: Reading,
    where: str,
    notes: list[str],
) -> Rows:
    """Return a row per cell, the series cut to their own spans: the empty cells around them are not gaps."""
    times = times_of(data, np.zeros(len(data), np.int64), columns, reading, where)
    ids = list(columns.target)
    seen = ~np.isnan(values)
    blank = [name for name, any_ in zip(ids, seen.any(axis=0), strict=True) if not any_]
    if blank:
        every, one = len(blank) == len(ids), len(blank) == 1
        some = f"{'column' if one else 'columns'} {listed(f'`{name}`' for name in blank)} of {where}"
        some += f" {'has' if one else 'have'} no value in any row"
        if every or reading.policy.blank == "error":
            raise DataError(
                some,
                hint="every value is missing" if every else "leave them out, or let data.policy.blank=drop do it",
                attempt=None if every else command({"policy.blank": "drop"}),
                code="data.blank",
            )
        notes.append(f"{some}: dropped")
    parts, tops = [], []
    for code in np.flatnonzero(seen.any(axis=0)):
        stamps = times.stamps[seen[:, code]]
        own = (times.stamps >= stamps.min()) & (times.stamps <= stamps.max())
        parts.append((np.full(own.sum(), code), times.stamps[own], values[own, code]))
        if limits:
            tops.append(np.broadcast_to(limits.get(ids[code], np.nan), len(own))[own])
    codes, stamps, cells = (np.concatenate(part) for part in zip(*parts, strict=True))
    none = np.empty((len(ids), 0))
    usage = {"value": np.isin(np.array(ids, object), columns.usage)[codes]} if columns.usage else {}
    return Rows(
        codes,
        ids,
        times._replace(stamps=stamps),
        cells[:, None],
        {"value": np.concatenate(tops)} if limits else {},
        usage,
        none,
        none.astype(object),
        columns._replace(target=("value",)),
        tuple(notes),
    )
