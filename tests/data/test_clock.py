import numpy as np
import pandas as pd
import pytest

from gym_jax.data import read_frame
from gym_jax.data.clock import read_times
from gym_jax.errors import DataError

SECOND = 1_767_225_600
"""2026-01-01 00:00:00 UTC."""
UNIT = """hint: say what they count: s, ms, us or ns since 1970, or step for plain counts
try: gymjax train ... data.time_unit="""
SAID = "error: time column `ds` of the data"
ZONES = f"""{SAID} mixes times with and without a zone, or several zones
hint: write every time with the same offset"""


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-01", "2026-01-01 00:05"],
        ["2026-01-01T00:00:00", "2026-01-01T00:05:00.000"],
        pd.date_range("2026-01-01", periods=2, freq="5min", unit="s"),
        pd.Categorical(["2026-01-01 00:00", "2026-01-01 00:05"]),
    ],
)
def test_times_without_a_zone_are_kept_as_written(times):
    read = read_times(times, "ds")
    assert read.stamps.tolist() == [SECOND * 10**9, (SECOND + 300) * 10**9]
    assert (read.clock, read.zone, read.note) == ("ns", None, None)


@pytest.mark.parametrize(
    ("times", "note"),
    [
        (["2026-01-01T00:00Z", "2026-01-01T00:05Z"], None),
        (["2026-01-01 02:00+02:00", "2026-01-01 02:05+02:00"], "times of zone UTC+02:00 are kept in UTC"),
        (
            pd.date_range("2026-01-01 01:00", periods=2, freq="5min", tz="Europe/Vienna"),
            "times of zone Europe/Vienna are kept in UTC",
        ),
    ],
)
def test_times_with_a_zone_are_kept_in_utc(times, note):
    read = read_times(times, "ds")
    assert read.stamps.tolist() == [SECOND * 10**9, (SECOND + 300) * 10**9]
    assert (read.clock, read.zone, read.note) == ("ns", "UTC", note)


@pytest.mark.parametrize("kind", [np.int64, np.float64])
@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_since_1970(unit, said, kind):
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    numbers = (np.array([SECOND, SECOND + 300]) * scale).astype(kind)
    read = read_times(numbers, "ds", unit if said else "auto")
    assert read.stamps.tolist() == [SECOND * 10**9, (SECOND + 300) * 10**9]
    note = f"time column `ds` read as {unit} since 1970 (the only unit that gives dates of 1990-2100)"
    assert (read.clock, read.zone, read.note) == ("ns", None, None if said else note)


def test_a_float_of_seconds_is_good_to_a_microsecond():
    numbers = SECOND + np.arange(40) / 10
    frame = pd.DataFrame({"ds": numbers, "value": 1.0})
    panel = read_frame(frame)
    assert panel.step == 10**8
    assert panel.mask.all()
    assert read_times(np.array([SECOND + 0.000_125]), "ds").stamps.tolist() == [SECOND * 10**9 + 125_000]


def test_plain_counts():
    read = read_times([3.0, 4.0, 9.0], "ds", "step")
    assert read.stamps.tolist() == [3, 4, 9]
    assert (read.clock, read.note) == ("step", None)


def test_a_unit_that_leads_to_1970_is_said_aloud():
    assert read_times([SECOND], "ds", "ns").note == "time column `ds` read as ns since 1970 begins in the year 1970"
    assert read_times([0, 300], "ds", "s").note == "time column `ds` read as s since 1970 begins in the year 1970"


@pytest.mark.parametrize(
    ("times", "unit", "expected"),
    [
        ([0, 300], "auto", f"{SAID} holds the numbers 0 to 300: no unit since 1970 fits them\n{UNIT}step"),
        (
            [20260101],
            "auto",
            f"{SAID} holds the numbers 20260101 to 20260101: no unit since 1970 fits them\n{UNIT}step",
        ),
        (
            [SECOND, SECOND * 1000],
            "auto",
            f"{SAID} holds the numbers 1767225600 to 1767225600000: no unit since 1970 fits them\n{UNIT}step",
        ),
        (
            [SECOND * 1000],
            "s",
            f"{SAID} holds the numbers 1767225600000 to 1767225600000: too large for s\n{UNIT}auto",
        ),
        ([1.0, np.inf], "step", f"{SAID} holds the numbers 1 to inf: too large for step\n{UNIT}auto"),
        (
            [1.0, 1.5],
            "step",
            f"{SAID} holds `1.5` in data row 2: no whole step\nhint: with time_unit step, times are whole counts",
        ),
        (
            ["2026-01-01", None, None],
            "auto",
            f"{SAID} is empty in 2 rows, first in data row 2\nhint: every row needs its time",
        ),
        (
            ["2026-01-01", "01/02/2026"],
            "auto",
            f"{SAID} holds `01/02/2026` in data row 2\n"
            "hint: times are ISO 8601 (2026-01-31 13:05:00, with or without a zone) or numbers since 1970",
        ),
        (
            ["2026-01-01T00:00+01:00", "2026-01-01T00:00+02:00"],
            "auto",
            ZONES,
        ),
        (
            ["2026-01-01T00:00", "2026-01-01T00:00Z"],
            "auto",
            ZONES,
        ),
        (
            ["2026-01-01", "9999-12-31"],
            "auto",
            f"{SAID} holds `9999-12-31T00:00:00` in data row 2\n"
            "hint: times are kept in nanoseconds, which reach from 1678 to 2261",
        ),
    ],
)
def test_a_time_that_can_not_be_told_is_refused(times, unit, expected):
    with pytest.raises(DataError) as caught:
        read_times(times, "ds", unit)
    assert "\n".join(caught.value.lines()) == expected
