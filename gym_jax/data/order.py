"""The order of the examples: an address made of seed and epoch, so any step of any run can be re-made alone."""

import numpy as np
from jaxtyping import Int


def shuffled(seed: int, epoch: int, count: int, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """Return the indices of one epoch in random order; the last batch is padded with -1, nothing is dropped.

    Sorting raw Philox words keeps the order the same on every NumPy version.
    """
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(count)
    return _rows(np.argsort(words, kind="stable"), batch_size)


def sequential(count: int, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """Return the indices in order; the last batch is padded with -1."""
    return _rows(np.arange(count), batch_size)


def _rows(indices: np.ndarray, batch_size: int) -> np.ndarray:
    steps = -(-len(indices) // batch_size)
    padded = np.full(steps * batch_size, -1, np.int32)
    padded[: len(indices)] = indices
    return padded.reshape(steps, batch_size)
