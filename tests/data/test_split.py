import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_jax.data import Panel, origins, split_by_time
from gym_jax.data.split import refuse_short
from gym_jax.errors import DataError


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
    shares = {"train": 0.7, "val": 0.1, "gap": 0}
    with pytest.raises(DataError) as caught:
        refuse_short(panel, context=12, horizon=2, short="error", **shares)
    assert "\n".join(caught.value.lines()) == (
        "error: 2 of 4 series are too short: `s1` (12), `s3` (19)\n"
        "hint: context 12 and horizon 2 with these splits need 21 rows per series\n"
        "try: gymjax train ... data.short=drop"
    )
    kept = refuse_short(panel, context=12, horizon=2, short="drop", **shares)
    assert kept.series == ("s0", "s2")
    assert kept.values.ravel().tolist() == [*range(1, 101), *range(113, 213)]
    assert kept.notes == ("2 of 4 series are too short: dropped",)
    assert refuse_short(kept, context=12, horizon=2, short="error", **shares) is kept
    with pytest.raises(DataError, match="4 of 4 series are too short") as caught:
        refuse_short(panel, context=99, horizon=2, short="drop", **shares)
    assert caught.value.attempt == "gymjax train ... --context 24 --horizon 1"


@given(
    context=st.integers(1, 60),
    horizon=st.integers(1, 30),
    gap=st.integers(0, 9),
    train=st.sampled_from([0.5, 0.6, 0.7, 0.79]),
    val=st.sampled_from([0.0, 0.1, 0.2]),
)
def test_the_length_that_the_message_asks_for_is_enough(context, horizon, gap, train, val):
    options = {"context": context, "horizon": horizon, "train": train, "val": val, "gap": gap}
    with pytest.raises(DataError) as caught:
        refuse_short(make_masked([1]), short="error", **options)
    needed = int(caught.value.hint.split("need ")[1].split(" rows")[0].replace(",", ""))
    panel = make_masked([needed])
    assert refuse_short(panel, short="error", **options) is panel
    for part in split_by_time(panel, train=train, val=val, gap=gap)[:: 1 if val else 2]:
        assert len(origins(panel, part, context=context, horizon=horizon)[0]) > 0
