import dataclasses
import itertools
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT64

from gym_jax.data import Panel, Span
from gym_jax.data.clip import NORMAL, UNBOUNDED, Bounds, clip, fit_bounds, hampel, trailing
from gym_jax.data.scale import CELLS, rows_for, rows_inside


def make_panel(values, lengths, mask=None, known=0):
    values = np.asarray(values, np.float64).reshape(sum(lengths), -1)
    mask = np.ones(values.shape, bool) if mask is None else np.asarray(mask, bool).reshape(values.shape)
    return Panel(
        series=tuple(map(str, range(len(lengths)))),
        channels=tuple(f"c{i}" for i in range(values.shape[1])),
        targets=1,
        values=np.where(mask, values, 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.zeros(len(lengths), np.int64),
        step=1,
        clock="step",
        known=known,
    )


def make_spiky(lengths, missing, seed, channels=2, known=0):
    """Bursty values of which a tenth are ten times as large."""
    generator = np.random.default_rng(seed)
    values = generator.lognormal(size=(sum(lengths), channels))
    values *= np.where(generator.random(values.shape) < 0.1, 10, 1)
    return make_panel(values, lengths, generator.random(values.shape) >= missing, known)


def everything(panel):
    return Span(panel.offsets[:-1], panel.offsets[1:])


def hampel_slowly(panel, window, deviations):
    """The definition, a value at a time."""
    out = panel.values.copy()
    for begin, end in itertools.pairwise(panel.offsets):
        for channel in range(len(panel.channels) - panel.known):
            for row in range(begin, end):
                if not panel.mask[row, channel]:
                    continue
                rows = np.arange(max(begin, row - window + 1), row + 1)
                seen = panel.values[rows, channel][panel.mask[rows, channel]]
                middle = np.median(seen)
                limit = deviations * NORMAL * np.median(np.abs(seen - middle))
                if limit > 0:
                    out[row, channel] = np.clip(panel.values[row, channel], middle - limit, middle + limit)
    return out


def test_three_numbers_by_hand():
    panel = make_panel([1, 2, 3, -9, 9], [5])
    bounds = fit_bounds(panel, Span(np.array([0]), np.array([3])), low=0.25, high=1.0)
    assert (bounds.low.tolist(), bounds.high.tolist()) == ([[1.5]], [[3.0]])
    clipped = clip(panel, bounds=bounds)
    assert clipped.values.ravel().tolist() == [1.5, 2, 3, 1.5, 3]
    assert clipped.notes == ("3 of 5 values were clipped (quantile)",)
    assert panel.values.ravel().tolist() == [1, 2, 3, -9, 9]
    assert panel.notes == ()


def test_hampel_by_hand():
    panel = make_panel([1, 2, 3, 100, 2, -50, 5, 5, 5, 9], [10])
    clipped = hampel(panel, window=4, deviations=2.0)
    # 1, 2, 3, 100: median 2.5, distances 0.5, 0.5, 1.5, 97.5, so their median is 1; 3, 100, 2, -50: median 2.5,
    # distances 0.5, 0.5, 52.5, 97.5, so their median is 26.5; 5, 5, 5, 9 have no deviation
    assert clipped.values[3, 0] == 2.5 + 2 * NORMAL * 1.0
    assert clipped.values[5, 0] == -50
    assert clipped.values[[0, 1, 2, 4, 6, 7, 8, 9], 0].tolist() == [1, 2, 3, 2, 5, 5, 5, 9]
    assert clipped.notes == ("1 of 10 values were clipped (hampel)",)


def test_the_bounds_are_numpys_quantiles_of_the_observed_train_rows():
    panel = make_spiky([30, 20, 25], 0.3, 0, channels=3, known=1)
    span = Span(np.array([0, 30, 50]), np.array([20, 45, 51]))
    bounds = fit_bounds(panel, span, low=0.05, high=0.9)
    for series, (begin, end) in enumerate(zip(*span, strict=True)):
        for channel in range(2):
            seen = panel.values[begin:end, channel][panel.mask[begin:end, channel]]
            if len(seen):
                own = bounds.low[series, channel], bounds.high[series, channel]
                np.testing.assert_allclose(own, np.quantile(seen, [0.05, 0.9]), rtol=FLOAT64)
    assert (bounds.low[:, 2] == -UNBOUNDED).all()
    assert (bounds.high[:, 2] == UNBOUNDED).all()


def test_a_series_without_train_rows_takes_the_bounds_of_all():
    panel = make_spiky([20, 20], 0.0, 1)
    alone = fit_bounds(panel.select([1]), Span(np.array([0]), np.array([20])))
    bounds = fit_bounds(panel, Span(np.array([0, 20]), np.array([0, 40])))
    for one, both in zip(alone, bounds, strict=True):
        np.testing.assert_array_equal(both, np.repeat(one, 2, axis=0))
    nowhere = fit_bounds(panel, Span(panel.offsets[:-1], panel.offsets[:-1]))
    np.testing.assert_array_equal(clip(panel, bounds=nowhere).values, panel.values)


def test_one_row_of_bounds_serves_every_series():
    panel = make_spiky([40, 30], 0.2, 2)
    clipped = clip(panel, bounds=Bounds(np.array([[0.5, 0.1]]), np.array([[2.0, 3.0]])))
    np.testing.assert_array_equal(clipped.values, np.where(panel.mask, np.clip(panel.values, [0.5, 0.1], [2, 3]), 0))


def test_bounds_of_known_series_are_taken_up_again():
    panel = make_spiky([20, 20, 20], 0.0, 3)
    saved = fit_bounds(panel, everything(panel))
    now = panel.select([2, 0])
    again = Bounds(*(rows_for(now.series, panel.series, one, one[:2] - 1) for one in saved))
    np.testing.assert_array_equal(again.high, saved.high[[2, 0]])


@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    missing=st.sampled_from([0.0, 0.4]),
    window=st.integers(1, 30),
    deviations=st.sampled_from([1.0, 3.0]),
    known=st.integers(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_hampel_is_the_slow_loop(lengths, missing, window, deviations, known, seed):
    panel = make_spiky(lengths, missing, seed, known=known)
    clipped = hampel(panel, window=window, deviations=deviations)
    np.testing.assert_allclose(clipped.values, hampel_slowly(panel, window, deviations), rtol=FLOAT64)
    changed = int((clipped.values != panel.values).sum())
    total = int(panel.mask[:, : 2 - known].sum())
    assert clipped.notes == (f"{changed:,} of {total:,} values were clipped (hampel)",)
    assert clipped.mask is panel.mask
    assert (clipped.values[~panel.mask] == 0).all()


def test_windows_longer_than_a_portion_are_exact_too():
    panel = make_spiky([900, 400], 0.1, 4, channels=1)
    window = 500
    assert CELLS // 4 // window < len(panel.values)
    np.testing.assert_allclose(
        hampel(panel, window=window, deviations=2.0).values, hampel_slowly(panel, window, 2.0), rtol=FLOAT64
    )


@pytest.mark.parametrize("spoilt", [np.nan, 1e15, -1e15, None])
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), window=st.integers(1, 9), data=st.data())
@settings(max_examples=30, deadline=None)
def test_no_value_depends_on_a_later_one_or_on_another_series(spoilt, lengths, window, data):
    panel = make_spiky(lengths, 0.2, 5)
    series = data.draw(st.integers(0, len(lengths) - 1))
    row = int(panel.offsets[series]) + data.draw(st.integers(0, lengths[series] - 1))
    end = int(panel.offsets[series + 1])
    values, mask = panel.values.copy(), panel.mask.copy()
    values[row:end], mask[row:end] = (0, False) if spoilt is None else (spoilt, True)
    others = np.r_[0:row, end : len(values)]
    clean = hampel(panel, window=window).values[others]
    poisoned = hampel(dataclasses.replace(panel, values=values, mask=mask), window=window).values[others]
    assert clean.tobytes() == poisoned.tobytes()


