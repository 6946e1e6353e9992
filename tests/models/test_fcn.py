"""The convolution against NumPy's, and what the network does not see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.errors import ConfigError
from gym_jax.models.fcn import FCN, with_steps_around
from gym_jax.types import Inputs


@pytest.mark.parametrize("size", [1, 3, 4, 9])
def test_a_product_with_the_steps_around_is_a_convolution(size):
    noise = np.random.default_rng(size)
    x, kernel = noise.normal(size=7), noise.normal(size=size)
    got = with_steps_around(jnp.asarray(x, jnp.float32)[None, :, None], size)[0] @ jnp.asarray(kernel, jnp.float32)
    before = (size - 1) // 2
    expected = np.convolve(x, kernel[::-1], "full")[size - 1 - before :][:7]
    np.testing.assert_allclose(got, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max() * 2)


def test_a_pattern_counts_wherever_it_stands():
    """Far from both ends the mean over the window does not see where."""
    model = FCN(horizon=1, normalise="none", filters=(4, 4), sizes=(3, 3))
    past = np.zeros((2, 40, 1), np.float32)
    past[0, 10:14, 0] = past[1, 25:29, 0] = [1, -2, 3, 1]
    variables = model.init(jax.random.key(0), Inputs(past=jnp.asarray(past)))
    one, other = model.apply(variables, Inputs(past=jnp.asarray(past)))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_filters_and_sizes_are_as_many():
    with pytest.raises(ConfigError, match=r"model.filters has 3 layers, model.sizes 2"):
        FCN(horizon=1, sizes=(3, 3))
