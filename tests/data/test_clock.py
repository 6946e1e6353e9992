"""Times of every spelling to nanoseconds: by hand, never guessed."""

import datetime

import numpy as np
import pandas as pd
import pytest

from gym_jax.data import Reading, read_frame
from gym_jax.data.clock import read_times
from gym_jax.data.spelling import fitting_format, other_reading
from gym_jax.errors import DataError

SECOND = 1_767_225_600
"""2026-01-01 00:00:00 UTC."""
COUNTS = "hint: say what they count: s, ms, us or ns since 1970, or step for plain counts"
SAID = "error: time column `ds` of the data"
NUMBERS = SAID + " holds the numbers {} (data row {}) to {} (data row {})"
ISO = "hint: times are ISO 8601 (2026-01-31 13:05:00, with or without a zone) or numbers since 1970; "


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-01", "2026-01-01 00:05"],
        ["2026-01-01T00:00:00", "2026-01-01T00:05:00.000"],
        ["20260101T000000", "2026/01/01 0:05"],
        pd.date_range("2026-01-01", periods=2, freq="5min", unit="s"),
        pd.Categorical(["2026-01-01 00:00", "2026-01-01 00:05"]),
        [datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, 0, 5)],
    ],
)
def test_times_without_a_zone_are_kept_as_written(times):
    read = read_times(times, "ds")
    assert read.stamps.tolist() == [SECOND * 10**9, (SECOND + 300) * 10**9]
    assert (read.clock, read.zone, read.note) == ("ns", None, None)


def test_a_time_is_good_to_a_nanosecond():
    assert read_times(["2026-01-01T00:00:00.123456789"], "ds").stamps.tolist() == [SECOND * 10**9 + 123_456_789]


def test_nanoseconds_as_text_keep_every_digit():
    times = [SECOND * 10**9 + 1, SECOND * 10**9 + 10_000_002]
    assert read_times(pd.Series(list(map(str, times))), "ds").stamps.tolist() == times


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
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_times_with_a_zone_are_kept_in_utc(times, note, zone):
    read = read_times(times, "ds", Reading(time_zone=zone))
    assert read.stamps.tolist() == [SECOND * 10**9, (SECOND + 300) * 10**9]
    assert (read.clock, read.zone, read.note) == ("ns", "UTC", note)


def test_several_zones_are_one_moment_each_when_a_zone_is_said():
    times = ["2026-03-29T01:55+01:00", "2026-03-29T03:00+02:00"]
    read = read_times(times, "ds", Reading(time_zone="Europe/Vienna"))
    assert np.diff(read.stamps).tolist() == [300 * 10**9]
    assert read.zone == "UTC"


@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 0), ("Europe/Vienna", 1), ("Asia/Kolkata", 5.5), ("America/New_York", -5)]
)
def test_a_zone_may_be_said(zone, hours):
    read = read_times(["2026-01-01 00:00", "2026-01-01 00:05"], "ds", Reading(time_zone=zone))
    begin = int((SECOND - hours * 3600) * 10**9)
    assert read.stamps.tolist() == [begin, begin + 300 * 10**9]
    assert (read.zone, read.note) == ("UTC", None if zone == "UTC" else f"times of zone {zone} are kept in UTC")


@pytest.mark.parametrize(
    ("time", "zone", "fine"),
    [
        ("2026-03-29 01:59:59", "Europe/Vienna", True),
        ("2026-03-29 02:00:00", "Europe/Vienna", False),
        ("2026-03-29 02:59:59", "Europe/Vienna", False),
        ("2026-03-29 03:00:00", "Europe/Vienna", True),
        ("2026-10-25 01:59:59", "Europe/Vienna", True),
        ("2026-10-25 02:00:00", "Europe/Vienna", False),
        ("2026-10-25 02:59:59", "Europe/Vienna", False),
        ("2026-10-25 03:00:00", "Europe/Vienna", True),
        ("2026-10-25 02:30:00", "UTC", True),
    ],
)
def test_hours_that_a_zone_has_twice_or_never_are_refused(time, zone, fine):
    reading = Reading(time_zone=zone)
    if fine:
        expected = pd.Timestamp(time, tz=zone).value
        assert read_times([time], "ds", reading).stamps.tolist() == [expected]
        return
    assert refusal([time], reading) == (
        f"{SAID} holds `{time}` in data row 1, which {zone} has twice or never: clocks change\n"
        "hint: write times in UTC, or with their offset"
    )


