from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_jax.data import Panel, origins, split_by_time
from gym_jax.data.groups import groups_of
from gym_jax.data.short import refuse_short
from gym_jax.data.split import (
    Splitting,
    split_by_date,
    split_by_series,
    split_by_steps,
    split_panel,
)
from gym_jax.errors import DataError

RUN = "hint: the data run from 2026-01-01T00:00:00 to 2026-01-01T09:00:00; val comes before test, test before until"
HOUR = 3_600 * 10**9
MIDNIGHT = int(np.datetime64("2026-01-01", "ns").astype(np.int64))


def make_masked(lengths, mask=None, channels=1, targets=1):
    """A panel of counted values, all observed unless a mask says otherwise."""
    rows = sum(lengths)
    mask = np.ones((rows, channels), bool) if mask is None else mask
    values = np.where(mask, np.arange(1.0, rows * channels + 1).reshape(rows, channels), 0)
    return Panel(
        series=tuple(f"s{i}" for i in range(len(lengths))),
        channels=tuple(f"c{i}" for i in range(channels)),
        targets=targets,
        values=values,
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first=np.zeros(len(lengths), np.int64),
        step=1,
        clock="step",
    )


def ranges(span):
    return list(zip(span.begin.tolist(), span.end.tolist(), strict=True))


def test_shares_are_of_each_series_own_length():
    split = split_by_time(make_masked([10, 20]), train=0.7, val=0.1)
    assert ranges(split.train) == [(0, 7), (10, 24)]
    assert ranges(split.val) == [(7, 8), (24, 26)]
    assert ranges(split.test) == [(8, 10), (26, 30)]


def test_a_gap_purges_rows_before_val_and_before_test():
    split = split_by_time(make_masked([20]), train=0.5, val=0.25, gap=2)
    assert [ranges(part) for part in split] == [[(0, 10)], [(12, 15)], [(17, 20)]]
    without_val = split_by_time(make_masked([20]), train=0.5, val=0.0, gap=2)
    assert [ranges(part) for part in without_val] == [[(0, 10)], [(10, 10)], [(12, 20)]]
    narrow = split_by_time(make_masked([20]), train=0.5, val=0.25, gap=9)
    assert [ranges(part) for part in narrow] == [[(0, 10)], [(15, 15)], [(20, 20)]]


@pytest.mark.parametrize(("train", "val"), [(0.9, 0.2), (-0.1, 0.5), (0.5, -0.1)])
def test_shares_that_leave_less_than_nothing_are_refused(train, val):
    with pytest.raises(ValueError, match="at most 1 together"):
        split_by_time(make_masked([10]), train=train, val=val)


@pytest.mark.parametrize("train", [0.29, 0.57, 0.58, 0.07, 0.14])
def test_a_share_of_a_hundred_rows_is_exact(train):
    split = split_by_time(make_masked([100]), train=train, val=0.0)
    assert split.train.end[0] == round(100 * train)
    assert split.val.begin[0] == split.val.end[0] == split.test.begin[0]


def test_context_reaches_into_the_earlier_part_but_never_before_the_series():
    panel = make_masked([10, 10])
    split = split_by_time(panel, train=0.6, val=0.2)
    assert origins(panel, split.train, context=4, horizon=2)[0].tolist() == [4, 14]
    assert origins(panel, split.val, context=4, horizon=2)[0].tolist() == [6, 16]
    assert origins(panel, split.test, context=9, horizon=1)[0].tolist() == [9, 19]
    assert origins(panel, split.train, context=9, horizon=2)[0].tolist() == []
    rows, series = origins(panel, split.train, context=9, horizon=4, whole=False)
    assert rows.tolist() == [1, 2, 11, 12]
    assert series.tolist() == [0, 0, 1, 1]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    context=st.integers(1, 8),
    horizon=st.integers(1, 5),
    gap=st.integers(0, 4),
    stride=st.integers(1, 4),
    shares=st.sampled_from([(0.7, 0.1), (0.5, 0.25), (0.6, 0.0), (0.8, 0.2), (0.29, 0.3)]),
    whole=st.booleans(),
    missing=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 9),
)
@settings(max_examples=150, deadline=None)
def test_every_admissible_origin_is_there_once(lengths, context, horizon, gap, stride, shares, whole, missing, seed):
    mask = np.random.default_rng(seed).random((sum(lengths), 2)) >= missing
    panel = make_masked(lengths, mask, channels=2)
    split = split_by_time(panel, train=shares[0], val=shares[1], gap=gap)
    observed = mask[:, 0]
    for name, part in zip(("train", "val", "test"), split, strict=True):
        truth = []
        for series, length in enumerate(lengths):
            begin = int(panel.offsets[series])
            low = {"train": 0, "val": shares[0], "test": sum(shares)}[name]
            high = {"train": shares[0], "val": sum(shares), "test": 1}[name]
            purged = gap if name == "test" or (name == "val" and shares[1]) else 0
            earliest = begin + int(low * length + 1e-9) + purged
            last = begin + int(high * length + 1e-9)
            earliest = max(earliest, begin + (context if whole else 1))
            truth += [
                (row, series)
                for row in range(earliest, last - horizon + 1, stride)
                if observed[row : row + horizon].any() and observed[max(begin, row - context) : row].any()
            ]
        rows, owners = origins(panel, part, context=context, horizon=horizon, stride=stride, whole=whole)
        assert list(zip(rows.tolist(), owners.tolist(), strict=True)) == truth
        assert (rows >= part.begin[owners]).all()
        assert (rows + horizon <= part.end[owners]).all()


