"""Policies by hand, and blind to what comes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from usages import daily, workload

from gym_jax.allocate.histogram import CPU
from gym_jax.allocate.policies import (
    MIB,
    autopilot,
    hour_of_day,
    krr,
    maximum,
    oracle,
    percentile,
    request,
    trend,
    vpa,
)
from gym_jax.allocate.registry import POLICIES, make_policy
from gym_jax.errors import ConfigError
from gym_jax.laws import policy_is_blind

DAY = 288


def test_vpa_is_the_percentile_of_its_bucket_and_15_per_cent_with_truncation():
    (answer,) = vpa(workload(np.ones(DAY)), np.array([DAY]))
    base = int(1000 * CPU.starts[CPU.find(np.array([1.0]))[0] + 1])
    assert answer == (base + int(base * 0.15)) / 1000
    (least,) = vpa(workload(np.full(DAY, 0.001)), np.array([DAY]))
    assert least == 0.025


def test_vpa_of_memory_counts_the_peak_of_each_day_and_of_today_so_far():
    usage = np.full(2 * DAY + 10, 3e8)
    usage[5], usage[2 * DAY + 3] = 5e8, 9e8
    early, late = vpa(workload(usage), np.array([2 * DAY, 2 * DAY + 10]), resource="memory", share=1.0)
    assert 5e8 * 1.15 <= early <= 5e8 * 1.15 * 1.051
    assert 9e8 * 1.15 <= late <= 9e8 * 1.15 * 1.051


def test_krr_rounds_its_percentile_up_to_a_millicore():
    usage = np.linspace(0, 1, 201)
    (answer,) = krr(workload(usage), np.array([201]))
    assert answer == 0.95
    assert np.isnan(krr(workload(usage), np.array([20]))).all()
    (memory,) = krr(workload(np.full(200, 1e9)), np.array([200]), resource="memory")
    assert memory == np.ceil(1.15e9 / MIB) * MIB


def test_autopilot_covers_the_work_and_not_the_time():
    # one hour in ten is busy and does 9 of 10 parts of the work: the 95th percentile of work is the busy level
    usage = np.where(np.arange(240) % 10 == 0, 0.81, 0.01)
    (answer,) = autopilot(workload(usage), np.array([240]), margin=0.0)
    assert answer == 0.81
    held = autopilot(workload(np.r_[np.full(24, 2.0), np.full(2400, 0.1)]), np.array([30, 2400]), hold_hours=1)
    assert held[0] == pytest.approx(2.3)
    assert held[1] == pytest.approx(0.115)


def test_maximum_and_percentile_look_back_as_far_as_they_say():
    usage = np.zeros(3 * DAY)
    usage[0], usage[2 * DAY] = 9, 4
    assert list(maximum(workload(usage), np.array([3 * DAY]), days=1)) == [4]
    assert list(maximum(workload(usage), np.array([3 * DAY]), days=14)) == [9]
    values = np.arange(101.0)
    assert list(percentile(workload(values), np.array([101]), share=0.99)) == [99.0]


def test_hour_of_day_asks_the_same_hour_of_the_days_before():
    usage = np.zeros(3 * DAY)
    usage[DAY + 12 : DAY + 24] = np.arange(12)
    at_one, at_two = hour_of_day(workload(usage), np.array([2 * DAY + 12, 2 * DAY + 24]))
    assert (at_one, at_two) == (11, 0)


def test_trend_adds_what_growth_brings():
    usage = np.arange(7 * DAY) / DAY  # one unit a day
    (answer,) = trend(workload(usage), np.array([7 * DAY]), ahead_days=7, margin=0.0)
    assert_allclose(answer, usage[-1] + 7, rtol=1e-9)


def test_the_request_is_the_one_in_force():
    given = np.r_[np.full(10, 2.0), np.full(10, 3.0)]
    assert list(request(workload(np.ones(20), request=given), np.array([10, 15]))) == [2, 3]
    assert np.isnan(request(workload(np.ones(20)), np.array([10]))).all()


def test_the_oracle_sees_what_comes():
    assert list(oracle(workload(np.arange(24.0)), np.array([0, 12]), share=1.0)) == [11, 23]


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "oracle"])
def test_no_policy_sees_what_comes_and_gaps_are_no_usage(name):
    policy_is_blind(POLICIES[name])


def test_to_the_oracle_gaps_are_no_usage():
    usage = daily(8).usage.copy()
    usage[::7] = np.nan
    assert np.isfinite(oracle(workload(usage), np.array([5 * DAY, 6 * DAY]))).all()
    assert np.isnan(oracle(workload(np.full(2 * DAY, np.nan)), np.array([DAY]))).all()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (oracle, "sees what comes after its decision"),
        (lambda one, rows: np.ones(len(rows)), "answers where nothing was seen"),
        (lambda one, rows: np.full(len(rows), one.usage[: rows[0]].max()), "no answer where some of the usage is"),
        (lambda one, rows: 1.0, r"answers \(\) to \(2,\) decisions"),
    ],
)
def test_the_law_of_policies_names_what_is_broken(policy, words):
    with pytest.raises(AssertionError, match=words):
        policy_is_blind(policy)


def test_words_make_a_policy():
    policy = make_policy("percentile:share=0.5:days=1")
    assert list(policy(workload(np.arange(101.0)), np.array([101]))) == [50]
    for words, hint in (
        ("vap", "vpa"),
        ("max:day=3", "days"),
        ("percentile:share=2", "less than or equal"),
        ("max:days=inf", "less than inf"),
        ("vpa:margin=inf", "less than inf"),
    ):
        with pytest.raises(ConfigError) as caught:
            make_policy(words)
        assert hint in str(caught.value.hint)
