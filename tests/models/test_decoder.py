"""The decoder: one layer that all steps of the horizon share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.models.side import REACH, Decoder, with_neighbours

HORIZON, TARGETS = 5, 2


def test_a_step_sees_the_known_future_of_its_neighbours():
    future = jnp.arange(1.0, 4.0)[None, :, None]
    expected = [[0, 0, 1, 2, 3], [0, 1, 2, 3, 0], [1, 2, 3, 0, 0]]
    assert REACH == 2
    np.testing.assert_array_equal(with_neighbours(future)[0], expected)


@pytest.mark.parametrize("kernel", ["plain", "fast"])
@pytest.mark.parametrize(("absent", "outputs"), [("none", 1), ("future", 1), ("side", 1), ("none", 3)])
def test_the_decoder_is_one_layer_per_step_in_float64(absent, outputs, kernel):
    generator = np.random.default_rng(1)
    hidden, future, side = (generator.normal(size=shape) for shape in ((3, 6), (3, HORIZON, 2), (3, 4)))
    future, side = None if absent == "future" else future, None if absent == "side" else side
    arguments = [None if part is None else jnp.asarray(part, jnp.float32) for part in (hidden, future, side)]
    decoder = Decoder(HORIZON, TARGETS, 0.5, outputs, kernel=kernel)
    variables = decoder.init(jax.random.key(0), *arguments, train=False)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    params["bias"] = generator.normal(size=params["bias"].shape)

    state = hidden if side is None else np.concatenate([hidden, side], axis=1)
    units = (state @ params["state"]["kernel"])[:, None] + params["bias"]
    if future is not None:
        for place, kernel in enumerate(np.split(params["future"]["kernel"], 2 * REACH + 1)):
            for step in range(HORIZON):
                if 0 <= (other := step + place - REACH) < HORIZON:
                    units[:, step] += future[:, other] @ kernel
    gelu = 0.5 * units * (1 + np.tanh(np.sqrt(2 / np.pi) * (units + 0.044715 * units**3)))
    got = decoder.apply({"params": params}, *arguments, train=False)
    assert got.shape == (3, HORIZON, TARGETS, outputs)[: 3 + (outputs > 1)]
    expected = (gelu @ params["out"]["kernel"]).reshape(got.shape)
    np.testing.assert_allclose(got, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())

    dropped = [decoder.apply(variables, *arguments, train=True, rngs={"dropout": jax.random.key(i)}) for i in (1, 2)]
    assert (dropped[0] != dropped[1]).all()
