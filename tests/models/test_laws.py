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
from tolerances import FLOAT32

from gym_jax import laws
from gym_jax.laws import BATCH, CONTEXT, HORIZON, make_mask, make_past
from gym_jax.losses import mse
from gym_jax.models import MODELS
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs

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


MAKES = {kind: functools.partial(MODELS[kind].module, **SETTINGS.get(kind, {})) for kind in KINDS}
"""What makes a model of each kind: with small settings, the fields of the task to be given."""


def build(kind, **settings):
    return MAKES[kind](horizon=HORIZON, **settings)


def started(kind, outputs=1, **given):
    """A model, its variables and its compiled forecast."""
    return laws.started(MAKES[kind], outputs, **given)


def close(got, expected, tolerance=FLOAT32):
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@each_answering
@pytest.mark.parametrize(("targets", "channels"), [(1, 1), (2, 3)])
def test_the_forecast_is_finite_and_has_a_value_per_row_step_and_target(kind, outputs, targets, channels):
    laws.forecast_is_finite(MAKES[kind], outputs=outputs, targets=targets, channels=channels)


@each_answering
def test_compiled_and_eager_agree(kind, outputs):
    laws.compiled_is_eager(MAKES[kind], outputs=outputs)


@each_answering
def test_a_row_depends_on_itself_only(kind, outputs):
    laws.row_is_alone(MAKES[kind], outputs=outputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalise", ["none", "last", "standard"])
def test_what_lies_under_the_mask_has_no_influence(kind, normalise):
    laws.masked_is_unseen(MAKES[kind], normalise=normalise)


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
    laws.dropout_is_of_training(MAKES[kind])


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
    laws.overfits_one_batch(MAKES[kind], outputs=outputs, dtype=dtype)


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
