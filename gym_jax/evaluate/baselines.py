"""Plain answers that a model of cases is held against, in float64: functions of known cases and of new ones."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

Features = Float[np.ndarray, "cases features"]
Numbers = Float[np.ndarray, "cases targets"]

RIDGE = 1.0
"""Penalty of the squared coefficients of scaled features."""
CELLS = 1 << 24
"""Distances worked on at once; bounds the memory, not the result."""


def mean(x: Features, y: Numbers, known: Bool[np.ndarray, "cases targets"], new: Features) -> Numbers:
    """Return the mean of each target for every new case."""
    each = np.array([column[there].mean() for column, there in zip(y.T, known.T, strict=True)])
    return np.tile(each, (len(new), 1))


def median(x: Features, y: Numbers, known: Bool[np.ndarray, "cases targets"], new: Features) -> Numbers:
    """Return the median of each target for every new case."""
    each = np.array([np.median(column[there]) for column, there in zip(y.T, known.T, strict=True)])
    return np.tile(each, (len(new), 1))


def ridge(x: Features, y: Numbers, known: Bool[np.ndarray, "cases targets"], new: Features) -> Numbers:
    """Return ridge regression of each target on all features (Hoerl and Kennard 1970), its intercept not penalised."""
    answers = []
    for column, there in zip(y.T, known.T, strict=True):
        own, middle, level = x[there], x[there].mean(axis=0), column[there].mean()
        centred, wanted = own - middle, column[there] - level
        if len(own) > x.shape[1]:
            gram = centred.T @ centred + RIDGE * np.eye(x.shape[1])
            weights = np.linalg.solve(gram, centred.T @ wanted)
        else:  # the same solution by the smaller of two systems
            weights = centred.T @ np.linalg.solve(centred @ centred.T + RIDGE * np.eye(len(own)), wanted)
        answers.append((new - middle) @ weights + level)
    return np.column_stack(answers)


def majority(x: Features, codes: Int[np.ndarray, " cases"], classes: int, new: Features) -> Features:
    """Return how often each class is, for every new case: the most frequent one is the answer."""
    return np.tile(np.bincount(codes, minlength=classes) / len(codes), (len(new), 1))


def nearest(x: Features, codes: Int[np.ndarray, " cases"], classes: int, new: Features) -> Features:
    """Return the class of the nearest known case by Euclidean distance, for certain; of equals the first."""
    out = np.zeros((len(new), classes))
    portion = max(1, CELLS // max(x.size, 1))
    for begin in range(0, len(new), portion):
        part = new[begin : begin + portion]
        # differences, not the cheaper expansion of the square: that cancels where cases lie close together
        distances = np.square(part[:, None] - x[None]).sum(axis=2)
        out[np.arange(begin, begin + len(part)), codes[distances.argmin(axis=1)]] = 1.0
    return out


NUMBER_BASELINES: dict[str, Callable[..., Numbers]] = {"mean": mean, "median": median, "ridge": ridge}
"""Baselines of numbers by name: `(x, y, known, new) -> answers of the new cases`."""
LABEL_BASELINES: dict[str, Callable[..., Features]] = {"majority": majority, "nearest": nearest}
"""Baselines of labels by name: `(x, codes, classes, new) -> probabilities of the new cases`."""
