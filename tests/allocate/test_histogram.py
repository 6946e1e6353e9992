"""The autoscaler's histogram, held against the values of its own unit tests and against plain arithmetic."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gym_jax.allocate.histogram import CPU, MEMORY, Buckets, decaying, exponential_buckets, percentile


def test_percentiles_are_those_of_the_autoscalers_own_tests():
    buckets = Buckets(np.arange(11.0))
    weights = np.array([0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0])
    shares = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert [float(percentile(buckets, weights, share)) for share in shares] == [2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5]


def test_a_decaying_histogram_is_that_of_the_autoscalers_own_tests():
    buckets = Buckets(np.arange(11.0))
    values = np.array([1.0, *[2.0] * 2, *[3.0] * 3, *[4.0] * 4])
    ages = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3], np.float64)
    (weights,) = decaying(buckets, values, ages, np.array([10]), weight=1.0)
    assert_allclose(weights[1:5] / weights[1], [1, 4, 12, 32])
    found = [float(percentile(buckets, weights, share)) for share in (0.02, 0.03, 0.10, 0.11, 0.34, 0.35)]
    assert found == [2, 3, 3, 4, 4, 5]


def test_exponential_buckets_are_those_of_the_autoscalers_own_tests():
    buckets = exponential_buckets(500, 40, 1.5)
    assert_allclose(buckets.starts, [0, 40, 100, 190, 325, 527.5])


def test_few_buckets_by_hand():
    """Widths 1, 2, 4 ... : 2 lies in the bucket from 1 to 3."""
    assert exponential_buckets(2.0, 1.0, 2.0).starts.tolist() == [0, 1, 3]


def test_there_are_176_buckets_and_the_last_begins_where_it_should():
    assert len(CPU.starts) == len(MEMORY.starts) == 176
    assert CPU.starts[-1] == pytest.approx(1021.109, abs=5e-4)
    assert list(CPU.find(np.array([0.0, 0.009, 0.0101, 1e9]))) == [0, 0, 1, 175]


def test_values_to_come_and_gaps_change_no_bit():
    values = np.abs(np.random.Generator(np.random.Philox(0)).normal(size=60))
    values[7] = np.nan
    rows, ages = np.array([20, 40]), np.arange(60) / 12
    poisoned = values.copy()
    poisoned[40:] = np.inf
    with np.errstate(all="ignore"):
        assert np.array_equal(decaying(CPU, values, ages, rows), decaying(CPU, poisoned, ages, rows))


def test_an_empty_histogram_answers_0():
    assert percentile(CPU, np.zeros(176), 0.9) == 0
