"""Splits by time, per series, or by series: a window belongs to the part in which all of its targets lie."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt
from jaxtyping import Int

from gym_jax.data.groups import check_group, series_rank
from gym_jax.data.panel import Panel, stamp_of
from gym_jax.data.reading import FORBID, check_words
from gym_jax.errors import DataError
from gym_jax.ranges import Share

Part = Literal["train", "val", "test"]
SplitKind = Literal["share", "steps", "date", "series", "random", "fold"]
Empty = Literal["error", "keep"]
Count = Annotated[int, Ge(0)]
ROUNDING = 1e-9
"""Rows: 0.29 of 100 rows is 29, although the product of the floats is below it."""
FIELDS: dict[str, tuple[str, ...]] = {
    "share": ("train", "val", "gap"),
    "steps": ("val_steps", "test_steps", "gap"),
    "date": ("val_from", "test_from", "until", "gap"),
    "series": ("train", "val", "seed", "group"),
    "random": ("train", "val", "seed"),
    "fold": ("folds", "fold", "val", "seed"),
}
OF_CASES = ("random", "fold")
"""Kinds that divide rows of a table and labelled sequences; `divide.py` does it."""


@dataclass(frozen=True)
class Splitting:
    """How rows are divided into train, val and test; what a kind does not use can not be given.

    Raises ValueError when shares leave no test part, a kind lacks what it needs, or is given what belongs to another.

    >>> Splitting(kind="steps", test_steps=288).test_steps
    288
    >>> Splitting(kind="steps")
    Traceback (most recent call last):
    ValueError: kind=steps needs test_steps
    """

    __pydantic_config__: ClassVar = FORBID

    kind: SplitKind = "share"
    """share: of each series' rows; steps: the last ones of each; date: the same for all; series: whole series.

    Of tables and labelled sequences: random: by shares of all, classes alike; fold: one of equal parts is the test.
    """
    train: Annotated[float, Gt(0)] = 0.7
    """Share of rows, series or cases to train on."""
    val: Share = 0.1
    """Share of rows, series or cases to choose the best step by; the test part is what is left."""
    val_steps: Count = 0
    """Last rows of each series before test; 0 has no val part."""
    test_steps: Count = 0
    """Last rows of each series."""
    val_from: str | None = None
    """First time of the val part, such as 2026-01-20; None has no val part."""
    test_from: str | None = None
    """First time of the test part; kind=date needs it."""
    until: str | None = None
    """First time that is left out; None takes everything."""
    gap: Count = 0
    """Rows purged before val and before test."""
    seed: Count = 0
    """Decides which series or cases go where."""
    group: str | None = None
    """Regular expression: series in whose ids it finds the same text (or first parentheses) stay together."""
    folds: Annotated[int, Ge(2)] = 5
    """Equal parts of the cases."""
    fold: Count = 0
    """The part that is the test, counted from 0; `val` is the share of the others to choose the best step by."""

    def __post_init__(self) -> None:
        check_words(self)
        plain = {name: item.default for name, item in type(self).__dataclass_fields__.items()}
        given = [name for name, value in plain.items() if name != "kind" and getattr(self, name) != value]
        if odd := [name for name in given if name not in FIELDS[self.kind]]:
            owners = [kind for kind, names in FIELDS.items() if odd[0] in names]
            raise ValueError(f"{odd[0]} belongs to kind={' or '.join(owners)}, this is kind={self.kind}")
        if self.kind in ("share", "series") and self.train + self.val > 1 - 1e-9:
            raise ValueError(f"train {self.train:g} and val {self.val:g} leave no test part")
        if self.kind == "fold" and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} is none of {self.folds}: they are counted from 0")
        check_group(self.group)
        if self.kind == "steps" and not self.test_steps:
            raise ValueError("kind=steps needs test_steps")
        if self.kind == "date" and self.test_from is None:
            raise ValueError("kind=date needs test_from")


class Span(NamedTuple):
    """Flat rows `begin <= row < end` of every series.

    >>> Span(np.array([0, 10]), np.array([5, 12])).lengths.tolist()
    [5, 2]
    """

    begin: Int[np.ndarray, " series"]
    """The first row of each series' part."""
    end: Int[np.ndarray, " series"]
    """The row behind its last."""

    @property
    def lengths(self) -> Int[np.ndarray, " series"]:
        """Rows of every series."""
        return self.end - self.begin


