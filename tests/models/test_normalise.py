import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.models.normalise import FLOOR, Level, last_seen, normalise
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


def test_every_output_of_a_value_gets_the_level_and_the_scale_of_its_target():
    level = Level(shift=jnp.array([[[100.0, 200, 300]]]), scale=jnp.array([[[1.0, 10, 100]]]))
    prediction = jnp.array([[[[1.0, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, 0, 0]]]])
    expected = [[[[101, 102, 103], [240, 250, 260]], [[107, 108, 109], [200, 200, 200]]]]
    np.testing.assert_array_equal(level.restore(prediction), expected)
    np.testing.assert_array_equal(level.restore(prediction[..., 1]), np.array(expected)[..., 1])


@pytest.mark.parametrize("kind", ["none", "last", "standard"])
@pytest.mark.parametrize("mask", [None, MASK])
def test_channels_that_the_future_continues_stay_as_they_are(kind, mask):
    inputs = Inputs(past=PAST, mask=mask, future=jnp.ones((2, 5, 1)))
    past, level = normalise(inputs, kind)
    np.testing.assert_array_equal(past[..., 1], PAST[..., 1] if mask is None else jnp.where(MASK, PAST, 0)[..., 1])
    np.testing.assert_array_equal(level.shift[..., 1], [[0], [0]])
    np.testing.assert_array_equal(level.scale[..., 1], [[1], [1]])
    alone, taken = normalise(inputs._replace(future=None), kind)
    np.testing.assert_array_equal(past[..., 0], alone[..., 0])
    np.testing.assert_array_equal(level.shift[..., 0], taken.shift[..., 0])
    np.testing.assert_array_equal(level.scale[..., 0], taken.scale[..., 0])


@pytest.mark.parametrize(("known", "targets"), [(2, 1), (1, 2), (3, 1)])
def test_known_channels_that_are_not_in_the_past_are_refused(known, targets):
    inputs = Inputs(past=PAST, future=jnp.ones((2, 5, known)))
    with pytest.raises(ValueError, match=f"no room for {targets} targets and {known} known"):
        normalise(inputs, "last", targets)
