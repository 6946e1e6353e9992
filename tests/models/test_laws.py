"""What every registered model obeys; a new line in the registry is a new column here.

`test_side.py` has the laws of side information.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from tolerances import FLOAT32

from gym_jax.losses import mse
from gym_jax.models import MODELS
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs

BATCH, CONTEXT, HORIZON = 4, 16, 5
SETTINGS = {
    "mlp": {"hidden": (16,), "dropout": 0.2},
    "lstm": {"hidden": 8, "layers": 2, "dropout": 0.2},
    "transformer": {"width": 8, "heads": 2, "layers": 1, "feedforward": 16, "patch": 5, "dropout": 0.2},
    "fcn": {"filters": (16, 16), "sizes": (5, 3), "dropout": 0.2},
    "seasonal": {"season": 7},
}
KINDS = sorted(MODELS)
TRAINED = [kind for kind in KINDS if MODELS[kind].solve is None]
BASELINES = sorted(set(KINDS) - set(TRAINED))
DROPPING = [kind for kind in KINDS if "dropout" in MODELS[kind].fields]
ANSWERING = [(kind, 1) for kind in KINDS] + [(kind, 3) for kind in TRAINED]
"""Every kind with one output per value, and with several where it can."""
each_answering = pytest.mark.parametrize(("kind", "outputs"), ANSWERING)
NORMALISING = [kind for kind in KINDS if "normalise" in MODELS[kind].fields]


def build(kind, **settings):
    return MODELS[kind].module(horizon=HORIZON, **{**SETTINGS.get(kind, {}), **settings})


def make_past(channels=2, rows=BATCH, size=1.0):
    """Multiples of 1/64, so that sums with other such numbers are exact."""
    noise = np.random.default_rng(channels).normal(size=(rows, CONTEXT, channels))
    return jnp.asarray(np.round(noise * 64) / 64 * size, jnp.float32)


def make_mask(channels=2):
    """Gaps at random, at the end of one row, and one row whole."""
    mask = np.random.default_rng(7).random((BATCH, CONTEXT, channels)) > 0.3
    mask[0, -3:], mask[1] = False, True
    return jnp.asarray(mask)


@functools.cache
def started(kind, outputs=1, *, normalise="last", targets=2, channels=2):
    """A model, its variables and its compiled forecast."""
    given = {"normalise": normalise} if kind in NORMALISING else {}
    model = build(kind, targets=targets, **given, **({"outputs": outputs} if outputs > 1 else {}))
    variables = model.init(jax.random.key(0), Inputs(past=make_past(channels)))
    return model, variables, jax.jit(functools.partial(model.apply, train=False))


def close(got, expected, tolerance=FLOAT32):
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@each_answering
@pytest.mark.parametrize(("targets", "channels"), [(1, 1), (2, 3)])
def test_the_forecast_is_finite_and_has_a_value_per_row_step_and_target(kind, outputs, targets, channels):
    inputs = Inputs(past=make_past(channels), mask=make_mask(channels))
    _, variables, forecast = started(kind, outputs, targets=targets, channels=channels)
    prediction = forecast(variables, inputs)
    assert prediction.shape == (BATCH, HORIZON, targets, 3)[: 3 + (outputs > 1)]
    assert prediction.dtype == jnp.float32
    assert jnp.isfinite(prediction).all()


@each_answering
def test_compiled_and_eager_agree(kind, outputs):
    inputs = Inputs(past=make_past(), mask=make_mask())
    model, variables, forecast = started(kind, outputs)
    close(forecast(variables, inputs), model.apply(variables, inputs))


@each_answering
def test_a_row_depends_on_itself_only(kind, outputs):
    inputs = Inputs(past=make_past(), mask=make_mask())
    _, variables, forecast = started(kind, outputs)
    before = forecast(variables, inputs)
    after = forecast(variables, inputs._replace(past=inputs.past.at[1].add(3), mask=inputs.mask.at[1, -1].set(False)))
    others = np.array([0, 2, 3])
    np.testing.assert_array_equal(after[others], before[others])
    assert (after[1] != before[1]).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalise", ["none", "last", "standard"])
def test_what_lies_under_the_mask_has_no_influence(kind, normalise):
    past, mask = make_past(), make_mask().at[2].set(False)
    inputs = Inputs(past=jnp.where(mask, past, 0), mask=mask)
    _, variables, forecast = started(kind, normalise=normalise)
    expected = forecast(variables, inputs)
    assert jnp.isfinite(expected).all()
    np.testing.assert_array_equal(forecast(variables, inputs._replace(past=jnp.where(mask, past, 1e6))), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gap_reads_like_the_last_observed_value(kind):
    """True of normalise="last", the default: the level is neutral. No mask says that all was observed."""
    past, mask = make_past(), make_mask()
    gappy = Inputs(past=jnp.where(mask, past, 0), mask=mask)
    _, variables, forecast = started(kind)
    rows, channels = np.ogrid[:BATCH, :2]
    last = CONTEXT - 1 - np.argmax(np.asarray(mask)[:, ::-1], axis=1)
    level = np.asarray(past)[rows, last, channels][:, None]
    filled = jnp.where(mask, past, level)
    if kind == "seasonal":
        lag = CONTEXT - 7 + np.arange(HORIZON)
        np.testing.assert_array_equal(forecast(variables, gappy), filled[:, lag])
    close(forecast(variables, gappy), forecast(variables, Inputs(past=filled)))
    whole = Inputs(past=past, mask=jnp.ones_like(mask))
    close(forecast(variables, whole), forecast(variables, Inputs(past=past)))


@pytest.mark.parametrize("kind", DROPPING)
def test_dropout_is_drawn_in_training_only(kind):
    inputs = Inputs(past=make_past())
    model, variables, _ = started(kind)

    @functools.partial(jax.jit, static_argnames="train")
    def forecast(seed, *, train):
        return model.apply(variables, inputs, train=train, rngs={"dropout": jax.random.key(seed)})

    np.testing.assert_array_equal(forecast(1, train=False), forecast(2, train=False))
    np.testing.assert_array_equal(forecast(1, train=True), forecast(1, train=True))
    assert (forecast(1, train=True) != forecast(2, train=True)).any()


@each_answering
@pytest.mark.parametrize("normalise", ["last", "standard"])
def test_a_constant_added_to_the_past_is_added_to_the_forecast(kind, outputs, normalise):
    inputs = Inputs(past=make_past())
    _, variables, forecast = started(kind, outputs, normalise=normalise)
    close(forecast(variables, inputs._replace(past=inputs.past + 16)), forecast(variables, inputs) + 16)


@each_answering
def test_standard_normalisation_scales_the_forecast_with_the_past(kind, outputs):
    """Large values, beside which the floor under the variance is nothing."""
    inputs = Inputs(past=make_past(size=64))
    _, variables, forecast = started(kind, outputs, normalise="standard")
    close(forecast(variables, inputs._replace(past=inputs.past * 4)), forecast(variables, inputs) * 4)


@pytest.mark.parametrize("kind", TRAINED)
def test_rising_outputs_rise_at_every_size_of_the_past_and_by_as_much_as_that_grows(kind):
    """The distances are made positive before the scale of the window is put back: quiet windows have small ones."""
    model = build(kind, targets=2, outputs=3, form="rising", normalise="standard")
    past = make_past()
    variables = model.init(jax.random.key(0), Inputs(past=past))
    sizes = [np.diff(model.apply(variables, Inputs(past=size * past))) / size for size in (1.0, 16.0, 256.0)]
    assert (sizes[0] > 0).all()
    for other in sizes[1:]:
        np.testing.assert_allclose(other, sizes[0], rtol=1e-3)


@pytest.mark.parametrize("kind", BASELINES)
def test_baselines_look_at_the_targets_alone(kind):
    """Channels behind the targets, known or not, and what belongs to a series as a whole."""
    _, variables, forecast = started(kind)
    inputs = Inputs(past=jnp.concatenate([make_past(), make_past(3)], axis=2))
    side = {"future": jnp.ones((BATCH, HORIZON, 1)), "static": jnp.ones((BATCH, 2))}
    codes = jnp.ones((BATCH, 3), int)
    for other in (inputs, inputs._replace(**side, categories=codes)):
        np.testing.assert_array_equal(forecast(variables, other), forecast(variables, Inputs(past=make_past())))


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize(("dtype", "outputs"), [("float32", 1), ("bfloat16", 1), ("bfloat16", 3)])
def test_a_few_hundred_steps_overfit_one_batch(kind, dtype, outputs):
    """Several outputs learn different things: the target, and one more and one less."""
    targets = jnp.asarray(np.random.default_rng(3).normal(size=(8, HORIZON, 1)), jnp.float32)
    batch = Batch(Inputs(past=make_past(rows=8)), targets, jnp.ones_like(targets))

    def loss(prediction, target):
        if outputs == 1:
            return mse(prediction, target)
        return mse(prediction, target[..., None] + jnp.array([0, 1, -1])).mean(-1)

    model, tx = build(kind, dropout=0.0, dtype=dtype, outputs=outputs), optax.adam(1e-2)
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    step = make_train_step(model, loss, tx)
    _, metrics = jax.jit(lambda state: lax.scan(lambda state, _: step(state, batch), state, length=300))(state)
    losses = metrics["loss"].value
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("kind", TRAINED)
def test_one_output_has_the_parameters_of_old_and_several_widen_the_head_alone(kind):
    shapes = [
        jax.eval_shape(build(kind, outputs=outputs).init, jax.random.key(0), Inputs(past=make_past()))["params"]
        for outputs in (1, 3)
    ]
    one, three = ({**jax.tree.map(jnp.shape, tree)} for tree in shapes)
    (wide,), head = one["head"]["bias"], three.pop("head")
    assert one["head"] == {"bias": (wide,), "kernel": (one["head"]["kernel"][0], wide)}
    assert wide == HORIZON
    assert head == {"bias": (3 * wide,), "kernel": (one.pop("head")["kernel"][0], 3 * wide)}
    assert one == three


@pytest.mark.parametrize("case", [(kind, {}) for kind in TRAINED] + [("transformer", {"channels": "separate"})])
def test_outputs_stand_behind_their_step_and_target(case):
    """A forecast of biases alone: each unit of the head has its place; separate channels share their units."""
    kind, mode = case
    inputs, targets = Inputs(past=make_past()), 2
    model = build(kind, targets=targets, outputs=3, normalise="last", **mode)
    shapes = jax.eval_shape(model.init, jax.random.key(0), inputs)["params"]
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    own = 1 if mode else targets
    params["head"]["bias"] = jnp.arange(HORIZON * own * 3, dtype=jnp.float32)
    expected = np.broadcast_to(np.arange(HORIZON * own * 3).reshape(HORIZON, own, 3), (HORIZON, targets, 3))
    last = np.asarray(inputs.past)[:, -1, :targets]
    np.testing.assert_array_equal(model.apply({"params": params}, inputs), expected + last[:, None, :, None])


class Normed(nn.Module):
    """A user's own module, with batch statistics."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(inputs.past[..., 0]))
        return nn.Dense(HORIZON)(nn.relu(x))[..., None]


def test_batch_statistics_of_a_users_module_move_with_training():
    targets = jnp.ones((BATCH, HORIZON, 1))
    batch = Batch(Inputs(past=make_past()), targets, jnp.ones_like(targets))
    model, tx = Normed(), optax.adam(1e-2)
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    statistics = state.collections["batch_stats"]["BatchNorm_0"]
    np.testing.assert_array_equal(statistics["mean"], np.zeros(8))
    dense = state.params["Dense_0"]
    hidden = np.asarray(batch.inputs.past[..., 0] @ dense["kernel"] + dense["bias"], np.float64)

    step = jax.jit(make_train_step(model, mse, tx))
    once, first = step(state, batch)
    moved = once.collections["batch_stats"]["BatchNorm_0"]
    close(moved["mean"], 0.01 * hidden.mean(0))
    close(moved["var"], 0.99 + 0.01 * hidden.var(0))
    for _ in range(20):
        once, last = step(once, batch)
    assert last["loss"].value < first["loss"].value
