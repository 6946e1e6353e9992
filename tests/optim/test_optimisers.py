import doctest

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import FLOAT32, FLOAT64

import gym_jax.optim
from gym_jax.config.derive import schema_of
from gym_jax.optim import (
    OPTIMISERS,
    adafactor,
    adam,
    adamw,
    clipped,
    frozen,
    lamb,
    lion,
    matrices,
    muon,
    nadamw,
    rescalable,
    schedule_free,
    sgd,
)
from gym_jax.optim.optimisers import orthogonal
from gym_jax.train.average import evaluation_params
from gym_jax.types import TrainState

LR, STEPS = 0.1, 3
RANDOM = np.random.default_rng(0)
START = {"kernel": RANDOM.normal(size=(2, 3)), "bias": RANDOM.normal(size=3)}
GRADIENTS = [{name: RANDOM.normal(size=leaf.shape) for name, leaf in START.items()} for _ in range(STEPS)]


def follow(tx, start=START, gradients=GRADIENTS):
    """Three steps down the same gradients, in float64: in float32 Adam's `1 - b2 ** t` cancels to five digits."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, start)
        state, update = tx.init(params), jax.jit(tx.update)
        for gradient in gradients:
            updates, state = update(jax.tree.map(jnp.asarray, gradient), state, params)
            params = optax.apply_updates(params, updates)
    assert all(leaf.dtype == np.float64 for leaf in params.values())
    return params, state


def judged(opt_state, params):
    """The parameters that judge, of a state that holds these."""
    return evaluation_params(TrainState(0, params, opt_state, None, {}, ()))


def descend(tx, start=START, gradients=GRADIENTS):
    return follow(tx, start, gradients)[0]


def assert_same(params, expected):
    assert set(params) == set(expected)
    for name, leaf in expected.items():
        np.testing.assert_allclose(params[name], leaf, rtol=0, atol=FLOAT64 * np.abs(leaf).max())


def true_descent(direction, *, decay=0.0, start=START, gradients=GRADIENTS):
    """Parameters after `w -= LR * (direction(name, leaf)(t, gradient, w) + decay * w)`, matrices alone decayed."""
    params = {name: leaf.copy() for name, leaf in start.items()}
    for name, leaf in start.items():
        ahead = direction(name, leaf)
        for t, gradient in enumerate(gradients, start=1):
            w = params[name]
            params[name] = w - LR * (ahead(t, gradient[name], w) + (decay if leaf.ndim > 1 else 0.0) * w)
    return params


def true_adam(*, b1=0.9, b2=0.999, eps=1e-8, decay=0.0, nesterov=False, **data):
    """Kingma and Ba's algorithm 1 with Loshchilov and Hutter's decay; with Nesterov, Dozat's algorithm 8.

    Dozat weighs the gradient with today's correction and the momentum with tomorrow's.
    """

    def direction(name, leaf):
        return adam_of(b1=b1, b2=b2, eps=eps, nesterov=nesterov)

    return true_descent(direction, decay=decay, **data)


def adam_of(*, b1, b2, eps, nesterov=False):
    first = second = 0.0

    def ahead(t, g, w):
        nonlocal first, second
        first = b1 * first + (1 - b1) * g
        second = b2 * second + (1 - b2) * g**2
        mean = first / (1 - b1**t)
        if nesterov:
            mean = b1 * first / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return mean / (np.sqrt(second / (1 - b2**t)) + eps)

    return ahead


def true_sgd(*, momentum=0.0, nesterov=False, decay=0.0, **data):
    """Sutskever et al. 2013 with the decay of SGDW, Loshchilov and Hutter's algorithm 1."""

    def direction(name, leaf):
        trace = 0.0

        def ahead(t, g, w):
            nonlocal trace
            trace = g + momentum * trace
            return g + momentum * trace if nesterov else trace

        return ahead

    return true_descent(direction, decay=decay, **data)


def true_lion(*, b1=0.9, b2=0.99, decay=1e-3, **data):
    """Chen et al.'s algorithm 2."""

    def direction(name, leaf):
        momentum = 0.0

        def ahead(t, g, w):
            nonlocal momentum
            sign = np.sign(b1 * momentum + (1 - b1) * g)
            momentum = b2 * momentum + (1 - b2) * g
            return sign

        return ahead

    return true_descent(direction, decay=decay, **data)


