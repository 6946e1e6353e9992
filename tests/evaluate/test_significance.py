"""Tests of paired losses against scipy, R's published values, textbook tables and numbers by hand."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from tolerances import FLOAT64

from gym_jax.evaluate.significance import (
    critical_difference,
    diebold_mariano,
    friedman,
    holm,
    wilcoxon,
    within_range,
)

# Errors of two models of one series that HypothesisTests.jl and R's forecast::dm.test give the p-values below for
# (JuliaStats/HypothesisTests.jl, test/diebold_mariano.jl).
ETS = [
    *(0.002241270, -0.000661906, -1.200002613, -4.000218178, 3.799373533, 3.401005111, -1.199692125),
    *(-0.800490048, -1.200048999, 3.399847229, 7.000708948, 2.200989241, -4.800165569, -1.201043375),
    *(3.400167556, 3.000709085, 0.400267950, -6.800169207, -2.401259050, 1.200112198),
]
ARIMA = [
    *(0.1209998, 8.0622269, -0.9189429, -1.7952436, 5.3431277, 2.0459823, -0.6073261, 0.5516816, -0.7633238, 4.1229472),
    *(5.8785333, 1.2828331, -3.4854233, 1.1971370, 3.1709314, 2.3408457, 0.4962286, -5.9841362, 0.1537114, 0.4207951),
]


def near(value):
    return pytest.approx(value, rel=FLOAT64)


def correlated(count=80, seed=0, order=5):
    return np.convolve(np.random.default_rng(seed).normal(0.1, 1, count + order - 1), np.ones(order), "valid")


@pytest.mark.parametrize(("power", "horizon", "p"), [(2, 1, 0.8871), (2, 10, 0.9362), (1, 1, 0.7818)])
def test_r_publishes_the_same_p(power, horizon, p):
    difference = np.abs(ETS) ** power - np.abs(ARIMA) ** power
    assert diebold_mariano(difference, horizon=horizon).p == pytest.approx(p, abs=5e-5)


def dm_test(d, h, bartlett):
    """The formula of R's dm.test, in loops."""
    n, mean = len(d), sum(d) / len(d)
    covariance = [sum((d[t] - mean) * (d[t - k] - mean) for t in range(k, n)) / n for k in range(h)]
    weights = [1.0] + [2 * ((1 - k / h) if bartlett else 1) for k in range(1, h)]
    variance = sum(w * c for w, c in zip(weights, covariance, strict=True)) / n
    statistic = mean / math.sqrt(variance) * math.sqrt((n + 1 - 2 * h + h / n * (h - 1)) / n)
    return statistic, 2 * scipy.stats.t.cdf(-abs(statistic), n - 1)


@pytest.mark.parametrize(("horizon", "kernel"), [*itertools.product((1, 3, 6), ("rectangular", "bartlett"))])
def test_statistic_and_p_are_those_of_the_formula(horizon, kernel):
    d = correlated()
    found = diebold_mariano(d, horizon=horizon, kernel=kernel)
    assert (found.statistic, found.p) == near(dm_test(d, horizon, kernel == "bartlett"))
    assert (found.mean, found.count, found.lags) == (near(d.mean()), 80, horizon - 1)


def test_three_numbers_by_hand():
    found = diebold_mariano(np.array([1.0, 2.0, 6.0]))
    assert found.statistic == near(3 / math.sqrt(14 / 9) * math.sqrt(2 / 3))
    assert found.p == near(2 * scipy.stats.t.sf(found.statistic, 2))


def test_a_negative_variance_falls_back_to_horizon_one_and_says_so():
    d = np.array([1.0, -1.0] * 10) + 0.1
    found = diebold_mariano(d, horizon=2)
    assert found == diebold_mariano(d, horizon=1)
    assert found.lags == 0
    assert diebold_mariano(d, horizon=2, kernel="bartlett").lags == 1


