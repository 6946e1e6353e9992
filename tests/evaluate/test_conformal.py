"""Conformal intervals: three numbers by hand, exact binomial bounds on exchangeable data, and what drift does."""

import json

import numpy as np
import pytest
from scipy import stats
from tolerances import FLOAT64

from gym_jax.errors import DataError
from gym_jax.evaluate.conformal import (
    LEVELS,
    MEMORY,
    METHODS,
    RATE,
    Calibration,
    calibrate,
    conformal_quantile,
    conformity,
    track,
    widen,
)

SURE = 1e-4
"""How seldom a right calibration fails a test of its coverage."""


def draw(n, seed, horizon=2):
    """Skewed values around a point, and a band of a model that knows half of their spread."""
    generator = np.random.default_rng(seed)
    spread = generator.uniform(0.5, 3, (n, 1, 1))
    truth = spread * (generator.exponential(size=(n, horizon, 1)) - 0.7)
    point = np.zeros((n, horizon, 1, 1, 2))
    known = np.stack([-0.6 * np.sqrt(spread), np.sqrt(spread)], axis=-1)[..., None, :] * np.ones((n, horizon, 1, 1, 2))
    return truth, {"point": point, "quantiles": known}


def test_three_scores_by_hand():
    """Of 1, 2 and 3: ceil(4 level) is 2, 3 and 4, and there is no fourth."""
    scores = np.array([3.0, 1.0, np.nan, 2.0])
    assert [conformal_quantile(scores, level) for level in (0.5, 0.75, 0.76)] == [2, 3, np.inf]
    assert conformal_quantile(np.arange(1.0, 10), 0.9) == 9, "10 x 0.9 is 9, whatever the floats say"


def test_the_score_is_the_absolute_residual_of_a_point_and_the_distance_to_a_band():
    truth = np.array([1.0, 4.0, 7.0])[:, None, None]
    bands = np.broadcast_to(np.array([[3.0, 3.0], [2.0, 6.0]]), (3, 1, 1, 2, 2))
    np.testing.assert_array_equal(conformity(bands, truth)[..., 0, 0], [[2, 1], [1, -2], [4, 1]])


@pytest.mark.parametrize("base", ["point", "quantiles"])
@pytest.mark.parametrize("n", [60, 999])
def test_coverage_of_exchangeable_data_is_within_exact_bounds(base, n):
    """Of m new values the number inside is beta-binomial: with k = ceil((n + 1) level), of k and n + 1 - k."""
    m = 4000
    truth, bands = draw(n + m, seed=n)
    bands = np.repeat(bands[base], len(LEVELS), axis=3)
    scores = conformity(bands, truth)
    found = calibrate(scores[:n], np.zeros(n, int), ["a"], method="global")
    moved = widen(bands[n:], np.broadcast_to(found.pooled, (m, *found.pooled.shape)))
    inside = (truth[n:, ..., None] >= moved[..., 0]) & (truth[n:, ..., None] <= moved[..., 1])
    for place, level in enumerate(LEVELS):
        rank = int(np.ceil(round((n + 1) * level, 9)))
        if rank > n:
            continue  # too few for the level: the largest score stands in
        law = stats.betabinom(m, rank, n + 1 - rank)
        for step in range(2):
            assert law.ppf(SURE) <= inside[:, step, 0, place].sum() <= law.ppf(1 - SURE), (level, step)


def test_a_level_that_there_are_too_few_scores_for_takes_the_largest():
    scores = np.arange(40.0)[:, None, None, None]
    found = calibrate(scores, np.zeros(40, int), ["a"], levels=[0.99], method="global")
    assert found.pooled == 39


@pytest.mark.parametrize("method", METHODS)
def test_a_wider_level_holds_every_narrower_one(method):
    generator = np.random.default_rng(3)
    bands = np.sort(generator.normal(size=(500, 2, 1, 4, 2)), axis=-1)
    scores = conformity(bands, generator.standard_t(2, (500, 2, 1)))
    owner = generator.integers(0, 4, 500)
    found = calibrate(scores, owner, "abcd", method=method)
    ends = widen(bands, found.start("abcd")[0][owner])
    assert (np.diff(ends[..., 0], axis=-1) <= 0).all()
    assert (np.diff(ends[..., 1], axis=-1) >= 0).all()
    assert (ends[..., 0] <= ends[..., 1]).all()


def test_ends_that_would_cross_meet_in_the_middle():
    ends = widen(np.array([0.0, 2.0]).reshape(1, 1, 1, 1, 2), np.full((1, 1, 1, 1), -3.0))
    np.testing.assert_array_equal(ends.ravel(), [1, 1])


