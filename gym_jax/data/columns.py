"""Which column is what: id, time, targets, covariates and capacities, found by name or said by the user."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gym_jax.data.reading import Reading
from gym_jax.data.units import is_percentage, scale_of
from gym_jax.data.words import listed, shown, suggest
from gym_jax.errors import DataError

ID_NAMES = ("unique_id", "series_id", "item_id", "vm_id", "id")
ID_WORDS = (
    *("machine_id", "instance_id", "container_id", "pod_id", "node_id", "host_id", "vm", "machine", "instance"),
    *("container", "pod", "node", "host", "hostname", "server", "workload", "deployment", "service", "name"),
)
"""Names of an id when the column holds words; numbers may be counts."""
TIME_NAMES = ("ds", "timestamp", "ts", "time", "datetime", "date", "epoch", "unix_time")
USAGE = frozenset({
    *("cpu", "cpus", "core", "cores", "memory", "mem", "ram", "rss", "disk", "storage", "network", "net", "io", "iops"),
    *("throughput", "bandwidth", "bytes", "kb", "mb", "gb", "kib", "mib", "gib", "usage", "used", "utilisation"),
    *("utilization", "load", "requests", "processes", "pods"),
})  # fmt: skip
"""A column with one of these words in its name counts something that can not be negative."""
LIMIT = frozenset({"capacity", "limit"})
NOISE = LIMIT | {"provisioned", "total", "max", "usage", "used", "utilisation", "utilization", "avg", "mean"}


class Columns(NamedTuple):
    """The columns to read. `id` None: the file is one series and its name is the id; `time` None: rows are counted."""

    id: str | None
    time: str | None
    target: tuple[str, ...]
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    capacity: Mapping[str, str | float] = {}
    usage: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """Columns of words that are not read: one of them may tell series apart."""

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns that change with time, in the order of a panel's channels."""
        return (*self.target, *self.past, *self.known)

    @property
    def limits(self) -> tuple[str, ...]:
        """The columns that are read as capacities only."""
        return tuple(dict.fromkeys(c for c in self.capacity.values() if isinstance(c, str)))


def find_columns(
    kinds: Mapping[str, str], reading: Reading, *, where: str = "the data", every: bool = False
) -> Columns:
    """Return the columns among `kinds` (name -> number, text or time), by the user's word or by the usual names.

    `every` takes every numeric column as a target when none is named. Raises DataError that names every unknown column
    with its nearest right word.
    """
    names = list(kinds)
    _refuse_unknown(names, reading, where)
    plain = {_plain(name): name for name in reversed(names)}
    time = reading.time or next((plain[name] for name in TIME_NAMES if name in plain), None)
    if time is None and reading.time_unit != "step":
        index = "; an index counts when it has a name, `frame.rename_axis('ds')`" if where == "the data frame" else ""
        raise DataError(
            f"no time column in {where}: looked for {', '.join(TIME_NAMES)}",
            hint=f"its columns are {listed(names) or 'none'}{index}; to count rows that have no times, "
            "data.time_unit=step",
            attempt="gymjax train ... data.time=COLUMN",
            code="data.no_time",
        )
    if reading.layout == "wide":
        return _wide(kinds, reading, time, where)
    usual = [plain[name] for name in ID_NAMES if name in plain]
    usual += [plain[name] for name in ID_WORDS if name in plain and kinds[plain[name]] == "text"]
    said = {time, *reading.past, *reading.known, *reading.static, *reading.categories}
    id = reading.id or next((name for name in usual if name not in said.union(reading.target)), None)
    said.add(id)
    left = [name for name, kind in kinds.items() if kind == "number" and name not in said]
    limits = {*(reading.capacity or {}).values(), *_found_limits(left, left).values()}
    open_ = [name for name in left if name not in limits] or left
    other = [name for name, kind in kinds.items() if kind == "text" and name not in said]
    if not open_ and len(other) == 1:
        open_ = left = other  # then reading says which of its values is no number
    target = reading.target or tuple(left if every else open_)
    if not target or (len(target) > 1 and not reading.target and not every):
        raise DataError(
            f"which column of {where} is to be forecast? "
            + (f"numeric: {listed(open_)}" if open_ else "none is numeric"),
            hint=("name it" if id else "name it; data.layout=wide when each column is a machine")
            if open_
            else f"its columns are {listed(names)}",
            attempt=f"gymjax train ... --target {shlex.quote(open_[0]) if open_ else 'COLUMN'}",
            code="data.no_target",
        )
    columns = Columns(id, time, target, reading.past, reading.known, reading.static, reading.categories)
    _refuse_clash(columns)
    columns = columns._replace(
        capacity=_capacities(columns, names if reading.capacity is None else (), reading),
        usage=usage_of(columns.numeric, reading),
        words=tuple(name for name in other if name not in target),
    )
    _refuse_limits(columns)
    return columns


