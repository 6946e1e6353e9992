"""Both kernels are one model: the same parameters, forecasts and gradients, so that checkpoints interchange."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import BFLOAT16, FLOAT32, FLOAT64

from gym_jax.errors import ConfigError
from gym_jax.models import MODELS
from gym_jax.train.compile import jit
from gym_jax.types import Inputs

BATCH, CONTEXT, HORIZON, TARGETS, WORDS = 24, 13, 4, 2, (3,)
CASES = {
    "mlp": ("mlp", {"hidden": (16, 9)}),
    "lstm": ("lstm", {"hidden": 7}),
    "two layers": ("lstm", {"hidden": 7, "layers": 2}),
    "bidirectional": ("lstm", {"hidden": 7, "bidirectional": True}),
    "two layers, bidirectional": ("lstm", {"hidden": 7, "layers": 2, "bidirectional": True}),
    "transformer": ("transformer", {"width": 8, "heads": 2, "feedforward": 9, "patch": 4}),
    "separate": ("transformer", {"width": 8, "heads": 2, "feedforward": 9, "patch": 4, "channels": "separate"}),
}
FEW = ("mlp", "two layers, bidirectional", "transformer")
each_case = pytest.mark.parametrize(
    "case", [case if case in FEW else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
TRAINED = [kind for kind in MODELS if MODELS[kind].solve is None]


def build(case, **settings):
    """A model without dropout, whose masks would be others in float64."""
    kind, own = CASES[case]
    task = {"horizon": HORIZON, "targets": TARGETS, "categories": WORDS}
    return MODELS[kind].module(dropout=0.0, **task, **own, **settings)


def make_inputs():
    generator = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(generator.normal(size=shape), jnp.float32)  # noqa: E731
    return Inputs(
        past=draw(BATCH, CONTEXT, 4),
        mask=jnp.asarray(generator.random((BATCH, CONTEXT, 4)) > 0.1),
        future=draw(BATCH, HORIZON, 1),
        static=draw(BATCH, 2),
        categories=jnp.asarray(generator.integers(0, WORDS[0] + 1, (BATCH, 1)), jnp.int32),
    )


@functools.cache
def variables_of(case):
    with jax.enable_x64(False):  # whoever asks first
        return jit(build(case, kernel="plain").init)(jax.random.key(0), make_inputs())


@functools.cache
def answers_of(case, wide=False, **settings):
    """The forecast and the gradients of its mean square, in float64 when wide."""
    model = build(case, **settings)
    with jax.enable_x64(wide):
        double = lambda leaf: jnp.asarray(leaf, "float64") if leaf.dtype == jnp.float32 else leaf  # noqa: E731
        given = (variables_of(case)["params"], make_inputs())
        params, inputs = jax.tree.map(double, given) if wide else given

        def loss(params):
            forecast = model.apply({"params": params}, inputs)
            return jnp.square(forecast).mean(), forecast

        gradients, forecast = jit(jax.grad(loss, has_aux=True))(params)
        return np.asarray(forecast), jax.tree.map(np.asarray, gradients)


def largest(tree):
    return max(np.abs(leaf).max() for leaf in jax.tree.leaves(tree))


def close(found, truths, tolerance):
    """Each gradient is as near as the tolerance says, relative to the largest of all."""
    for got, truth in zip(found, truths, strict=True):
        atol = tolerance * largest(truth)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=0, atol=atol), got, truth)


@each_case
def test_both_kernels_have_the_same_parameters(case):
    """The same names, and from one seed the same numbers."""
    fast = jit(build(case, kernel="fast").init)(jax.random.key(0), make_inputs())
    assert jax.tree.structure(fast) == jax.tree.structure(variables_of(case))
    jax.tree.map(np.testing.assert_array_equal, fast, variables_of(case))


@each_case
def test_both_kernels_give_the_same_forecasts_and_gradients_in_float64(case):
    plain, fast = (answers_of(case, wide=True, kernel=kernel) for kernel in ("plain", "fast"))
    assert fast[0].dtype == np.float64
    close(fast, plain, FLOAT64)


@each_case
@pytest.mark.parametrize("kernel", ["plain", "fast"])
def test_forecasts_and_gradients_of_either_kernel_are_those_in_float64(case, kernel):
    close(answers_of(case, kernel=kernel), answers_of(case, wide=True, kernel="plain"), FLOAT32)


@each_case
@pytest.mark.parametrize("kernel", ["plain", "fast"])
def test_either_kernel_in_bfloat16_is_near_float64(case, kernel):
    truth = answers_of(case, wide=True, kernel="plain")
    found = answers_of(case, kernel=kernel, dtype="bfloat16")
    close(found[:1], truth[:1], BFLOAT16)
    got, expected = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part[1])]) for part in (found, truth))
    assert 0 < np.linalg.norm(got - expected) < BFLOAT16 * np.linalg.norm(expected)


@each_case
def test_auto_is_one_of_the_two_to_the_bit(case):
    auto = answers_of(case, kernel="auto")
    same = [
        all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(auto), jax.tree.leaves(other), strict=True))
        for other in (answers_of(case, kernel="plain"), answers_of(case, kernel="fast"))
    ]
    assert any(same)


@pytest.mark.parametrize("kind", TRAINED)
def test_an_unknown_kernel_is_refused_with_the_word_that_was_meant(kind):
    model = MODELS[kind].module(horizon=HORIZON, kernel="fats")
    with pytest.raises(ConfigError, match="kernel='fats' is no kernel") as caught:
        model.init(jax.random.key(0), Inputs(past=jnp.ones((2, CONTEXT, 1))))
    assert "fast" in caught.value.hint