@given(
    length=st.integers(1, 500),
    context=st.integers(1, 30),
    horizon=st.integers(1, 30),
    stride=st.integers(1, 9),
)
def test_the_number_of_windows_is_a_formula(length, context, horizon, stride):
    panel = make_masked([length])
    span = split_by_time(panel, train=1.0, val=0.0).train
    rows, _ = origins(panel, span, context=context, horizon=horizon, stride=stride)
    assert len(rows) == max(0, (length - context - horizon) // stride + 1)


def test_short_series_are_refused_or_dropped():
    panel = make_masked([100, 12, 100, 19])
    shares = Splitting()
    with pytest.raises(DataError) as caught:
        refuse_short(panel, shares, context=12, horizon=2, short="error")
    assert "\n".join(caught.value.lines()) == (
        "error: 2 of 4 series are too short: `s1` (12), `s3` (19)\n"
        "hint: context 12 and horizon 2 with these splits need 21 rows per series\n"
        "try: gymjax train ... data.policy.short=drop"
    )
    kept = refuse_short(panel, shares, context=12, horizon=2, short="drop")
    assert kept.series == ("s0", "s2")
    assert kept.values.ravel().tolist() == [*range(1, 101), *range(113, 213)]
    assert kept.notes == ("2 of 4 series are too short: dropped",)
    assert refuse_short(kept, shares, context=12, horizon=2, short="error") is kept
    with pytest.raises(DataError, match="4 of 4 series are too short") as caught:
        refuse_short(panel, shares, context=99, horizon=2, short="drop")
    assert caught.value.attempt == "gymjax train ... --context 24 --horizon 1"


@given(
    context=st.integers(1, 60),
    horizon=st.integers(1, 30),
    gap=st.integers(0, 9),
    train=st.sampled_from([0.5, 0.6, 0.7, 0.79]),
    val=st.sampled_from([0.0, 0.1, 0.2]),
)
def test_the_length_that_the_message_asks_for_is_enough(context, horizon, gap, train, val):
    splitting, options = Splitting(train=train, val=val, gap=gap), {"context": context, "horizon": horizon}
    with pytest.raises(DataError) as caught:
        refuse_short(make_masked([1]), splitting, short="error", **options)
    needed = int(caught.value.hint.split("need ")[1].split(" rows")[0].replace(",", ""))
    panel = make_masked([needed])
    assert refuse_short(panel, splitting, short="error", **options) is panel
    for part in split_by_time(panel, train=train, val=val, gap=gap)[:: 1 if val else 2]:
        assert len(origins(panel, part, context=context, horizon=horizon)[0]) > 0


def test_steps_are_the_last_of_every_series():
    split = split_panel(make_masked([20, 12]), Splitting(kind="steps", val_steps=3, test_steps=5))
    assert ranges(split.train) == [(0, 12), (20, 24)]
    assert ranges(split.val) == [(12, 15), (24, 27)]
    assert ranges(split.test) == [(15, 20), (27, 32)]
    purged = split_panel(make_masked([20]), Splitting(kind="steps", val_steps=3, test_steps=5, gap=2))
    assert [ranges(span)[0] for span in purged] == [(0, 8), (10, 13), (15, 20)]
    assert [ranges(span)[0] for span in split_by_steps(make_masked([20]), test=5, gap=2)] == [
        (0, 13),
        (13, 13),
        (15, 20),
    ]
    short = split_by_steps(make_masked([4]), val=3, test=3)
    assert [ranges(span)[0] for span in short] == [(0, 0), (0, 1), (1, 4)]


def test_dates_are_the_same_for_all_series():
    panel = replace(make_masked([10, 6]), clock="ns", step=HOUR, first=np.array([MIDNIGHT, MIDNIGHT + 3 * HOUR]))
    dates = {"val_from": "2026-01-01T04:00", "test_from": "2026-01-01 06:30", "until": "2026-01-01T08:00"}
    split = split_panel(panel, Splitting(kind="date", **dates))
    assert ranges(split.train) == [(0, 4), (10, 11)]
    assert ranges(split.val) == [(4, 7), (11, 14)]
    assert ranges(split.test) == [(7, 8), (14, 15)]
    purged = split_panel(panel, Splitting(kind="date", gap=1, **dates))
    assert [ranges(span)[0] for span in purged] == [(0, 3), (4, 6), (7, 8)]
    whole = split_by_date(panel, test="2026-01-01T06:00")
    assert [ranges(span)[0] for span in whole] == [(0, 6), (6, 6), (6, 10)]
    zoned = replace(panel, zone="UTC", calendar_zone="Europe/Vienna")
    assert split_by_date(zoned, test="2026-01-01T06:00").test.begin.tolist() == [5, 12]
    assert split_by_date(zoned, test="2026-01-01T06:00Z").test.begin.tolist() == [6, 13]
    counted = make_masked([10])
    assert split_by_date(counted, test="6").test.begin.tolist() == [6]


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (
            {"test": "2027-01-01"},
            "error: no row lies in the test part (from 2027-01-01)\n" + RUN,
        ),
        (
            {"val": "2026-01-01", "test": "2026-01-01T05:00"},
            "error: no row lies in the train part (before 2026-01-01)\n" + RUN,
        ),
        (
            {"val": "2026-01-01T05:00", "test": "2026-01-01T05:00"},
            "error: no row lies in the val part (from 2026-01-01T05:00)\n" + RUN,
        ),
        (
            {"test": "2026-01-01T05:00Z"},
            "error: `2026-01-01T05:00Z` is no time of these data: the data carry no time zone\n"
            "hint: such as 2026-01-31T12:00",
        ),
        (
            {"test": "today"},
            "error: `today` is no time of these data: it names no day\nhint: such as 2026-01-31T12:00",
        ),
    ],
)
def test_a_date_that_divides_nothing_is_refused(dates, words):
    panel = replace(make_masked([10]), clock="ns", step=HOUR, first=np.array([MIDNIGHT]))
    with pytest.raises(DataError) as caught:
        split_by_date(panel, **dates)
    assert "\n".join(caught.value.lines()) == words


