"""A product in bfloat16, by itself and in a dense layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32, ROUNDED

from gym_jax.models.precision import make_dense, make_product


def rounded(x):
    return np.asarray(jnp.asarray(x).astype(jnp.bfloat16), np.float64)


@pytest.mark.parametrize(
    ("terms", "left", "right"), [("bi,ij->bj", (7, 40), (40, 6)), ("bqhd,bkhd->bhqk", (2, 3, 2, 9), (2, 4, 2, 9))]
)
def test_products_and_their_gradients_are_those_of_rounded_operands_in_float64(terms, left, right):
    """Their answers are rounded as well: once, by half a unit of bfloat16's eight bits at most."""
    generator = np.random.default_rng(2)
    a, b = (jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in (left, right))
    answer, pull = jax.vjp(make_product(functools.partial(jnp.einsum, terms), "bfloat16"), a, b)
    cotangent = jnp.asarray(generator.normal(size=answer.shape), jnp.float32)
    (first, second), out = terms.split("->")[0].split(","), terms.split("->")[1]
    expected = [
        np.einsum(terms, rounded(a), rounded(b)),
        np.einsum(f"{out},{second}->{first}", rounded(cotangent), rounded(b)),
        np.einsum(f"{first},{out}->{second}", rounded(a), rounded(cotangent)),
    ]
    for got, truth in zip((answer, *pull(cotangent)), expected, strict=True):
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, truth, rtol=ROUNDED, atol=FLOAT32 * np.abs(truth).max())
    assert np.abs(expected[0] - np.einsum(terms, np.float64(a), np.float64(b))).max() > 1e-3


def test_a_float32_product_and_its_gradients_are_asked_for_in_full_precision():
    """A GPU would take TF32 and a TPU bfloat16 where nothing is said; a CPU computes the same bits either way."""
    x = jnp.ones((3, 3))

    def both(product):
        return jax.make_jaxpr(jax.value_and_grad(lambda x: product(x, jnp.sin(x)).sum()))(x)

    said = [
        eqn.params["precision"]
        for eqn in both(make_product(jnp.matmul, "float32")).eqns
        if eqn.primitive.name == "dot_general"
    ]
    assert len(said) == 3
    assert set(said) == {(jax.lax.Precision.HIGHEST,) * 2}


@pytest.mark.parametrize("kernel", ["plain", "fast"])
def test_a_dense_layer_adds_its_bias_in_float32(kernel):
    x = jnp.asarray(np.random.default_rng(4).normal(size=(2, 3, 5)), jnp.float32)
    params = {"kernel": jnp.linspace(-1, 1, 20).reshape(5, 4), "bias": jnp.full(4, 1 / 3)}
    got = make_dense("bfloat16", kernel)(4).apply({"params": params}, x)
    product = make_product(jnp.matmul, "bfloat16")(x, params["kernel"])
    np.testing.assert_array_equal(got, product + params["bias"])
    np.testing.assert_allclose(product, rounded(x) @ rounded(params["kernel"]), rtol=ROUNDED, atol=FLOAT32 * 2)