def test_a_series_quantile_counts_by_its_number_and_few_windows_take_all_together():
    """300 scores of 1, 100 of 5 and 2 of 9: at 0.8 all together have 5, so 100 of 5 stay 5, 300 of 1 go to 1.8 + ..."""
    scores = np.repeat([1.0, 5.0, 9.0], [300, 100, 2])[:, None, None, None]
    owner = np.repeat([0, 1, 2], [300, 100, 2])
    found = calibrate(scores, owner, ["many", "some", "few"], levels=[0.8], method="series", prior=200)
    assert found.pooled == 5
    np.testing.assert_allclose(found.own.ravel(), [0.6 * 1 + 0.4 * 5, 5, 5], rtol=FLOAT64)
    np.testing.assert_allclose(found.own_size.ravel(), [1, 5, 9], rtol=FLOAT64)
    offsets, size = found.start(["few", "unknown", "many"])
    np.testing.assert_allclose(offsets.ravel(), [5, 5, 2.6], rtol=FLOAT64)
    assert size[1] == found.size == pytest.approx((300 + 500 + 18) / 402)


def test_every_step_has_its_own_offset():
    scores = np.tile([[[[1.0], [2.0], [30.0]]]], (50, 1, 1, 1))
    found = calibrate(scores, np.zeros(50, int), ["a"], levels=[0.8], method="global")
    np.testing.assert_array_equal(found.pooled, [[[1], [2], [30]]])


def test_too_few_windows_are_refused():
    with pytest.raises(DataError, match="29 held-out windows are too few"):
        calibrate(np.ones((29, 1, 1, 1)), np.zeros(29, int), ["a"], levels=[0.8])


def test_each_target_needs_its_own_windows():
    scores = np.ones((50, 1, 3, 2))
    scores[29:, :, :, 1] = np.nan
    with pytest.raises(DataError, match="29 held-out windows are too few"):
        calibrate(scores, np.zeros(50, int), ["a"], levels=[0.8])


def test_a_calibration_keeps_every_bit_in_json():
    generator = np.random.default_rng(0)
    found = calibrate(generator.normal(size=(90, 4, 3, 2)), np.repeat([0, 2], 45), "abc")
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    for mine, theirs in zip(found, again, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    none = calibrate(generator.normal(size=(90, 4, 3, 2)), np.zeros(90, int), "a", method="global")
    assert Calibration.from_json(none.to_json()).own.shape == (0, 4, 3, 2)


def test_one_miss_and_one_hit_by_hand():
    """Level 0.8, offset 1, mean score 2: a score of 3 misses, then 0 is inside."""
    start = np.full((1, 1, 1, 1), 1.0), np.full((1, 1, 1, 1), 2.0)
    out, sizes, last = track(np.array([3.0, 0.0]).reshape(2, 1, 1, 1, 1), start, [0.8], np.array([0]))
    size = 2 + MEMORY * (3 - 2)
    after = 1 + RATE * size * 0.8
    np.testing.assert_allclose(out.ravel(), [1, after], rtol=FLOAT64)
    np.testing.assert_allclose(sizes.ravel(), [2, size], rtol=FLOAT64)
    np.testing.assert_allclose(last.ravel(), [after - RATE * (size - MEMORY * size) * 0.2], rtol=FLOAT64)


def test_what_is_not_known_yet_changes_nothing():
    """Step h of the window that begins at row 5 is known when row 5 + h is over."""
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(20, 1, 1, 3, 1))
    start = np.zeros((1, 1, 3, 1)), np.ones((1, 1, 3, 1))
    other = scores.copy()
    other[5] += 100
    changed = [track(x, start, [0.9], np.arange(3)).offsets.ravel() for x in (scores, other)]
    differs = (changed[0] != changed[1]).reshape(20, 3)
    np.testing.assert_array_equal(differs.argmax(axis=0), [6, 7, 8])
    assert not track(np.full((9, 1, 1, 3, 1), np.nan), start, [0.9], np.arange(3)).offsets.any(), (
        "missing values teach nothing"
    )


def test_the_start_is_not_changed():
    start = np.zeros((1, 1, 1, 1)), np.ones((1, 1, 1, 1))
    track(np.ones((5, 1, 1, 1, 1)), start, [0.9], np.array([0]))
    assert (start[0] == 0).all()
    assert (start[1] == 1).all()


def test_under_drift_the_adaptive_intervals_hold_and_the_others_do_not():
    """The spread of the scores trebles half way; each level is also what it holds of the level below it."""
    generator = np.random.default_rng(5)
    rows = 6000
    growth = np.where(np.arange(rows) < rows / 2, 1, 3)[:, None, None, None, None]
    scores = np.abs(generator.normal(size=(rows, 1, 1, 2, 1))) * growth * np.ones((1, 1, 4, 1, 1))
    held_out = np.abs(generator.normal(size=(2000, 1, 2, 1))) * np.ones((1, 4, 1, 1))
    found = calibrate(held_out, np.zeros(2000, int), ["a"])
    offsets = track(scores, found.start(["a"]), LEVELS, np.arange(2)).offsets
    held = (scores <= np.maximum.accumulate(offsets, axis=2)).mean(axis=(0, 1, 4))
    np.testing.assert_allclose(held, np.array(LEVELS)[:, None] * np.ones(2), atol=0.01)
    still = (scores <= found.own).mean(axis=(0, 1, 4))
    assert (still[:2] < np.array(LEVELS[:2])[:, None] - 0.1).all()
