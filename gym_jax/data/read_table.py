"""Rows of tables to judged Cases: each row is a sequence of one step whose channels are its numbers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from gym_jax.data.cases import CONSTANT, Cases
from gym_jax.data.columns import usage_of
from gym_jax.data.findings import Report
from gym_jax.data.formats.table import Kind, Table, coded
from gym_jax.data.judge import judge_values
from gym_jax.data.reading import Reading
from gym_jax.data.rows import read_numbers
from gym_jax.data.words import listed, shown
from gym_jax.errors import DataError

WHOLE = 2.0**53
"""Below it float64 tells every whole number apart."""


class Roles(NamedTuple):
    """Which column of a table is what. `target` is empty where the answers are not there."""

    id: str | None
    target: tuple[str, ...]
    numbers: tuple[str, ...]
    words: tuple[str, ...]
    answer: Literal["regress", "classify"]
    exact: bool = False
    """Whether a trained model asks for these very columns: none is dropped, not even an empty one."""


def read_tables(tables: Mapping[str, Table], roles: Roles, reading: Reading, notes: Sequence[str] = ()) -> Cases:
    """Read the columns of all tables and judge them. Raises DataError with everything that is wrong."""
    said = list(notes)
    measured = (*roles.target, *roles.numbers) if roles.answer == "regress" else roles.numbers
    parts = [_load(table, where, roles, measured, reading, said) for where, table in tables.items()]
    values = np.concatenate([part.values for part in parts])
    words = {name: np.concatenate([part.words[name] for part in parts]) for name in parts[0].words}
    begins = np.cumsum([0, *(len(part.values) for part in parts)])

    def place(row: int) -> str:
        file = int(np.searchsorted(begins, row, side="right")) - 1
        return f"data row {row - int(begins[file]) + 1:,}" + (f" of {list(tables)[file]}" if len(tables) > 1 else "")

    report, count = Report(), len(measured) - len(roles.numbers)
    values = judge_values(
        values,
        place,
        report,
        channels=measured,
        targets=count,
        policy=reading.policy,
        usage=usage_of(measured, reading),
    )
    report.settle()
    targets, numbers = values[:, :count], values[:, count:]
    seen = ~np.isnan(numbers)
    keep = [c for c in range(len(roles.numbers)) if seen[:, c].any() or roles.exact]
    if blank := [name for c, name in enumerate(roles.numbers) if c not in keep]:
        text = f"{'columns' if len(blank) > 1 else 'column'} {listed(f'`{name}`' for name in blank)} hold no number"
        if reading.policy.blank == "error":
            raise DataError(
                text,
                hint="leave them aside, or let data.policy.blank=drop do it",
                attempt="gymjax train ... data.policy.blank=drop",
                code="data.blank",
            )
        said.append(f"{text}: dropped")
    names: tuple[str, ...] = (CONSTANT,)
    if not keep:
        numbers, seen = np.zeros((len(values), 1)), np.ones((len(values), 1), bool)
    else:
        numbers, seen, names = numbers[:, keep], seen[:, keep], tuple(roles.numbers[c] for c in keep)
    labels = None
    if roles.answer == "classify":
        labels = words[roles.target[0]] if roles.target else np.full(len(values), "", object)
    return Cases(
        channels=names,
        values=np.where(seen, numbers, 0.0)[:, None],
        mask=seen[:, None],
        target_names=roles.target,
        targets=None if labels is not None else targets if roles.target else np.full((len(values), 1), np.nan),
        labels=labels,
        names=tuple(words[roles.id]) if roles.id is not None else None,
        id_name=roles.id or "row",
        categories=np.column_stack([words[name] for name in roles.words]) if roles.words else None,
        category_names=roles.words,
        notes=tuple(dict.fromkeys((*said, *report.notes))),
        findings=tuple(report.findings),
    )


def words_of(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as words: 1 and 1.0 are one; the empty word where missing."""
    return np.array(["" if np.isnan(x) else _word(x) for x in numbers.tolist()], object)


def _word(x: float) -> str:
    return str(int(x)) if x.is_integer() and abs(x) < WHOLE else f"{x:.15g}"


def raw_frame(tables: Mapping[str, Table]) -> pd.DataFrame:
    """Return every column of tables as it stands in them; numbers that are whole are written whole."""
    frames = [table.load(dict(table.kinds)).to_pandas() for table in tables.values()]
    frame = pd.concat(frames, ignore_index=True)
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            frame[name] = column.astype(object)
        elif column.dtype == np.float64 and np.isfinite(column).all() and (column == np.rint(column)).all():
            exact = (np.abs(column) < WHOLE).all()
            frame[name] = column.astype(np.int64) if exact else _digits(tables, name, column)
    return frame


def _digits(tables: Mapping[str, Table], name: str, column: pd.Series) -> pd.Series:
    """Return whole numbers that float64 does not tell apart by their digits; as they are where these are not all."""
    words = [word for table in tables.values() for word in table.load({name: "text"})[name].to_pylist()]
    return pd.Series([int(word) for word in words]) if all(map(re.compile(r"-?\d+").fullmatch, words)) else column


class _Part(NamedTuple):
    values: np.ndarray
    words: dict[str, np.ndarray]


def _load(table: Table, where: str, roles: Roles, measured: Sequence[str], reading: Reading, notes: list[str]) -> _Part:
    """Return the numbers of one table, and its words by column."""
    labels = roles.target if roles.answer == "classify" else ()
    texts = [name for name in dict.fromkeys((roles.id, *roles.words, *labels)) if name is not None]
    if lacking := [name for name in (*measured, *texts) if name not in table.kinds]:
        raise DataError(
            f"{where} has no column {listed(f'`{name}`' for name in lacking)}",
            hint="files that are read together have the same columns",
            code="data.unknown_column",
        )
    both = [name for name in texts if name in measured]
    if both:
        raise DataError(
            f"column `{shown(both[0])}` can not be a number and a category at once",
            hint="a column has one place: target, static, categories or id",
            code="data.clash",
        )
    quantities = [name for name in reading.units if name in measured and table.kinds[name] != "number"]
    wanted: dict[str, Kind] = {name: "text" if name in quantities else "number" for name in measured}
    wanted |= {name: "number" if table.kinds[name] == "number" and name != roles.id else "text" for name in texts}
    notes += table.notes
    data = table.load(wanted)
    values = np.empty((len(data), len(measured)))
    for column, name in enumerate(measured):
        values[:, column] = read_numbers(data[name], name, reading, where, notes)
    return _Part(values, {name: _words(data[name], reading) for name in texts})


def _words(column: Any, reading: Reading) -> np.ndarray:
    """Return a column as words, the empty one where missing."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return words_of(column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False))
    codes, found = coded(column)
    words = ["" if w is None or w.strip() in reading.missing_words else w.strip() for w in found]
    return np.array([*words, ""], object)[codes]
