import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.losses import LOSSES, huber, mae, mse, pinball

PREDICTION = jnp.array([1.0, 2.0, 5.0])
TARGET = jnp.array([2.0, 2.5, 1.0])
BY_HAND = {
    "mse": (mse, {}, [1, 0.25, 16]),
    "mae": (mae, {}, [1, 0.5, 4]),
    "huber": (huber, {}, [0.5, 0.125, 3.5]),
    "huber beyond 2": (huber, {"delta": 2.0}, [0.5, 0.125, 6]),
    "pinball": (pinball, {}, [0.5, 0.25, 2]),
    "pinball of 0.75": (pinball, {"quantile": 0.75}, [0.75, 0.375, 1]),
}
SLOPES = {
    "mse": ({}, lambda error: 2 * error),
    "mae": ({}, np.sign),
    "huber": ({"delta": 0.7}, lambda error: np.clip(error, -0.7, 0.7)),
    "pinball": ({"quantile": 0.9}, lambda error: np.where(error > 0, 1 - 0.9, -0.9)),
}


@pytest.mark.parametrize(("loss", "settings", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_three_numbers_by_hand(loss, settings, expected):
    np.testing.assert_array_equal(loss(PREDICTION, TARGET, **settings), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope_in_float64(name):
    settings, slope = SLOPES[name]
    prediction, target = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    gradient = jax.grad(lambda prediction: LOSSES[name](prediction, target, **settings).sum())(jnp.asarray(prediction))
    expected = slope(prediction.astype(np.float64) - target)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_forecast_costs_nothing_and_the_gradient_stays_finite(name):
    value, gradient = jax.value_and_grad(lambda prediction: LOSSES[name](prediction, TARGET).sum())(TARGET)
    assert value == 0
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_the_shape_of_the_target_is_kept(name):
    loss = jax.eval_shape(LOSSES[name], jnp.zeros((2, 3, 4)), jnp.zeros((2, 3, 4)))
    assert (loss.shape, loss.dtype) == ((2, 3, 4), jnp.float32)


def test_the_median_loss_is_half_the_absolute_error():
    prediction, target = np.random.default_rng(1).normal(size=(2, 50)).astype(np.float32)
    np.testing.assert_array_equal(pinball(prediction, target, quantile=0.5), mae(prediction, target) / 2)
