"""Cases divided at random, by seed: by shares or into folds, the classes alike in every part."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from gym_jax.data.split import ROUNDING, Splitting

Positions = Int[np.ndarray, " cases"]


class Parts(NamedTuple):
    """The positions of the cases of each part, rising.

    >>> divide(10, Splitting(kind="random", seed=1)).val.tolist()
    [6]
    """

    train: Positions
    """To learn from."""
    val: Positions
    """To choose the best step by."""
    test: Positions
    """To be scored."""


def divide(count: int, splitting: Splitting, labels: Shaped[np.ndarray, " cases"] | None = None) -> Parts:
    """Divide `count` cases as the settings say, of `kind` random or fold; `labels` are as often in each part.

    >>> parts = divide(10, Splitting(kind="fold", folds=5, fold=1))
    >>> [len(part) for part in parts]
    [8, 0, 2]
    """
    order = _drawn(count, splitting.seed, labels)
    if splitting.kind == "fold":
        # neighbours in the order by class go to different folds, so that each has its share of every class
        place = np.empty(count, np.int64)
        place[_by_class(order, labels)] = np.arange(count)
        fold = place % splitting.folds
        rest, test = order[fold[order] != splitting.fold], np.flatnonzero(fold == splitting.fold)
        cut = len(rest) - _floor(len(rest) * splitting.val)
        return Parts(np.sort(rest[:cut]), np.sort(rest[cut:]), test)
    first = _floor(count * splitting.train)
    second = _floor(count * min(splitting.train + splitting.val, 1.0))
    return Parts(np.sort(order[:first]), np.sort(order[first:second]), np.sort(order[second:]))


def divide_apart(
    count: int, test: int, splitting: Splitting, labels: Shaped[np.ndarray, " cases"] | None = None
) -> Parts:
    """Divide `count` cases into train and val, by the share `val`; the `test` cases behind them are the test."""
    order = _drawn(count, splitting.seed, labels)
    cut = count - _floor(count * splitting.val)
    return Parts(np.sort(order[:cut]), np.sort(order[cut:]), count + np.arange(test))


def _floor(value: float) -> int:
    return int(np.floor(value + ROUNDING))


def _drawn(count: int, seed: int, labels: np.ndarray | None) -> Positions:
    """Return the cases in random order, such that any first part of it has its share of every class.

    The k-th of n cases of a class stands at the place (k + 1/2) / n of the whole. Sorting raw Philox words keeps the
    order the same on every NumPy version.
    """
    words = np.random.Philox(key=np.array([seed, 0], np.uint64)).random_raw(count)
    order = np.argsort(words, kind="stable")
    if labels is None:
        return order
    place = np.empty(count)
    for word in sorted(set(labels.tolist())):
        own = order[labels[order] == word]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return order[np.argsort(place[order], kind="stable")]


def _by_class(order: Positions, labels: np.ndarray | None) -> Positions:
    if labels is None:
        return order
    codes = np.unique(labels.astype(str), return_inverse=True)[1]
    return order[np.argsort(codes[order], kind="stable")]
