import dataclasses
import itertools
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32, FLOAT64

from gym_jax.data import Panel, Scaler, Span, fit_scaler, read_frame
from gym_jax.data.scale import CELLS, grouped_quantile, row_chunks, rows_for, rows_inside
from gym_jax.errors import DataError


def make_two(values, lengths, mask=None):
    values = np.asarray(values, np.float64)
    mask = np.ones(values.shape, bool) if mask is None else mask
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
    )


def everything(panel):
    return Span(panel.offsets[:-1], panel.offsets[1:])


def random_panel():
    generator = np.random.default_rng(0)
    values = generator.normal([3, -50], [1, 20], size=(90, 2)) * np.repeat([1, 1e4, 1e-4], 30)[:, None]
    return make_two(values, [30, 30, 30], generator.random(values.shape) > 0.2)


def test_the_statistics_of_train_rows_are_numpys():
    panel = random_panel()
    span = Span(np.array([0, 32, 60]), np.array([20, 55, 61]))
    scaler = fit_scaler(panel, span)
    for series in range(3):
        for channel in range(2):
            rows = slice(span.begin[series], span.end[series])
            seen = panel.values[rows, channel][panel.mask[rows, channel]]
            if len(seen) > 1:
                np.testing.assert_allclose(scaler.shift[series, channel], seen.mean(), rtol=FLOAT64)
                np.testing.assert_allclose(scaler.scale[series, channel], seen.std(), rtol=FLOAT64)


def test_global_scope_pools_the_observed_train_rows_of_all_series():
    panel = random_panel()
    span = Span(np.array([0, 30, 60]), np.array([20, 50, 80]))
    scaler = fit_scaler(panel, span, scope="global")
    inside = np.concatenate([np.arange(begin, end) for begin, end in zip(*span, strict=True)])
    assert scaler.shift.shape == (1, 2)
    for channel in range(2):
        seen = panel.values[inside, channel][panel.mask[inside, channel]]
        np.testing.assert_allclose(scaler.shift[0, channel], seen.mean(), rtol=FLOAT64)
        np.testing.assert_allclose(scaler.scale[0, channel], seen.std(), rtol=FLOAT64)


def test_values_near_a_billion_keep_their_deviation():
    values = np.random.default_rng(1).normal(1e9, 1, size=(50_000, 1))
    panel = make_two(values, [50_000])
    scaler = fit_scaler(panel, everything(panel))
    truth = np.std(values.astype(np.longdouble))
    assert abs(scaler.scale[0, 0] / truth - 1) < FLOAT32
    scaled = scaler.transform(values, np.zeros(len(values), np.int64))
    np.testing.assert_allclose([scaled.mean(dtype=float), scaled.std(dtype=float)], [0, 1], atol=FLOAT32)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e9 + 0.3, 1e-300])
def test_a_constant_series_is_only_shifted(constant):
    panel = make_two(np.full((2_000_000, 1), constant), [2_000_000])
    scaler = fit_scaler(panel, everything(panel))
    assert scaler.scale.tolist() == [[1.0]]
    np.testing.assert_allclose(scaler.shift, constant, rtol=FLOAT64)


def test_a_series_without_an_observed_train_row_takes_the_global_statistics():
    mask = np.array([1, 1, 1, 0, 0, 1], bool)[:, None]
    panel = make_two(np.array([1.0, 2, 3, 0, 0, 50])[:, None], [3, 3], mask)
    scaler = fit_scaler(panel, Span(np.array([0, 3]), np.array([3, 5])))
    assert scaler.shift.tolist() == [[2.0], [2.0]]
    np.testing.assert_allclose(scaler.scale, np.sqrt(2 / 3), rtol=FLOAT64)


@pytest.mark.parametrize("scope", ["series", "global"])
def test_restore_undoes_transform_for_the_targets(scope):
    panel = random_panel()
    scaler = fit_scaler(panel, everything(panel), scope=scope)
    owner = np.repeat(np.arange(3), 30)
    scaled = scaler.transform(panel.values, owner)
    assert scaled.dtype == np.float32
    windows = scaled[:, None, :1]
    restored = scaler.restore(windows, owner)
    assert restored.dtype == np.float64
    assert restored.shape == (90, 1, 1)
    magnitude = (
        np.abs(panel.values[:, 0]) + scaler.scale[scaler.row(owner), 0] + np.abs(scaler.shift[scaler.row(owner), 0])
    )
    assert (np.abs(restored[:, 0, 0] - panel.values[:, 0]) <= FLOAT32 * magnitude).all()


