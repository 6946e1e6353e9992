"""The range test: known curvature, noise, nothing to learn, divergence; and it leaves everything as it was."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import MODELS, small_windows
from tolerances import FLOAT32

from gym_jax import losses
from gym_jax.data import shuffled
from gym_jax.optim import adamw, clipped
from gym_jax.train import find_rate as module
from gym_jax.train.compile import jit
from gym_jax.train.find_rate import find_rate, judge
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs, Mean

ROWS, FEATURES = 512, 8


class Flat(nn.Module):
    """A linear model that starts at zero."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        w = self.param("w", nn.initializers.zeros, (inputs.past.shape[1],))
        return (inputs.past[:, :, 0] @ w)[:, None, None]


@jax.tree_util.register_pytree_node_class
class Table:
    """Rows of a regression as examples."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def take(self, indices):
        weights = jnp.where(indices >= 0, 1.0, 0.0)[:, None, None]
        return Batch(Inputs(past=self.x[indices][..., None]), self.y[indices][:, None, None], weights)

    def __len__(self):
        return len(self.x)

    def tree_flatten(self):
        return (self.x, self.y), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


def regression(seed, noise, slopes=1.0):
    """The examples, their order, and the curvature of the mean squared error: its largest eigenvalue."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(ROWS, FEATURES))
    y = x @ (slopes * generator.normal(size=FEATURES)) + noise * generator.normal(size=ROWS)
    table = Table(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    return table, shuffled(seed, 0, ROWS, 32), 2 * np.linalg.eigvalsh(x.T @ x / ROWS).max()


def tried(table, order, make_tx=optax.sgd, loss=losses.mse, **settings):
    state = init_state(Flat(), make_tx(lambda count: 1.0), jax.random.key(0), table.take(jnp.arange(2)).inputs)
    return find_rate(functools.partial(make_train_step, Flat(), loss), make_tx, state, table, order, **settings)


@pytest.mark.parametrize("curvature", [0.02, 1.0, 300.0])
def test_on_a_quadratic_the_suggestion_is_known_to_the_curvature(curvature):
    # one row (x, y): the loss (w x - y)^2 has second derivative 2 x^2
    x = np.sqrt(curvature / 2)
    table, order = Table(jnp.full((4, 1), x), jnp.full((4,), x)), np.arange(4)[None]
    trial = tried(table, order, lowest=1e-6 / curvature, highest=100 / curvature)
    assert 0.01 / curvature < trial.suggestion < 2 / curvature
    assert trial.reason.startswith(("where the loss falls fastest", "a tenth of"))
    assert trial.rates[trial.diverged_at] > 2 / curvature
    np.testing.assert_allclose(trial.losses[0], x**2, rtol=FLOAT32)
    # the first steps by hand: the error shrinks by 1 - rate * curvature each time
    left = np.cumprod(1 - trial.rates * curvature)[:60]
    np.testing.assert_allclose(trial.losses[1:61], x**2 * left**2, rtol=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("highest", [1.0, 1e3])
def test_on_noisy_regression_too(noise, seed, highest):
    table, order, curvature = regression(seed, noise)
    trial = tried(table, order, highest=highest)
    assert 0.01 / curvature < trial.suggestion < 2 / curvature
    assert (trial.diverged_at is None) == (highest == 1.0)


def test_what_remains_is_one_and_no_noise_while_the_rate_does_nothing():
    table, order, _ = regression(0, 2.0)
    trial = tried(table, order)
    assert trial.losses[:30].std() > 1
    np.testing.assert_allclose(trial.remaining[:30], 1, atol=1e-4)


def test_the_smoothed_loss_by_hand():
    moved = Mean(np.array([4.0, 6.0, 0.0, 1.0] + [1.0] * 8), np.array([2.0, 2.0, 0.0, 1.0] + [1.0] * 8))
    trial = judge(np.geomspace(1e-3, 1, 12), moved, moved, smoothing=0.5)
    # totals and counts fade alike, so a batch without weight says nothing and a small one little
    np.testing.assert_allclose(
        trial.smoothed[:4],
        [2, (4 / 2 + 6) / (2 / 2 + 2), (4 / 4 + 6 / 2) / (2 / 4 + 2 / 2), (4 / 8 + 6 / 4 + 1) / (2 / 8 + 2 / 4 + 1)],
    )
    assert np.isnan(trial.losses[2])
    assert trial.diverged_at is None


@pytest.mark.parametrize(
    ("make_tx", "slopes"), [(lambda schedule: optax.set_to_zero(), 1.0), (optax.sgd, 0.0)], ids=["frozen", "flat"]
)
def test_without_anything_to_gain_nothing_is_suggested(make_tx, slopes):
    table, order, _ = regression(0, 0.5 if slopes else 0.0, slopes)
    loss = losses.mse if slopes else lambda prediction, target: losses.mse(prediction, target) + 1
    trial = tried(table, order, make_tx, loss)
    assert trial.suggestion is None
    assert "falls by less than 0.1% at all rates up to 1" in trial.reason


def test_rates_too_low_to_see_are_said_to_be():
    table, order, _ = regression(0, 0.5)
    assert "up to 1e-06" in tried(table, order, highest=1e-6).reason
    assert tried(table, order, highest=0.1).reason == "where the loss falls fastest; it still falls at the highest rate"


def test_what_comes_after_divergence_is_ignored():
    rates = np.geomspace(1e-4, 1, 40)
    curve = np.concatenate([np.ones(20), np.linspace(1, 0.2, 10), np.full(10, np.nan)])
    ones = np.ones(40)
    whole = judge(rates, Mean(curve, ones), Mean(ones, ones), smoothing=0.5)
    assert whole.diverged_at == 30
    assert np.isnan(whole.smoothed[30:]).all()
    assert np.isfinite(whole.smoothed[:30]).all()
    assert rates[20] <= whole.suggestion <= rates[29]
    for tail in (np.inf, 1e30, 5.0):
        other = judge(rates, Mean(np.where(np.isnan(curve), tail, curve), ones), Mean(ones, ones), smoothing=0.5)
        assert other.suggestion == whole.suggestion
        assert other.diverged_at >= 30
        assert np.isnan(other.smoothed[other.diverged_at :]).all()


def test_a_loss_that_only_falls_at_once_gets_a_tenth_of_that_rate():
    rates, ones = np.geomspace(1e-4, 1, 20), np.ones(20)
    trial = judge(rates, Mean(np.where(np.arange(20) == 1, 0.5, 1.0), ones), Mean(ones, ones), smoothing=0.0)
    assert trial.suggestion == pytest.approx(rates[1] / 10)
    assert trial.reason.startswith("a tenth of")


def test_a_loss_that_is_no_number_gets_no_suggestion():
    rates, ones = np.geomspace(1e-4, 1, 20), np.ones(20)
    trial = judge(rates, Mean(ones * np.nan, ones), Mean(ones * np.nan, ones))
    assert trial.suggestion is None
    assert trial.diverged_at == 0
    assert "not a finite number" in trial.reason


def test_a_loss_below_zero_is_judged_by_its_differences():
    rates, ones = np.geomspace(1e-4, 1, 40), np.ones(40)
    curve = np.concatenate([ones[:20], np.linspace(1, 0.2, 10), ones[:10] * 0.2])
    plain = judge(rates, Mean(curve, ones), Mean(ones, ones))
    shifted = judge(rates, Mean(curve - 3, ones), Mean(ones - 3, ones))
    assert shifted.suggestion == plain.suggestion


def test_a_model_with_dropout_trains_well_at_the_suggestion():
    model, examples = MODELS["mlp"], small_windows()
    order = shuffled(0, 0, len(examples), 16)
    make_tx = lambda schedule: clipped(adamw(schedule), 1.0)  # noqa: E731 - it is handed over as a value
    state = init_state(model, make_tx(1.0), jax.random.key(0), examples.take(jnp.arange(2)).inputs, ema=0.9)
    before = jax.device_get(state._replace(key=None))
    step_for = functools.partial(make_train_step, model, losses.mae, accumulate=2, ema=0.9)
    trial = find_rate(step_for, make_tx, state, examples, order)
    again = find_rate(step_for, make_tx, state, examples, order)
    chex.assert_trees_all_equal(trial, again)
    np.testing.assert_allclose(trial.remaining[:30], 1, atol=1e-3)
    chex.assert_trees_all_equal(jax.device_get(state._replace(key=None)), before)

    def final(rate):
        step, epochs = step_for(make_tx(rate)), jnp.concatenate([order] * 8)
        _, metrics = jax.jit(lambda s: jax.lax.scan(lambda s, i: step(s, examples.take(i)), s, epochs))(state)
        return float(metrics["loss"].value[-len(order) :].mean())

    assert final(trial.suggestion) < min(final(trial.suggestion * 100), final(trial.suggestion / 100))


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 1.0}, {"steps": 9}, {"smoothing": 1.0}])
def test_settings_out_of_range_are_refused(wrong):
    table, order, _ = regression(0, 0.0)
    with pytest.raises(ValueError, match="a range test needs"):
        tried(table, order, **wrong)


def test_it_is_compiled_safely(monkeypatch):
    made = []

    def seen(function):
        made.append(function)
        return jit(function)

    monkeypatch.setattr(module, "jit", seen)
    tried(*regression(0, 0.1)[:2], steps=10)
    assert len(made) == 1
