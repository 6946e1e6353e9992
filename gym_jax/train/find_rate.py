"""The learning-rate range test: one short training while the rate rises, and where on its curve to begin."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float

from gym_jax.train.average import with_params
from gym_jax.train.compile import jit
from gym_jax.train.parallel import Order
from gym_jax.types import Examples, Mean, Step, TrainState

DIVERGED = 4
"""The curve ends where the smoothed loss is this many times the best."""
FALL = 1e-3
"""A loss that nowhere falls by this share has not fallen."""


class Trial(NamedTuple):
    """What the range test saw, one value per step."""

    rates: Float[np.ndarray, " trials"]
    losses: Float[np.ndarray, " trials"]
    """The training loss of each batch as it was; NaN for a batch without weight."""
    smoothed: Float[np.ndarray, " trials"]
    """Its bias-corrected exponential mean; NaN from `diverged_at` on."""
    remaining: Float[np.ndarray, " trials"]
    """The smoothed loss over that of the first parameters on the same batches: the curve that is judged."""
    suggestion: float | None
    """The rate at which `remaining` falls fastest, at least a tenth of that of its lowest; None when it never falls."""
    reason: str
    """Why this suggestion, or why none."""
    diverged_at: int | None
    """The step at which the loss was lost, if it was."""


def find_rate(
    step_for: Callable[[optax.GradientTransformation], Step],
    make_tx: Callable[[optax.Schedule], optax.GradientTransformation],
    state: TrainState,
    examples: Examples,
    order: Order,
    *,
    lowest: float = 1e-7,
    highest: float = 1.0,
    steps: int = 100,
    smoothing: float = 0.9,
) -> Trial:
    """Train from `state` for `steps` batches while the learning rate rises exponentially (Smith 2017, section 3.3).

    `make_tx(schedule)` gives the optimiser and `step_for(tx)` its step: `functools.partial(make_train_step, model,
    loss)` is such a `step_for`. The order begins again when it is too short. The state is left as it is.

    Every batch is also judged with the first parameters and the same dropout. What is left of that loss is free of most
    of the noise between batches: it is 1, not noise around 1, as long as the rate is too low to do anything. Raises
    ValueError for settings out of range.
    """
    if not (0 < lowest < highest and steps >= 10 and 0 <= smoothing < 1):
        raise ValueError(
            f"a range test needs 0 < lowest < highest, 10 steps or more and a smoothing in [0, 1); "
            f"not {lowest}, {highest}, {steps}, {smoothing}"
        )
    tx = make_tx(lambda count: lowest * (highest / lowest) ** (count / (steps - 1)))
    step = step_for(tx)

    @jit
    def run(state: TrainState, examples: Examples, order: Array) -> tuple[Mean, Mean]:
        first = with_params(state, tx, state.params)

        def one(state: TrainState, indices: Array) -> tuple[TrainState, tuple[Mean, Mean]]:
            batch = examples.take(indices)
            _, still = step(first._replace(step=state.step), batch)
            state, metrics = step(state, batch)
            return state, (metrics["loss"], still["loss"])

        return lax.scan(one, first, order)[1]

    rows = np.resize(np.asarray(order), (steps, order.shape[1]))
    moved, still = jax.device_get(run(state, examples, jnp.asarray(rows)))
    return judge(np.geomspace(lowest, highest, steps), moved, still, smoothing=smoothing)


def judge(rates: Float[np.ndarray, " trials"], moved: Mean, still: Mean, *, smoothing: float = 0.9) -> Trial:
    """Return the trial for the losses at rising rates and those of the first parameters on the same batches."""
    totals, counts, base = (_decayed(part, smoothing) for part in (moved.total, moved.count, still.total))
    with np.errstate(all="ignore"):
        losses = np.asarray(moved.total, np.float64) / moved.count
        smoothed, base = totals / counts, base / counts
    end = _divergence(smoothed, totals, round(1 / (1 - smoothing)))
    seen = (np.arange(len(rates)) < end) & (counts > 0)
    size = base[seen] if (base[seen] > 0).all() else np.abs(base[seen]).mean() or 1.0  # below zero there is no share
    remaining = np.full(len(rates), np.nan)
    remaining[seen] = 1 + (smoothed[seen] - base[seen]) / size
    smoothed[end:] = np.nan
    suggestion, reason = _suggest(rates, remaining)
    return Trial(rates, losses, smoothed, remaining, suggestion, reason, end if end < len(rates) else None)


def _decayed(values: Any, smoothing: float) -> Float[np.ndarray, " trials"]:
    """Return running sums whose past fades; totals over counts are then the bias-corrected mean, ragged batches too."""
    kept, out = 0.0, np.asarray(values, np.float64).copy()
    for place, value in enumerate(out):
        kept = out[place] = smoothing * kept + value
    return out


def _divergence(smoothed: np.ndarray, totals: np.ndarray, settled: int) -> int:
    """Return the first step that is lost. Until the mean has `settled` it is hardly one, and its best says little."""
    best = np.inf
    for place, (value, total) in enumerate(zip(smoothed, totals, strict=True)):
        if not np.isfinite(total) or value > best + (DIVERGED - 1) * abs(best):
            return place
        if place >= settled:
            best = min(best, value)
    return len(smoothed)


def _suggest(rates: np.ndarray, remaining: np.ndarray) -> tuple[float | None, str]:
    known = np.flatnonzero(np.isfinite(remaining))
    if len(known) == 0:
        return None, "the loss is not a finite number at the lowest rate"
    lowest = int(known[np.argmin(remaining[known])])
    if remaining[lowest] > 1 - FALL:
        return None, f"the loss falls by less than {FALL:.1%} at all rates up to {rates[known[-1]]:.3g}"
    inside = np.arange(1, lowest)
    slopes = np.gradient(remaining)[inside] if len(inside) else np.array([])
    tenth = float(rates[lowest] / 10)
    late = "; it still falls at the highest rate" if lowest == len(rates) - 1 else ""
    if (slopes < 0).any() and (steepest := float(rates[inside[np.nanargmin(slopes)]])) > tenth:
        return steepest, f"where the loss falls fastest{late}"
    # A long test falls fastest early on, at rates far too low, only because most is left to learn there.
    return tenth, f"a tenth of {rates[lowest]:.3g}, the rate of the lowest loss{late}"