def test_kind_none_changes_nothing():
    panel = random_panel()
    scaler = fit_scaler(panel, everything(panel), kind="none")
    owner = np.repeat(np.arange(3), 30)
    np.testing.assert_array_equal(scaler.transform(panel.values, owner), panel.values.astype(np.float32))


def test_json_keeps_every_bit():
    generator = np.random.default_rng(2)
    scaler = Scaler(generator.normal(size=(5, 3)) * 1e9, generator.random((5, 3)) * 1e-9, log=2)
    again = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    assert again[2:] == scaler[2:] == (False, 2)
    for before, after in zip(scaler[:2], again[:2], strict=True):
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()


def test_a_blank_channel_of_one_series_does_not_spoil_the_others():
    import pandas as pd

    frame = pd.DataFrame(
        {"id": list("aabb"), "time": [0, 1, 0, 1], "cpu": [1.0, 3, 5, 9], "memory": [2.0, 4, None, None]}
    )
    panel = read_frame(frame, target=["cpu"], past=["memory"], time_unit="step")
    scaler = fit_scaler(panel, everything(panel))
    assert scaler.shift.tolist() == [[2, 3], [7, 3]]
    assert scaler.scale.tolist() == [[1, 1], [2, 1]]


def observed(panel, span, series, channel):
    rows = slice(span.begin[series], span.end[series])
    return panel.values[rows, channel][panel.mask[rows, channel]]


@pytest.mark.parametrize(
    ("kind", "shift", "scale"),
    [("standard", 3, np.sqrt(14 / 3)), ("robust", 2, 2.5), ("minmax", 1, 5), ("none", 0, 1)],
)
def test_three_numbers_by_hand(kind, shift, scale):
    panel = make_two(np.array([[1.0], [2.0], [6.0]]), [3])
    scaler = fit_scaler(panel, everything(panel), kind=kind)
    np.testing.assert_allclose([scaler.shift[0, 0], scaler.scale[0, 0]], [shift, scale], rtol=FLOAT64)
    expected = (np.array([1, 2, 6]) - shift) / scale
    np.testing.assert_allclose(scaler.transform(panel.values, np.zeros(3, int))[:, 0], expected, rtol=FLOAT32)


@pytest.mark.parametrize("scope", ["series", "global"])
def test_robust_and_minmax_are_the_formulas_of_scikit_learn(scope):
    panel = random_panel()
    span = Span(np.array([0, 32, 60]), np.array([20, 55, 71]))
    robust, minmax = (fit_scaler(panel, span, kind=kind, scope=scope) for kind in ("robust", "minmax"))
    for channel in range(2):
        groups = [observed(panel, span, series, channel) for series in range(3)]
        for row, seen in enumerate(groups if scope == "series" else [np.concatenate(groups)]):
            assert robust.shift[row, channel] == np.nanmedian(seen)
            assert robust.scale[row, channel] == np.subtract(*np.nanpercentile(seen, [75, 25]))
            assert minmax.shift[row, channel] == seen.min()
            assert minmax.scale[row, channel] == seen.max() - seen.min()


def test_an_idle_machine_is_scaled_by_its_deviation_and_a_constant_one_by_nothing():
    idle, constant = [0.0] * 9 + [10.0], [0.3] * 10
    panel = make_two(np.array(idle + constant)[:, None], [10, 10])
    scaler = fit_scaler(panel, everything(panel), kind="robust")
    assert scaler.shift.tolist() == [[0], [0.3]]
    np.testing.assert_allclose(scaler.scale, [[3], [1]], rtol=FLOAT64)
    assert fit_scaler(panel, everything(panel), kind="minmax").scale.tolist() == [[10], [1]]


