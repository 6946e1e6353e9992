"""The product of a dense layer against NumPy in float64, whichever way its weight gradient goes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ops.truths import TOLERANCES, answers_of, computing_in, draw, near, near_for_members

from gym_jax.ops import dense, matmul, matmul_plain
from gym_jax.train.compile import jit

each_type = pytest.mark.parametrize("dtype", TOLERANCES)
SHAPES = {
    "small": ((7,), 5, 3),
    "one row": ((1,), 4, 6),
    "one input": ((9,), 1, 6),
    "one output": ((9,), 6, 1),
    "large, few rows": ((64,), 200, 200),
    "large, many rows, wider": ((2048,), 24, 48),
    "large, many rows, narrower": ((2048,), 48, 24),
    "two leading axes": ((3, 5), 4, 6),
    "three leading axes": ((2, 3, 5), 6, 4),
}


def by_hand(x, kernel):
    """The answer and the gradients of its sum with random weights, with NumPy."""
    weights = draw(*x.shape[:-1], kernel.shape[1], seed=9)
    rows, ways = x.reshape(-1, x.shape[-1]), weights.reshape(-1, kernel.shape[1])
    return x @ kernel, weights @ kernel.T, rows.T @ ways


@each_type
@pytest.mark.parametrize("shape", SHAPES)
def test_product_and_gradients_are_those_of_numpy(shape, dtype):
    leading, inputs, outputs = SHAPES[shape]
    x, kernel = draw(*leading, inputs), draw(inputs, outputs, seed=1)
    near(answers_of(computing_in(matmul, dtype), x, kernel, dtype=dtype), by_hand(x, kernel), dtype)


@each_type
@pytest.mark.parametrize("small", [0, np.inf])
@pytest.mark.parametrize("many", [0, np.inf])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (5, 5), (8, 3)])
def test_every_way_to_the_weight_gradient_leads_to_the_same(inputs, outputs, many, small, dtype, monkeypatch):
    """Whatever the thresholds choose, by the count of rows and by the cost of the product."""
    monkeypatch.setattr(dense, "MANY", many)
    monkeypatch.setattr(dense, "SMALL", small)
    x, dy = draw(4, 6, inputs), draw(4, 6, outputs, seed=1)
    truth = x.reshape(-1, inputs).T @ dy.reshape(-1, outputs)
    got = answers_of(lambda x, dy: computing_in(dense.weight_gradient, dtype)(x, dy), x, dy, dtype=dtype)
    near(got[:1], [truth], dtype)


@each_type
def test_the_twin_is_the_product_of_numpy_too(dtype):
    x, kernel = draw(7, 5), draw(5, 3, seed=1)
    near(answers_of(computing_in(matmul_plain, dtype), x, kernel, dtype=dtype), by_hand(x, kernel), dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", ["small", "two leading axes", "large, many rows, narrower"])
def test_members_of_a_vmap_have_the_gradients_of_each_alone(shape, dtype):
    leading, inputs, outputs = SHAPES[shape]
    kernels = draw(2, inputs, outputs, seed=1)
    near_for_members(computing_in(matmul, dtype), matmul_plain, draw(*leading, inputs), [kernels], dtype)


def test_the_gradient_of_a_gradient_is_that_of_the_twin():
    x, kernel = draw(6, 4), draw(4, 3, seed=1)

    def steep(multiply):
        slope = jax.grad(lambda kernel, x: (multiply(x, kernel) ** 3).sum())
        return lambda x, kernel: jnp.square(slope(kernel, x)).sum()

    near(answers_of(steep(matmul), x, kernel), answers_of(steep(matmul_plain), x, kernel), "float64")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_values_have_finite_gradients_of_their_size(dtype):
    x, kernel = draw(7, 5, size=1e12), draw(5, 3, seed=1, size=1e12)
    near(answers_of(computing_in(matmul, dtype), x, kernel, dtype=dtype), by_hand(x, kernel), dtype)


@pytest.mark.parametrize("multiply", [matmul, matmul_plain])
def test_a_sum_over_very_many_rows_in_bfloat16_is_rounded_once(multiply):
    """Of eight bits, ones would add up to 256."""
    multiply, ones = computing_in(multiply, "bfloat16"), jnp.ones((1 << 15, 1))
    slope = jit(jax.grad(lambda kernel: multiply(ones, kernel).sum()))(jnp.ones((1, 1)))
    np.testing.assert_array_equal(slope, [[1 << 15]])