def true_lamb(*, b1=0.9, b2=0.999, eps=1e-6, decay=1e-4, **data):
    """You et al.'s algorithm 2, with phi the identity; the decay is inside the norm, vectors keep Adam's step."""

    def direction(name, leaf):
        adam_step = adam_of(b1=b1, b2=b2, eps=eps)

        def ahead(t, g, w):
            step = adam_step(t, g, w)
            if w.ndim == 1:
                return step
            step = step + decay * w
            return np.sqrt((w**2).sum()) / np.sqrt((step**2).sum()) * step

        return ahead

    return true_descent(direction, **data)


def true_adafactor(*, forget=0.8, clipping=1.0, relative=False, factored=128, decay=0.0, **data):
    """Shazeer and Stern's algorithms 4 (matrices) and 5 (vectors) with the paper's section 8 for the rest."""

    def rms(x):
        return np.sqrt((x**2).mean())

    def direction(name, leaf):
        row = column = full = 0.0

        def ahead(t, g, w):
            nonlocal row, column, full
            share, squared = 1 - t**-forget, g**2 + 1e-30
            if w.ndim == 2 and min(w.shape) >= factored:
                row = share * row + (1 - share) * squared.sum(1)
                column = share * column + (1 - share) * squared.sum(0)
                second = np.outer(row, column) / row.sum()
            else:
                full = second = share * full + (1 - share) * squared
            step = g / np.sqrt(second)
            step = step / max(1, rms(step) / clipping)
            return (max(1e-3, rms(w)) if relative else 1) * step

        return ahead

    return true_descent(direction, decay=decay, **data)


def true_muon(*, momentum=0.95, rms=0.2, b1=0.9, b2=0.999, eps=1e-8, decay=1e-4, kept=(), **data):
    """Jordan et al.'s algorithm with Nesterov's momentum, scaled as by Liu et al. (equation 4); AdamW for the rest."""

    def direction(name, leaf):
        if leaf.ndim != 2 or name in kept:
            return adam_of(b1=b1, b2=b2, eps=eps)
        trace = 0.0

        def ahead(t, g, w):
            nonlocal trace
            trace = momentum * trace + g
            x = g + momentum * trace
            x = x / (np.sqrt((x**2).sum()) + 1e-7)
            if w.shape[0] > w.shape[1]:
                x = x.T
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            return rms * np.sqrt(max(w.shape)) * (x.T if w.shape[0] > w.shape[1] else x)

        return ahead

    return true_descent(direction, decay=decay, **data)


def true_schedule_free(*, b1=0.9, b2=0.999, eps=1e-8, decay=1e-4, rates=(LR,) * STEPS, gradients=GRADIENTS):
    """Defazio et al.'s algorithm 1: the point y of each gradient, and the average x."""
    trained, averaged = {}, {}
    for name, start in START.items():
        x = z = y = start
        second = weights = 0.0
        for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=False), start=1):
            g = gradient[name]
            second = b2 * second + (1 - b2) * g**2
            step = g / (np.sqrt(second / (1 - b2**t)) + eps)
            z = z - rate * (step + (decay if start.ndim > 1 else 0.0) * y)
            weights += rate**2
            share = rate**2 / weights
            x = (1 - share) * x + share * z
            y = (1 - b1) * z + b1 * x
        trained[name], averaged[name] = y, x
    return trained, averaged


