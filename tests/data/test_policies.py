"""Every policy with every choice, by hand: values, mask, what is said, what is counted."""

import itertools

import numpy as np
import pandas as pd
import pytest

from gym_jax.data import Policy, make_panel, read, read_frame
from gym_jax.errors import DataError

HOUR = 3_600 * 10**9
MIDNIGHT = int(np.datetime64("2026-01-01", "ns").astype(np.int64))
NAN = None


def frame(values, *, times=None, ids=None, **more):
    """A frame of hours; `times` are hours after midnight, which may be fractions."""
    hours = range(len(values)) if times is None else times
    stamps = pd.Timestamp("2026-01-01") + pd.to_timedelta([float(hour) for hour in hours], unit="h")
    columns = {"ds": stamps, "cpu": values, **more}
    return pd.DataFrame(columns if ids is None else {"id": ids, **columns})


def seen(panel, channel=0):
    """The values of a channel, None where masked."""
    pairs = zip(panel.values[:, channel].tolist(), panel.mask[:, channel].tolist(), strict=True)
    return [value if there else None for value, there in pairs]


def count(panel, policy):
    """What was counted for a policy: of the data as they are, choice, count, total."""
    return [(f.choice, f.count, f.total) for f in panel.findings if f.policy == policy]


def refused(data, **options):
    with pytest.raises(DataError) as caught:
        read_frame(data, **options)
    return caught.value


ASKED = {
    "gaps mask": (
        frame([1.0, 2.0, 3.0, 4.0], times=[0, 1, 2, 5]),
        {"gaps": "mask"},
        ([1, 2, 3, None, None, 4], "2 of 6 time slots are missing: masked", (2, 6)),
    ),
    "gaps error": (frame([1.0, 2.0, 3.0, 4.0], times=[0, 1, 2, 5]), {"gaps": "error"}, "data.gaps"),
    "no gaps": (frame([1.0, 2.0]), {"gaps": "error"}, ([1, 2], None, (0, 2))),
    "duplicates error": (frame([1.0, 2.0, 3.0], times=[0, 1, 1]), {"duplicates": "error"}, "data.duplicates"),
    "duplicates first": (
        frame([1.0, 2.0, 3.0, 4.0], times=[0, 1, 1, 1]),
        {"duplicates": "first"},
        ([1, 2], "2 rows repeat the time of another row of their series: the first is kept", (2, 4)),
    ),
    "duplicates last": (
        frame([1.0, 2.0, 3.0, 4.0], times=[0, 1, 1, 1]),
        {"duplicates": "last"},
        ([1, 4], "2 rows repeat the time of another row of their series: the last is kept", (2, 4)),
    ),
    "duplicates last, out of order": (
        frame([5.0, 4.0, 3.0, 1.0], times=[1, 1, 1, 0]),
        {"duplicates": "last"},
        ([1, 3], "2 rows repeat the time of another row of their series: the last is kept", (2, 4)),
    ),
    "duplicates mean": (
        frame([1.0, 2.0, np.nan, 5.0], times=[0, 1, 1, 1]),
        {"duplicates": "mean"},
        ([1, 3.5], "2 rows repeat the time of another row of their series: their mean is taken", (2, 4)),
    ),
    "duplicates mean of nothing": (
        frame([1.0, np.nan, np.nan], times=[0, 1, 1]),
        {"duplicates": "mean"},
        ([1, None], "1 rows repeat the time of another row of their series: their mean is taken", (1, 3)),
    ),
    "unsorted sort": (
        frame([3.0, 1.0, 2.0], times=[2, 0, 1]),
        {"unsorted": "sort"},
        ([1, 2, 3], "rows were not sorted by series and time: sorted", (1, 3)),
    ),
    "unsorted error": (frame([3.0, 1.0, 2.0], times=[2, 0, 1]), {"unsorted": "error"}, "data.unsorted"),
    "irregular error": (frame([1.0, 2.0, 3.0, 4.0], times=[0, 1, 2, 2.9]), {"irregular": "error"}, "data.irregular"),
    "irregular round": (
        frame([1.0, 2.0, 3.0, 4.0, 5.0], times=[0, 1, 2, 3.1, 3.9]),
        {"irregular": "round"},
        ([1, 2, 3, 4, 5], "2 of 5 timestamps are off the regular step of 1h: rounded to it", (2, 5)),
    ),
    "missing mask": (
        frame([1.0, np.nan, 3.0]),
        {"missing": "mask"},
        ([1, None, 3], "1 target values are missing (NaN): masked", (1, 3)),
    ),
    "missing error": (frame([1.0, np.nan, 3.0]), {"missing": "error"}, "data.missing"),
    "infinite error": (frame([1.0, np.inf, 3.0]), {"infinite": "error"}, "data.infinite"),
    "infinite mask": (
        frame([1.0, np.inf, -np.inf]),
        {"infinite": "mask"},
        ([1, None, None], "2 values are infinite: masked", (2, 3)),
    ),
    "negative error": (frame([1.0, -2.0, 3.0]), {"negative": "error"}, "data.negative"),
    "negative mask": (
        frame([1.0, -2.0, 3.0]),
        {"negative": "mask"},
        ([1, None, 3], "1 values of usage are negative: masked", (1, 3)),
    ),
    "negative zero": (
        frame([1.0, -2.0, 3.0]),
        {"negative": "zero"},
        ([1, 0, 3], "1 values of usage are negative: set to 0", (1, 3)),
    ),
    "negative keep": (
        frame([1.0, -2.0, -0.0]),
        {"negative": "keep"},
        ([1, -2, 0], "1 values of usage are negative: kept", (1, 3)),
    ),
    "above_capacity keep": (
        frame([1.0, 4.0, 4.5], cpu_capacity=4.0),
        {"above_capacity": "keep"},
        ([1, 4, 4.5], "1 of 3 values (33.3%) are above capacity: kept", (1, 3)),
    ),
    "above_capacity clip": (
        frame([1.0, 9.0, 4.5], cpu_capacity=[4.0, 8.0, np.nan]),
        {"above_capacity": "clip"},
        ([1, 8, 4.5], "1 of 2 values (50.0%) are above capacity: cut to the capacity", (1, 2)),
    ),
    "above_capacity mask": (
        frame([1.0, 9.0, 4.5], cpu_capacity=4.0),
        {"above_capacity": "mask"},
        ([1, None, None], "2 of 3 values (66.7%) are above capacity: masked", (2, 3)),
    ),
    "above_capacity error": (frame([1.0, 9.0], cpu_capacity=4.0), {"above_capacity": "error"}, "data.above_capacity"),
    "blank error": (frame([1.0, 2.0], x=[np.nan, np.nan]), {"blank": "error"}, "data.blank"),
    "blank drop": (
        frame([1.0, 2.0], x=[np.nan, np.nan]),
        {"blank": "drop"},
        ([1, 2], "column `x` has no value in any row: dropped", (1, 3)),
    ),
}
"""Name -> data, policy; and what is read, said and counted, or the code it is refused with."""


