import dataclasses
import itertools
from typing import get_args

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT64

from gym_jax.data import Panel, Scaler, make_windows
from gym_jax.data.features import Cycle, add_features, extend
from gym_jax.errors import DataError

CYCLES = get_args(Cycle)
ROLLING = [(window, statistic) for window in (1, 4, 7) for statistic in ("mean", "std", "min", "max", "median")]
NUMPY = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max, "median": np.median}
HOUR = 3_600 * 10**9


def make_panel(values, lengths, mask=None, **facts):
    values = np.asarray(values, np.float64).reshape(sum(lengths), -1)
    mask = np.ones(values.shape, bool) if mask is None else np.asarray(mask, bool).reshape(values.shape)
    facts = {"clock": "step", "step": 1, "first": np.zeros(len(lengths), np.int64), "targets": 1, **facts}
    return Panel(
        series=tuple(map(str, range(len(lengths)))),
        channels=tuple(f"c{i}" for i in range(values.shape[1])),
        values=np.where(mask, values, 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        **facts,
    )


def make_random(lengths, missing=0.2, seed=0, channels=2, base=0.0, **facts):
    generator = np.random.default_rng(seed)
    values = base + generator.normal(size=(sum(lengths), channels))
    return make_panel(values, lengths, generator.random(values.shape) >= missing, **facts)


def timed(first, lengths=(30,), step=HOUR, zone=None):
    first = np.array([pd.Timestamp(time).value for time in first], np.int64)
    return make_panel(np.zeros(sum(lengths)), list(lengths), clock="ns", step=step, first=first, calendar_zone=zone)


def column(panel, name):
    channel = panel.channels.index(name)
    return panel.values[:, channel], panel.mask[:, channel]


def test_three_numbers_by_hand():
    made = add_features(make_panel([1, 2, 6], [3]), lags=[1], rolling=[(2, "mean"), (3, "std")], horizon=1)
    assert made.channels == ("c0", "c0_mean_2", "c0_std_3", "c0_lag_1")
    assert column(made, "c0_lag_1")[0].tolist() == [0, 1, 2]
    assert column(made, "c0_lag_1")[1].tolist() == [False, True, True]
    assert column(made, "c0_mean_2")[0].tolist() == [1, 1.5, 4]
    np.testing.assert_allclose(column(made, "c0_std_3")[0], [0, 0.5, np.sqrt(14 / 3)], rtol=FLOAT64)


def test_channels_stand_in_the_order_of_a_panel():
    panel = make_random([20], targets=2, channels=5, known=2, unscaled=1, clock="ns", step=HOUR)
    made = add_features(panel, lags=[2, 3, 9], rolling=[(4, "max")], calendar=["day"], horizon=3)
    assert made.channels == (
        *("c0", "c1", "c2"),
        *("c0_lag_2", "c1_lag_2", "c0_max_4", "c1_max_4"),
        *("c3", "c0_lag_3", "c1_lag_3", "c0_lag_9", "c1_lag_9"),
        *("c4", "day_sin", "day_cos"),
    )
    assert (made.targets, made.known, made.unscaled) == (2, 8, 3)
    for channel, name in enumerate(panel.channels):
        values, mask = column(made, name)
        np.testing.assert_array_equal(values, panel.values[:, channel])
        np.testing.assert_array_equal(mask, panel.mask[:, channel])
    assert add_features(panel, horizon=3) is panel


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4), lag=st.integers(1, 19), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_lag_is_the_value_that_many_rows_before_in_the_same_series(lengths, lag, seed):
    panel = make_random([20, *lengths], seed=seed)
    values, mask = column(add_features(panel, lags=[lag], horizon=1), f"c0_lag_{lag}")
    for begin, end in itertools.pairwise(panel.offsets):
        for row in range(begin, end):
            there = row - lag >= begin and panel.mask[row - lag, 0]
            assert mask[row] == there
            assert values[row] == (panel.values[row - lag, 0] if there else 0)