TALL = {"kernel": RANDOM.normal(size=(5, 2)), "bias": RANDOM.normal(size=2)}
TALL_DATA = {"start": TALL, "gradients": [{k: RANDOM.normal(size=v.shape) for k, v in TALL.items()} for _ in range(3)]}
TRUTHS = {
    "adam": (adam(LR), true_adam()),
    "adam by other rates": (adam(LR, b1=0.5, b2=0.9, eps=0.1), true_adam(b1=0.5, b2=0.9, eps=0.1)),
    "adamw decays a little": (adamw(LR), true_adam(decay=1e-4)),
    "adamw decays kernels only": (adamw(LR, weight_decay=0.3), true_adam(decay=0.3)),
    "nadamw": (nadamw(LR), true_adam(nesterov=True, decay=1e-4)),
    "nadamw by other rates": (
        nadamw(LR, b1=0.5, b2=0.9, eps=0.1, weight_decay=0.3),
        true_adam(nesterov=True, b1=0.5, b2=0.9, eps=0.1, decay=0.3),
    ),
    "sgd": (sgd(LR), true_sgd()),
    "sgd with momentum": (sgd(LR, momentum=0.9), true_sgd(momentum=0.9)),
    "sgd of Nesterov": (sgd(LR, momentum=0.9, nesterov=True), true_sgd(momentum=0.9, nesterov=True)),
    "sgd decays beside its momentum": (
        sgd(LR, momentum=0.9, weight_decay=0.3),
        true_sgd(momentum=0.9, decay=0.3),
    ),
    "lion": (lion(LR), true_lion()),
    "lion by other rates": (lion(LR, b1=0.3, b2=0.6, weight_decay=0.3), true_lion(b1=0.3, b2=0.6, decay=0.3)),
    "lamb": (lamb(LR), true_lamb()),
    "lamb by other rates": (
        lamb(LR, b1=0.5, b2=0.9, eps=0.1, weight_decay=0.3),
        true_lamb(b1=0.5, b2=0.9, eps=0.1, decay=0.3),
    ),
    "adafactor": (adafactor(LR), true_adafactor()),
    "adafactor by rows and columns": (adafactor(LR, factored=2), true_adafactor(factored=2)),
    "adafactor of a tall matrix": (adafactor(LR, factored=2), true_adafactor(factored=2, **TALL_DATA), TALL_DATA),
    "adafactor by other rates": (
        adafactor(LR, decay=0.5, clipping=1.2, step="relative", factored=2, weight_decay=0.3),
        true_adafactor(forget=0.5, clipping=1.2, relative=True, factored=2, decay=0.3),
    ),
    "muon": (muon(LR), true_muon()),
    "muon of a tall matrix": (muon(LR), true_muon(**TALL_DATA), TALL_DATA),
    "muon by other rates": (
        muon(LR, momentum=0.5, rms=1.0, b1=0.5, b2=0.9, eps=0.1, weight_decay=0.3),
        true_muon(momentum=0.5, rms=1.0, b1=0.5, b2=0.9, eps=0.1, decay=0.3),
    ),
    "muon leaves a kernel to adamw": (muon(LR, adam=("kern*",)), true_muon(kept=("kernel",))),
    "schedule_free": (schedule_free(LR), true_schedule_free()[0]),
    "schedule_free by other rates": (
        schedule_free(LR, b1=0.5, b2=0.9, eps=0.1, weight_decay=0.3),
        true_schedule_free(b1=0.5, b2=0.9, eps=0.1, decay=0.3)[0],
    ),
}
TRUE_FUNCTIONS = {
    "adamw": lambda **data: true_adam(decay=1e-4, **data),
    "adam": true_adam,
    "nadamw": lambda **data: true_adam(nesterov=True, decay=1e-4, **data),
    "sgd": true_sgd,
    "lion": true_lion,
    "lamb": true_lamb,
    "adafactor": true_adafactor,
    "muon": true_muon,
    "schedule_free": lambda **data: true_schedule_free(**data)[0],
}


@pytest.mark.parametrize("case", TRUTHS.values(), ids=TRUTHS)
def test_three_steps_are_those_of_the_paper(case):
    tx, expected, *data = case
    assert_same(descend(tx, **(data[0] if data else {})), expected)


def test_every_optimiser_has_a_truth():
    assert {case.split()[0] for case in TRUTHS} == set(OPTIMISERS) == set(TRUE_FUNCTIONS)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_follows_a_schedule(name):
    """A rate that falls to nothing after one step leaves the parameters of one step."""
    params = descend(OPTIMISERS[name](lambda step: jnp.where(step < 1, LR, 0.0)))
    assert_same(params, TRUE_FUNCTIONS[name](gradients=GRADIENTS[:1]))


def test_the_average_weighs_each_step_by_the_rate_of_that_step():
    rates = (0.02, 0.1, 0.3)
    params, state = follow(schedule_free(lambda step: jnp.array(rates)[step]))
    trained, averaged = true_schedule_free(rates=rates)
    assert_same(params, trained)
    with jax.enable_x64(True):
        assert_same(judged(state, params), averaged)


