"""Conformal p-values: by hand, against counting, and never smaller than they should be."""

import json

import numpy as np
import pytest

from gym_jax.evaluate import surprise
from gym_jax.evaluate.surprise import Surprises, collect, surprise_of


def counted(held_out, values):
    return [(1 + (held_out >= value).sum()) / (len(held_out) + 1) for value in values]


def test_three_by_hand():
    """Of 1, 2 and 2 held out: all are at or above 1, two reach 2, none 3; one more is the value itself."""
    table = collect(np.array([2.0, np.nan, 1.0, 2.0]))
    np.testing.assert_array_equal(table.p_value(np.array([0.0, 1.0, 1.5, 2.0, 3.0])), [1, 1, 0.75, 0.75, 0.25])
    assert np.isnan(table.p_value(np.array([np.nan]))).all()
    assert surprise_of(5.0, 2.0, 1.5) == 2
    assert surprise_of(-1.0, 0.0, 0.0) < -1e6, "a series that stands still"


def test_the_tail_is_exact_and_the_rest_is_never_too_small(monkeypatch):
    monkeypatch.setattr(surprise, "TAIL", 50)
    generator = np.random.default_rng(0)
    held_out = np.round(generator.normal(size=3000), 2)  # with ties
    table = collect(held_out)
    assert len(table.values) <= 100
    values = np.concatenate([generator.normal(size=500), held_out[:500], [held_out.max(), held_out.max() + 1]])
    found, wanted = table.p_value(values), np.array(counted(held_out, values))
    assert (found >= wanted - 1e-15).all()
    # 50 steps over what is not kept: none is further off than one of them
    assert (found - wanted).max() < 1.5 / 50
    tail = values >= np.sort(held_out)[-50]
    assert tail.sum() > 5
    np.testing.assert_allclose(found[tail], wanted[tail])


def test_values_like_the_held_out_ones_are_flagged_at_the_rate():
    generator = np.random.default_rng(1)
    table = collect(generator.exponential(size=20_000))
    found = table.p_value(generator.exponential(size=200_000))
    for rate in (0.1, 0.01, 0.001):
        assert (found <= rate).mean() == pytest.approx(rate, rel=0.25)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_values_make_a_table_too(count):
    table = collect(np.arange(float(count)))
    assert table.count == count == len(table.values)
    assert table.p_value(np.array([1e9])) == 1 / (count + 1)


def test_a_table_keeps_every_bit_in_json():
    table = collect(np.random.default_rng(2).normal(size=500))
    again = Surprises.from_json(json.loads(json.dumps(table.to_json())))
    for mine, theirs in zip(table, again, strict=True):
        np.testing.assert_array_equal(mine, theirs)
