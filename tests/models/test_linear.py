from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler
from gym_jax.data.windows import make_windows
from gym_jax.errors import DataError
from gym_jax.models import Linear, solve_linear
from gym_jax.types import Inputs

CONTEXT, HORIZON, ROWS = 4, 2, 40
ORIGINS = np.arange(CONTEXT, ROWS - HORIZON + 1)
ORDER = np.pad(np.random.default_rng(5).permutation(len(ORIGINS)), (0, 5), constant_values=-1).reshape(8, 5)
"""Every window once, in batches of five, the last ones padded."""


def make_examples(targets=1, missing=()):
    """Windows over one series of multiples of 1/64, whose differences are exact."""
    values = np.round(np.random.default_rng(0).normal(size=(ROWS, 3)) * 64) / 64 + 2
    mask = np.ones(values.shape, bool)
    for row, channel in missing:
        mask[row, channel] = False
    panel = Panel(
        ("a",), ("x", "y", "z"), targets, np.where(mask, values, 0), mask, np.array([0, ROWS]), np.zeros(1), 1
    )
    scaler = Scaler(np.zeros((1, 3)), np.ones((1, 3)), shared=True)
    series = np.zeros(len(ORIGINS), int)
    windows = make_windows(panel, scaler, ORIGINS, series, context=CONTEXT, horizon=HORIZON)
    return windows, values, mask


def truth(values, mask, *, targets, ridge, normalise):
    """Ridge regression on materialised windows by `numpy.linalg.lstsq`, the penalty as further rows."""
    rows, wanted = [], []
    for origin in ORIGINS:
        for channel in range(targets):
            past, seen = values[origin - CONTEXT : origin, channel], mask[origin - CONTEXT : origin, channel]
            if mask[origin : origin + HORIZON, channel].all():
                level = past[seen][-1] if normalise == "last" else 0
                rows.append([*np.where(seen, past - level, 0), 1])
                wanted.append(values[origin : origin + HORIZON, channel] - level)
    penalty = np.sqrt(ridge) * np.eye(CONTEXT + 1)[:-1]
    solution, *_ = np.linalg.lstsq(
        np.vstack([*rows, *penalty]), np.vstack([*wanted, np.zeros((CONTEXT, HORIZON))]), rcond=None
    )
    return {"kernel": solution[:-1], "bias": solution[-1]}, len(rows)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())


@pytest.mark.parametrize("normalise", ["last", "none"])
@pytest.mark.parametrize("ridge", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("targets", [1, 2])
def test_the_solution_is_ridge_regression_in_float64(targets, ridge, normalise):
    windows, values, mask = make_examples(targets)
    model = Linear(horizon=HORIZON, targets=targets, ridge=ridge, normalise=normalise)
    head = solve_linear(model, windows, ORDER)["head"]
    expected, _ = truth(values, mask, targets=targets, ridge=ridge, normalise=normalise)
    close(head["kernel"], expected["kernel"])
    close(head["bias"], expected["bias"])


def test_windows_with_a_missing_target_are_left_out_and_gaps_in_the_past_are_kept():
    missing = [(10, 0), (11, 0), (20, 0), (21, 1), (30, 2)]
    windows, values, mask = make_examples(2, missing)
    head = solve_linear(Linear(horizon=HORIZON, targets=2), windows, ORDER)["head"]
    expected, used = truth(values, mask, targets=2, ridge=1.0, normalise="last")
    assert used == 2 * len(ORIGINS) - 3 - 2 - 2
    close(head["kernel"], expected["kernel"])
    close(head["bias"], expected["bias"])


def test_no_whole_window_is_an_error():
    windows, *_ = make_examples(missing=[(row, 0) for row in range(CONTEXT, ROWS, 2)])
    with pytest.raises(DataError, match="no training window has all of its targets") as caught:
        solve_linear(Linear(horizon=HORIZON), windows, ORDER)
    assert caught.value.code == "data.no_windows"


def test_the_solution_has_the_shape_of_the_models_own_parameters():
    windows, *_ = make_examples(2)
    model = Linear(horizon=HORIZON, targets=2)
    params = solve_linear(model, windows, ORDER)
    own = model.init(jax.random.key(0), windows.take(jnp.arange(3)).inputs)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, own)
    assert jax.tree.map(lambda leaf: leaf.dtype, params) == jax.tree.map(lambda leaf: leaf.dtype, own)


def test_the_forecast_is_a_linear_map_of_each_channel_by_hand():
    params = {"head": {"kernel": jnp.array([[1.0, 0.0], [0.0, 2.0]]), "bias": jnp.array([0.0, 0.5])}}
    past = jnp.array([[[5.0, 1.0, 9.0], [3.0, 2.0, 9.0]]])
    prediction = Linear(horizon=2, targets=2).apply({"params": params}, Inputs(past=past))
    np.testing.assert_array_equal(prediction, [[[5, 1], [3.5, 2.5]]])


def test_rows_that_say_the_same_have_a_solution_without_a_penalty():
    """A series that stands still, at a number so large that what makes the system regular is lost in rounding."""
    windows, *_ = make_examples()
    still = replace(windows, values=jnp.full_like(windows.values, 2**24))
    head = solve_linear(Linear(horizon=HORIZON, ridge=0.0, normalise="none"), still, ORDER)["head"]
    np.testing.assert_allclose(np.full(CONTEXT, 2.0**24) @ head["kernel"] + head["bias"], 2**24, rtol=1e-5)
