"""The block bootstrap by hand, against the truth of an autocorrelated series, and paired."""

import numpy as np
import pytest

from gym_jax.evaluate import resample
from gym_jax.evaluate.resample import block_length, block_sums, bootstrap_mean, interval


def test_every_resample_is_made_of_whole_blocks():
    """Powers of two: a sum says which times were drawn."""
    values = 4.0 ** np.arange(7)[None]
    for kind in ("circular", "moving"):
        seen = set()
        for total in block_sums(values, block=3, resamples=3000, kind=kind)[:, 0]:
            drawn = np.array([int(total) // 4**time % 4 for time in range(7)])
            assert drawn.sum() == 7, "as many as there are: two blocks of three, one of one"
            seen.add(tuple(drawn))
        crossing = (2, 0, 0, 0, 0, 2, 3)  # 5 6 0, twice, and 6
        assert (crossing in seen) == (kind == "circular")


def test_rows_are_drawn_alike_and_the_portions_do_not_matter(monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, 40))
    rows = np.vstack([values, values[0] - values[1]])
    once = block_sums(rows, block=6, resamples=50, seed=3)
    np.testing.assert_allclose(once[:, 2], once[:, 0] - once[:, 1], atol=1e-12)
    assert (once != block_sums(rows, block=6, resamples=50, seed=4)).any()
    monkeypatch.setattr(resample, "CELLS", 7 * 11)
    np.testing.assert_array_equal(once, block_sums(rows, block=6, resamples=50, seed=3))


def test_blocks_of_one_are_the_ordinary_bootstrap():
    values = np.random.default_rng(0).normal(size=(1, 400))
    means = block_sums(values, block=1, resamples=4000)[:, 0] / 400
    assert means.std() == pytest.approx(values.std() / 20, rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)


def test_blocks_keep_the_memory_that_single_draws_lose():
    """An order-10 moving average: the variance of its mean is ten times that of independent values."""
    d = np.convolve(np.random.default_rng(1).normal(size=3009), np.ones(10), "valid")
    low, high = bootstrap_mean(d, block=60)
    single = bootstrap_mean(d, block=1)
    true = 2 * 1.96 * 10 / np.sqrt(3000)
    assert high - low == pytest.approx(true, rel=0.15)
    assert single.high - single.low < 0.4 * true
    assert bootstrap_mean(d, block=60, kind="moving") == pytest.approx((low, high), abs=0.15 * true)


def test_the_interval_is_between_percentiles_and_honest_about_what_is_no_number():
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert np.isnan(interval(np.array([1.0, np.nan]))).all()


def test_the_length_of_blocks():
    assert [block_length(*of) for of in ((1000, 1), (1000, 12), (27_000, 4), (30, 12), (2, 1))] == [10, 24, 30, 10, 1]
