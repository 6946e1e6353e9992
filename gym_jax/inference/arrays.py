"""The operations of `networks.py`, computed with NumPy in float32."""

from collections.abc import Sequence
from typing import Any

import numpy as np

A = np.ndarray
SMALL = np.float32(1e-6)
"""Added to the variance of a layer's features, as Flax does."""
GELU = np.float32((2 / np.pi) ** 0.5), np.float32(0.044715)
Cell = tuple[Sequence[A], bool]
"""Input kernel, recurrent kernel and bias (gates: input, forget, cell, output), and whether it reads backwards."""


class Arrays:
    """What networks ask of a way to compute; shapes leave the batch out, and axis 1 is time."""

    def number(self, x: A) -> A:
        """Return 1 where it is true, else 0."""
        return x.astype(np.float32)

    def where(self, some: A, x: Any, y: Any) -> A:
        """Return x where `some` is above 0, else y."""
        return np.where(some > 0, x, y)

    def equal(self, x: A, y: A) -> A:
        """Return 1 where both are the same, else 0."""
        return (x == y).astype(np.float32)

    def concat(self, parts: Sequence[A], axis: int) -> A:
        """Return arrays one behind the other."""
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)

    def reshape(self, x: A, shape: Sequence[int]) -> A:
        """Return the array with another shape behind the batch."""
        return x.reshape(len(x), *shape)

    def flat(self, x: A) -> A:
        """Return all of a window in one axis."""
        return x.reshape(len(x), -1)

    def merge(self, x: A) -> A:
        """Return the second axis as part of the batch."""
        return x.reshape(-1, *x.shape[2:])

    def apart(self, x: A, parts: int) -> A:
        """Return what `merge` made one: every `parts` rows of the batch."""
        return x.reshape(-1, parts, *x.shape[1:])

    def each(self, x: A, times: int) -> A:
        """Return each row of the batch so many times, one behind the other."""
        return np.repeat(x, times, axis=0)

    def repeat(self, x: A, steps: int) -> A:
        """Return the same features at every step."""
        return np.repeat(x[:, None], steps, axis=1)

    def transpose(self, x: A, axes: Sequence[int]) -> A:
        """Return the axes in another order."""
        return x.transpose(*axes)

    def pad(self, x: A, before: int, after: int) -> A:
        """Return zeros before and after the steps."""
        return np.pad(x, ((0, 0), (before, after), *[(0, 0)] * (x.ndim - 2))) if before or after else x

    def rows(self, x: A, places: A) -> A:
        """Return the steps at places that are known beforehand."""
        return x[:, places]

    def pick(self, x: A, place: A) -> A:
        """Return the step at a place of each channel's own, given as whole numbers [batch, 1, channels]."""
        return np.take_along_axis(x, place.astype(np.int64), axis=1)

    def embed(self, table: A, codes: A) -> A:
        """Return the row of each code."""
        return table[codes]

    def sum(self, x: A, axis: int) -> A:
        """Return the sum over an axis, which stays."""
        return x.sum(axis=axis, keepdims=True)

    def mean(self, x: A, axis: int, *, keep: bool = True) -> A:
        """Return the mean over an axis."""
        return x.mean(axis=axis, keepdims=keep, dtype=np.float32)

    def max(self, x: A, axis: int) -> A:
        """Return the largest over an axis, which stays."""
        return x.max(axis=axis, keepdims=True)

    def sort(self, x: A, axis: int) -> A:
        """Return values in order."""
        return np.sort(x, axis=axis)

    def cumsum(self, x: A, *, reverse: bool = False) -> A:
        """Return sums from the first output on; reversed, from the last one back."""
        return x[..., ::-1].cumsum(axis=-1)[..., ::-1] if reverse else x.cumsum(axis=-1)

    def maximum(self, x: A, y: Any) -> A:
        """Return the larger of both."""
        return np.maximum(x, y)

    def minimum(self, x: A, y: Any) -> A:
        """Return the smaller of both."""
        return np.minimum(x, y)

    def sqrt(self, x: A) -> A:
        """Return the square root."""
        return np.sqrt(x)

    def floor(self, x: A) -> A:
        """Return the whole number below."""
        return np.floor(x)

    def relu(self, x: A) -> A:
        """Return what is above 0."""
        return np.maximum(x, np.float32(0))

    def gelu(self, x: A) -> A:
        """Return x times the normal probability below it, by its approximation with tanh."""
        return np.float32(0.5) * x * (1 + np.tanh(GELU[0] * (x + GELU[1] * (x * x * x))))

    def softplus(self, x: A) -> A:
        """Return log(1 + exp(x))."""
        return np.logaddexp(x, np.float32(0))

    def softmax(self, x: A) -> A:
        """Return exponentials as shares of their sum over the last axis."""
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def layer_norm(self, x: A, scale: A, bias: A) -> A:
        """Return the features with mean 0 and variance 1, scaled and shifted."""
        away = x - x.mean(axis=-1, keepdims=True)
        return away / np.sqrt(np.square(away).mean(axis=-1, keepdims=True) + SMALL) * scale + bias

    def lstm(self, x: A, cells: Sequence[Cell], *, last: bool) -> A:
        """Return the hidden states of the cells side by side, of every step or of the `last` that each reads alone."""
        return np.concatenate([_recurrence(x, *weights, back=back, last=last) for weights, back in cells], axis=-1)


def _recurrence(x: A, kernel: A, recurrent: A, bias: A, *, back: bool, last: bool) -> A:
    hidden = recurrent.shape[0]
    # all gates are one tanh, since sigmoid(z) = (tanh(z / 2) + 1) / 2
    half = np.full(4 * hidden, np.float32(0.5))
    half[2 * hidden : 3 * hidden] = 1
    driven = (x @ kernel + bias) * half
    recurrent = recurrent * half
    h = c = np.zeros((len(x), hidden), np.float32)
    states = np.empty((0 if last else len(x), x.shape[1], hidden), np.float32)
    for step in reversed(range(x.shape[1])) if back else range(x.shape[1]):
        gates = np.tanh(driven[:, step] + h @ recurrent)
        i, f, o = ((gates[:, k * hidden : (k + 1) * hidden] + 1) * np.float32(0.5) for k in (0, 1, 3))
        c = f * c + i * gates[:, 2 * hidden : 3 * hidden]
        h = o * np.tanh(c)
        if not last:
            states[:, step] = h
    return h if last else states
