"""Files to judged Cases: rows of tables, or sequences by way of a Panel."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from gym_jax.data.cases import Cases
from gym_jax.data.columns import ID_NAMES, find_columns
from gym_jax.data.formats import open_table
from gym_jax.data.formats.table import Table
from gym_jax.data.panel import Panel
from gym_jax.data.read import find_files, read
from gym_jax.data.read_table import Roles, read_tables, words_of
from gym_jax.data.reading import Reading
from gym_jax.data.words import listed, named, shown, suggest
from gym_jax.errors import DataError

Answer = Literal["regress", "classify"]


class Asked(NamedTuple):
    """What is to be read for: numbers or a label, and which columns are left aside.

    >>> Asked("classify", ignore=("comment",)).needed
    True
    """

    answer: Answer
    """Numbers (`regress`) or a label (`classify`)."""
    ignore: tuple[str, ...] = ()
    """Columns that are neither asked for nor features."""
    needed: bool = True
    """False: cases without their answers will do, to be predicted."""
    exact: bool = False
    """Whether only the columns that are named are features."""


def read_cases(path: str | Path, reading: Reading, asked: Asked) -> Cases:
    """Read a file, a folder of files or a glob into cases.

    The rows of a table are cases of their own; sequences are those of a format that has such (`.ts`, NPZ with three
    axes), or of a file with `reading.time` or `reading.time_unit="step"`. Targets and labels are `reading.target`;
    other columns are what `static`, `categories` and, of sequences, `past` say, by default all. Raises DataError when a
    column is missing or is no feature, and with everything else that is wrong with the data.
    """
    files = find_files(path)
    tables = {named(file): open_table(file, reading) for file in files}
    first = next(iter(tables.values()))
    if "id" in first.defaults or reading.time is not None or reading.time_unit == "step":
        return _sequences(path, first, next(iter(tables)), reading, asked)
    return cases_of_tables(tables, reading, asked)


def cases_of_tables(tables: Mapping[str, Table], reading: Reading, asked: Asked) -> Cases:
    """Return the rows of tables as cases; the names of the tables stand in messages.

    Raises DataError as `read_cases` does, which opens the tables.
    """
    where, table = next(iter(tables.items()))
    _refuse_of_series(reading)
    kinds = table.kinds
    said = (*reading.target, *reading.static, *reading.categories)
    _refuse_unknown(kinds, (*_wanted(reading, asked), *reading.static, *reading.categories), where)
    _refuse_unknown(kinds, [reading.id] if reading.id and asked.needed else (), where)
    target = _target(kinds, reading, asked, where, ())
    usual = [name for name in kinds if name.lower() in ID_NAMES and name not in (*said, *asked.ignore)]
    id = reading.id if reading.id in kinds else next(iter(usual), None)
    aside = {id, *reading.target, *asked.ignore}
    left = {name: kind for name, kind in kinds.items() if name not in {*aside, *said} and not asked.exact}
    times = [name for name, kind in left.items() if kind == "time"]
    numbers = reading.static or tuple(name for name, kind in left.items() if kind == "number")
    words = reading.categories or tuple(name for name, kind in left.items() if kind == "text")
    notes = [f"column `{shown(name)}` holds times: left aside" for name in times]
    if id is not None and reading.id is None:
        notes.append(f"column `{shown(id)}` names the rows: it is no feature")
    if not numbers and not words:
        raise DataError(
            f"{where} has no column to learn from beside {listed(f'`{name}`' for name in reading.target)}",
            hint="numbers and words in further columns are features",
            code="data.no_features",
        )
    return read_tables(tables, Roles(id, target, numbers, words, asked.answer, asked.exact), reading, notes)


def _sequences(path: str | Path, table: Table, where: str, reading: Reading, asked: Asked) -> Cases:
    """Return whole series as cases; a panel is what they are read and judged as."""
    kinds, given = table.kinds, table.defaults
    of_case = (*given.get("static", ()), *given.get("categories", ()))
    _refuse_unknown(kinds, _wanted(reading, asked), where)
    target = _target(kinds, reading, asked, where, of_case)
    numbers = tuple(name for name in target if kinds[name] == "number")
    words = tuple(name for name in target if name not in numbers)
    aside = of_case if asked.exact else (*target, *asked.ignore)
    static = reading.static or tuple(name for name in given.get("static", ()) if name not in aside)
    categories = reading.categories or tuple(name for name in given.get("categories", ()) if name not in aside)
    view = replace(reading, target=reading.past, past=(), static=(*static, *numbers), categories=(*categories, *words))
    if not view.target:
        formats = {key: given[key] for key in ("id", "time", "time_unit") if key in given}
        channels = given.get("target") or find_columns(kinds, replace(view, **formats), where=where, every=True).target
        view = replace(view, target=tuple(name for name in channels if name not in (*asked.ignore, *reading.target)))
    panel = read(path, view)
    return _of_panel(panel, target, len(static), len(categories), asked.answer)


def _of_panel(panel: Panel, target: tuple[str, ...], static: int, categories: int, answer: Answer) -> Cases:
    """Return the series of a panel, the first columns beside them as features and the others as answers."""
    count, steps = len(panel.series), int(panel.lengths.max())
    owner = np.repeat(np.arange(count), panel.lengths)
    place = np.arange(len(panel.values)) - panel.offsets[owner] + steps - panel.lengths[owner]
    shape = (count, steps, len(panel.channels))
    values, mask = np.zeros(shape), np.zeros(shape, bool)
    values[owner, place], mask[owner, place] = panel.values, panel.mask
    targets = labels = None
    if target and answer == "regress":
        assert panel.static is not None
        targets = panel.static[:, static:]
    elif target:
        labels = words_of(panel.static[:, static]) if panel.static_names[static:] else panel.categories[:, categories]  # type: ignore[index]
    elif answer == "regress":
        targets = np.full((count, 1), np.nan)
    else:
        labels = np.full(count, "", object)
    return Cases(
        channels=panel.channels,
        values=values,
        mask=mask,
        target_names=target,
        targets=targets,
        labels=labels,
        names=panel.series,
        id_name=panel.id_name,
        static=panel.static[:, :static] if static and panel.static is not None else None,
        static_names=panel.static_names[:static],
        categories=panel.categories[:, :categories] if categories and panel.categories is not None else None,
        category_names=panel.category_names[:categories],
        sequences=True,
        notes=panel.notes,
        findings=panel.findings,
    )


def _target(
    kinds: Mapping[str, str], reading: Reading, asked: Asked, where: str, of_case: Sequence[str]
) -> tuple[str, ...]:
    """Return the columns of the answers; the format's own when it has one; () when they are not there, nor needed."""
    target = reading.target or (tuple(of_case) if len(of_case) == 1 else ())
    if not asked.needed and not all(name in kinds for name in target):
        return ()
    if not target and asked.needed:
        raise DataError(
            f"which column of {where} is to be learnt? it has {listed(kinds)}",
            hint="name it",
            attempt="gymjax train ... --target COLUMN",
            code="data.no_target",
        )
    if asked.answer == "classify" and len(target) > 1:
        raise DataError(
            f"a classifier learns one label, not {listed(f'`{name}`' for name in target)}",
            hint="train a run for each",
            attempt=f"gymjax train ... --target {target[0]}",
            code="data.no_target",
        )
    if asked.answer == "regress" and (text := [name for name in target if kinds[name] != "number"]):
        raise DataError(
            f"the target `{shown(text[0])}` of {where} is no number",
            hint="labels are for task.kind=classify; a number stands in a .ts file behind `@targetLabel true`",
            attempt="gymjax train ... task.kind=classify",
            code="data.text",
        )
    return target