@pytest.mark.parametrize("name", ASKED)
def test_a_policy_does_what_it_says(name):
    data, policy, expected = ASKED[name]
    options = {"target": "cpu", "past": "x" if "x" in data else (), "policy": policy}
    (key, choice), *_ = policy.items()
    if isinstance(expected, str):
        error = refused(data, **options)
        assert error.code == expected
        (finding,) = [f for f in error.findings if f.policy == key]
        assert (finding.choice, finding.text) == ("error", error.message)
        return
    values, note, (found, total) = expected
    panel = read_frame(data, **options)
    assert seen(panel) == values
    assert not panel.values[~panel.mask].any()
    assert count(panel, key)[0] == (choice, found, total)
    assert panel.notes[:1] == (() if note is None else (note,)) or note in panel.notes


def test_every_choice_of_every_policy_is_tried():
    choices = {(key, choice) for _, policy, _ in ASKED.values() for key, choice in policy.items()}
    known = {
        (name, choice)
        for name, hint in Policy.__annotations__.items()
        for choice in getattr(hint, "__args__", ())
        if name != "short"
    }
    assert choices == known


def test_good_data_are_counted_too():
    panel = read_frame(frame([1.0, 2.0, 3.0], cpu_capacity=[4.0, 4.0, 4.0]), target="cpu")
    assert panel.notes == ()
    assert [(f.policy, f.choice, f.count, f.total, f.what) for f in panel.findings] == [
        ("infinite", "error", 0, 3, "values"),
        ("negative", "error", 0, 3, "values of usage"),
        ("above_capacity", "keep", 0, 3, "values with a capacity"),
        ("missing", "mask", 0, 3, "values"),
        ("unsorted", "sort", 0, 3, "rows"),
        ("duplicates", "error", 0, 3, "rows"),
        ("irregular", "error", 0, 3, "timestamps"),
        ("gaps", "mask", 0, 3, "time slots"),
        ("blank", "error", 0, 2, "series and columns"),
    ]