@pytest.mark.parametrize("kind", [np.int64, np.float64, str])
@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_since_1970(unit, said, kind):
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    numbers = (np.array([SECOND, SECOND + 300]) * scale).astype(kind)
    read = read_times(
        numbers.astype(object) if kind is str else numbers, "ds", Reading(time_unit=unit if said else "auto")
    )
    assert read.stamps.tolist() == [SECOND * 10**9, (SECOND + 300) * 10**9]
    note = f"time column `ds` read as {unit} since 1970 (the only unit that gives dates of 1990-2100)"
    assert (read.clock, read.zone, read.note) == ("ns", None, None if said else note)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("seconds", [631_152_000, 4_102_444_800])
def test_the_first_and_the_last_moment_that_are_told_by_themselves(unit, seconds):
    scale = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    assert read_times([seconds * scale], "ds").stamps.tolist() == [seconds * 10**9]
    off = seconds * scale + (-1 if seconds < 10**9 else 1)
    with pytest.raises(DataError, match="no unit since 1970 fits them"):
        read_times([off], "ds")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Timestamp [ms]", ", although its name says ms"),
        ("time_us", ", although its name says us"),
        ("ts (s)", ""),
        ("jams", ""),
    ],
)
def test_a_unit_in_the_name_is_weighed_against_the_numbers(name, says):
    note = f"time column `{name}` read as s since 1970{says} (the only unit that gives dates of 1990-2100)"
    assert read_times([SECOND, SECOND + 300], name).note == note


def test_seconds_that_could_be_dates_of_another_century_are_seconds():
    assert read_times([1_712_010_100, 1_712_010_101], "ds").stamps.tolist() == [
        1_712_010_100 * 10**9,
        1_712_010_101 * 10**9,
    ]


def test_numbers_since_1970_are_utc_when_a_zone_is_said():
    assert read_times([SECOND], "ds", Reading(time_zone="Europe/Vienna")).zone == "UTC"


def test_a_float_of_seconds_is_good_to_a_microsecond():
    numbers = SECOND + np.arange(40) / 10
    frame = pd.DataFrame({"ds": numbers, "value": 1.0})
    panel = read_frame(frame)
    assert panel.step == 10**8
    assert panel.mask.all()
    assert read_times(np.array([SECOND + 0.000_125]), "ds").stamps.tolist() == [SECOND * 10**9 + 125_000]


def test_plain_counts():
    read = read_times([3.0, 4.0, 9.0], "ds", Reading(time_unit="step"))
    assert read.stamps.tolist() == [3, 4, 9]
    assert (read.clock, read.note) == ("step", None)


def test_a_unit_that_leads_to_1970_is_said_aloud():
    note = "time column `ds` read as {} since 1970 begins in the year 1970"
    assert read_times([0, 300], "ds", Reading(time_unit="s")).note == note.format("s")
    told = read_times([SECOND], "ds", Reading(time_unit="ns"))
    assert told.note == note.format("ns") + "; read as s it would be after 1990"
    assert told.stamps.tolist() == [SECOND]


@pytest.mark.parametrize(
    ("times", "form", "expected"),
    [
        (["31/01/2026 13:05"], "%d/%m/%Y %H:%M", "2026-01-31T13:05"),
        (["01/31/2026 01:05 PM"], "%m/%d/%Y %I:%M %p", "2026-01-31T13:05"),
        ([20260131], "%Y%m%d", "2026-01-31"),
        (["20260131"], "%Y%m%d", "2026-01-31"),
        ([2026], "%Y", "2026-01-01"),
    ],
)
def test_a_format_may_be_said(times, form, expected):
    stamps = read_times(times, "ds", Reading(time_format=form)).stamps
    assert stamps.astype("datetime64[ns]").tolist() == np.array([expected], "datetime64[ns]").tolist()


def test_a_format_with_a_zone():
    read = read_times(["01.02.2026 03:00 +0200"], "ds", Reading(time_format="%d.%m.%Y %H:%M %z"))
    assert read.stamps.astype("datetime64[ns]").astype(str).tolist() == ["2026-02-01T01:00:00.000000000"]
    assert read.zone == "UTC"


@pytest.mark.parametrize(
    ("words", "form", "other"),
    [
        (["01/02/2026", "02/02/2026"], "%d/%m/%Y", "%m/%d/%Y"),
        (["01/02/2026", "31/02/2026"], None, None),
        (["01/02/2026", "31/01/2026"], "%d/%m/%Y", None),
        (["01/31/2026 10:00:00"], "%m/%d/%Y %H:%M:%S", None),
        (["2026-01-01 5:00 AM"], "%Y-%m-%d %I:%M %p", None),
        (["2026-01-01 00:00:00,5"], "%Y-%m-%d %H:%M:%S,%f", None),
        (["31.12.2026 23:59"], "%d.%m.%Y %H:%M", None),
        (["2026-01-01 05:00 UTC"], "%Y-%m-%d %H:%M %Z", None),
        (["12 Jan 2026 10:00"], "%d %b %Y %H:%M", None),
        (["31/Jan/2026:10:00:00 +0100"], "%d/%b/%Y:%H:%M:%S %z", None),
        (["2026010100", "2026010123"], "%Y%m%d%H", None),
        (["1767225600"], None, None),
        (["x"], None, None),
        (["2026-01-01 24:00"], None, None),
        ([], None, None),
    ],
)
def test_the_format_that_is_offered_reads_every_word(words, form, other):
    assert fitting_format(words) == form
    if form is not None:
        assert other_reading(words, form) == other
        read_times(words, "ds", Reading(time_format=form))


