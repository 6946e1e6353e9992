"""Curves are thinned without losing a peak."""

import numpy as np
import pytest

from gym_jax.serve.thin import thin, thin_around


def test_the_least_and_the_greatest_of_each_bucket_stay_by_hand():
    values = np.array([3.0, 1.0, 2.0, 9.0, 5.0, 5.0, 4.0, 8.0, 0.0, 7.0, 6.0, 6.5])
    assert thin(values, 12).tolist() == list(range(12))
    # buckets 0-3, 4-7, 8-11: 1 and 9; 4 and 8; 0 and 7; with the first and the last place
    assert thin(values, 6).tolist() == [0, 1, 3, 6, 7, 8, 9, 11]


@pytest.mark.parametrize("count", [17, 1000, 10_001])
def test_extremes_ends_and_order_survive(count):
    values = np.random.default_rng(count).normal(size=count)
    kept = thin(values, 16)
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 18


def test_what_is_missing_hides_nothing():
    values = np.full(100, np.nan)
    values[[31, 37]] = 1.0, 5.0
    assert {31, 37} <= set(thin(values, 10).tolist())
    assert len(thin(np.full(100, np.nan), 10)) <= 12


def test_what_is_in_view_has_its_points_and_the_rest_a_quarter_each():
    x, values = np.arange(10_000.0), np.sin(np.arange(10_000.0))
    kept = thin_around(x, values, 400, (2000, 2100))
    assert set(range(2000, 2101)) <= set(kept.tolist())
    assert len(kept) <= 102 + 2 * 102 + 4
    assert thin_around(x, values, 400, None).tolist() == thin(values, 400).tolist()
    assert (np.diff(kept) > 0).all()
    assert thin_around(x[:0], values[:0], 400, (0, 1)).tolist() == []