def test_evaluation_params_are_the_average_wherever_the_state_is_nested():
    with jax.enable_x64(True):
        tx = frozen(clipped(rescalable(schedule_free(LR)), 1e9), ["bias"])
        params, state = follow(tx)
        averaged = judged(state, params)
    np.testing.assert_array_equal(averaged["bias"], START["bias"])
    np.testing.assert_allclose(averaged["kernel"], true_schedule_free()[1]["kernel"], rtol=FLOAT64)


@pytest.mark.parametrize("name", [name for name in OPTIMISERS if name != "schedule_free"])
def test_evaluation_params_of_other_optimisers_are_the_parameters(name):
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}
    assert judged(OPTIMISERS[name](LR).init(params), params) is params


@pytest.mark.parametrize("name", [name for name in OPTIMISERS if "weight_decay" in OPTIMISERS[name].__kwdefaults__])
def test_weight_decay_shrinks_matrices_and_never_biases(name):
    """Without a gradient only the decay moves anything; a bias of two dimensions is a bias."""
    start = {"kernel": np.ones((2, 2)), "bias": np.ones((2, 2)), "scale": np.ones(2)}
    none = [jax.tree.map(np.zeros_like, start)]
    params = descend(OPTIMISERS[name](LR, weight_decay=0.5), start, none)
    np.testing.assert_array_equal(params["bias"], 1)
    np.testing.assert_array_equal(params["scale"], 1)
    if name == "lamb":  # the step of a matrix is as long as the matrix
        np.testing.assert_allclose(params["kernel"], 1 - LR, rtol=FLOAT64)
    else:
        np.testing.assert_allclose(params["kernel"], 1 - LR * 0.5, rtol=FLOAT64)


def test_matrices_are_told_by_dimensions_and_name():
    params = {"layer": {"kernel": np.ones((2, 2)), "bias": np.ones((2, 2))}, "norm": {"scale": np.ones(2)}}
    assert matrices(params) == {"layer": {"kernel": True, "bias": False}, "norm": {"scale": False}}
    assert matrices([np.ones((2, 2)), np.ones(2)]) == [True, False]


def test_a_bias_at_zero_grows_under_lamb():
    """With a step as long as the bias itself it would stay near the first step's 0.1 x 1 for ever."""
    start = {"kernel": np.ones((2, 2)), "bias": np.zeros(2)}
    params = descend(lamb(LR), start, [jax.tree.map(np.ones_like, start)] * 3)
    np.testing.assert_allclose(params["bias"], -0.3, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (20, 20), (1, 7)])
def test_muon_makes_singular_values_equal_within_the_band_of_its_coefficients(shape):
    x = np.random.default_rng(3).normal(size=shape)
    values = np.linalg.svd(np.asarray(orthogonal(jnp.asarray(x, jnp.float32))), compute_uv=False)
    assert values.min() > 0.65
    assert values.max() < 1.25


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_adamw():
    shapes = {
        "layer_0": {"cell": {"recurrent_kernel": (2, 8), "bias": (8,)}, "bias": (3, 2)},
        "block_0": {"attention": {"out": {"kernel": (2, 2)}, "query": {"kernel": (2, 2, 2)}}},
        "embed": {"kernel": (2, 2)},
        "embed_side": {"kernel": (2, 2)},
        "position": (3, 2),
        "side": {"category_0": (3, 2)},
        "decoder": {"state": {"kernel": (2, 2)}, "bias": (4, 2)},
        "head": {"kernel": (2, 2), "bias": (2,)},
        "norm": {"scale": (2,)},
    }
    params = jax.tree.map(jnp.ones, shapes, is_leaf=lambda node: isinstance(node, tuple))
    inner = muon(LR).init(params).inner_states
    traces = jax.tree_util.tree_leaves_with_path(inner["muon"])
    names = {jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in traces if leaf.ndim}
    assert {name.split("trace/")[-1] for name in names} == {
        "layer_0/cell/recurrent_kernel",
        "block_0/attention/out/kernel",
    }
    sizes = sum(leaf.size for leaf in jax.tree.leaves(params))
    kept = [leaf for leaf in jax.tree.leaves(inner["adamw"]) if leaf.ndim]
    assert sum(leaf.size for leaf in kept) == 2 * (sizes - 16 - 4)


