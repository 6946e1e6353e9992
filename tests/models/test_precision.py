"""A model that computes in bfloat16 rounds its products and nothing else, by either kernel."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from tolerances import BFLOAT16

from gym_jax.config.derive import schema_of
from gym_jax.errors import ConfigError
from gym_jax.losses import mse
from gym_jax.models import LSTM, MODELS
from gym_jax.optim import adamw
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs

BATCH, CONTEXT, HORIZON, TARGETS, WORDS = 32, 16, 5, 2, (3, 12)
SETTINGS = {
    "mlp": {"hidden": (64,), "dropout": 0.2},
    "lstm": {"hidden": 32, "bidirectional": True, "dropout": 0.2},
    "transformer": {"width": 32, "heads": 2, "layers": 1, "feedforward": 40, "patch": 5},
}
TRAINED = [kind for kind in MODELS if MODELS[kind].solve is None]
CASES = {**{kind: (kind, {}) for kind in TRAINED}, "separate": ("transformer", {"channels": "separate"})}
"""Every model that is trained by gradient, by its kind; the Transformer in both of its channel modes."""
each_case = pytest.mark.parametrize("case", CASES)
each_kernel = pytest.mark.parametrize("kernel", ["plain", "fast"])
CASTS_AND_PRODUCTS = {"convert_element_type", "dot_general"}
MOVES = {"broadcast_in_dim", "concatenate", "copy", "reshape", "slice", "squeeze", "transpose"}
"""Operations that change no value."""


def build(case, **settings):
    kind, mode = CASES[case]
    own = {**SETTINGS.get(kind, {}), **mode, **settings}
    return MODELS[kind].module(horizon=HORIZON, targets=TARGETS, categories=WORDS, **own)


def make_inputs(level=0.0, size=1.0):
    """Ordinary data: two targets, another channel and a known one, gaps, and every kind of side information."""
    generator = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(np.round(generator.normal(size=shape) * 64) / 64, jnp.float32)  # noqa: E731
    past = draw(BATCH, CONTEXT, 4)
    codes = jnp.asarray(np.column_stack([generator.integers(0, words + 1, BATCH) for words in WORDS]))
    return Inputs(
        past=past.at[..., :3].multiply(size).at[..., :3].add(level),
        mask=jnp.asarray(generator.random(past.shape) > 0.1),
        future=draw(BATCH, HORIZON, 1),
        static=draw(BATCH, 2),
        categories=codes,
    )


@functools.cache
def variables_of(case, normalise="last"):
    return jax.jit(build(case, normalise=normalise).init)(jax.random.key(0), make_inputs())


def total(model, params, inputs):
    forecast = model.apply({"params": params}, inputs, train=True, rngs={"dropout": jax.random.key(1)})
    return jnp.square(forecast).mean()


def operations(jaxpr):
    """Every operation of a program and of the programs inside it; of what holds programs, loops alone."""
    for equation in jaxpr.eqns:
        parts = [v for value in equation.params.values() for v in (value if isinstance(value, tuple) else (value,))]
        inner = [getattr(part, "jaxpr", part) for part in parts]
        inner = [part for part in inner if hasattr(part, "eqns")]
        if not inner or equation.primitive.name == "scan":
            yield equation
        for part in inner:
            yield from operations(part)


def types(variables):
    return {str(getattr(variable.aval, "dtype", "")) for variable in variables}


@functools.cache
def traced(case, kernel):
    """The operations of the forecast, and of value and gradient in training, of a model that computes in bfloat16."""
    model, params, inputs = build(case, dtype="bfloat16", kernel=kernel), variables_of(case)["params"], make_inputs()
    forecast = jax.make_jaxpr(model.apply)({"params": params}, inputs)
    gradient = jax.make_jaxpr(jax.value_and_grad(functools.partial(total, model)))(params, inputs)
    return list(operations(forecast.jaxpr)), list(operations(gradient.jaxpr))


# What is rounded, and what is not


def shapes(variables):
    return [variable.aval.shape for variable in variables]


@each_case
@each_kernel
def test_every_product_takes_bfloat16_in_both_directions_but_the_last_that_makes_the_forecast(case, kernel):
    """The exceptions: the head, and the last layer of the decoder, which is added to it."""
    params = variables_of(case)["params"]
    last = [layer["kernel"].shape for layer in (params["head"], params["decoder"]["out"])]
    products = [[e for e in program if e.primitive.name == "dot_general"] for program in traced(case, kernel)]
    exact = [[e for e in program if types(e.invars) == {"float32"}] for program in products]
    assert sorted(e.invars[1].aval.shape for e in exact[0]) == sorted(last)
    assert (len(products[0]) > len(exact[0]), len(exact[1])) == (True, 3 * len(last))
    assert all(any(sorted(s) == sorted(k) for s in shapes([*e.invars, *e.outvars]) for k in last) for e in exact[1])
    for program in products:
        rounded = [types([*e.invars, *e.outvars]) for e in program if types(e.invars) != {"float32"}]
        assert rounded
        assert all(found == {"bfloat16"} for found in rounded)
    assert 2 * len(products[0]) < len(products[1]) <= 3 * len(products[0])


@each_case
@each_kernel
def test_nothing_but_products_is_computed_in_bfloat16(case, kernel):
    """Sums, means, variances, exponentials and gates are float32, and nothing is rounded that no product takes."""
    for program in traced(case, kernel):
        rounded = [e for e in program if "bfloat16" in types([*e.invars, *e.outvars])]
        assert {e.primitive.name for e in rounded} <= CASTS_AND_PRODUCTS | MOVES | {"scan"}
        computed = [
            e for e in program if e.primitive.name in ("reduce_sum", "exp", "exp2", "tanh", "logistic", "add_any")
        ]
        assert computed
        assert not any("bfloat16" in types(e.outvars) for e in computed)
        casts = [e for e in program if e.primitive.name == "convert_element_type"]
        down = {e.outvars[0] for e in casts if types(e.outvars) == {"bfloat16"}}
        assert down
        assert not any(e.invars[0] in down for e in casts)


def summed(product):
    """How many terms each of its answers is a sum of."""
    (axes, _), _ = product.params["dimension_numbers"]
    return math.prod(product.invars[0].aval.shape[axis] for axis in axes)


@each_kernel
def test_what_a_loop_carries_is_float32(kernel):
    """Hidden and cell state; stacked values lead with the time.

    Backwards the plain kernel carries sums of its weights' gradients over time as well. The fast one sums them in one
    product, which is the only one that all rows of all steps go into.
    """
    found = []
    for program in traced("lstm", kernel):
        loops = [e for e in program if e.primitive.name == "scan"]
        carried = [v for e in loops for v in e.outvars if v.aval.shape[:1] != (CONTEXT,)]
        assert types(carried) == {"float32"}
        found.append(set(shapes(carried)))
    forward, both = found
    assert forward == {(BATCH, 32)}
    cell = variables_of("lstm")["params"]["layer_0"]["cell"]
    if kernel == "plain":
        assert both >= {leaf.shape for leaf in jax.tree.leaves(cell)}
    else:
        assert both == forward
        sums = [e for e in program if e.primitive.name == "dot_general" and summed(e) == CONTEXT * BATCH]
        together = sorted((sum(leaf.size for leaf in jax.tree.leaves(cell)) // 128, 128))
        assert [sorted(e.outvars[0].aval.shape) for e in sums] == 2 * [together]


@each_kernel
def test_a_scanned_kernel_is_not_kept_for_every_step(kernel):
    """Its rounded copy is the same at all of them. What is kept of the gates has as many rows as the batch."""
    model, rows = build("lstm", dtype="bfloat16", kernel=kernel), 24
    params, inputs = variables_of("lstm")["params"], jax.tree.map(lambda leaf: leaf[:rows], make_inputs())
    gradient = jax.make_jaxpr(jax.grad(functools.partial(total, model)))(params, inputs)
    sizes = {variable.aval.shape for equation in operations(gradient.jaxpr) for variable in equation.outvars}
    kept = {shape for shape in sizes if shape[:1] == (CONTEXT,)}
    assert kept
    widths = {shape[1] for shape in kept if len(shape) == 3 and shape[2] == 4 * 32}
    assert widths == (set() if kernel == "plain" else {rows})


@each_case
@each_kernel
def test_parameters_gradients_and_the_forecast_are_float32(case, kernel):
    model, params, inputs = build(case, dtype="bfloat16", kernel=kernel), variables_of(case)["params"], make_inputs()
    forecast, started = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    assert forecast.dtype == jnp.float32
    assert jax.tree.map(jnp.shape, started["params"]) == jax.tree.map(jnp.shape, params)
    gradients = jax.eval_shape(jax.grad(functools.partial(total, model)), params, inputs)
    assert {str(leaf.dtype) for tree in (started, gradients) for leaf in jax.tree.leaves(tree)} == {"float32"}


# What it costs in accuracy


@each_case
@pytest.mark.parametrize("normalise", ["none", "last", "standard"])
@each_kernel
def test_the_forecast_is_near_that_of_float32(case, normalise, kernel):
    inputs, variables = make_inputs(), variables_of(case, normalise)
    expected, got = (
        jax.jit(build(case, normalise=normalise, dtype=dtype, kernel=kernel).apply)(variables, inputs)
        for dtype in ("float32", "bfloat16")
    )
    assert (got != expected).any()
    np.testing.assert_allclose(got, expected, rtol=0, atol=BFLOAT16 * np.abs(expected).max())


def norm(tree):
    return sum(np.square(np.asarray(leaf, np.float64)).sum() for leaf in jax.tree.leaves(tree)) ** 0.5


@pytest.mark.parametrize("case", ["lstm", "transformer"])
@each_kernel
def test_the_gradient_of_a_member_of_a_vmap_is_near_that_of_float32(case, kernel):
    inputs, params = make_inputs(), variables_of(case)["params"]
    exact, near = (
        jax.grad(functools.partial(total, build(case, dtype=dtype, kernel=kernel)), argnums=0)
        for dtype in ("float32", "bfloat16")
    )
    expected = jax.jit(exact)(params, inputs)
    two = jax.tree.map(lambda leaf: jnp.stack([leaf / 2, leaf]), params)
    member = jax.tree.map(lambda leaf: leaf[1], jax.jit(jax.vmap(near, (0, None)))(two, inputs))
    assert 0 < norm(jax.tree.map(jnp.subtract, member, expected)) < BFLOAT16 * norm(expected)


@each_case
@pytest.mark.parametrize("normalise", ["last", "standard"])
def test_a_window_far_from_zero_keeps_its_accuracy(case, normalise):
    """At a million, bfloat16 has steps of 4,096 (and float32 of 1/16): normalisation and restoring are not in it."""
    level, inputs = 1e6, make_inputs(level=1e6, size=64.0)
    variables, answers = variables_of(case, normalise), {}
    for dtype in ("float32", "bfloat16"):
        model = build(case, normalise=normalise, dtype=dtype)
        answers[dtype] = np.asarray(jax.jit(model.apply)(variables, inputs), np.float64) - level
    size = np.abs(answers["float32"]).max()
    assert 64 < size < 1024
    np.testing.assert_allclose(answers["bfloat16"], answers["float32"], rtol=0, atol=BFLOAT16 * size)


# What it is compiled for


@each_case
@each_kernel
def test_the_train_step_in_bfloat16_lowers_for_every_platform(case, kernel):
    model, inputs, tx = build(case, dtype="bfloat16", kernel=kernel), make_inputs(), adamw(1e-3)
    targets = jnp.ones((BATCH, HORIZON, TARGETS))
    state = jax.eval_shape(functools.partial(init_state, model, tx), jax.random.key(0), inputs)
    platforms = ("cpu", "cuda", "tpu")
    exported = export.export(jax.jit(make_train_step(model, mse, tx)), platforms=platforms)(
        state, Batch(inputs, targets, jnp.ones_like(targets))
    )
    assert exported.platforms == platforms


# How it is asked for


@pytest.mark.parametrize("kind", TRAINED)
def test_the_task_gives_the_compute_type_and_the_outputs_and_no_user_sets_them_in_the_model(kind):
    assert {"dtype", "outputs"} <= MODELS[kind].fields
    assert not {"dtype", "outputs"} & set(schema_of(kind, MODELS[kind].module).model_fields)


@pytest.mark.parametrize("kind", sorted(set(MODELS) - set(TRAINED)))
def test_baselines_are_float32_and_answer_with_one_value(kind):
    assert not {"dtype", "outputs"} & MODELS[kind].fields


@pytest.mark.parametrize("dtype", ["float16", jnp.float32])
def test_another_type_is_refused(dtype):
    inputs = Inputs(past=jnp.ones((2, 4, 1)))
    with pytest.raises(ConfigError, match="is no type to compute in") as caught:
        LSTM(horizon=2, dtype=dtype).init(jax.random.key(0), inputs)
    assert "float" in caught.value.hint