def test_several_problems_are_refused_at_once_with_one_command():
    data = frame([-1.0, np.inf, np.nan, 9.0, 2.0], times=[0, 1, 1, 2, 4], cpu_capacity=4.0)
    policy = {"missing": "error", "gaps": "error", "above_capacity": "error"}
    error = refused(data, target="cpu", policy=policy)
    codes = ["infinite", "negative", "above_capacity", "missing", "duplicates", "gaps"]
    assert [problem.code for problem in error.problems] == [f"data.{code}" for code in codes]
    assert error.code == "data.problems"
    assert error.message == "; ".join(problem.message for problem in error.problems)
    choices = {"infinite": "mask", "negative": "mask", "above_capacity": "keep", "missing": "mask"}
    choices |= {"duplicates": "first", "gaps": "mask"}
    assert error.attempt == "gymjax train ... " + " ".join(f"data.policy.{k}={v}" for k, v in choices.items())
    panel = read_frame(data, target="cpu", policy=choices)
    assert seen(panel) == [None, None, 9, None, 2]


def test_values_are_judged_before_rows_are_dropped_or_resampled():
    data = frame([1.0, np.inf, 3.0], times=[0, 1, 1])
    assert refused(data, policy={"duplicates": "first"}).code == "data.infinite"
    assert seen(read_frame(data, policy={"duplicates": "first", "infinite": "mask"})) == [1, None]


def test_missing_values_of_other_columns_are_counted_apart():
    data = frame([1.0, np.nan, 3.0], x=[np.nan, 2.0, np.nan])
    panel = read_frame(data, target="cpu", past="x")
    assert panel.notes == ("1 target values and 2 other values are missing (NaN): masked",)
    panel = read_frame(data.assign(cpu=1.0), target="cpu", past="x")
    assert panel.notes == ("2 other values are missing (NaN): masked",)
    assert refused(data.assign(cpu=1.0), target="cpu", past="x", policy={"missing": "error"}).code == "data.missing"


def test_nothing_is_repaired_in_place():
    values = np.array([[1.0], [-1.0], [9.0], [np.inf]])
    kept = values.copy()
    make_panel(
        np.zeros(4, int),
        ["a"],
        np.arange(4),
        values,
        channels=("cpu",),
        targets=1,
        clock="step",
        usage=("cpu",),
        capacity={"cpu": 4.0},
        policy=Policy(negative="zero", above_capacity="clip", infinite="mask"),
    )
    np.testing.assert_array_equal(values, kept)


# What can not be negative, and what is above what


@pytest.mark.parametrize(
    "name",
    ["cpu", "CPU usage [MHZ]", "memory_mib", "disk.read", "usedBytes", "memoryUsage", "net-io", "cpu_pct", "load [%]"],
)
def test_usage_is_found_by_its_name(name):
    data = frame([1.0, -1.0]).rename(columns={"cpu": name})
    assert refused(data).code == "data.negative"
    assert seen(read_frame(data, usage=())) == [1, -1]


@pytest.mark.parametrize("name", ["temperature", "score", "price", "cpuset_delta", "diskette", "value"])
def test_other_columns_may_be_negative(name):
    data = frame([1.0, -1.0]).rename(columns={"cpu": name})
    assert seen(read_frame(data)) == [1, -1]
    assert refused(data, usage=[name]).code == "data.negative"


@pytest.mark.parametrize(
    ("usage", "limit"),
    [
        ("cpu_cores", "cpu_capacity_cores"),
        ("cpu", "cpu_limit"),
        ("memory_used_mib", "memory_capacity_mib"),
        ("CPU usage [MHZ]", "CPU capacity provisioned [MHZ]"),
        ("memoryUsage", "memoryLimit"),
    ],
)
def test_a_capacity_is_found_by_its_name(usage, limit):
    data = frame([1.0, 5.0]).rename(columns={"cpu": usage}).assign(**{limit: 4.0})
    panel = read_frame(data, policy={"above_capacity": "clip"})
    assert panel.channels == (usage,)  # the capacity is not a second candidate for the target
    assert seen(panel) == [1, 4]
    assert count(read_frame(data, capacity={}), "above_capacity") == []


@pytest.mark.parametrize(
    ("usage", "limit"), [("cpu_cores", "memory_capacity_mib"), ("cpu_mhz", "cpu_capacity_cores"), ("a", "capacity")]
)
def test_the_capacity_of_something_else_is_none(usage, limit):
    data = frame([1.0, 500.0]).rename(columns={"cpu": usage}).assign(**{limit: 4.0})
    assert count(read_frame(data, target=usage), "above_capacity") == []


