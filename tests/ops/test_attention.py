"""Attention against NumPy in float64, its gradient against autodiff of the plain twin in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ops.truths import answers_of, close, computing_in, draw, near, near_for_members
from tolerances import FLOAT32, FLOAT64

from gym_jax.ops import attention, attention_fused, attention_plain, choose_attention, matmul_plain

SHAPES = {
    "ordinary": (2, 7, 3, 4),
    "one token": (3, 1, 2, 4),
    "one of everything": (1, 1, 1, 1),
    "one head, odd": (1, 5, 1, 3),
    "many tokens": (2, 96, 2, 8),
}
"""Batch, tokens, heads and the width of a head."""
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_kernel = pytest.mark.parametrize("function", [attention, attention_plain])


def make(shape, size=1.0):
    batch, tokens, heads, width = SHAPES[shape]
    return draw(batch, tokens, heads, 3 * width, size=size)


def scores_of(qkv):
    q, k, _ = np.split(qkv, 3, axis=-1)
    return np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])


def by_hand(qkv):
    """The softmax of scaled products, which mixes the values (Vaswani et al. 2017)."""
    scores = scores_of(qkv)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(-1, keepdims=True), np.split(qkv, 3, axis=-1)[2])


@functools.cache
def truths_of(shape, size=1.0):
    return answers_of(attention_plain, make(shape, size))


@each_shape
def test_answer_and_gradient_in_float64_are_those_of_the_formula_and_of_the_twin(shape):
    qkv = make(shape)
    truths = truths_of(shape)
    close(truths[0], by_hand(qkv), FLOAT64)
    near(answers_of(computing_in(attention, "float64"), qkv), truths, "float64")


@pytest.mark.parametrize("function", [attention, attention_plain])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@each_shape
def test_answer_and_gradient_are_near_those_in_float64(shape, dtype, function):
    qkv = make(shape)
    truths = truths_of(shape)
    near(answers_of(computing_in(function, dtype), qkv, dtype=dtype), truths, dtype)


@each_kernel
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_scores_whose_exponentials_no_float_holds_give_the_token_that_wins(function, dtype):
    qkv = make("ordinary", size=100.0)
    scores = np.sort(scores_of(qkv))
    assert scores.max() > 10_000
    truths = truths_of("ordinary", 100.0)
    found = answers_of(computing_in(function, dtype), qkv, dtype=dtype)
    assert all(np.isfinite(leaf).all() for leaf in found)
    clear = np.moveaxis(scores[..., -1] - scores[..., -2] > 0.05 * np.abs(scores).max(-1), 1, 2)
    assert clear.mean() > 0.5
    near([found[0][clear]], [truths[0][clear]], dtype)


@each_kernel
def test_one_token_is_mixed_with_nothing(function):
    qkv = jnp.asarray(make("one token", size=1e6), jnp.float32)
    np.testing.assert_array_equal(function(qkv), jnp.split(qkv, 3, axis=-1)[2])
    slope = jax.grad(lambda qkv: function(qkv).sum())(qkv)
    np.testing.assert_array_equal(slope, jnp.zeros_like(qkv).at[..., -4:].set(1))


@each_kernel
def test_equal_keys_mix_all_values_alike(function):
    batch, tokens, heads, width = SHAPES["many tokens"]
    qkv = make("many tokens")
    qkv[..., width : 2 * width] = 3
    mean = np.broadcast_to(qkv[..., -width:].mean(1, keepdims=True), (batch, tokens, heads, width))
    close(function(jnp.asarray(qkv, jnp.float32)), mean, FLOAT32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_members_of_a_vmap_have_the_gradients_of_each_alone(dtype):
    """The parameters are those of the projection in front."""

    def project(attend):
        return lambda tokens, kernel: attend(matmul_plain(tokens, kernel).reshape(2, 7, 2, 12))

    fast, twin = project(computing_in(attention, dtype)), project(attention_plain)
    near_for_members(fast, twin, draw(2, 7, 5), [draw(2, 5, 24, seed=1) / 2], dtype)


def test_the_gradient_of_a_gradient_is_that_of_the_twin():
    qkv = make("one head, odd")

    def steep(attend):
        return lambda qkv: jnp.square(jax.grad(lambda qkv: (attend(qkv) ** 3).sum())(qkv)).sum()

    near(answers_of(steep(attention), qkv), answers_of(steep(attention_plain), qkv), "float64")


@pytest.mark.parametrize(
    ("platform", "kernel", "chosen"),
    [
        ("cpu", "auto", attention),
        ("cpu", "plain", attention_plain),
        ("gpu", "auto", attention_fused),
        ("gpu", "fast", attention_fused),
        ("gpu", "plain", attention_plain),
        ("tpu", "auto", attention_fused),
    ],
)
def test_each_platform_has_its_own_fast_attention(platform, kernel, chosen, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert choose_attention(kernel) is chosen


@pytest.mark.parametrize(
    ("platform", "tokens", "width", "dtype", "cudnn"),
    [
        ("gpu", 512, 8, "bfloat16", True),
        ("gpu", 511, 8, "bfloat16", False),
        ("gpu", 512, 12, "bfloat16", False),
        ("gpu", 512, 8, "float32", False),
        ("tpu", 512, 8, "bfloat16", False),
    ],
)
def test_cudnn_takes_long_windows_in_bfloat16_on_a_gpu(platform, tokens, width, dtype, cudnn, monkeypatch):
    asked = []

    def spy(q, k, v, implementation):
        asked.append(implementation)
        return v

    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr(jax.nn, "dot_product_attention", spy)
    attention_fused(jnp.zeros((1, tokens, 2, 3 * width)), dtype)
    assert asked == (["cudnn"] if cudnn else [])