@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    missing=st.sampled_from([0.0, 0.4, 0.9]),
    base=st.sampled_from([0.0, 1e9]),
    spike=st.sampled_from([None, 1e12, -1e12]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_rolling_statistics_are_numpys_on_each_window_alone(lengths, missing, base, spike, seed):
    panel = make_random([9, *lengths], missing, seed, base=base)
    if spike:
        panel.values[4, 0] = spike if panel.mask[4, 0] else 0
    made = add_features(panel, rolling=ROLLING, horizon=1)
    for window, statistic in ROLLING:
        values, mask = column(made, f"c0_{statistic}_{window}")
        for begin, end in itertools.pairwise(panel.offsets):
            for row in range(begin, end):
                rows = slice(max(begin, row - window + 1), row + 1)
                seen = panel.values[rows, 0][panel.mask[rows, 0]]
                assert mask[row] == bool(len(seen))
                truth = NUMPY[statistic](seen) if len(seen) else 0.0
                size = np.abs(seen).max(initial=0) if statistic != "std" else truth
                np.testing.assert_allclose(values[row], truth, rtol=0, atol=FLOAT64 * size + 1e-15 * abs(base))


def test_windows_longer_than_a_portion_are_exact_too():
    panel = make_random([1500, 700], channels=1)
    window = 600
    made = add_features(panel, rolling=[(window, "std"), (window, "median")], horizon=1)
    frame = pd.DataFrame({"id": np.repeat([0, 1], [1500, 700]), "c": np.where(panel.mask, panel.values, np.nan)[:, 0]})
    rolled = frame.groupby("id")["c"].rolling(window, min_periods=1)
    np.testing.assert_allclose(column(made, f"c0_std_{window}")[0], rolled.std(ddof=0).fillna(0), atol=1e-9)
    np.testing.assert_allclose(column(made, f"c0_median_{window}")[0], rolled.median().fillna(0), rtol=FLOAT64)


def test_an_idle_machine_has_no_deviation_at_all():
    made = add_features(make_panel([0.1] * 40, [40]), rolling=[(7, "std"), (7, "mean")], horizon=1)
    assert set(column(made, "c0_std_7")[0]) == {0.0}
    assert set(column(made, "c0_mean_7")[0]) == {0.1}


@pytest.mark.parametrize("spoilt", [np.nan, 1e15, None])
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), data=st.data())
@settings(max_examples=25, deadline=None)
def test_no_feature_depends_on_a_later_value_or_on_another_series(spoilt, lengths, data):
    panel = make_random([9, *lengths], base=1e9, clock="ns", step=HOUR, first=np.zeros(len(lengths) + 1, np.int64))
    series = data.draw(st.integers(0, len(lengths)))
    row = int(panel.offsets[series]) + data.draw(st.integers(0, int(panel.lengths[series]) - 1))
    end = int(panel.offsets[series + 1])
    values, mask = panel.values.copy(), panel.mask.copy()
    values[row:end], mask[row:end] = (0, False) if spoilt is None else (spoilt, True)
    poisoned = dataclasses.replace(panel, values=values, mask=mask)
    features = {"lags": [1, 5], "rolling": ROLLING, "calendar": CYCLES, "horizon": 3}
    others = np.r_[0:row, end : len(values)]
    clean, spoiled = (add_features(one, **features) for one in (panel, poisoned))
    assert clean.values[others].tobytes() == spoiled.values[others].tobytes()
    assert clean.mask[others].tobytes() == spoiled.mask[others].tobytes()


@given(order=st.permutations(range(4)), cut=st.integers(9, 29))
@settings(max_examples=25, deadline=None)
def test_neither_the_order_of_the_series_nor_what_follows_is_of_consequence(order, cut):
    features = {"lags": [1, 5], "rolling": ROLLING, "horizon": 3}
    panel = make_random([9, 14, 1, 30], base=1e9)
    made = add_features(panel, **features)
    moved = add_features(panel.select(order), **features)
    assert moved.values.tobytes() == made.select(order).values.tobytes()
    assert moved.mask.tobytes() == made.select(order).mask.tobytes()
    whole = panel.select([3])
    short = dataclasses.replace(
        whole, values=whole.values[:cut], mask=whole.mask[:cut], offsets=np.array([0, cut], np.int64)
    )
    assert add_features(short, **features).values.tobytes() == made.select([3]).values[:cut].tobytes()


@pytest.mark.parametrize("lag", [3, 4])
def test_a_long_lag_is_known_through_the_whole_horizon(lag):
    horizon, context = 3, 5
    panel = make_panel(np.arange(1.0, 13.0), [12])
    made = add_features(extend(panel, horizon), lags=[lag], horizon=horizon)
    scaler = Scaler(np.zeros((1, 2)), np.ones((1, 2)), shared=True)
    origin = np.array([12])  # right after the data
    inputs = make_windows(made, scaler, origin, np.array([0]), context=context, horizon=horizon).take(jnp.array([0]))[0]
    assert inputs.future[0, :, 0].tolist() == [12 + step - lag + 1 for step in range(horizon)]
    assert inputs.past[0, :, 0].tolist() == [8, 9, 10, 11, 12]