@pytest.mark.parametrize("how", ["missing", "absurd", "nan"])
@pytest.mark.parametrize("high", [0.5, 0.999])
def test_nothing_after_the_train_rows_changes_a_bound_or_a_train_value(how, high):
    panel = make_spiky([40, 7, 1, 30], 0.2, 6)
    span = Span(panel.offsets[:-1], panel.offsets[:-1] + np.array([25, 0, 1, 20]))
    later = ~rows_inside(span, len(panel.values))[:, None]
    poisoned = {
        "missing": {"values": np.where(later, 0, panel.values), "mask": panel.mask & ~later},
        "absurd": {"values": np.where(later, 1e6 * panel.values - 7, panel.values)},
        "nan": {"values": np.where(later, np.nan, panel.values), "mask": panel.mask | later},
    }[how]
    results = []
    for one in (panel, dataclasses.replace(panel, **poisoned)):
        bounds = fit_bounds(one, span, high=high)
        values = clip(one, bounds=bounds).values[~later[:, 0]]
        results.append((bounds.low.tobytes(), bounds.high.tobytes(), values.tobytes()))
    assert results[0] == results[1]


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_series_is_of_no_consequence(data):
    panel = make_spiky([9, 14, 1, 30], 0.2, 7)
    order = data.draw(st.permutations(range(4)))
    moved = panel.select(order)
    assert hampel(moved, window=5).values.tobytes() == hampel(panel, window=5).select(order).values.tobytes()
    bounds, other = (fit_bounds(one, everything(one), high=0.8) for one in (panel, moved))
    assert bounds.high[order].tobytes() == other.high.tobytes()
    assert clip(moved, bounds=other).values.tobytes() == clip(panel, bounds=bounds).select(order).values.tobytes()


def test_json_keeps_every_bit_and_is_strict():
    panel = make_spiky([20, 20], 0.0, 8, known=1)
    bounds = fit_bounds(panel, everything(panel))
    again = Bounds.from_json(json.loads(json.dumps(bounds.to_json(), allow_nan=False)))
    for before, after in zip(bounds, again, strict=True):
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()


def test_windows_are_looked_at_in_portions():
    panel = make_spiky([200_000], 0.0, 9, channels=1)
    tracemalloc.start()
    try:
        hampel(panel, window=200)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30e6  # at once, the windows alone would be 320 MB
    parts = list(trailing(panel.values[:5, 0], panel.mask[:5, 0], np.array([0, 2, 5]), 3))
    table = np.concatenate([part for _, part in parts])
    v, nan = panel.values[:5, 0], np.nan
    expected = [[nan, nan, v[0]], [nan, v[0], v[1]], [nan, nan, v[2]], [nan, v[2], v[3]], [v[2], v[3], v[4]]]
    np.testing.assert_array_equal(table, expected)