def refusal(times, reading):
    with pytest.raises(DataError) as caught:
        read_times(times, "ds", reading)
    return "\n".join(caught.value.lines())


@pytest.mark.parametrize(
    ("times", "unit", "expected"),
    [
        (
            [300, 0],
            "auto",
            f"{NUMBERS.format(0, 2, 300, 1)}: no unit since 1970 fits them\n{COUNTS}\n"
            "try: gymjax train ... data.time_unit=step",
        ),
        (
            [-5, SECOND],
            "auto",
            f"{NUMBERS.format(-5, 1, SECOND, 2)}: no unit since 1970 fits them\n{COUNTS}",
        ),
        (
            [20260101],
            "auto",
            f"{NUMBERS.format(20260101, 1, 20260101, 1)}: they look like dates (%Y%m%d)\n"
            "hint: say what they are with data.time_format, or data.time_unit for numbers since 1970\n"
            "try: gymjax train ... data.time_format=%Y%m%d",
        ),
        (
            [2026010100, 2026010101],
            "auto",
            f"{NUMBERS.format(2026010100, 1, 2026010101, 2)}: they may be dates (%Y%m%d%H), or s since 1970\n"
            "hint: say what they are with data.time_format, or data.time_unit for numbers since 1970\n"
            "try: gymjax train ... data.time_format=%Y%m%d%H",
        ),
        (
            [SECOND * 1000, SECOND],
            "auto",
            f"{NUMBERS.format(SECOND, 2, SECOND * 1000, 1)}: s and ms since 1970 are mixed\n"
            "hint: write all in one unit",
        ),
        (
            [SECOND * 1000],
            "s",
            f"{NUMBERS.format(SECOND * 1000, 1, SECOND * 1000, 1)}: too large for s\n{COUNTS}\n"
            "try: gymjax train ... data.time_unit=ms",
        ),
        ([1.0, np.inf], "step", f"{NUMBERS.format(1, 1, 'inf', 2)}: too large for step\n{COUNTS}"),
        (
            [1.0, 1.5],
            "step",
            f"{SAID} holds `1.5` in data row 2: no whole step\nhint: with time_unit step, times are whole counts",
        ),
        (
            np.array([SECOND], np.float32),
            "s",
            f"{NUMBERS.format(SECOND, 1, SECOND, 1)} in float32, which can not tell seconds apart\n"
            "hint: store times in 64 bits",
        ),
        (
            ["2026-01-01", None, None],
            "auto",
            f"{SAID} is empty in 2 rows, first in data row 2\nhint: every row needs its time",
        ),
        (
            ["2026-01-01", "01/02/2026"],
            "auto",
            f"{SAID} holds `01/02/2026` in data row 2\n{ISO}others need data.time_format",
        ),
        (
            ["03/02/2026", "01/02/2026"],
            "auto",
            f"{SAID} holds `03/02/2026` in data row 1\n{ISO}others need data.time_format, here %d/%m/%Y or %m/%d/%Y\n"
            "try: gymjax train ... data.time_format=%d/%m/%Y",
        ),
        (["2026-01-01", "now"], "auto", f"{SAID} holds `now` in data row 2\n{ISO}others need data.time_format"),
        (["2026-01-01", "today"], "auto", f"{SAID} holds `today` in data row 2\n{ISO}others need data.time_format"),
        (
            ["2026-01-01T00:00+01:00", "2026-01-01T00:00+02:00"],
            "auto",
            f"{SAID} mixes several zones\nhint: name the zone of the calendar: every time has its offset\n"
            "try: gymjax train ... data.time_zone=UTC",
        ),
        (
            ["2026-01-01T00:00", "2026-01-01T00:00Z"],
            "auto",
            f"{SAID} mixes times with and without a zone\nhint: write every time alike",
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
    assert refusal(times, Reading(time_unit=unit)) == expected


def test_times_with_and_without_a_zone_are_refused_also_when_a_zone_is_said():
    reading = Reading(time_zone="Europe/Vienna")
    assert "mixes times with and without a zone" in refusal(["2026-01-01T00:00", "2026-01-01T00:00Z"], reading)
