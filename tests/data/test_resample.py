"""Resampling, held against a loop of numpy; and steps as they are written."""

import numpy as np
import pandas as pd
import pytest
from tolerances import FLOAT64

from gym_jax.data import read_frame
from gym_jax.data.resample import parse_step, resample_rows
from gym_jax.errors import ConfigError

MINUTE = 60 * 10**9
MIDNIGHT = int(np.datetime64("2026-01-01", "ns").astype(np.int64))
LOOPS = {
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "sum": np.sum,
    "last": lambda values: values[-1],
    "p95": lambda values: np.quantile(values, 0.95),
}


def looped(codes, times, values, step, aggregate):
    """Every series, step and channel by itself, missing values left out."""
    out = {}
    for code in np.unique(codes):
        for begin in np.unique(times[codes == code] // step * step):
            inside = (codes == code) & (times >= begin) & (times < begin + step)
            cells = [column[~np.isnan(column)] for column in values[inside].T]
            out[int(code), int(begin)] = [LOOPS[aggregate](cell) if len(cell) else np.nan for cell in cells]
    return out


@pytest.mark.parametrize("aggregate", LOOPS)
@pytest.mark.parametrize("begin", [0, MIDNIGHT, -1_000])
def test_every_aggregate_is_a_loop_of_numpy(aggregate, begin):
    rng = np.random.default_rng(0)
    codes = np.sort(rng.integers(0, 3, 300))
    times = begin + rng.integers(0, 1_000, 300)
    order = np.lexsort((times, codes))
    times, values = times[order], rng.normal(size=(300, 2)) * 1e3
    values[rng.random((300, 2)) < 0.3] = np.nan
    got = resample_rows(codes, times, values, 7, aggregate)
    expected = looped(codes, times, values, 7, aggregate)
    assert [(int(c), int(t)) for c, t in zip(got[0], got[1], strict=True)] == list(expected)
    np.testing.assert_allclose(got[2], np.array(list(expected.values())), rtol=FLOAT64)


def rows(seconds, values, **more):
    stamps = pd.Timestamp("2026-01-01") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"ds": stamps, "cpu": values, **more})


def test_a_row_belongs_to_the_step_it_lies_in():
    panel = read_frame(rows([1, 299, 300, 901], [1.0, 3.0, 5.0, 7.0]), resample={"step": "5min", "aggregate": "mean"})
    assert (panel.first.tolist(), panel.step) == ([MIDNIGHT], 5 * MINUTE)
    assert panel.values.ravel().tolist() == [2, 5, 0, 7]
    assert panel.mask.ravel().tolist() == [True, True, False, True]
    assert panel.notes == ("rows are resampled to 5min (mean)", "1 of 4 time slots are missing: masked")


def test_series_of_other_steps_and_phases_come_to_one_grid():
    frame = rows([60, 120, 180, 240, 30, 330, 630], range(7), id=list("aaaabbb"))
    panel = read_frame(frame, resample={"step": "5min", "aggregate": "sum"})
    assert panel.first.tolist() == [MIDNIGHT, MIDNIGHT]
    assert panel.offsets.tolist() == [0, 1, 4]
    assert panel.values.ravel().tolist() == [6, 4, 5, 6]


def test_a_finer_step_than_the_rows_leaves_gaps():
    panel = read_frame(rows([0, 300, 600], [1.0, 2.0, 3.0]), resample={"step": "1min"})
    assert (panel.step, panel.mask.sum(), len(panel.values)) == (MINUTE, 3, 11)


def test_missing_values_leave_the_mean_of_the_others():
    panel = read_frame(rows([0, 60, 300, 360], [1.0, np.nan, np.nan, np.nan]), resample={"step": "5min"})
    assert panel.values.ravel().tolist() == [1, 0]
    assert panel.mask.ravel().tolist() == [True, False]


def test_last_is_the_last_in_time_in_any_order_of_rows():
    frame = rows([240, 0, 120, 300], [4.0, 1.0, 2.0, 9.0])
    assert read_frame(frame, resample={"step": "5min", "aggregate": "last"}).values.ravel().tolist() == [4, 9]


def test_counts_are_resampled_too():
    frame = pd.DataFrame({"t": [0, 1, 2, 3, 4, 7], "cpu": [1.0, 2, 3, 4, 5, 8]})
    panel = read_frame(frame, time="t", time_unit="step", resample={"step": "2", "aggregate": "max"})
    assert (panel.step, panel.values.ravel().tolist()) == (2, [2, 4, 5, 8])


def test_duplicates_are_judged_before():
    frame = rows([0, 0, 60], [1.0, 3.0, 5.0])
    panel = read_frame(frame, resample={"step": "5min", "aggregate": "sum"}, policy={"duplicates": "last"}, step="5min")
    assert panel.values.ravel().tolist() == [8]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5min", 300),
        (" 5 minutes ", 300),
        ("1h", 3600),
        ("1H", 3600),
        ("1h30min", 5400),
        ("1.5h", 5400),
        ("90 sec", 90),
        ("1d", 86400),
        ("2 weeks", 14 * 86400),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("1ns", 1e-9),
    ],
)
def test_steps_in_words(text, seconds):
    assert parse_step(text, "ns") == round(seconds * 1e9)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "",
        "min",
        "-5min",
        "0s",
        "1M",
        "5m",
        "5T",
        "1Y",
        "nan",
        "inf",
        "NaT",
        "0.5ns",
        "1.5ns",
        "1:30",
        "1e3s",
        "1" * 20 + "d",
        "5min x",
    ],
)
def test_what_is_no_step(text):
    with pytest.raises(ConfigError, match="is no length of time"):
        parse_step(text, "ns")


@pytest.mark.parametrize(("text", "count"), [("1", 1), (" 12 ", 12)])
def test_steps_of_counts(text, count):
    assert parse_step(text, "step") == count


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "5min", "", "1" * 30])
def test_what_is_no_count_of_steps(text):
    with pytest.raises(ConfigError, match="is no count of steps"):
        parse_step(text, "step")
