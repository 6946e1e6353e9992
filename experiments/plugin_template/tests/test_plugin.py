"""The laws of gym_jax, and three numbers by hand. Run them once the package is installed: `pytest tests`."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from gym_jax_template.dataset import generate_spikes
from gym_jax_template.loss import expectile
from gym_jax_template.metric import wape
from gym_jax_template.model import DLinear, moving_average
from gym_jax_template.plot import load_duration
from gym_jax_template.policy import deviations

from gym_jax.allocate.usage import DAY, Workload
from gym_jax.laws import MODEL_LAWS, loss_is_elementwise, policy_is_blind
from gym_jax.metrics import measure

MAKE = functools.partial(DLinear, smooth=5)


@pytest.mark.parametrize("law", MODEL_LAWS)
def test_the_model_keeps(law):
    MODEL_LAWS[law](MAKE)


def test_the_average_repeats_the_ends():
    np.testing.assert_allclose(moving_average(jnp.array([3.0, 0.0, 6.0]), 3), [2, 3, 4])


def test_too_little_costs_four_times_too_much():
    loss_is_elementwise(expectile)
    np.testing.assert_allclose(expectile(jnp.array([1.0, 3.0]), jnp.array([2.0, 2.0])), [0.8, 0.2], rtol=1e-6)


def test_wape_is_the_error_over_the_usage():
    totals = measure(np.array([1.0, 4.0]), np.array([2.0, 2.0]), np.ones(2, bool), np.zeros(2, int), 1)
    assert wape(totals) == [3 / 4]


def test_spikes_are_as_many_as_asked_and_the_same_again():
    frame = generate_spikes(machines=20, days=5, a_day=10)
    assert len(frame) == 20 * 5 * 288
    assert (frame["cpu"] > 1).sum() == pytest.approx(20 * 5 * 10, rel=0.15)
    assert frame.equals(generate_spikes(machines=20, days=5, a_day=10))


def test_the_policy_is_mean_and_deviations_of_what_was_seen():
    policy_is_blind(deviations)
    (answer,) = deviations(Workload("a", np.array([1.0, 3.0, 9.0]), 0, DAY), np.array([2]), many=2.0)
    assert answer == 2 + 2 * 1


def test_the_plot_is_sorted():
    (panel,) = load_duration([1.0, 3.0], [2.0, 4.0], quantity="cpu", unit="cores").axes
    assert [list(line.get_ydata()) for line in panel.get_lines()] == [[4, 2], [3, 1]]
    assert panel.get_ylabel() == "cpu (cores)"
