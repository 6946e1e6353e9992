"""Integrated gradients: what of a forecast is due to which value of its window (Sundararajan, Taly and Yan 2017).

The gradient is averaged on the straight way from a reference to the window and multiplied by the way. The attributions
of a window add up to the difference between its forecast and that of the reference (completeness), up to the steps of
the integral; how well is reported as `gap`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from gym_jax.data.windows import Windows
from gym_jax.train.compile import jit
from gym_jax.types import Inputs, Model

Moving = tuple[Array | None, Array | None, Array | None]
"""Past, future and static: what has a gradient. Words have none and stay as they are."""


class Attributions(NamedTuple):
    """The mean over windows of the size of each value's attribution, in the unit of the forecast."""

    past: Float[np.ndarray, "context channels"]
    future: Float[np.ndarray, "horizon known"] | None
    static: Float[np.ndarray, " features"] | None
    gap: float
    """What the attributions miss of the differences of the forecasts, as a share of these."""


def make_attribution(
    model: Model, point: Callable[[Any], Any], weights: Float[np.ndarray, "horizon targets"], *, steps: int = 64
) -> Callable[..., tuple[Moving, Array]]:
    """Compile `(variables, inputs, reference) -> (attributions, difference)` of each window of a batch.

    What is attributed is the weighted sum of the point forecasts; `steps` gradients are taken of each window.
    """

    share, weight = path_nodes(steps)
    nodes = jnp.asarray(share, jnp.float32), jnp.asarray(weight, jnp.float32)

    def outcome(variables: Any, inputs: Inputs, at: Moving) -> Array:
        past, future, static = at
        answer = model.apply(variables, inputs._replace(past=past, future=future, static=static), train=False)
        return (point(answer) * weights).sum((1, 2))

    @jit
    def attribute(variables: Any, inputs: Inputs, reference: Moving) -> tuple[Moving, Array]:
        end = _moving(inputs)
        begin = jax.tree.map(lambda mean, part: jnp.broadcast_to(mean, part.shape), reference, end)
        way = jax.tree.map(jnp.subtract, end, begin)

        def add(total: Moving, node: tuple[Array, Array]) -> tuple[Moving, None]:
            share, weight = node
            at = jax.tree.map(lambda start, move: start + share * move, begin, way)
            slope = jax.grad(lambda at: outcome(variables, inputs, at).sum())(at)
            return jax.tree.map(lambda total, slope: total + weight * slope, total, slope), None

        total, _ = lax.scan(add, jax.tree.map(jnp.zeros_like, begin), nodes)
        found = jax.tree.map(jnp.multiply, way, total)
        return found, outcome(variables, inputs, end) - outcome(variables, inputs, begin)

    return attribute


def path_nodes(steps: int) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
    """Return how far along the way gradients are taken, from 0 to 1, and their weights.

    Gauss and Legendre's nodes of t, for the share t^3 of the way: most lie near the reference. A model that divides a
    window, or a layer, by its own deviation changes all at once where the window begins to differ from a flat one.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    t = (nodes + 1) / 2
    return t**3, 1.5 * t**2 * weights


def mean_inputs(windows: Windows, order: Int[np.ndarray, "steps batch"]) -> Moving:
    """Return the mean of every channel over all windows and steps where it was observed: the reference of them all."""
    take = jit(lambda windows, rows: windows.take(rows).inputs)
    totals: dict[int, Any] = {}
    counts: dict[int, Any] = {}
    for rows in order:
        inputs, real = take(windows, rows), rows >= 0
        for place, part in enumerate(_moving(inputs)):
            if part is None:
                continue
            masked = place == 0 and inputs.mask is not None
            seen = np.asarray(inputs.mask if masked else jnp.ones(part.shape, bool))[real]
            axes = tuple(range(part.ndim - 1))
            total = np.where(seen, np.asarray(part)[real], 0).sum(axes, dtype=np.float64)
            totals[place] = totals.get(place, 0) + total
            counts[place] = counts.get(place, 0) + seen.sum(axes)

    def mean(place: int) -> Array | None:
        if place not in totals:
            return None
        return jnp.asarray(totals[place] / np.maximum(counts[place], 1), jnp.float32)

    return mean(0), mean(1), mean(2)


def integrated_gradients(
    attribute: Callable[..., tuple[Moving, Array]],
    members: Sequence[Any],
    windows: Windows,
    order: Int[np.ndarray, "steps batch"],
    reference: Moving,
    unit: Float[np.ndarray, " windows"],
) -> Attributions:
    """Return the mean size of the attributions of the mean forecast of several weights; `unit` is that of each window.

    A batch at a time is looked at.
    """
    take = jit(lambda windows, rows: windows.take(rows).inputs)
    totals: list[Any] = [None, None, None]
    missed = moved = 0.0
    for rows in order:
        inputs, real = take(windows, rows), rows >= 0
        found = [attribute(variables, inputs, reference) for variables in members]
        parts, differences = zip(*found, strict=True)
        size = unit[rows[real]]
        sums = np.zeros(len(size))
        for place in range(3):
            if parts[0][place] is not None:
                mean = np.mean([np.asarray(part[place], np.float64)[real] for part in parts], axis=0)
                sums += mean.sum(tuple(range(1, mean.ndim)))
                scaled = (np.abs(mean) * size.reshape(-1, *[1] * (mean.ndim - 1))).sum(axis=0)
                totals[place] = scaled if totals[place] is None else totals[place] + scaled
        difference = np.mean([np.asarray(one, np.float64)[real] for one in differences], axis=0)
        missed += float((np.abs(sums - difference) * size).sum())
        moved += float((np.abs(difference) * size).sum())
    past, future, static = (None if total is None else total / len(unit) for total in totals)
    return Attributions(past, future, static, missed / moved if moved else 0.0)  # type: ignore[arg-type]


def _moving(inputs: Inputs) -> Moving:
    return inputs.past, inputs.future, inputs.static