def _wanted(reading: Reading, asked: Asked) -> tuple[str, ...]:
    """Return the columns that are named and must be there, beside the features."""
    return (*(reading.target if asked.needed else ()), *(() if asked.exact else asked.ignore))


def _refuse_unknown(kinds: Mapping[str, str], said: Sequence[str], where: str) -> None:
    """Raise DataError that names every column that is not there."""
    unknown = [name for name in dict.fromkeys(said) if name not in kinds]
    if unknown:
        raise DataError(
            f"no column {listed(f'`{name}`' for name in unknown)} in {where}",
            hint=suggest(unknown[0], kinds),
            code="data.unknown_column",
        )


def _refuse_of_series(reading: Reading) -> None:
    """Raise DataError when a table is to be read in a way that only series are."""
    plain: Any = Reading()
    names = ("layout", "past", "known", "capacity", "step", "time_format", "time_zone", "resample", "time_unit")
    if odd := [name for name in names if getattr(reading, name) != getattr(plain, name)]:
        raise DataError(
            f"data.{odd[0]} is of sequences, but every row of this table is a case of its own",
            hint="leave it out; or name the column of the times, and rows with one id are one sequence",
            attempt="gymjax train ... data.id=COLUMN data.time=COLUMN",
            code="data.clash",
        )
