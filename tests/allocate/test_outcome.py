"""Figures and frontiers by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from usages import STEP, workload

from gym_jax.allocate.frontier import difference, draw_workloads, make_frontier, ratio_at, scale_at
from gym_jax.allocate.outcome import figures, outcome_of
from gym_jax.allocate.policies import maximum
from gym_jax.allocate.protocol import Protocol
from gym_jax.allocate.simulate import simulate
from gym_jax.allocate.verdict import judge
from gym_jax.errors import DataError


def outcome(usage, allocation, name="a"):
    usage = np.asarray(usage, np.float64)
    allocation = np.broadcast_to(np.asarray(allocation, np.float64), usage.shape)
    return outcome_of(name, usage, allocation.copy(), STEP, ~np.isnan(usage))


def test_figures_of_four_steps_by_hand():
    found = figures([outcome([1, 2, 3, 4], [2, 2, 2, 5])])
    assert found.violation == 0.25  # 3 above 2
    assert found.unmet == pytest.approx(1 / 10)
    assert found.waste == pytest.approx((1 + 0 + 1) / 10)
    assert found.ratio == pytest.approx(11 / 10)
    assert found.ratio == pytest.approx(1 + found.waste - found.unmet)
    assert found.longest == pytest.approx(1 / 12)
    assert found.changes == pytest.approx(1 / (4 / 288))
    assert found.allocated == pytest.approx(11 / 12 / (4 / 288))
    assert found.violation_hours == pytest.approx(0.25 * 24)


def test_the_ninth_tenth_and_the_pinball_loss_by_hand():
    found = figures([outcome([1, 3], 2.0), outcome([1, 1], 2.0)])
    assert found.violation == 0.25
    assert found.violation_p90 == pytest.approx(0.45)
    # at the level .75: one value lacks 1, three have 1 too much
    assert found.pinball == pytest.approx((0.75 + 3 * 0.25) / 6)


def test_the_slack_is_that_of_a_day_against_its_95th_percentile():
    usage = np.r_[np.linspace(0, 1, 288), np.linspace(0, 3, 288)]
    found = figures([outcome(usage, 2.0)])
    assert found.slack == pytest.approx(((2 - 0.95) / 2 + (2 - 2.85) / 2) / 2)
    assert found.negative_slack == 0.5


def test_workloads_weigh_the_same_however_long_they_are():
    outcomes = [outcome(np.full(10, 2.0), 1.0), outcome(np.full(1000, 2.0), 3.0)]
    assert figures(outcomes).violation == 0.5


def test_gaps_are_left_out():
    assert len(outcome([1, np.nan, 3], 2.0).usage) == 2


def test_the_scale_makes_the_violation_equal_to_the_risk():
    generator = np.random.Generator(np.random.Philox(0))
    outcomes = [outcome(generator.gamma(2, size=n), generator.gamma(9, size=n)) for n in (500, 2000)]
    for risk in (0.3, 0.05, 0.01):
        scale = scale_at(outcomes, risk)
        assert figures(outcomes, scale * (1 + 1e-9)).violation <= risk
        assert figures(outcomes, scale * (1 - 1e-3)).violation >= risk - 2e-3
        assert ratio_at(outcomes, risk) == pytest.approx(figures(outcomes, scale).ratio)


def test_what_never_changes_is_not_violated_by_rounding():
    """A quotient times its divisor may be less than the dividend, and a flat usage is then above at every step."""
    for usage, allocation in np.random.Generator(np.random.Philox(3)).uniform(0.01, 4, (200, 2)):
        flat = [outcome(np.full(4, usage), allocation)]
        assert figures(flat, scale_at(flat, 0.01)).violation == 0


def test_nothing_to_tune_on_or_to_judge_by_is_said():
    usage, protocol = np.ones(6 * 288), Protocol(test_days=2, val_days=2)
    usage[2 * 288 : 4 * 288] = np.nan
    with pytest.raises(DataError, match="before the test"):
        judge(simulate([workload(usage)], {"max": maximum}, protocol), best="max")
    usage[3 * 288 :] = 0
    with pytest.raises(DataError, match="nothing was used"):
        simulate([workload(usage)], {"max": maximum}, protocol)


def test_the_frontier_is_the_exact_scale_but_for_its_grid():
    generator = np.random.Generator(np.random.Philox(1))
    outcomes = [outcome(generator.gamma(2, size=3000), 1 + generator.random(3000)) for _ in range(5)]
    frontier = make_frontier(outcomes)
    for risk in (0.2, 0.05, 0.01):
        assert_allclose(frontier.ratio(risk)[0], ratio_at(outcomes, risk), rtol=5e-3)
    twice = frontier.ratio(0.05, np.full((1, 5), 2.0))
    assert_allclose(twice, frontier.ratio(0.05), rtol=1e-12)


def test_a_bootstrap_draws_whole_workloads_and_is_paired():
    counts = draw_workloads(7, draws=50)
    assert (counts.sum(axis=1) == 7).all()
    generator = np.random.Generator(np.random.Philox(2))
    outcomes = [outcome(generator.gamma(2, size=300), 2.0) for _ in range(7)]
    dearer = [one._replace(allocation=one.allocation * 3) for one in outcomes]
    same = make_frontier(outcomes).ratio(0.05, counts) - make_frontier(dearer).ratio(0.05, counts)
    assert_allclose(same, 0, atol=2e-2)  # a constant factor is no difference at equal violation
    assert difference(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0]), -2.0).sure
    assert not difference(np.array([1.0, -1.0]), np.zeros(2), 0.0).sure


def test_nothing_is_saved_against_itself():
    usage = np.random.default_rng(0).random(24 * 14 * 12)
    found = simulate([workload(usage)], {"vpa": maximum, "max": maximum}, Protocol(test_days=4, val_days=3))
    assert "money" not in judge(found, best="vpa")
    assert judge(found, best="max")["money"]["against"] == "vpa"
