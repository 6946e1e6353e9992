import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.errors import ConfigError
from gym_jax.models import Transformer
from gym_jax.models.transformer import Attention
from gym_jax.types import Inputs

SMALL = {"width": 8, "heads": 2, "layers": 1, "feedforward": 16}
PAST = jnp.asarray(np.random.default_rng(0).normal(size=(3, 12, 3)), jnp.float32)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())


def test_heads_that_do_not_divide_the_width_are_refused_before_anything_is_built():
    with pytest.raises(ConfigError, match=r"model\.heads=4 does not divide model\.width=30") as caught:
        Transformer(horizon=2, width=30, heads=4)
    assert caught.value.attempt == "gymjax train ... model.width=32"


@pytest.mark.parametrize("kernel", ["plain", "fast"])
def test_attention_is_softmax_of_scaled_products_in_float64(kernel):
    heads, share = 2, 4
    x = PAST @ jnp.asarray(np.random.default_rng(1).normal(size=(3, heads * share)), jnp.float32)
    variables = Attention(heads, kernel=kernel).init(jax.random.key(0), x)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    assert "bias" not in params["qkv"]

    projected = np.asarray(x, np.float64) @ params["qkv"]["kernel"]
    expected = np.zeros(x.shape)
    for row, tokens in enumerate(projected):
        answers = []
        for head in np.split(tokens, heads, axis=1):
            query, key, value = np.split(head, 3, axis=1)
            weights = np.exp(query @ key.T / np.sqrt(share))
            answers.append(weights / weights.sum(1, keepdims=True) @ value)
        expected[row] = np.concatenate(answers, 1) @ params["out"]["kernel"] + params["out"]["bias"]
    close(Attention(heads, kernel=kernel).apply(variables, x), expected)


@pytest.mark.parametrize("channels", ["mixed", "separate"])
@pytest.mark.parametrize(("patch", "tokens"), [(1, 12), (5, 3), (12, 1), (20, 1)])
def test_patches_cover_the_window(patch, tokens, channels):
    model = Transformer(horizon=4, targets=2, patch=patch, channels=channels, **SMALL)
    inputs = Inputs(past=PAST, static=jnp.ones((3, 2)))
    prediction, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    params = variables["params"]
    assert prediction.shape == (3, 4, 2)
    assert params["embed"]["kernel"].shape == (patch * (3 if channels == "mixed" else 1), 8)
    assert params["position"].shape == (tokens, 8)
    assert params["embed_side"]["kernel"].shape == (2, 8)
    assert params["head"]["kernel"].shape == (tokens * 8, 4 * (2 if channels == "mixed" else 1))


def test_a_window_that_patches_do_not_divide_is_padded_in_front():
    """Twelve steps in patches of five read like fifteen steps that begin with three zeros."""
    model = Transformer(horizon=4, patch=5, normalise="none", **SMALL)
    variables = model.init(jax.random.key(0), Inputs(past=PAST))
    padded = jnp.pad(PAST, ((0, 0), (3, 0), (0, 0)))
    np.testing.assert_array_equal(
        model.apply(variables, Inputs(past=PAST)), model.apply(variables, Inputs(past=padded))
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_separate_channels_share_weights_and_see_only_their_own_past_and_the_side_information(outputs):
    """The channels: two targets, one of the past only, one known ahead."""
    model = Transformer(horizon=4, targets=2, patch=4, channels="separate", outputs=outputs, **SMALL)
    past = jnp.concatenate([PAST, PAST[..., :1] ** 2], axis=2)
    inputs = Inputs(past=past, static=jnp.arange(6.0).reshape(3, 2), future=jnp.ones((3, 4, 1)))
    variables = model.init(jax.random.key(0), inputs)
    forecast = jax.jit(model.apply)
    both = forecast(variables, inputs)

    swapped = forecast(variables, inputs._replace(past=past[..., jnp.array([1, 0, 2, 3])]))
    close(swapped, both[:, :, ::-1])
    other = forecast(variables, inputs._replace(past=past.at[:, 0, 1:3].add(1)))
    np.testing.assert_array_equal(other[:, :, 0], both[:, :, 0])
    assert (other[:, :, 1] != both[:, :, 1]).all()
    known = forecast(variables, inputs._replace(past=past.at[:, 0, 3].add(1)))
    assert (known != both).all()
    static = forecast(variables, inputs._replace(static=inputs.static.at[1].add(1)))
    np.testing.assert_array_equal(static[jnp.array([0, 2])], both[jnp.array([0, 2])])
    assert (static[1] != both[1]).all()


def test_mixed_channels_see_one_another():
    model = Transformer(horizon=4, patch=4, **SMALL)
    variables = model.init(jax.random.key(0), Inputs(past=PAST))
    before = model.apply(variables, Inputs(past=PAST))
    assert (model.apply(variables, Inputs(past=PAST.at[:, 0, 2].add(1))) != before).any()
