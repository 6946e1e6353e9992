"""Series that belong together, by their ids: the days of a machine, the pods of a deployment."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from gym_jax.errors import DataError


def check_group(group: str | None) -> None:
    """Raise ValueError on what is no regular expression."""
    try:
        re.compile(group or "")
    except re.error as error:
        raise ValueError(f"group {group!r} is no regular expression: {error}") from error


def groups_of(series: Sequence[str], group: str | None) -> list[str]:
    """Return the text that the expression finds in each name: its first parentheses, or all of it."""
    if group is None:
        return list(series)
    found = [re.search(group, name) for name in series]
    if not any(found):
        raise DataError(
            f"data.split.group {group!r} finds nothing in the id of any series",
            hint=f"the first is {series[0]!r}",
            attempt="gymjax data describe DATA",
            code="data.split",
        )
    whole = 1 if re.compile(group).groups else 0
    return [(match[whole] or name) if match else name for name, match in zip(series, found, strict=True)]


def series_rank(series: Sequence[str], seed: int, group: str | None = None) -> Int[np.ndarray, " series"]:
    """Return the place of every series in an order that its group and `seed` alone decide.

    All of a group have the place of its first: how many series lie in the groups before.
    """
    found = np.array(groups_of(series, group), object)
    names, own, sizes = np.unique(found, return_inverse=True, return_counts=True)
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    before = np.empty(len(keys), np.int64)
    before[order] = np.cumsum(sizes[order]) - sizes[order]
    return before[own]
