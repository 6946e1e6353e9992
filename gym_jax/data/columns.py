"""Which column is what: id, time, targets and past covariates, found by name or said by the user."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from gym_jax.errors import DataError, did_you_mean

ID_NAMES = ("unique_id", "series_id", "item_id", "vm_id", "id")
TIME_NAMES = ("ds", "timestamp", "ts", "time", "datetime", "date")
Layout = Literal["long", "wide"]


class Columns(NamedTuple):
    """The columns to read. `id` None: the file is one series and its name is the id."""

    id: str | None
    time: str
    target: tuple[str, ...]
    past: tuple[str, ...] = ()
    layout: Layout = "long"

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns that must hold numbers, targets first."""
        return (*self.target, *self.past)


def find_columns(
    kinds: Mapping[str, bool],
    *,
    id: str | None = None,
    time: str | None = None,
    target: Sequence[str] = (),
    past: Sequence[str] = (),
    layout: Layout = "long",
    where: str = "the data",
) -> Columns:
    """Return the columns among `kinds` (name -> is it numeric), by the user's word or by the usual names.

    Raises DataError that names every unknown column with its nearest right word.
    """
    names = list(kinds)
    unknown = [name for name in (id, time, *target, *past) if name is not None and name not in kinds]
    if unknown:
        listed = ", ".join(f"`{name}`" for name in unknown)
        raise DataError(
            f"no column {listed} in {where}",
            hint="; ".join(f"for `{name}`, {did_you_mean(name, names)}" for name in unknown),
            code="data.unknown_column",
        )
    lowered = {name.lower(): name for name in reversed(names)}
    if time is None:
        time = next((lowered[name] for name in TIME_NAMES if name in lowered), None)
    if time is None:
        raise DataError(
            f"no time column in {where}: looked for {', '.join(TIME_NAMES)}",
            hint=f"its columns are {', '.join(names)}",
            attempt="gymjax train ... data.time=COLUMN",
            code="data.no_time",
        )
    if id is None and layout == "long":
        id = next((lowered[name] for name in ID_NAMES if name in lowered and lowered[name] not in target), None)
    numeric = [name for name, number in kinds.items() if number and name not in (id, time)]
    if layout == "wide":
        if past:
            raise DataError(
                f"the layout wide has no past columns, but {where} is to be read with `{past[0]}`",
                hint="every column of a wide file is a series; past columns need the layout long",
                code="data.clash",
            )
        id, target = None, target or [name for name in names if name not in (id, time)]
    elif not target:
        left = [name for name in numeric if name not in past]
        if len(left) != 1:
            raise DataError(
                f"which column of {where} is to be forecast? "
                + (f"numeric: {', '.join(left)}" if left else "none is numeric"),
                hint="name it" if left else f"its columns are {', '.join(names)}",
                attempt=f"gymjax train ... --target {left[0] if left else 'COLUMN'}",
                code="data.no_target",
            )
        target = left
    if not target:
        raise DataError(
            f"no numeric column in {where}", hint=f"its columns are {', '.join(names)}", code="data.no_target"
        )
    named = [*target, *past, time, *([id] if id else [])]
    if clash := [name for name in named if named.count(name) > 1]:
        raise DataError(
            f"column `{clash[0]}` is named twice among id, time, target and past",
            hint="name each column once",
            code="data.clash",
        )
    return Columns(id, time, tuple(target), tuple(past), layout)