def small(name, **settings):
    params = {"kernel": jnp.asarray(START["kernel"], jnp.float32), "bias": jnp.asarray(START["bias"], jnp.float32)}
    gradient = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), GRADIENTS[0])
    return OPTIMISERS[name](LR, **settings), params, gradient


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_state_is_arrays_only_and_a_rebuilt_optimiser_compiles_nothing(name):
    tx, params, gradient = small(name)
    state, traces = tx.init(params), []

    @jax.jit
    def update(gradient, state, params):
        traces.append(name)
        return tx.update(gradient, state, params)

    updates, after = update(gradient, state, params)
    rebuilt = OPTIMISERS[name](LR).init(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    assert jax.tree.structure(rebuilt) == jax.tree.structure(state) == jax.tree.structure(after)
    update(gradient, rebuilt, params)
    update(gradient, after, optax.apply_updates(params, updates))
    assert len(traces) == 1


@pytest.mark.parametrize("name", OPTIMISERS)
def test_three_steps_are_the_same_by_scan_and_for_a_member_of_many(name):
    tx = OPTIMISERS[name](LR)

    def run(params, gradients):
        def body(carry, gradient):
            params, state = carry
            updates, state = tx.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(body, (params, tx.init(params)), gradients)[0][0]

    with jax.enable_x64(True):
        gradients = jax.tree.map(lambda *leaves: jnp.stack(leaves), *GRADIENTS)
        alone = jax.jit(run)(jax.tree.map(jnp.asarray, START), gradients)
        members = jax.tree.map(lambda leaf: jnp.stack([leaf + 1, leaf, leaf - 1]), START)
        many = jax.jit(jax.vmap(run, in_axes=(0, None)))(members, gradients)
    assert_same(alone, descend(tx))
    assert_same(jax.tree.map(lambda leaf: leaf[1], many), alone)


@pytest.mark.parametrize("size", [0.0, 1e-12, 1.0, 1e12])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_in_float32_are_finite_whatever_the_gradient(name, size):
    """Also from parameters of zero, and from a gradient of nothing."""
    tx, params, gradient = small(name)
    for start in (params, jax.tree.map(jnp.zeros_like, params)):
        state, now, scaled = tx.init(start), start, jax.tree.map(lambda leaf: size * leaf, gradient)
        for _ in range(3):
            updates, state = tx.update(scaled, state, now)
            now = optax.apply_updates(now, updates)
        assert all(jnp.isfinite(leaf).all() and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((now, updates)))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_descends(name):
    tx = OPTIMISERS[name](0.1)
    _, params, _ = small(name)

    def cost(params):
        return sum(jnp.square(leaf - 0.3).sum() for leaf in jax.tree.leaves(params))

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.grad(cost)(params), state, params)
        return optax.apply_updates(params, updates), state

    now, state = params, tx.init(params)
    for _ in range(100):
        now, state = step(now, state)
    assert cost(judged(state, now)) < 0.1 * cost(params)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_configuration_derives_from_the_signature(name):
    settings = schema_of(name, OPTIMISERS[name])().model_dump(exclude={"kind"})
    assert settings == OPTIMISERS[name].__kwdefaults__


def test_clipping_scales_the_whole_gradient_to_the_norm_by_hand():
    gradient = {"kernel": jnp.array([[3.0, 0.0]]), "bias": jnp.array([4.0])}

    def updates(norm):
        tx = clipped(sgd(1.0), norm)
        return tx.update(gradient, tx.init(gradient), gradient)[0]

    for norm, share in ((1.0, 0.2), (2.5, 0.5), (5.0, 1.0), (10.0, 1.0), (None, 1.0)):
        np.testing.assert_allclose(updates(norm)["kernel"], [[-3 * share, 0]], rtol=FLOAT32)
        np.testing.assert_allclose(updates(norm)["bias"], [-4 * share], rtol=FLOAT32)


def test_the_example_of_the_package_runs():
    result = doctest.testmod(gym_jax.optim)
    assert result.attempted >= 8
    assert result.failed == 0