def test_missing_times_keep_their_place():
    whole = correlated(60)
    gapped = whole.copy()
    gapped[[3, 20, 21, 40]] = np.nan
    seen = ~np.isnan(gapped)
    centred = np.where(seen, gapped - gapped[seen].mean(), 0)
    variance = (
        sum((1 if lag == 0 else 2) * sum(centred[t] * centred[t - lag] for t in range(lag, 60)) for lag in range(3))
        / seen.sum() ** 2
    )
    found = diebold_mariano(gapped, horizon=3)
    factor = (56 + 1 - 6 + 6 / 56) / 56
    assert found.count == 56
    assert found.statistic == near(gapped[seen].mean() / math.sqrt(variance) * math.sqrt(factor))
    padded = diebold_mariano(np.concatenate([[np.nan] * 9, whole, [np.nan]]), horizon=3)
    assert padded.statistic == near(diebold_mariano(whole, horizon=3).statistic)


def test_where_nothing_can_be_said():
    assert diebold_mariano(np.zeros(9)).p == 1
    for difference in (np.full(9, 0.5), np.arange(3.0), np.full(5, np.nan), np.zeros(0)):
        found = diebold_mariano(difference, horizon=3)
        assert math.isnan(found.statistic)
        assert math.isnan(found.p)
        assert found[3:] == (int(np.isfinite(difference).sum()), 0), "no lag was used"


def test_under_the_null_one_in_twenty_is_rejected():
    """2000 differentials of an order-4 moving average, as optimal four-step forecasts have."""
    rejected = [diebold_mariano(correlated(300, seed, 4) - 0.4, horizon=4).p < 0.05 for seed in range(2000)]
    naive = [diebold_mariano(correlated(300, seed, 4) - 0.4).p < 0.05 for seed in range(300)]
    assert 0.035 < np.mean(rejected) < 0.07
    assert np.mean(naive) > 0.2, "what the autocovariances are for"


@pytest.mark.parametrize("count", [1, 5, 13, 50, 51, 300])
def test_signed_ranks_are_scipys(count):
    d = np.random.default_rng(count).normal(0.2, 1, count)
    found = wilcoxon(d)
    wanted = scipy.stats.wilcoxon(d, method="exact" if count <= 50 else "asymptotic")
    assert (found.statistic, found.p) == near((wanted.statistic, wanted.pvalue))


def test_signed_ranks_with_ties_and_zeros():
    d = np.array([3.0, -1, 1, 2, 2, -2, 0, 5, 5, np.nan])
    found = wilcoxon(d)
    signs = np.array(list(itertools.product((0, 1), repeat=8)))
    ranks = scipy.stats.rankdata(np.abs(d[(d != 0) & ~np.isnan(d)]))
    sums = signs @ ranks
    least = 1.5 + 4
    assert (found.statistic, found.count) == (least, 8)
    assert found.p == near(min(1, 2 * np.mean(sums <= least)))
    many = np.random.default_rng(0).integers(-4, 6, 200).astype(float)
    wanted = scipy.stats.wilcoxon(many, method="asymptotic")
    assert (wilcoxon(many).statistic, wilcoxon(many).p) == near((wanted.statistic, wanted.pvalue))
    assert wilcoxon(np.zeros(4)) == (0, 1, 0)


def test_friedman_is_scipys_with_and_without_ties():
    generator = np.random.default_rng(0)
    for losses in (
        generator.normal(np.array([0, 0, 0.5, 1]), size=(12, 4)),
        generator.integers(0, 4, (20, 5)).astype(float),
    ):
        found, wanted = friedman(losses), scipy.stats.friedmanchisquare(*losses.T)
        assert (found.statistic, found.p) == near((wanted.statistic, wanted.pvalue))
        assert found.ranks == near(np.mean([scipy.stats.rankdata(row) for row in losses], axis=0))
    assert friedman(np.ones((6, 3)))[:2] == (0, 1)


DEMSAR = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
"""Demsar (2006), table 5a: critical values at 0.05 by the number of classifiers."""


@pytest.mark.parametrize("methods", DEMSAR)
def test_the_critical_difference_is_demsars(methods):
    unit = math.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) / unit == pytest.approx(DEMSAR[methods], abs=1e-3)


def test_the_studentized_range_is_scipys():
    for width, methods in ((0.5, 3), (3.3, 5), (4.5, 10)):
        wanted = scipy.stats.studentized_range.cdf(width, methods, np.inf)
        assert within_range(width, methods) == pytest.approx(wanted, abs=1e-9)


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, np.nan, 0.6])), [1, np.nan, 1])
    assert len(holm(np.zeros(0))) == 0