@given(
    count=st.integers(1, 40), train=st.sampled_from([0.5, 0.7]), val=st.sampled_from([0.0, 0.2]), seed=st.integers(0, 5)
)
def test_whole_series_go_to_one_part_by_their_names(count, train, val, seed):
    panel = make_masked([3] * count)
    split = split_by_series(panel, train=train, val=val, seed=seed)
    parts = np.array([span.lengths for span in split])
    assert (np.sort(parts, axis=0) == [[0], [0], [3]]).all()
    assert (parts > 0).sum(axis=1).tolist()[:2] == [
        int(count * train + 1e-9),
        int(count * (train + val) + 1e-9) - int(count * train + 1e-9),
    ]
    turned = split_by_series(panel.select(np.arange(count)[::-1]), train=train, val=val, seed=seed)
    np.testing.assert_array_equal([span.lengths[::-1] for span in turned], parts)


@given(groups=st.lists(st.integers(0, 8), min_size=1, max_size=30), seed=st.integers(0, 5))
def test_series_of_a_group_stay_together(groups, seed):
    panel = replace(
        make_masked([3] * len(groups)), series=tuple(f"{day}/vm{group}" for day, group in enumerate(groups))
    )
    split = split_by_series(panel, train=0.6, val=0.2, seed=seed, group="[^/]+$")
    parts = [{groups[i] for i in np.flatnonzero(span.lengths)} for span in split]
    assert sum(map(len, parts)) == len(set(groups)) == len(set.union(*parts))
    reach = sum(groups.count(group) for group in parts[0])
    largest = max(map(groups.count, groups))
    assert int(0.6 * len(groups)) <= reach <= 0.6 * len(groups) + largest


