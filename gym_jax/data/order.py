"""The order of the examples: an address made of seed and epoch, so any step of any run can be re-made alone."""

import numpy as np
from jaxtyping import Int


def permuted(seed: int, epoch: int, count: int, portion: int = 0) -> Int[np.ndarray, " count"]:
    """Return the numbers below `count` in random order; every portion of an epoch has an order of its own.

    Sorting raw Philox words keeps the order the same on every NumPy version.
    """
    counter = np.array([0, 0, 0, portion], np.uint64)  # 2**192 words lie between two portions
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64), counter=counter).random_raw(count)
    return np.argsort(words, kind="stable")


def shuffled(seed: int, epoch: int, count: int, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """Return the indices of one epoch in random order; the last batch is padded with -1, nothing is dropped.

    >>> order = shuffled(seed=0, epoch=3, count=5, batch_size=2)
    >>> order.shape, sorted(order.ravel().tolist())
    ((3, 2), [-1, 0, 1, 2, 3, 4])
    """
    return _rows(permuted(seed, epoch, count), batch_size)


def spread(indices: Int[np.ndarray, " count"], steps: int, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """Return indices in their order over that many batches, as evenly as can be, each padded with -1."""
    rows = np.full((steps, batch_size), -1, np.int32)
    ends = np.arange(1, steps + 1) * len(indices) // steps
    sizes = np.diff(ends, prepend=0)
    rows[np.arange(batch_size) < sizes[:, None]] = indices
    return rows


def sequential(count: int, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """Return the indices in order; the last batch is padded with -1.

    >>> sequential(5, 2).tolist()
    [[0, 1], [2, 3], [4, -1]]
    """
    return _rows(np.arange(count), batch_size)


def _rows(indices: np.ndarray, batch_size: int) -> np.ndarray:
    steps = -(-len(indices) // batch_size)
    padded = np.full(steps * batch_size, -1, np.int32)
    padded[: len(indices)] = indices
    return padded.reshape(steps, batch_size)
