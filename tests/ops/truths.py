"""What a kernel has to answer: gradients by autodiff of its plain twin, in float64, and how near an answer is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from tolerances import BFLOAT16, FLOAT32, FLOAT64

from gym_jax.train.compile import jit

TOLERANCES = {"float64": FLOAT64, "float32": FLOAT32, "bfloat16": BFLOAT16}
"""Every type to compute in, and how near to the float64 truth its answers are."""


def computing_in(function, dtype):
    """A kernel that computes in a type; what it is given is in float64 then, or in float32."""
    return functools.partial(function, dtype="bfloat16" if dtype == "bfloat16" else "float32")


def draw(*shape, seed=0, size=1.0):
    """Normal numbers that float32 holds, in float64."""
    return np.float64(np.float32(size * np.random.default_rng([seed, *shape]).normal(size=shape)))


def answers_of(function, *args, dtype="float64"):
    """The answer of a function and the gradients, by every argument, of its sum weighed with random numbers."""
    with jax.enable_x64(dtype == "float64"):
        given = [jnp.asarray(arg, "float64" if dtype == "float64" else "float32") for arg in args]

        @jit
        def run(*given):
            answer, pull = jax.vjp(function, *given)
            return answer, *pull(jnp.asarray(draw(*answer.shape, seed=9), answer.dtype))

        found = run(*given)
        assert {leaf.dtype for leaf in found} == {given[0].dtype}
        return [np.asarray(leaf, np.float64) for leaf in found]


def close(got, truth, tolerance):
    """Fail unless every element is as near as the tolerance says, relative to the largest of all."""
    assert np.shape(got) == np.shape(truth)
    np.testing.assert_allclose(got, truth, rtol=0, atol=tolerance * np.abs(truth).max())


def near(found, truths, dtype):
    """Fail unless answer and gradients are those of the truth: each element, or in bfloat16 each array in norm."""
    tolerance = TOLERANCES[dtype]
    for got, truth in zip(found, truths, strict=True):
        if dtype == "bfloat16":
            assert got.shape == truth.shape
            assert np.linalg.norm(got - truth) <= tolerance * np.linalg.norm(truth)
        else:
            close(got, truth, tolerance)


def near_for_members(function, twin, x, params, dtype="float32"):
    """Fail unless gradients by parameters alone are those of the twin, alike under a vmap over these and one by one."""

    def total(params, x):
        answer = function(x, *params)
        return (answer * jnp.asarray(draw(*answer.shape, seed=9), answer.dtype)).sum()

    stacked, rows = (jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), part) for part in (tuple(params), x))
    together = jit(jax.vmap(jax.grad(total), (0, None)))(stacked, rows)
    single = jit(jax.grad(total))
    for i in range(len(params[0])):
        truths = answers_of(twin, x, *(leaf[i] for leaf in params))[2:]
        alone = single(tuple(leaf[i] for leaf in stacked), rows)
        for found in ([leaf[i] for leaf in together], alone):
            near([np.asarray(leaf, np.float64) for leaf in found], truths, dtype)
