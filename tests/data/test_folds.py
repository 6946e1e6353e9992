"""Folds by hand, and their laws: no test row is trained on, none is tested twice."""

from dataclasses import replace

import numpy as np
import pytest
from small import small_csv

from gym_jax.data import read
from gym_jax.data.folds import FOLD_KINDS, make_folds, split_before, split_blocks
from gym_jax.data.panel import Panel
from gym_jax.data.split import Span


def panel_of(*lengths):
    rows = sum(lengths)
    return Panel(
        series=tuple(f"s{i}" for i in range(len(lengths))),
        channels=("cpu",),
        targets=1,
        values=np.ones((rows, 1)),
        mask=np.ones((rows, 1), bool),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.zeros(len(lengths), np.int64),
        step=1,
        clock="step",
    )


def ranges(span, series=0):
    return int(span.begin[series]), int(span.end[series])


def test_expanding_and_sliding_by_hand():
    """40 rows and 3 folds: blocks of 10; val is the last fifth of what comes before the test block."""
    panel = panel_of(40)
    grown = make_folds(panel, "expanding", 3, val=0.2)
    assert [tuple(map(ranges, fold)) for fold in grown] == [
        ((0, 8), (8, 10), (10, 20)),
        ((0, 16), (16, 20), (20, 30)),
        ((0, 24), (24, 30), (30, 40)),
    ]
    slid = make_folds(panel, "sliding", 3, val=0.2)
    assert [tuple(map(ranges, fold)) for fold in slid] == [
        ((0, 8), (8, 10), (10, 20)),
        ((10, 18), (18, 20), (20, 30)),
        ((20, 28), (28, 30), (30, 40)),
    ]


def test_blocked_by_hand_with_a_gap():
    folds = make_folds(panel_of(40), "blocked", 2, val=0.25, gap=2)
    assert [tuple(map(ranges, fold)) for fold in folds] == [
        ((0, 9), (11, 14), (16, 20)),
        ((20, 29), (31, 34), (36, 40)),
    ]


def test_every_series_is_tested_once_and_another_one_validates():
    panel = panel_of(*([10] * 7))
    folds = make_folds(panel, "series", 3, val=0.1)
    tested = np.sum([fold.test.lengths > 0 for fold in folds], axis=0)
    np.testing.assert_array_equal(tested, 1)
    for fold in folds:
        own = np.array([part.lengths > 0 for part in fold])
        np.testing.assert_array_equal(own.sum(axis=0), 1)
        assert own[1].sum() == 1


def test_series_of_a_group_are_tested_together():
    panel = replace(panel_of(*([10] * 9)), series=tuple(f"{i}/vm{i % 4}" for i in range(9)))
    for fold in make_folds(panel, "series", 3, val=0.1, group="[^/]+$"):
        parts = [{i % 4 for i in np.flatnonzero(part.lengths)} for part in fold]
        assert sum(map(len, parts)) == 4
        assert len(parts[1]) == 1


@pytest.mark.parametrize("kind", FOLD_KINDS)
def test_no_row_is_in_two_parts_and_time_goes_on(kind):
    panel = panel_of(53, 31, 47, 8)
    seen = np.zeros(len(panel.values), int)
    for fold in make_folds(panel, kind, 3, val=0.15, gap=1):
        rows = [np.concatenate([np.arange(*ranges(part, s)) for s in range(4)]) for part in fold]
        joined = np.concatenate(rows)
        assert len(np.unique(joined)) == len(joined)
        seen[rows[2].astype(int)] += 1
        if kind != "series":
            assert (fold.train.end <= fold.val.begin).all()
            assert (fold.val.end < fold.test.begin).all() or not fold.test.lengths.all()
    assert seen.max() == 1


def test_blocks_of_a_span_follow_one_another():
    blocks = split_blocks(Span(np.array([3, 50]), np.array([13, 53])), 3)
    assert [ranges(block, 0) for block in blocks] == [(3, 6), (6, 9), (9, 13)]
    assert [ranges(block, 1) for block in blocks] == [(50, 51), (51, 52), (52, 53)]
    split = split_before(np.array([0]), np.array([10]), np.array([12]), val=0.0, gap=3)
    assert tuple(map(ranges, split)) == ((0, 7), (7, 7), (10, 12))


def test_a_fold_follows_from_the_names_of_the_series(tmp_path):
    panel = read(small_csv(tmp_path / "a.csv", 50, ("a", "b", "c", "d")), target=("cpu",))
    other = panel.select([2, 0, 3, 1])
    for mine, theirs in zip(make_folds(panel, "series", 2), make_folds(other, "series", 2), strict=True):
        tested = [{p.series[i] for i in np.flatnonzero(f.test.lengths)} for p, f in ((panel, mine), (other, theirs))]
        assert tested[0] == tested[1]