def test_a_capacity_has_none_itself():
    data = frame([1.0, 5.0]).rename(columns={"cpu": "cpu_limit"})
    assert count(read_frame(data, target="cpu_limit"), "above_capacity") == []
    assert count(read_frame(data.assign(cpu_capacity=4.0), target="cpu_limit"), "above_capacity") == []


def test_two_candidates_for_a_capacity_are_none():
    data = frame([1.0, 5.0], cpu_capacity=4.0, cpu_limit=3.0)
    assert count(read_frame(data, target="cpu"), "above_capacity") == []
    panel = read_frame(data, target="cpu", capacity={"cpu": "cpu_limit"})
    assert count(panel, "above_capacity") == [("keep", 1, 2)]


def test_a_capacity_may_be_a_number_or_a_column_or_per_cent():
    data = frame([1.0, 5.0], quota=[1.0, 9.0])
    assert count(read_frame(data, target="cpu", capacity={"cpu": 4}), "above_capacity") == [("keep", 1, 2)]
    assert count(read_frame(data, target="cpu", capacity={"cpu": "quota"}), "above_capacity") == [("keep", 0, 2)]
    percent = frame([1.0, 101.0, 100.0]).rename(columns={"cpu": "cpu_pct"})
    assert count(read_frame(percent), "above_capacity") == [("keep", 1, 3)]


def test_rounding_is_not_above_capacity():
    data = frame([0.1 + 0.2, 1.0], cpu_capacity=0.3)
    assert count(read_frame(data.assign(cpu_capacity=[0.3, 1.0]), target="cpu"), "above_capacity") == [("keep", 0, 2)]


def test_a_capacity_in_one_file_only(tmp_path):
    (tmp_path / "a.csv").write_text("ds,cpu,cpu_capacity\n2026-01-01,5,4\n2026-01-02,1,4\n")
    (tmp_path / "b.csv").write_text("ds,cpu\n2026-01-01,9\n2026-01-02,1\n")
    panel = read(tmp_path, target="cpu")
    assert count(panel, "above_capacity") == [("keep", 1, 2)]
    assert panel.notes == ("1 of 2 values (50.0%) are above capacity: kept",)


def test_columns_of_a_wide_file_have_their_own_capacity_and_usage(tmp_path):
    (tmp_path / "w.csv").write_text("ds,cpu_a,cpu_b,temperature,top\n2026-01-01,1,-3,-5,9\n2026-01-02,5,7,-6,2\n")
    options = {"layout": "wide", "policy": {"negative": "mask"}}
    panel = read(tmp_path / "w.csv", capacity={"cpu_a": 4.0, "cpu_b": "top"}, **options)
    assert panel.series == ("cpu_a", "cpu_b", "temperature")
    assert seen(panel) == [1, 5, None, 7, -5, -6]
    assert count(panel, "negative") == [("mask", 1, 4)]
    assert count(panel, "above_capacity") == [("keep", 2, 4)]


# Blank columns and series


def test_blank_series_and_columns_are_dropped_together():
    data = frame([1.0, 2.0, np.nan, np.nan], times=[0, 1, 0, 1], ids=list("aabb"), x=np.nan, size=[1, 1, 2, 2])
    error = refused(data, target="cpu", past="x", static="size")
    assert error.message == "column `x`, series `b` have no value in any row"
    panel = read_frame(data, target="cpu", past="x", static="size", policy={"blank": "drop"})
    assert (panel.series, panel.channels, panel.static.tolist()) == (("a",), ("cpu",), [[1.0]])
    assert panel.offsets.tolist() == [0, 2]
    assert "column `x`, series `b` have no value in any row: dropped" in panel.notes


def test_what_is_masked_may_leave_nothing():
    data = frame([-1.0, -2.0, 3.0, 4.0], times=[0, 1, 0, 1], ids=list("aabb"))
    policy = {"negative": "mask", "blank": "drop"}
    assert read_frame(data, policy=policy).series == ("b",)
    assert refused(data, policy={"negative": "mask"}).message == "series `a` has no value in any row"
    assert refused(data[:2], policy=policy).message == "target `cpu` has no value in any row"


def test_one_blank_target_of_two_is_refused():
    data = frame([1.0, 2.0], memory=np.nan)
    policy = {"blank": "drop"}
    assert refused(data, target=["cpu", "memory"], policy=policy).message == "target `memory` has no value in any row"


def test_blank_columns_of_a_wide_file(tmp_path):
    (tmp_path / "w.csv").write_text("ds,a,b,c\n2026-01-01,1,,\n2026-01-02,2,,\n")
    panel = read(tmp_path / "w.csv", layout="wide", policy={"blank": "drop"})
    assert (panel.series, seen(panel)) == (("a",), [1, 2])
    assert panel.notes == ("columns `b`, `c` of `w.csv` have no value in any row: dropped",)