def test_log1p_is_taken_of_the_targets_alone_and_given_back():
    logs = np.array([0.0, 1.0, 2.0])
    panel = make_two(np.stack([np.expm1(logs), logs], axis=1), [3])
    scaler = fit_scaler(panel, everything(panel), kind="minmax", log1p=True)
    np.testing.assert_allclose(scaler.scale, [[2, 2]], rtol=FLOAT64)
    scaled = scaler.transform(panel.values, np.zeros(3, int))
    np.testing.assert_allclose(scaled, np.stack([logs, logs], axis=1) / 2, atol=FLOAT32)
    restored = scaler.restore(scaled[:, None, :1], np.zeros(3, int))
    np.testing.assert_allclose(restored[:, 0, 0], panel.values[:, 0], atol=4 * FLOAT32)
    plain = fit_scaler(panel, everything(panel), kind="none", log1p=True)
    np.testing.assert_allclose(plain.transform(panel.values, np.zeros(3, int))[:, 0], logs, atol=FLOAT32)


@pytest.mark.parametrize("kind", ["standard", "none"])
def test_log1p_refuses_train_values_that_have_none_and_bears_later_ones(kind):
    panel = make_two(np.array([[-1.0], [3.0], [-2.0], [5.0], [-7.0]]), [5])
    with pytest.raises(DataError, match=r"log1p of `c0` .* 2 of 4 train values are not above -1") as caught:
        fit_scaler(panel, Span(np.array([0]), np.array([4])), kind=kind, log1p=True)
    assert caught.value.code == "data.log1p"
    scaler = fit_scaler(panel, Span(np.array([3]), np.array([4])), kind=kind, log1p=True)
    scaled = scaler.transform(panel.values, np.zeros(5, int))[:, 0]
    assert np.isfinite(scaled).all()
    assert scaled[0] == scaled[2] == scaled[4] == scaled.min()
    assert np.isposinf(scaler.restore(np.full((1, 1, 1), 1e6, np.float32), np.zeros(1, int)))