def test_a_group_of_no_series_is_refused_and_one_without_stands_alone():
    panel = replace(make_masked([3] * 3), series=("a-1", "a-2", "b"))
    with pytest.raises(DataError, match="finds nothing in the id of any series"):
        split_by_series(panel, group="#")
    assert groups_of(panel.series, "^(.*)-") == ["a", "a", "b"]
    assert groups_of(panel.series, None) == ["a-1", "a-2", "b"]


def test_another_seed_divides_otherwise():
    panel = make_masked([1] * 40)
    assert split_by_series(panel, seed=0).test.lengths.tolist() != split_by_series(panel, seed=1).test.lengths.tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"val_steps": 3}, "val_steps belongs to kind=steps, this is kind=share"),
        ({"kind": "series", "gap": 3}, "gap belongs to kind=share or steps or date, this is kind=series"),
        ({"kind": "steps"}, "kind=steps needs test_steps"),
        ({"group": "a"}, "group belongs to kind=series, this is kind=share"),
        ({"kind": "series", "group": "("}, r"group '\(' is no regular expression"),
        ({"kind": "date", "val_from": "2026-01-01"}, "kind=date needs test_from"),
        ({"train": 0.8, "val": 0.2}, "train 0.8 and val 0.2 leave no test part"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Splitting(**options)


@pytest.mark.parametrize(
    ("splitting", "needed"),
    [
        (Splitting(kind="steps", val_steps=5, test_steps=9, gap=2), 4 + 3 + 5 + 2 + 9 + 2),
        (Splitting(kind="date", test_from="50"), 7),
        (Splitting(kind="series"), 7),
    ],
)
def test_short_series_of_every_kind_of_split(splitting, needed):
    panel = make_masked([100, 2, 100, 100, 100, 100, 100])
    with pytest.raises(DataError, match="1 of 7 series are too short: `s1` \\(2\\)") as caught:
        refuse_short(panel, splitting, context=4, horizon=3, short="error")
    assert f"need {needed} rows per series" in caught.value.hint
    assert len(refuse_short(panel, splitting, context=4, horizon=3, short="drop").series) == 6
    if splitting.kind == "steps":
        enough = make_masked([needed])
        assert refuse_short(enough, splitting, context=4, horizon=3, short="error") is enough
        with pytest.raises(DataError):
            refuse_short(make_masked([needed - 1]), splitting, context=4, horizon=3, short="error")


@given(
    lengths=st.lists(st.integers(30, 60), min_size=3, max_size=9),
    kind=st.sampled_from(["share", "steps", "date", "series"]),
    gap=st.integers(0, 4),
    stride=st.integers(1, 3),
)
def test_no_window_of_one_part_forecasts_a_row_of_another(lengths, kind, gap, stride):
    context, horizon = 5, 3
    panel = replace(make_masked(lengths), first=np.zeros(len(lengths), np.int64))
    options = {
        "share": {"train": 0.6, "val": 0.2, "gap": gap},
        "steps": {"val_steps": 8, "test_steps": 9, "gap": gap},
        "date": {"val_from": "12", "test_from": "20", "gap": gap},
        "series": {"train": 0.5, "val": 0.2},
    }[kind]
    used = np.zeros((3, len(panel.values)), bool)
    for part, span in enumerate(split_panel(panel, Splitting(kind=kind, **options))):
        rows, series = origins(
            panel, span, context=context, horizon=horizon, stride=stride if part == 0 else 1, whole=part == 0
        )
        targets = rows[:, None] + np.arange(horizon)
        assert (targets >= span.begin[series][:, None]).all()
        assert (targets < span.end[series][:, None]).all()
        used[part, targets.reshape(-1)] = True
    assert used.sum(axis=0).max() <= 1
    if kind != "series" and gap:
        for part in (1, 2):
            for series in range(len(lengths)):
                own = slice(panel.offsets[series], panel.offsets[series + 1])
                before, after = np.flatnonzero(used[part - 1, own]), np.flatnonzero(used[part, own])
                assert not len(before) or not len(after) or after[0] - before[-1] > gap


def test_a_part_that_is_not_wanted_needs_no_rows():
    panel = make_masked([20])
    assert refuse_short(panel, Splitting(kind="steps", test_steps=5), context=4, horizon=3, short="error") is panel


@pytest.mark.parametrize(("rows", "fits"), [(3, False), (4, True)])
def test_a_series_that_begins_in_the_test_part_needs_a_row_to_look_back_on(rows, fits):
    panel = replace(make_masked([50, rows]), first=np.array([0, 40]))
    kept = refuse_short(panel, Splitting(kind="date", test_from="30"), context=4, horizon=3, short="drop")
    assert (len(kept.series) == 2) == fits
