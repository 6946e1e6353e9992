"""Mean, deviation and Student's interval of the errors of several seeds, by hand."""

import math

import pytest

from gym_jax.evaluate.spread import quantile_t, spread, spread_of
from gym_jax.metrics import METRICS

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 7: 2.365, 10: 2.228, 29: 2.045, 120: 1.980}
"""Of any textbook: the 97.5th percentile by degrees of freedom."""


@pytest.mark.parametrize("freedom", TABLE)
def test_the_quantiles_are_those_of_the_table(freedom):
    assert quantile_t(freedom) == pytest.approx(TABLE[freedom], abs=5e-4)


def test_the_quantiles_in_closed_form():
    assert quantile_t(1, 0.5) == pytest.approx(1, rel=1e-12), "Cauchy: half lies within one"
    assert quantile_t(2, 0.95) == pytest.approx(0.95 / math.sqrt((1 - 0.95**2) / 2), rel=1e-12)
    assert quantile_t(100_000) == pytest.approx(1.959964, abs=1e-4), "a normal variable in the limit"


def test_four_values_by_hand():
    found = spread([1.0, 2.0, 3.0, 4.0])
    half = 3.182446305284263 * math.sqrt(5 / 3) / 2
    assert found["mean"] == 2.5
    assert found["sd"] == pytest.approx(math.sqrt(5 / 3), rel=1e-12)
    assert (found["low"], found["high"]) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-9)
    assert found["values"] == [1.0, 2.0, 3.0, 4.0]


def test_one_value_has_no_spread_and_a_missing_one_makes_all_missing():
    assert spread([2.0]) == {"mean": 2.0, "sd": None, "low": None, "high": None, "values": [2.0]}
    assert spread([2.0, None]) == {"mean": None, "sd": None, "low": None, "high": None, "values": [2.0, None]}


def test_every_metric_of_every_target():
    reports = [{"cpu": dict.fromkeys(METRICS, value), "memory": dict.fromkeys(METRICS, 1.0)} for value in (1.0, 3.0)]
    found = spread_of(reports)
    assert found.keys() == {"cpu", "memory"}
    assert found["cpu"].keys() == METRICS.keys()
    assert found["cpu"]["mae"]["mean"] == 2.0
    assert found["memory"]["r2"]["sd"] == 0.0
