import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import FLOAT32, FLOAT64

from gym_jax.optim import OPTIMISERS, SCHEDULES, adam, adamw, clipped, constant, sgd, warmup_cosine

LR, STEPS = 0.1, 3
RANDOM = np.random.default_rng(0)
START = {"kernel": RANDOM.normal(size=(2, 3)), "bias": RANDOM.normal(size=3)}
GRADIENTS = [{name: RANDOM.normal(size=leaf.shape) for name, leaf in START.items()} for _ in range(STEPS)]


def descend(tx):
    """Three steps down the same gradients, in float64: in float32 Adam's `1 - b2 ** t` cancels to five digits."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, START)
        state, update = tx.init(params), jax.jit(tx.update)
        for gradient in GRADIENTS:
            updates, state = update(gradient, state, params)
            params = optax.apply_updates(params, updates)
    assert all(leaf.dtype == np.float64 for leaf in params.values())
    return params


def true_adam(*, b1=0.9, b2=0.999, eps=1e-8, decay, gradients=GRADIENTS):
    """Kingma and Ba's algorithm 1 with Loshchilov and Hutter's decay, `decay` by leaf, in float64."""
    params = dict(START)
    for name in params:
        first = second = 0.0
        for t, gradient in enumerate(gradients, start=1):
            first = b1 * first + (1 - b1) * gradient[name]
            second = b2 * second + (1 - b2) * gradient[name] ** 2
            step = (first / (1 - b1**t)) / (np.sqrt(second / (1 - b2**t)) + eps)
            params[name] = params[name] - LR * (step + decay[name] * params[name])
    return params


def true_sgd(*, momentum=0.0, nesterov=False, gradients=GRADIENTS):
    params = dict(START)
    for name in params:
        trace = 0.0
        for gradient in gradients:
            trace = gradient[name] + momentum * trace
            params[name] = params[name] - LR * (gradient[name] + momentum * trace if nesterov else trace)
    return params


DECAY = {"adam": {"kernel": 0.0, "bias": 0.0}, "adamw": {"kernel": 1e-4, "bias": 0.0}}
"""The defaults."""
TRUTHS = {
    "adam": (adam(LR), true_adam(decay=DECAY["adam"])),
    "adam by other rates": (adam(LR, b1=0.5, b2=0.9, eps=0.1), true_adam(b1=0.5, b2=0.9, eps=0.1, decay=DECAY["adam"])),
    "adamw decays a little": (adamw(LR), true_adam(decay=DECAY["adamw"])),
    "adamw decays kernels only": (adamw(LR, weight_decay=0.3), true_adam(decay={"kernel": 0.3, "bias": 0.0})),
    "sgd": (sgd(LR), true_sgd()),
    "sgd with momentum": (sgd(LR, momentum=0.9), true_sgd(momentum=0.9)),
    "sgd of Nesterov": (sgd(LR, momentum=0.9, nesterov=True), true_sgd(momentum=0.9, nesterov=True)),
}


@pytest.mark.parametrize(("tx", "expected"), TRUTHS.values(), ids=TRUTHS)
def test_three_steps_are_those_of_the_paper(tx, expected):
    params = descend(tx)
    for name in START:
        np.testing.assert_allclose(params[name], expected[name], rtol=0, atol=FLOAT64 * np.abs(expected[name]).max())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_follows_a_schedule(name):
    """A rate that falls to nothing after one step leaves the parameters of one step."""
    params = descend(OPTIMISERS[name](lambda step: jnp.where(step < 1, LR, 0.0)))
    expected = {"sgd": true_sgd, "adam": true_adam, "adamw": true_adam}[name](
        gradients=GRADIENTS[:1], **({} if name == "sgd" else {"decay": DECAY[name]})
    )
    for leaf in START:
        np.testing.assert_allclose(params[leaf], expected[leaf], rtol=0, atol=FLOAT64 * np.abs(expected[leaf]).max())


def test_clipping_scales_the_whole_gradient_to_the_norm_by_hand():
    gradient = {"kernel": jnp.array([[3.0, 0.0]]), "bias": jnp.array([4.0])}

    def updates(norm):
        tx = clipped(sgd(1.0), norm)
        return tx.update(gradient, tx.init(gradient), gradient)[0]

    for norm, share in ((1.0, 0.2), (2.5, 0.5), (5.0, 1.0), (10.0, 1.0), (None, 1.0)):
        np.testing.assert_allclose(updates(norm)["kernel"], [[-3 * share, 0]], rtol=FLOAT32)
        np.testing.assert_allclose(updates(norm)["bias"], [-4 * share], rtol=FLOAT32)


def closed_formula(step, *, peak, steps, rise, final):
    if step < rise:
        return peak * (step + 1) / rise
    gone = min((step - rise) / (steps - rise), 1)
    return peak * (final + (1 - final) * (1 + np.cos(np.pi * gone)) / 2)


@pytest.mark.parametrize(
    ("steps", "settings", "rise", "final"),
    [(200, {}, 10, 0.01), (200, {"warmup": 0.25, "final": 0.1}, 50, 0.1), (200, {"warmup": 0.0, "final": 0.0}, 1, 0.0)],
)
def test_warmup_cosine_is_its_closed_formula(steps, settings, rise, final):
    schedule = jax.jit(warmup_cosine(2.0, steps, **settings))
    for step in (0, 1, rise - 1, rise, rise + 1, (rise + steps) // 2, steps - 1, steps, 10 * steps):
        expected = closed_formula(step, peak=2.0, steps=steps, rise=rise, final=final)
        np.testing.assert_allclose(schedule(step), expected, rtol=FLOAT32, atol=FLOAT32 * 2)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_of_a_few_steps_is_finite_and_learns_at_once(name, steps):
    schedule = SCHEDULES[name](2.0, steps)
    rates = np.array([schedule(step) for step in range(steps)])
    assert np.isfinite(rates).all()
    assert rates[0] > 0
    assert rates.max() <= 2.0


def test_constant_is_the_peak_at_every_step():
    schedule = constant(0.3, 100)
    assert [schedule(step) for step in (0, 50, 1000)] == [0.3, 0.3, 0.3]