# The time step


def test_a_declared_step_lays_sparse_rows_on_its_grid():
    panel = read_frame(frame([1.0, 2.0], times=[0, 2]), step="1h")
    assert (panel.step, seen(panel)) == (HOUR, [1, None, 2])
    assert read_frame(frame([1.0, 2.0], times=[0, 2])).step == 2 * HOUR


def test_a_declared_step_stands_for_a_single_row():
    panel = read_frame(frame([1.0]), step="1h")
    assert (panel.step, seen(panel)) == (HOUR, [1])


def test_a_series_of_hardly_any_rows_is_said_aloud():
    data = frame([1.0] * 3002, times=[*range(3000), 0, 2000], ids=["a"] * 3000 + ["b"] * 2)
    assert read_frame(data).notes == (
        "1 series have less than a row in 50 steps, such as `b`: 2 in 2,001",
        "1,999 of 5,001 time slots are missing: masked",
    )


def mixed():
    """Series a each hour, series b every second."""
    return frame([1.0] * 12 + [2.0] * 6, times=[*range(12), *range(0, 12, 2)], ids=["a"] * 12 + ["b"] * 6)


def test_series_of_another_step_are_refused_or_read_on_a_declared_one():
    error = refused(mixed())
    assert error.message == "1 of 2 series has another time step than 1h: `b` has 2h"
    assert error.attempt == "gymjax data resample FILE --step 1h --out REGULAR.parquet"
    declared = read_frame(mixed(), step="1h")
    assert seen(declared)[12:] == [2, None] * 5 + [2]
    rounded = read_frame(mixed(), policy={"irregular": "round"})
    assert seen(rounded) == seen(declared)
    assert "1 of 2 series has another time step than 1h: read on that step" in rounded.notes
    coarse = read_frame(mixed(), resample={"step": "2h"})
    assert seen(coarse) == [1.0] * 6 + [2.0] * 6


def test_rounding_keeps_the_phase_of_each_series():
    times = [0.5, 1.5, 2.5, 3.25, *(hour + 0.25 for hour in range(4))]
    panel = read_frame(frame(range(8), times=times, ids=["a"] * 4 + ["b"] * 4), policy={"irregular": "round"})
    assert panel.first.tolist() == [MIDNIGHT + HOUR // 2, MIDNIGHT + HOUR // 4]
    assert seen(panel) == list(range(8))


def test_rounding_may_bring_rows_together():
    data = frame([1.0, 2.0, 3.0, 4.0, 6.0], times=[0, 1, 2, 3, 3.2])
    error = refused(data, policy={"irregular": "round"})
    assert error.message == (
        "1 rows repeat the time of another row of their series once rounded to the step: "
        "series `series` at 2026-01-01T03:00:00"
    )
    panel = read_frame(data, policy={"irregular": "round", "duplicates": "mean"})
    assert seen(panel) == [1, 2, 3, 5]
    assert [f.count for f in panel.findings if f.policy == "duplicates"] == [0, 1]


def test_series_may_have_phases_of_their_own():
    panel = read_frame(frame(range(6), times=[0, 1, 2, 0.5, 1.5, 2.5], ids=list("aaabbb")))
    assert panel.first.tolist() == [MIDNIGHT, MIDNIGHT + HOUR // 2]


def test_every_order_of_rows_gives_one_panel():
    data = frame(range(6), times=[0, 1, 2, 0, 1, 2], ids=list("aaabbb"))
    panels = [
        read_frame(data.iloc[list(order)].sort_values("id", key=lambda ids: ids.map({"a": 0, "b": 1}), kind="stable"))
        for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 37)
    ]
    assert all(seen(panel) == list(range(6)) for panel in panels)
    shuffled = read_frame(data.iloc[[5, 0, 3, 2, 1, 4]])
    assert (shuffled.series, seen(shuffled)) == (("b", "a"), [3, 4, 5, 0, 1, 2])


def test_rows_without_times_are_counted_for_each_series(tmp_path):
    (tmp_path / "cpu.csv").write_text("id,cpu\na,1\nb,5\na,\nb,6\na,3\n")
    panel = read(tmp_path / "cpu.csv", time_unit="step")
    assert (panel.series, panel.clock, panel.step, panel.time_name) == (("a", "b"), "step", 1, "step")
    assert (panel.first.tolist(), panel.lengths.tolist()) == ([0, 0], [3, 2])
    assert seen(panel) == [1, None, 3, 5, 6]
    assert panel.notes[0] == "there is no time column: rows are counted in the order of the data"
