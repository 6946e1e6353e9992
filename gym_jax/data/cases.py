"""Cases: rows of a table or whole sequences, each with what is asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from gym_jax.data.findings import Finding
from gym_jax.errors import DataError

CONSTANT = "constant"
"""The channel that stands in where a table has words alone: models read a past."""


@dataclass(frozen=True)
class Cases:
    """Values are float64 in the data's own units and 0 where `mask` is False.

    A row of a table is a sequence of one step. Sequences end together: a shorter one has masked steps in front.

    >>> cases.select(np.array([0, 2])).targets.tolist()
    [[0.0], [2.0]]
    >>> cases.with_steps(3).values.shape
    (4, 3, 2)
    """

    channels: tuple[str, ...]
    """The names of what the values hold, in the order of their last axis."""
    values: Float[np.ndarray, "cases steps channels"]
    """A row of a table has one step."""
    mask: Bool[np.ndarray, "cases steps channels"]
    """True where a value was observed."""
    target_names: tuple[str, ...]
    """What is asked: numbers, or one label."""
    targets: Float[np.ndarray, "cases targets"] | None = None
    """Numbers; NaN where missing. None when labels are asked."""
    labels: Shaped[np.ndarray, " cases"] | None = None
    """Words (dtype object, str); the empty word where missing. None when numbers are asked."""
    names: tuple[str, ...] | None = None
    """Of the cases; None when they are counted."""
    id_name: str = "case"
    """What the names of the cases are called in answers."""
    static: Float[np.ndarray, "cases features"] | None = None
    """Numbers beside a sequence, in their own units; NaN where missing."""
    static_names: tuple[str, ...] = ()
    """The names of the numbers beside a sequence."""
    categories: Shaped[np.ndarray, "cases kinds"] | None = None
    """Words (dtype object, str); the empty word where missing."""
    category_names: tuple[str, ...] = ()
    """The names of the kinds of words."""
    sequences: bool = False
    """False: rows of a table."""
    notes: tuple[str, ...] = ()
    """What was repaired or assumed while reading, a sentence each."""
    findings: tuple[Finding, ...] = ()
    """What reading looked for, with its counts."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def answered(self) -> Bool[np.ndarray, " cases"]:
        """Whether the answer of each case is known, or one of its numbers."""
        if self.labels is not None:
            return np.asarray(self.labels != "", bool)
        assert self.targets is not None
        return ~np.isnan(self.targets).all(axis=1)

    def select(self, keep: Int[np.ndarray, " kept"]) -> "Cases":
        """Return the cases at positions `keep`."""
        parts = ("values", "mask", "targets", "labels", "static", "categories")
        chosen: dict[str, Any] = {name: getattr(self, name)[keep] for name in parts if getattr(self, name) is not None}
        names = None if self.names is None else tuple(self.names[i] for i in keep)
        return replace(self, **chosen, names=names)

    def with_notes(self, notes: Sequence[str]) -> "Cases":
        """Return the cases with further notes."""
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))

    def with_steps(self, steps: int) -> "Cases":
        """Return the cases with so many steps: more are masked, of fewer the last are kept."""
        now = self.values.shape[1]
        if steps <= now:
            return replace(self, values=self.values[:, now - steps :], mask=self.mask[:, now - steps :])
        front = ((0, 0), (steps - now, 0), (0, 0))
        return replace(self, values=np.pad(self.values, front), mask=np.pad(self.mask, front))


def join_cases(first: Cases, second: Cases) -> Cases:
    """Return both, the first in front. Raises DataError when they have other columns."""
    for what in ("channels", "target_names", "static_names", "category_names"):
        if (one := getattr(first, what)) != (other := getattr(second, what)):
            name = next(iter({*one} ^ {*other}), next(iter(one), ""))
            raise DataError(
                f"the test file and the train file have other columns: `{name}`",
                hint="both need the same ones, in the same order",
                code="data.columns",
            )
    steps = max(first.values.shape[1], second.values.shape[1])
    pair = first.with_steps(steps), second.with_steps(steps)
    parts = ("values", "mask", "targets", "labels", "static", "categories")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(cases, name) for cases in pair])
        for name in parts
        if getattr(first, name) is not None
    }
    names = None if first.names is None or second.names is None else first.names + second.names
    both = replace(first, **joined, names=names, findings=(*first.findings, *second.findings))
    return both.with_notes(second.notes)