class Split(NamedTuple):
    """The rows of every series that each part may forecast.

    >>> [int(part.lengths.sum()) for part in split]
    [806, 114, 232]
    """

    train: Span
    """To learn from."""
    val: Span
    """To choose the best step by."""
    test: Span
    """To be scored."""


def split_panel(panel: Panel, splitting: Splitting, *, empty: Empty = "error") -> Split:
    """Divide a panel as the settings say. Raises DataError on dates that are none or leave a part without rows."""
    if splitting.kind in OF_CASES:
        raise ValueError(f"kind={splitting.kind} divides cases, not the rows of series")
    own: dict[str, Any] = {name: getattr(splitting, name) for name in FIELDS[splitting.kind]}
    if splitting.kind == "share":
        return split_by_time(panel, **own)
    if splitting.kind == "series":
        return split_by_series(panel, **own)
    if splitting.kind == "steps":
        return split_by_steps(panel, val=splitting.val_steps, test=splitting.test_steps, gap=splitting.gap)
    assert splitting.test_from is not None
    return split_by_date(
        panel, val=splitting.val_from, test=splitting.test_from, until=splitting.until, gap=splitting.gap, empty=empty
    )


def split_by_time(panel: Panel, *, train: float = 0.7, val: float = 0.1, gap: int = 0) -> Split:
    """Cut every series into train, val and test rows, by shares of its own length; test is what is left.

    `gap` rows before val and before test are purged: no window forecasts them. Raises ValueError for shares that are
    negative or more than 1 together.

    >>> split_by_time(panel, train=0.5, val=0.25, gap=12).test.lengths.tolist()
    [132, 132]
    """
    if train < 0 or val < 0 or train + val > 1 + ROUNDING:
        raise ValueError(f"train and val are shares of at most 1 together; not {train} and {val}")
    begin, end = panel.offsets[:-1], panel.offsets[1:]
    first_cut = begin + np.floor(panel.lengths * train + ROUNDING).astype(np.int64)
    second_cut = begin + np.floor(panel.lengths * min(train + val, 1.0) + ROUNDING).astype(np.int64)
    return Split(
        Span(begin, first_cut),
        Span(np.minimum(first_cut + gap, second_cut), second_cut),
        Span(np.minimum(second_cut + gap, end), end),
    )


def split_by_steps(panel: Panel, *, val: int = 0, test: int, gap: int = 0) -> Split:
    """Take the last `test` rows of every series as test, the `val` rows before them as val, the rest as train."""
    begin, end = panel.offsets[:-1], panel.offsets[1:]
    test_begin = np.maximum(end - test, begin)
    val_end = np.maximum(test_begin - gap, begin)
    val_begin = np.maximum(val_end - val, begin)
    train_end = np.maximum(val_begin - gap, begin) if val else val_begin
    return Split(Span(begin, train_end), Span(val_begin, val_end), Span(test_begin, end))