@pytest.mark.parametrize("kind", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("scope", ["series", "global"])
def test_calendar_channels_stay_as_they_are(kind, scope):
    panel = dataclasses.replace(random_panel(), known=1, unscaled=1)
    scaler = fit_scaler(panel, everything(panel), kind=kind, scope=scope)
    assert set(scaler.shift[:, 1]) == {0}
    assert set(scaler.scale[:, 1]) == {1}
    assert kind == "none" or (scaler.scale[:, 0] != 1).all()


@pytest.mark.parametrize("kind", ["standard", "robust", "minmax"])
@pytest.mark.parametrize("log1p", [False, True])
def test_series_outside_the_span_take_the_statistics_of_those_inside(kind, log1p):
    values = np.random.default_rng(3).lognormal(size=(60, 1))
    panel = make_two(values, [20, 20, 20])
    begin = np.array([0, 20, 40])
    scaler = fit_scaler(panel, Span(begin, np.array([0, 40, 40])), kind=kind, log1p=log1p)
    alone = fit_scaler(make_two(values[20:40], [20]), Span(np.array([0]), np.array([20])), kind=kind, log1p=log1p)
    for part, one in zip(scaler[:2], alone[:2], strict=True):
        np.testing.assert_array_equal(part, np.repeat(one, 3, axis=0))
    nowhere = fit_scaler(panel, Span(begin, begin), kind=kind, log1p=log1p)
    assert nowhere.shift.tolist() == [[0]] * 3
    assert nowhere.scale.tolist() == [[1]] * 3


def test_a_hundred_thousand_series_are_each_their_own():
    values = np.random.default_rng(4).lognormal(size=(100_000, 24))
    panel = make_two(values.reshape(-1, 1), [24] * 100_000)
    span = Span(panel.offsets[:-1], panel.offsets[:-1] + 17)
    train = values[:, :17]
    low, middle, high = np.quantile(train, [0.25, 0.5, 0.75], axis=1)
    truth = {
        "standard": (train.mean(axis=1), train.std(axis=1)),
        "robust": (middle, high - low),
        "minmax": (train.min(axis=1), np.ptp(train, axis=1)),
    }
    for kind, (shift, scale) in truth.items():
        scaler = fit_scaler(panel, span, kind=kind)
        np.testing.assert_allclose(scaler.shift[:, 0], shift, rtol=FLOAT64, err_msg=kind)
        np.testing.assert_allclose(scaler.scale[:, 0], scale, rtol=FLOAT64, err_msg=kind)


@given(
    kind=st.sampled_from(["standard", "robust", "minmax", "none"]),
    scope=st.sampled_from(["series", "global"]),
    log1p=st.booleans(),
    base=st.sampled_from([0.0, 1.0, 1e4, 1e9]),
    spread=st.sampled_from([0.0, 0.01, 1.0, 100.0]),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_restore_undoes_transform_of_every_kind(kind, scope, log1p, base, spread, lengths, seed):
    values = base + spread * np.random.default_rng(seed).random((sum(lengths), 2))
    panel = make_two(values, lengths)
    scaler = fit_scaler(panel, everything(panel), kind=kind, scope=scope, log1p=log1p)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    restored = scaler.restore(scaler.transform(values, owner)[:, None, :1], owner)[:, 0, 0]
    shift, scale = scaler.shift[scaler.row(owner), 0], scaler.scale[scaler.row(owner), 0]
    truth = values[:, 0]
    if log1p:  # an error of the logarithm is relative to 1 + value
        bound = (1 + truth) * (np.abs(np.log1p(truth)) + scale + np.abs(shift))
    else:
        bound = np.abs(truth) + scale + np.abs(shift)
    assert (np.abs(restored - truth) <= FLOAT32 * bound).all()
    if kind != "none" and not log1p:  # bytes near 1e9 keep what tells them apart
        assert (np.abs(restored - truth) <= FLOAT32 * (np.abs(truth - shift) + scale) + 1e-15 * np.abs(shift)).all()


def statistics(panel, span, kind, scope, log1p):
    scaler = fit_scaler(panel, span, kind=kind, scope=scope, log1p=log1p)
    return scaler.shift.tobytes(), scaler.scale.tobytes()


@pytest.mark.parametrize("how", ["missing", "absurd", "nan", "below -1"])
@given(
    kind=st.sampled_from(["standard", "robust", "minmax", "none"]),
    scope=st.sampled_from(["series", "global"]),
    log1p=st.booleans(),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    missing=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_nothing_after_the_train_rows_changes_a_bit(how, kind, scope, log1p, lengths, missing, seed):
    generator = np.random.default_rng(seed)
    values = generator.lognormal(size=(sum(lengths), 2))
    panel = make_two(values, lengths, generator.random(values.shape) >= missing)
    span = Span(panel.offsets[:-1], panel.offsets[:-1] + generator.integers(0, panel.lengths + 1))
    later = ~rows_inside(span, len(values))[:, None]
    poisoned = {
        "missing": {"values": np.where(later, 0, panel.values), "mask": panel.mask & ~later},
        "absurd": {"values": np.where(later, 1e6 * panel.values - 7, panel.values)},
        "nan": {"values": np.where(later, np.nan, panel.values), "mask": panel.mask | later},
        "below -1": {"values": np.where(later, -3, panel.values), "mask": panel.mask | later},
    }[how]
    clean = statistics(panel, span, kind, scope, log1p)
    assert clean == statistics(dataclasses.replace(panel, **poisoned), span, kind, scope, log1p)


@given(
    kind=st.sampled_from(["standard", "robust", "minmax"]),
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    data=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_series_is_of_no_consequence(kind, lengths, data):
    values = 1e9 + np.random.default_rng(sum(lengths)).normal(size=(sum(lengths), 1))
    panel = make_two(values, lengths)
    order = np.array(data.draw(st.permutations(range(len(lengths)))))
    one = fit_scaler(panel, everything(panel), kind=kind)
    moved = panel.select(order)
    other = fit_scaler(moved, everything(moved), kind=kind)
    for before, after in zip(one.select(order)[:2], other[:2], strict=True):
        assert before.tobytes() == after.tobytes()


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    q=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    missing=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_quantiles_of_groups_are_numpys(counts, q, missing, seed):
    generator = np.random.default_rng(seed)
    values, used = generator.normal(size=sum(counts)), generator.random(sum(counts)) >= missing
    offsets = np.concatenate([[0], np.cumsum(counts)])
    found = grouped_quantile(np.where(used, values, np.nan), used, offsets, q)
    for group, (begin, end) in enumerate(itertools.pairwise(offsets)):
        seen = values[begin:end][used[begin:end]]
        truth = np.quantile(seen, q) if len(seen) else np.full(len(q), np.nan)
        np.testing.assert_allclose(found[:, group], truth, rtol=FLOAT64, atol=FLOAT64)


def test_large_groups_are_sorted_in_portions():
    sizes = [CELLS + 3, 5, CELLS // 2, CELLS // 2 + 1, 700_000, 1]
    values = np.random.default_rng(5).normal(size=sum(sizes))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    found = grouped_quantile(values, np.ones(len(values), bool), offsets, (0.1, 0.999))
    truth = [np.quantile(values[a:b], [0.1, 0.999]) for a, b in itertools.pairwise(offsets)]
    np.testing.assert_allclose(found.T, truth, rtol=FLOAT64)


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=8), size=st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_chunks_are_all_rows_once_with_their_series(counts, size):
    offsets = np.concatenate([[0], np.cumsum(counts)])
    parts = list(row_chunks(offsets, size))
    assert [row for rows, _ in parts for row in range(rows.start, rows.stop)] == list(range(sum(counts)))
    assert all(0 < rows.stop - rows.start <= size for rows, _ in parts)
    owners = [int(series) for _, owner in parts for series in owner]
    assert owners == np.repeat(np.arange(len(counts)), counts).tolist()


def test_known_series_keep_their_row_and_others_take_a_fresh_one():
    saved, fresh = np.array([[1.0, 2], [3, 4]]), np.array([[10.0, 20], [30, 40], [50, 60]])
    assert rows_for(["b", "x", "a"], ["a", "b"], saved, fresh).tolist() == [[3, 4], [30, 40], [1, 2]]
    scaler, new = Scaler(saved, 2 * saved, log=1), Scaler(fresh, 2 * fresh, log=1)
    merged = scaler.merge(["b", "x", "a"], ["a", "b"], new)
    assert merged.shift.tolist() == [[3, 4], [30, 40], [1, 2]]
    assert merged.scale.tolist() == [[6, 8], [60, 80], [2, 4]]
    assert merged.log == 1
    assert merged.select([2, 0]).shift.tolist() == [[1, 2], [3, 4]]
    shared = Scaler(saved[:1], saved[:1], shared=True)
    assert shared.merge(["b", "x"], ["a"], new) is shared
    assert shared.select([4, 5]) is shared


def test_the_scaler_of_an_older_run_has_no_logarithm():
    assert Scaler.from_json({"shift": [[1.0]], "scale": [[2.0]], "shared": False}).log == 0


@pytest.mark.parametrize("kind", ["standard", "robust", "minmax"])
def test_fitting_needs_a_few_copies_of_one_channel_at_most(kind):
    values = np.random.default_rng(6).lognormal(size=(500_000, 8))
    panel = make_two(values, [250_000, 250_000])
    tracemalloc.start()
    try:
        fit_scaler(panel, everything(panel), kind=kind)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * values[:, 0].nbytes


@pytest.mark.parametrize("log", [False, True])
def test_rescaling_undoes_restoring(log):
    generator = np.random.default_rng(0)
    panel = make_two(generator.uniform(1, 9, (40, 2)), (15, 25))
    scaler = fit_scaler(panel, Span(panel.offsets[:-1], panel.offsets[1:]), log1p=log)
    scaled, series = generator.normal(size=(7, 3, 1, 2)), np.array([0, 1, 1, 0, 1, 0, 0])
    restored = np.stack([scaler.restore(scaled[..., k], series) for k in range(2)], axis=-1)
    np.testing.assert_array_equal(scaler.restore(scaled, series), restored)
    np.testing.assert_allclose(scaler.rescale(restored, series), scaled, rtol=1e-9)
