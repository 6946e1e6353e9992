"""Integrated gradients: by hand where the integral is known, and complete for every model."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import HORIZON, MODELS, small_windows

from gym_jax.data.order import sequential
from gym_jax.evaluate.gradients import integrated_gradients, make_attribution, mean_inputs, path_nodes
from gym_jax.types import Inputs


class Square:
    """x[0]^2 + 3 x[1] + 2 future + 5 static, the same at both steps."""

    def apply(self, variables, inputs, *, train):
        total = inputs.past[:, 0, 0] ** 2 + 3 * inputs.past[:, 1, 0]
        if inputs.future is not None:
            total = total + 2 * inputs.future.sum((1, 2)) + 5 * inputs.static[:, 0]
        return variables * jnp.broadcast_to(total[:, None, None], (len(total), 2, 1))


def same(answer):
    return answer


def test_three_numbers_by_hand():
    inputs = Inputs(past=jnp.array([[[4.0], [2.0]]]), future=jnp.array([[[1.0], [3.0]]]), static=jnp.array([[2.0]]))
    reference = (jnp.array([1.0]), jnp.array([0.5]), jnp.array([1.0]))
    attribute = make_attribution(Square(), same, np.array([[1.0], [0.0]], np.float32), steps=4)
    (past, future, static), difference = attribute(1.0, inputs, reference)
    np.testing.assert_allclose(past[0, :, 0], [4**2 - 1, 3 * (2 - 1)], rtol=1e-6)
    np.testing.assert_allclose(future[0, :, 0], [2 * 0.5, 2 * 2.5], rtol=1e-6)
    np.testing.assert_allclose(static[0], [5.0], rtol=1e-6)
    np.testing.assert_allclose(difference, [15 + 3 + 6 + 5], rtol=1e-6)


def with_gaps(windows):
    """Windows some of whose values are missing."""
    mask = np.random.default_rng(0).random(windows.values.shape) > 0.1
    return dataclasses.replace(windows, mask=jnp.asarray(mask))


def test_the_reference_is_the_mean_of_what_was_observed():
    windows = with_gaps(small_windows())
    order = sequential(len(windows), 7)
    past, future, static = mean_inputs(windows, order)
    inputs = windows.take(jnp.arange(len(windows))).inputs
    assert inputs.mask is not None
    wanted = np.asarray(inputs.past, np.float64)[np.asarray(inputs.mask)].mean()
    np.testing.assert_allclose(past, [wanted], atol=1e-6)
    assert future is None
    assert static is None


def test_sizes_are_means_over_windows_in_their_units_and_of_the_mean_forecast():
    windows = small_windows()
    order = sequential(len(windows), 7)
    unit = np.linspace(1, 2, len(windows))
    attribute = make_attribution(Square(), same, np.array([[0.5], [0.5]], np.float32))
    reference = (jnp.zeros(1), None, None)
    found = integrated_gradients(attribute, [1.0, 3.0], windows, order, reference, unit)
    first = np.asarray(windows.take(jnp.arange(len(windows))).inputs.past, np.float64)
    assert found.past[0, 0] == pytest.approx((2 * first[:, 0, 0] ** 2 * unit).mean(), rel=1e-5)
    assert found.past[1, 0] == pytest.approx((6 * np.abs(first[:, 1, 0]) * unit).mean(), rel=1e-5)
    assert (found.past[2:] == 0).all()
    assert found.gap < 1e-5


def test_the_nodes_integrate_polynomials():
    share, weight = path_nodes(8)
    for power in range(4):
        assert (weight * share**power).sum() == pytest.approx(1 / (power + 1), rel=1e-12)


WAYS = {**MODELS, "standard": MODELS["mlp"].clone(normalise="standard"), "none": MODELS["mlp"].clone(normalise="none")}


@pytest.mark.parametrize("name", WAYS)
def test_attributions_add_up_to_the_difference_of_the_forecasts(name):
    """Measured: below 2e-7, 3e-3 for the norms of the transformer, 2e-3 without normalisation."""
    windows, model = with_gaps(small_windows(stride=27)), WAYS[name]
    order = sequential(len(windows), 64)
    variables = model.init(jax.random.key(0), windows.take(jnp.arange(2)).inputs)
    weights = np.full((HORIZON, 1), 1 / HORIZON, np.float32)
    reference = mean_inputs(windows, order)
    found = integrated_gradients(
        make_attribution(model, same, weights), [variables], windows, order, reference, np.ones(len(windows))
    )
    assert found.gap < 0.005