def _wide(kinds: Mapping[str, str], reading: Reading, time: str | None, where: str) -> Columns:
    extra = [*reading.past, *reading.known, *reading.static, *reading.categories, *filter(None, [reading.id])]
    if extra:
        raise DataError(
            f"the layout wide has no further columns, but {where} is to be read with `{shown(extra[0])}`",
            hint="every column of a wide file is a series; covariates need the layout long",
            code="data.clash",
        )
    apart = {time, *(reading.capacity or {}).values()}
    target = reading.target or tuple(name for name in kinds if name not in apart)
    if not target:
        raise DataError(f"{where} has no column but its times", hint="every column is a series", code="data.no_target")
    columns = Columns(None, time, target)
    _refuse_clash(columns)
    columns = columns._replace(capacity=_capacities(columns, (), reading), usage=usage_of(target, reading))
    _refuse_limits(columns)
    return columns


def _refuse_unknown(names: list[str], reading: Reading, where: str) -> None:
    said = [reading.id, reading.time, *reading.target, *reading.past, *reading.known, *reading.static]
    said += [*reading.categories, *(reading.usage or ()), *reading.units]
    said += [word for pair in (reading.capacity or {}).items() for word in pair if isinstance(word, str)]
    there = {*names, None}
    unknown = list(dict.fromkeys(str(name) for name in said if name not in there))
    if unknown:
        raise DataError(
            f"no column {listed(f'`{shown(name)}`' for name in unknown)} in {where}",
            hint="; ".join(f"for `{shown(name)}`, {suggest(name, names)}" for name in unknown),
            code="data.unknown_column",
        )


def _refuse_clash(columns: Columns) -> None:
    named = Counter([*columns.numeric, *columns.static, *columns.categories, *filter(None, [columns.time, columns.id])])
    if clash := [name for name, count in named.items() if count > 1]:
        raise DataError(
            f"column `{shown(clash[0])}` is named twice among id, time, target, past, known, static and categories",
            hint="name each column once",
            code="data.clash",
        )


def _refuse_limits(columns: Columns) -> None:
    others = (columns.id, columns.time, *columns.categories)
    if clash := [limit for limit in columns.limits if limit in others]:
        raise DataError(
            f"column `{shown(clash[0])}` can not be a capacity and id, time or category at once",
            hint="a capacity is a column of numbers, or a number",
            code="data.clash",
        )


def _plain(name: str) -> str:
    """Return a name without its unit and case: `Timestamp [ms]` is timestamp."""
    return re.sub(r"\s*[\[(].*?[\])]\s*$", "", name).strip().lower()


def _words(name: str) -> frozenset[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)  # memoryUsage
    return frozenset(re.findall(r"[a-z0-9]+|%", parted.lower()))


def _found_limits(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Return name -> the column that holds its capacity, by their words: cpu_cores -> cpu_capacity_cores."""
    limits: dict[frozenset[str], list[str]] = {}
    for other in others:
        if (words := _words(other)) & LIMIT:
            limits.setdefault(words - NOISE, []).append(other)
    found = {}
    for name in names if limits else ():
        words = _words(name)
        same = limits.get(words - NOISE, [])
        if len(same) == 1 and not words & LIMIT:
            found[name] = same[0]
    return found


def _capacities(columns: Columns, names: list[str] | tuple[str, ...], reading: Reading) -> Mapping[str, str | float]:
    if reading.capacity is not None:
        return dict(reading.capacity)
    channels = (*columns.target, *columns.past)
    percentages = {name: 100.0 * scale_of(name, reading.units) for name in channels if is_percentage(name)}
    return percentages | _found_limits(channels, names)


def usage_of(channels: Sequence[str], reading: Reading) -> tuple[str, ...]:
    """Return the columns whose values are usage, which can not be negative: as said, or by their names."""
    if reading.usage is not None:
        return reading.usage
    return tuple(name for name in channels if _words(name) & USAGE or is_percentage(name))