def test_extended_series_end_in_missing_rows():
    panel = make_random([3, 1, 2], known=1)
    longer = extend(panel, 2)
    assert longer.offsets.tolist() == [0, 5, 8, 12]
    np.testing.assert_array_equal(longer.values[[0, 1, 2, 5, 8, 9]], panel.values)
    np.testing.assert_array_equal(longer.mask[[0, 1, 2, 5, 8, 9]], panel.mask)
    assert not longer.mask[[3, 4, 6, 7, 10, 11]].any()
    assert not longer.values[[3, 4, 6, 7, 10, 11]].any()
    assert longer.stamps(np.array([2]), np.array([11])).tolist() == [3]
    assert extend(panel, 0).offsets.tolist() == panel.offsets.tolist()


def test_the_calendar_by_hand():
    rows, quarter = 60 * 96, HOUR // 4
    made = add_features(timed(["2024-02-05 00:00"], [rows], quarter), calendar=CYCLES, horizon=1)
    assert made.channels[1:] == tuple(f"{cycle}_{wave}" for cycle in CYCLES for wave in ("sin", "cos"))
    assert (made.known, made.unscaled) == (10, 10)
    times = pd.date_range("2024-02-05", periods=rows, freq="15min")
    hours = times.hour + times.minute / 60
    phases = {
        "hour": times.minute / 60,
        "day": hours / 24,
        "week": (times.day_of_week + hours / 24) / 7,
        "month": (times.day - 1 + hours / 24) / times.days_in_month,
        "year": (times.day_of_year - 1 + hours / 24) / 366,
    }
    for cycle, phase in phases.items():
        np.testing.assert_allclose(column(made, f"{cycle}_sin")[0], np.sin(2 * np.pi * phase), atol=FLOAT64)
        np.testing.assert_allclose(column(made, f"{cycle}_cos")[0], np.cos(2 * np.pi * phase), atol=FLOAT64)
        assert column(made, f"{cycle}_sin")[1].all()


def test_the_calendar_goes_on_in_gaps_and_past_the_end():
    panel = timed(["2026-01-05 00:00", "2026-01-05 13:00"], [20, 4])
    made = add_features(extend(dataclasses.replace(panel, mask=panel.mask & False), 4), calendar=["day"], horizon=4)
    values, mask = column(made, "day_cos")
    assert mask.all()
    hours = np.concatenate([np.arange(24), np.arange(13, 21)])
    np.testing.assert_allclose(values, np.cos(2 * np.pi * hours / 24), atol=FLOAT64)


def test_the_calendar_follows_its_zone_through_a_change_of_the_clock():
    panel = timed(["2026-03-28 22:00"], [6], zone="Europe/Berlin")  # UTC; the clock goes forward at 01:00 UTC
    hours = np.array([23, 0, 1, 3, 4, 5])
    values, _ = column(add_features(panel, calendar=["day", "week"], horizon=1), "day_sin")
    np.testing.assert_allclose(values, np.sin(2 * np.pi * hours / 24), atol=FLOAT64)
    plain, _ = column(
        add_features(dataclasses.replace(panel, calendar_zone=None), calendar=["day"], horizon=1), "day_sin"
    )
    np.testing.assert_allclose(plain, np.sin(2 * np.pi * np.array([22, 23, 0, 1, 2, 3]) / 24), atol=FLOAT64)
    with pytest.raises(DataError, match="`Mars/Olympus` is no time zone"):
        add_features(dataclasses.replace(panel, calendar_zone="Mars/Olympus"), calendar=["day"], horizon=1)


def test_counts_have_no_calendar():
    with pytest.raises(DataError, match="plain counts") as caught:
        add_features(make_random([9]), calendar=["day"], horizon=1)
    assert caught.value.code == "data.calendar"


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"lags": [2, 9]}, "a lag of 9 rows is longer than every series: they have 9 rows at most"),
        ({"rolling": [(10, "mean")]}, "a window of 10 rows is longer than every series"),
        ({"lags": [0]}, "a lag or window of 0 rows"),
        ({"rolling": [(-1, "mean")]}, "a lag or window of -1 rows"),
        ({"lags": [2, 2]}, "there would be two channels `c0_lag_2`"),
    ],
)
def test_features_that_can_not_be_are_refused(features, said):
    panel = make_random([4, 9])
    with pytest.raises(DataError, match=said) as caught:
        add_features(panel, **features, horizon=1)
    assert caught.value.code == "data.features"
    assert add_features(panel, lags=[8], rolling=[(9, "mean")], horizon=1).mask[:, -1].any()
