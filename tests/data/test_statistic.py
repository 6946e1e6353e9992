"""The statistic of the coming window: NumPy's own on every row, and nothing of what lies outside."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32, FLOAT64

from gym_jax.data import fit_scaler, generate_panel, make_panel, make_windows, origins, split_by_time
from gym_jax.data.statistic import coming_statistic, reduce_rows, statistic_panel
from gym_jax.models import Last, Seasonal
from gym_jax.types import Inputs

NUMPY = {"max": np.max, "mean": np.mean, "p95": lambda x: np.quantile(x, 0.95)}
WINDOW = 6


def gappy():
    generator = np.random.default_rng(0)
    lengths = (40, 5, 60)
    codes = np.repeat([0, 1, 2], lengths)
    values = generator.normal(10, 3, (sum(lengths), 2))
    values[generator.random(values.shape) < 0.35] = np.nan
    times = np.concatenate([np.arange(n) for n in lengths])
    return make_panel(codes, list("abc"), times, values, channels=("cpu", "memory"), targets=1, clock="step")


@pytest.mark.parametrize("kind", NUMPY)
def test_every_row_has_numpys_statistic_of_what_was_observed(kind):
    panel = gappy()
    values, known = coming_statistic(panel, WINDOW, kind)
    for series in range(3):
        begin, end = panel.offsets[series], panel.offsets[series + 1]
        for row in range(begin, end):
            inside = slice(row, row + WINDOW)
            seen = panel.values[inside, 0][panel.mask[inside, 0]]
            enough = row + WINDOW <= end and len(seen) >= WINDOW / 2
            assert known[row, 0] == enough
            assert values[row, 0] == pytest.approx(NUMPY[kind](seen) if enough else 0, rel=FLOAT64)
    assert 20 < known.sum() < 90, "some are known, some are not"


def test_three_numbers_by_hand():
    table = np.array([[1.0, np.nan, 3.0], [2.0, 4.0, 9.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(reduce_rows(table, "max")[0], [3, 9, np.nan])
    np.testing.assert_array_equal(reduce_rows(table, "mean")[0][:2], [2, 5])
    np.testing.assert_allclose(reduce_rows(table, "p95")[0][:2], [1 + 2 * 0.95, 4 + 5 * 0.9])
    np.testing.assert_array_equal(reduce_rows(table, "p95")[1], [2, 3, 0])


@pytest.mark.parametrize("kind", NUMPY)
def test_windows_take_it_as_their_one_target(kind):
    panel = gappy()
    split = split_by_time(panel)
    scaler = fit_scaler(panel, split.train)
    rows, series = origins(panel, split.train, context=8, horizon=WINDOW, whole=False)
    windows = make_windows(panel, scaler, rows, series, context=8, horizon=WINDOW, statistic=kind)
    plain = make_windows(panel, scaler, rows, series, context=8, horizon=WINDOW)
    index = jnp.array([*range(len(rows)), -1])
    batch, every = windows.take(index), plain.take(index)
    assert windows.steps == 1
    assert batch.targets.shape == (len(index), 1, 1)
    np.testing.assert_array_equal(batch.inputs.past, every.inputs.past)
    for place in range(len(rows)):
        seen = every.weights[place, :, 0] > 0
        enough = seen.sum() >= WINDOW / 2
        assert batch.weights[place, 0, 0] == enough
        if enough:  # the scaler is affine, so that the statistic of scaled values is the scaled statistic
            wanted = NUMPY[kind](np.asarray(every.targets[place, :, 0])[seen])
            np.testing.assert_allclose(batch.targets[place, 0, 0], wanted, atol=10 * FLOAT32)
    assert batch.weights[-1, 0, 0] == 0


def test_a_peak_survives_the_logarithm():
    panel = generate_panel(series=2, days=0.5, gaps=0)
    span = split_by_time(panel).train
    scaler = fit_scaler(panel, span, log1p=True)
    rows, series = origins(panel, span, context=8, horizon=WINDOW)
    windows = make_windows(panel, scaler, rows, series, context=8, horizon=WINDOW, statistic="max")
    plain = make_windows(panel, scaler, rows, series, context=8, horizon=WINDOW)
    index = jnp.arange(len(rows))
    np.testing.assert_allclose(windows.take(index).targets[:, 0], plain.take(index).targets.max(1), atol=10 * FLOAT32)


def test_what_is_known_ahead_comes_as_its_mean():
    generator = np.random.default_rng(1)
    values = generator.normal(size=(30, 2))
    panel = make_panel(
        np.zeros(30, int), ["a"], np.arange(30), values, channels=("cpu", "jobs"), targets=1, clock="step"
    )
    panel = replace(panel, known=1)
    span = split_by_time(panel, train=1.0, val=0.0).train
    rows, series = origins(panel, span, context=4, horizon=WINDOW)
    options = {"context": 4, "horizon": WINDOW}
    scaler = fit_scaler(panel, span)
    future = make_windows(panel, scaler, rows, series, **options, statistic="max").take(jnp.arange(9)).inputs.future
    every = make_windows(panel, scaler, rows, series, **options).take(jnp.arange(9)).inputs.future
    np.testing.assert_allclose(future, every.mean(1, keepdims=True), atol=FLOAT32)


@pytest.mark.parametrize("kind", NUMPY)
def test_a_row_says_nothing_of_what_lies_before_it_or_behind_its_window(kind):
    panel = gappy()
    before = statistic_panel(panel, WINDOW, kind)
    values = panel.values.copy()
    values[70, 0] += 1e6
    after = statistic_panel(replace(panel, values=values, mask=panel.mask | (values != panel.values)), WINDOW, kind)
    changed = np.flatnonzero((before.values[:, 0] != after.values[:, 0]) | (before.mask[:, 0] != after.mask[:, 0]))
    assert set(changed) <= set(range(70 - WINDOW + 1, 71))
    assert len(changed) >= 4
    np.testing.assert_array_equal(before.values[:, 1], panel.values[:, 1])


@pytest.mark.parametrize("kind", NUMPY)
@pytest.mark.parametrize("gaps", [False, True])
def test_the_baselines_repeat_the_statistic_of_the_last_window_and_of_the_season_before(kind, gaps):
    generator = np.random.default_rng(2)
    past = generator.normal(size=(5, 20, 2)).astype(np.float32)
    mask = generator.random(past.shape) < 0.6 if gaps else np.ones(past.shape, bool)
    inputs = Inputs(past=jnp.where(mask, past, jnp.nan), mask=jnp.asarray(mask) if gaps else None)
    last = Last(horizon=1, statistic=kind, window=4).apply({}, inputs)
    seasonal = Seasonal(horizon=1, season=12, statistic=kind, window=4).apply({}, inputs)
    for answer, places in ((last, slice(16, 20)), (seasonal, slice(8, 12))):
        for row in range(5):
            seen = past[row, places, 0][mask[row, places, 0]]
            np.testing.assert_allclose(answer[row, 0, 0], NUMPY[kind](seen), atol=10 * FLOAT32)


def test_where_nothing_was_observed_the_last_value_stands_in():
    mask = np.ones((1, 20, 1), bool)
    mask[0, 8:12] = mask[0, 16:] = False
    inputs = Inputs(past=jnp.arange(20.0).reshape(1, 20, 1), mask=jnp.asarray(mask))
    assert Last(horizon=1, statistic="max", window=4).apply({}, inputs) == 15
    assert Seasonal(horizon=1, season=12, statistic="mean", window=4).apply({}, inputs) == 15
