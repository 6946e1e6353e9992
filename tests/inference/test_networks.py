"""Every network with NumPy and as a graph says what JAX says."""

import numpy as np
import pytest
from made_networks import QUICK, VARIANTS, made

from gym_jax.inference.model import TOLERANCE, apart, run_of_numpy, run_of_onnx
from gym_jax.inference.networks import NETWORKS
from gym_jax.inference.window import chosen, join, pad
from gym_jax.models import MODELS


def test_every_kind_of_model_has_a_network():
    assert set(NETWORKS) == set(MODELS)
    assert {kind for kind, _, _ in VARIANTS.values()} == set(MODELS)
    assert {VARIANTS[name][0] for name in QUICK} == set(MODELS)  # a new one is tried without -m slow, too


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_numpy_says_what_jax_says(name):
    settings, weights, window, wanted = made(name)
    run = run_of_numpy(settings, weights)
    assert apart(run(window), wanted) < TOLERANCE
    assert run(window).dtype == np.float32
    one = run(chosen(window, np.array([2])))
    np.testing.assert_allclose(one, wanted[2:3], atol=TOLERANCE, rtol=TOLERANCE)  # alone as among others
    assert apart(run(pad(window, 8))[:5], wanted) < TOLERANCE
    assert apart(run(join([window, window]))[5:], wanted) < TOLERANCE


@pytest.mark.extras
@pytest.mark.parametrize("name", VARIANTS)
def test_a_graph_says_what_jax_says_for_any_batch(name):
    settings, weights, window, wanted = made(name)
    run = run_of_onnx(settings, weights, chosen(window, np.arange(2)))
    assert apart(run(window), wanted) < TOLERANCE
    assert apart(run(chosen(window, np.array([3]))), wanted[3:4]) < TOLERANCE


def test_what_was_not_observed_is_not_looked_at():
    for name in ("mlp", "lstm, standard", "seasonal", "last, p95"):
        settings, weights, window, _ = made(name)
        run = run_of_numpy(settings, weights)
        odd = window._replace(past=np.where(window.mask, window.past, np.float32(np.nan)))
        np.testing.assert_array_equal(run(odd), run(window))


def test_three_numbers_by_hand():
    """Last value 3 taken out: (-2, -1, 0) times a kernel of ones is -3, and 3 back on it is 0."""
    from gym_jax.inference.window import Window

    past = np.array([1, 2, 3], np.float32).reshape(1, 3, 1)
    weights = {"head/kernel": np.ones((3, 1), np.float32), "head/bias": np.zeros(1, np.float32)}
    settings = {"kind": "linear", "horizon": 1, "targets": 1, "normalise": "last"}
    assert run_of_numpy(settings, weights)(Window(past, np.ones((1, 3, 1), bool))).ravel().tolist() == [0.0]