def split_by_date(
    panel: Panel, *, val: str | None = None, test: str, until: str | None = None, gap: int = 0, empty: Empty = "error"
) -> Split:
    """Cut every series at the same times: `val` and `test` are the first times of their parts.

    The `gap` rows before them are purged. Raises DataError on a time that is none, or that leaves a part without rows;
    `empty="keep"` bears the latter: data that came after a run was trained lie behind all of its dates.
    """
    begin, end = panel.offsets[:-1], panel.offsets[1:]

    def cut(text: str) -> np.ndarray:
        since = _stamp(panel, text) - panel.first
        return np.clip(begin + -(-since // panel.step), begin, end)

    test_begin = cut(test)
    val_begin = cut(val) if val is not None else test_begin
    stop = cut(until) if until is not None else end
    val_end = np.maximum(test_begin - gap, val_begin)
    train_end = np.maximum(val_begin - gap, begin)
    split = Split(Span(begin, train_end), Span(val_begin, val_end), Span(np.minimum(test_begin, stop), stop))
    for part, text in (("train", val or test), ("val", val), ("test", test)):
        if empty == "error" and text is not None and not getattr(split, part).lengths.any():
            last = panel.stamps(np.arange(len(begin)), end - 1)
            bounds = [stamp_of(time, panel.clock) for time in (panel.first.min(), last.max())]
            raise DataError(
                f"no row lies in the {part} part ({'before' if part == 'train' else 'from'} {text})",
                hint=f"the data run from {bounds[0]} to {bounds[1]}; val comes before test, test before until",
                code="data.split",
            )
    return split


def split_by_series(
    panel: Panel, *, train: float = 0.7, val: float = 0.1, seed: int = 0, group: str | None = None
) -> Split:
    """Give whole series to each part, so that val and test are workloads never seen; test is what is left.

    A series' place follows from its name and `seed`, not from its position in the panel. Series in whose names the
    regular expression `group` finds the same text go to one part, that of the group's first series; those in which it
    finds nothing stand alone. Raises DataError when it finds nothing in any.
    """
    return split_by_rank(panel, series_rank(panel.series, seed, group), len(panel.series), train=train, val=val)


def split_by_rank(
    panel: Panel, rank: Int[np.ndarray, " series"], count: int, *, train: float = 0.7, val: float = 0.1
) -> Split:
    """Give whole series to each part by their rank among `count`, which may be more than the panel holds."""
    first_cut = int(np.floor(count * train + ROUNDING))
    second_cut = int(np.floor(count * min(train + val, 1.0) + ROUNDING))
    begin, end = panel.offsets[:-1], panel.offsets[1:]

    def whole(low: int, high: int) -> Span:
        own = (rank >= low) & (rank < high)
        return Span(begin, np.where(own, end, begin))

    return Split(whole(0, first_cut), whole(first_cut, second_cut), whole(second_cut, count))


def _stamp(panel: Panel, text: str) -> int:
    """Return a time of the configuration as the panel counts it."""
    import pandas as pd  # not above: who only scales and cuts has no need of it

    try:
        if panel.clock == "step":
            return int(text)
        if not any(character.isdigit() for character in str(text)):
            raise ValueError("it names no day")  # pandas takes `today` for the present
        time = pd.Timestamp(text)
        if panel.zone is not None and time.tz is None:
            time = time.tz_localize(panel.calendar_zone or panel.zone)
        if panel.zone is None and time.tz is not None:
            raise ValueError("the data carry no time zone")
        return int(time.as_unit("ns").value)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"`{text}` is no time of these data: {str(error).splitlines()[0]}",
            hint="a whole number, as their times are counts" if panel.clock == "step" else "such as 2026-01-31T12:00",
            code="data.split",
        ) from error


def origins(
    panel: Panel, span: Span, *, context: int, horizon: int, stride: int = 1, whole: bool = True
) -> tuple[Int[np.ndarray, " windows"], Int[np.ndarray, " windows"]]:
    """Return the first target row and the series of every window whose targets lie inside `span`.

    `whole` asks for a full context inside the series; otherwise one row is enough and the rest is masked. A window
    needs one observed target and one observed past value of the target channels.

    >>> rows, series = origins(panel, split.test, context=24, horizon=12, stride=12)
    >>> rows[:3].tolist(), series[:3].tolist()
    ([460, 472, 484], [0, 0, 0])
    """
    least = panel.offsets[:-1] + (context if whole else 1)
    begin = np.maximum(span.begin, least)
    counts = np.maximum((span.end - horizon - begin) // stride + 1, 0)
    series = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(begin, counts) + within * stride
    seen = panel.seen()
    past = np.maximum(rows - context, panel.offsets[series])
    keep = (seen[rows + horizon] > seen[rows]) & (seen[rows] > seen[past])
    return rows[keep], series[keep]
