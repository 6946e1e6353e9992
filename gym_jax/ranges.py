"""Ranges of numbers, and what is made of the outputs of a head; apart, so that who needs no JAX does not load it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, Gt, Lt

Positive = Annotated[int, Gt(0)]
Share = Annotated[float, Ge(0), Lt(1)]
"""A fraction in [0, 1)."""
FLOOR = 1e-3
"""Smallest deviation of a forecast, in scaled units: where a series stands still the likelihood has no upper bound."""


def nearest_level(levels: Sequence[float], wanted: float) -> int:
    """Return the place of the level nearest to the one wanted, of two the lower one."""
    # Rounded, because 0.7 - 0.5 is less than 0.5 - 0.3 in binary.
    return min(range(len(levels)), key=lambda place: round(abs(levels[place] - wanted), 9))


def rising(levels: Sequence[float]) -> bool:
    """Return whether each level is above the one before."""
    return all(low < high for low, high in pairwise(levels))
