import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.models.normalise import FLOOR, last_seen, normalise, side_features
from gym_jax.types import Inputs

PAST = jnp.array([[[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]], [[4.0, 0.0], [8.0, 0.0], [0.0, 0.0]]])
MASK = jnp.array([[[1, 1], [1, 1], [1, 0]], [[1, 0], [1, 0], [0, 0]]], bool)


def test_last_seen_takes_the_last_row_when_all_was_observed():
    np.testing.assert_array_equal(last_seen(Inputs(past=PAST)), [[[6, 60]], [[0, 0]]])


@pytest.mark.parametrize("hidden", [0.0, 7.0])
def test_last_seen_skips_what_is_masked_and_is_zero_where_nothing_was_observed(hidden):
    past = jnp.where(MASK, PAST, hidden)
    np.testing.assert_array_equal(last_seen(Inputs(past=past, mask=MASK)), [[[6, 20]], [[8, 0]]])


def test_none_takes_nothing_out_but_hides_what_is_masked():
    past, level = normalise(Inputs(past=PAST, mask=MASK), "none")
    np.testing.assert_array_equal(past, jnp.where(MASK, PAST, 0))
    np.testing.assert_array_equal(level.shift, np.zeros((2, 1, 2)))
    np.testing.assert_array_equal(level.scale, np.ones((2, 1, 2)))


def test_last_subtracts_the_last_observed_value():
    past, level = normalise(Inputs(past=PAST, mask=MASK), "last")
    np.testing.assert_array_equal(past, [[[-5, -10], [-4, 0], [0, 0]], [[-4, 0], [0, 0], [0, 0]]])
    np.testing.assert_array_equal(level.shift, [[[6, 20]], [[8, 0]]])
    np.testing.assert_array_equal(level.scale, np.ones((2, 1, 2)))


def test_standard_uses_mean_and_deviation_of_what_was_observed():
    past, level = normalise(Inputs(past=PAST, mask=MASK), "standard")
    deviation = np.sqrt(np.array([[[14 / 3, 25.0]], [[4.0, 0.0]]]) + FLOOR)
    np.testing.assert_allclose(level.shift, [[[3, 15]], [[6, 0]]], rtol=FLOAT32)
    np.testing.assert_allclose(level.scale, deviation, rtol=FLOAT32)
    centred = np.array([[[-2, -5], [-1, 5], [3, 0]], [[-2, 0], [2, 0], [0, 0]]])
    np.testing.assert_allclose(past, centred / deviation, rtol=FLOAT32)


@pytest.mark.parametrize("kind", ["none", "last", "standard"])
@pytest.mark.parametrize("mask", [None, MASK])
def test_restore_gives_back_what_was_taken_out(kind, mask):
    past, level = normalise(Inputs(past=PAST, mask=mask), kind)
    seen = jnp.ones_like(MASK) if mask is None else mask
    restored = np.asarray(level.restore(past))[seen]
    np.testing.assert_allclose(restored, PAST[seen], rtol=0, atol=FLOAT32 * PAST.max())
    first_channel = np.asarray(level.restore(past[..., :1]))[..., 0][seen[..., 0]]
    np.testing.assert_allclose(first_channel, PAST[..., 0][seen[..., 0]], rtol=0, atol=FLOAT32 * PAST.max())


def test_side_features_stand_side_by_side():
    static, future = jnp.array([[1.0, 2.0]]), jnp.array([[[3.0], [4.0], [5.0]]])
    np.testing.assert_array_equal(side_features(Inputs(static=static, future=future)), [[1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(side_features(Inputs(future=future)), [[3, 4, 5]])
    assert side_features(Inputs()) is None
