import dataclasses
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32

from gym_jax.data import Panel, Scaler, Span, fit_scaler, make_windows, origins
from gym_jax.data.clip import clip, fit_bounds, hampel
from gym_jax.data.features import add_features
from gym_jax.data.impute import fill_seasonal
from gym_jax.data.scale import rows_inside
from gym_jax.data.windows import fill_window

KINDS = ("mask", "forward", "linear", "seasonal")
TAKE = jax.jit(lambda windows, indices: windows.take(indices))


def make_random(lengths, missing, channels, seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((sum(lengths), channels)) >= missing
    return Panel(
        series=tuple(map(str, range(len(lengths)))),
        channels=tuple(f"c{i}" for i in range(channels)),
        targets=1 + channels // 2,
        values=np.where(mask, generator.normal(5, 3, mask.shape), 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.zeros(len(lengths), np.int64),
        step=1,
        clock="step",
    )


def take_slowly(panel, scaler, rows, series, indices, context, horizon):
    """The batch by loops: what lies outside the series is 0, unobserved and of no weight."""
    channels, targets = len(panel.channels), panel.targets
    past = np.zeros((len(indices), context, channels), np.float32)
    mask = np.zeros(past.shape, bool)
    truth = np.zeros((len(indices), horizon, targets), np.float32)
    weights = np.zeros(truth.shape, np.float32)
    owner = np.zeros(len(indices), np.int32)
    for i, index in enumerate(indices):
        place = index if index >= 0 else i % len(rows)  # padding repeats other windows, without weight
        origin, owner[i] = rows[place], series[place]
        begin, end = panel.offsets[owner[i]], panel.offsets[owner[i] + 1]
        for step in range(-context, horizon):
            row = origin + step
            if not begin <= row < end:
                continue
            scaled = scaler.transform(panel.values[row : row + 1], owner[i : i + 1])[0]
            for channel in range(channels):
                if panel.mask[row, channel] and step < 0:
                    past[i, step, channel], mask[i, step, channel] = scaled[channel], True
                if panel.mask[row, channel] and step >= 0 and channel < targets:
                    truth[i, step, channel], weights[i, step, channel] = scaled[channel], index >= 0
    return past, mask, truth, weights, owner


def check(windows, panel, scaler, rows, series, indices):
    expected = take_slowly(panel, scaler, rows, series, indices, windows.context, windows.horizon)
    batch = TAKE(windows, jnp.asarray(indices, jnp.int32))
    mask = batch.inputs.mask
    if mask is None:
        mask = np.ones(batch.inputs.past.shape, bool)
    actual = (batch.inputs.past, mask, batch.targets, batch.weights, batch.inputs.series)
    for name, one, other in zip(("past", "mask", "targets", "weights", "series"), actual, expected, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
        assert one.dtype == other.dtype, name
    return batch


@given(
    lengths=st.sampled_from([[24], [2, 22], [8, 9, 7], [13, 6, 5]]),
    sizes=st.sampled_from([(1, 1), (4, 2), (9, 3)]),
    channels=st.sampled_from([1, 3]),
    missing=st.sampled_from([0.0, 0.4]),
    whole=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_take_is_the_slow_loop(lengths, sizes, channels, missing, whole, data):
    context, horizon = sizes
    panel = make_random(lengths, missing, channels, sum(lengths))
    span = Span(panel.offsets[:-1], panel.offsets[1:])
    scaler = fit_scaler(panel, span)
    rows, series = origins(panel, span, context=context, horizon=horizon, whole=whole)
    if len(rows):
        windows = make_windows(panel, scaler, rows, series, context=context, horizon=horizon)
        assert len(windows) == len(rows)
        indices = data.draw(st.lists(st.integers(-1, len(rows) - 1), min_size=5, max_size=5))
        check(windows, panel, scaler, rows, series, indices)


def test_a_window_may_forecast_past_the_end_of_every_series():
    panel = make_random([9, 8, 7], 0.0, 2, 1)
    scaler = Scaler(np.zeros((1, 2)), np.ones((1, 2)), shared=True)
    rows, series = panel.offsets[1:], np.arange(3)
    windows = make_windows(panel, scaler, rows, series, context=3, horizon=4)
    batch = check(windows, panel, scaler, rows, series, [0, 1, 2])
    assert not np.asarray(batch.weights).any()
    np.testing.assert_array_equal(batch.inputs.past[1], panel.values[14:17].astype(np.float32))


def test_a_window_that_starts_before_its_series_sees_nothing_of_the_one_before():
    panel = make_random([5, 5], 0.0, 1, 2)
    scaler = Scaler(np.zeros((1, 1)), np.ones((1, 1)), shared=True)
    windows = make_windows(panel, scaler, np.array([1, 6]), np.array([0, 1]), context=4, horizon=1)
    batch = windows.take(jnp.array([0, 1]))
    for i, row in enumerate((0, 5)):
        assert batch.inputs.mask[i].ravel().tolist() == [False, False, False, True]
        assert batch.inputs.past[i].ravel().tolist() == [0, 0, 0, np.float32(panel.values[row, 0])]


def test_another_context_is_the_same_forecasts_with_another_look_back():
    panel = make_random([20, 15], 0.2, 2, 3)
    span = Span(panel.offsets[:-1], panel.offsets[1:])
    scaler = fit_scaler(panel, span)
    rows, series = origins(panel, span, context=4, horizon=2, whole=False)
    windows = make_windows(panel, scaler, rows, series, context=4, horizon=2, room=9)
    for context in (1, 4, 9):
        check(windows.with_context(context), panel, scaler, rows, series, [0, 5, -1, len(rows) - 1])
    with pytest.raises(ValueError, match="context 10 is longer than the room of 9 rows"):
        windows.with_context(10)


def test_padding_has_no_weight_and_changes_no_other_row():
    panel = make_random([12], 0.0, 1, 4)
    scaler = Scaler(np.zeros((1, 1)), np.ones((1, 1)), shared=True)
    rows, series = origins(panel, Span(np.array([0]), np.array([12])), context=3, horizon=2)
    windows = make_windows(panel, scaler, rows, series, context=3, horizon=2)
    assert windows.mask is None
    batch = windows.take(jnp.array([4, -1, 2]))
    assert batch.inputs.mask is None
    assert np.asarray(batch.weights).sum(axis=(1, 2)).tolist() == [2, 0, 2]
    alone = windows.take(jnp.array([4, 2]))
    np.testing.assert_array_equal(batch.inputs.past[jnp.array([0, 2])], alone.inputs.past)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_compiled_is_eager_to_the_bit(missing):
    panel = make_random([30, 20], missing, 2, 5)
    span = Span(panel.offsets[:-1], panel.offsets[1:])
    rows, series = origins(panel, span, context=5, horizon=3)
    windows = make_windows(panel, fit_scaler(panel, span), rows, series, context=5, horizon=3)
    indices = jnp.array([0, 7, -1, 3])
    eager = windows.take(indices)
    compiled = jax.jit(lambda examples, order: examples.take(order))(windows, indices)
    jax.tree.map(np.testing.assert_array_equal, eager, compiled)


@pytest.mark.parametrize("context", [24, 500])
def test_windows_are_never_materialised(context):
    panel = make_random([4000, 2000], 0.1, 2, 6)
    span = Span(panel.offsets[:-1], panel.offsets[1:])
    rows, series = origins(panel, span, context=context, horizon=12)
    windows = make_windows(panel, fit_scaler(panel, span), rows, series, context=context, horizon=12)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(windows))
    assert held <= (6000 + context + 12) * 2 * (4 + 1) + len(rows) * 8 + 3 * 4


def plain_scaler(channels):
    return Scaler(np.zeros((1, channels)), np.ones((1, channels)), shared=True)


def test_covariates_travel_with_their_window():
    panel = dataclasses.replace(make_random([30, 30], 0.0, 3, seed=1), targets=1, known=1)
    static, categories = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([[7], [9]], np.int32)
    windows = make_windows(
        panel,
        plain_scaler(3),
        np.array([10, 45]),
        np.array([0, 1]),
        context=4,
        horizon=2,
        static=static,
        categories=categories,
    )
    inputs = jax.jit(windows.take)(jnp.array([1, 0])).inputs
    np.testing.assert_array_equal(inputs.future[0, :, 0], np.float32(panel.values[45:47, 2]))
    np.testing.assert_array_equal(inputs.static, [[3, 4], [1, 2]])
    np.testing.assert_array_equal(inputs.categories, [[9], [7]])
    bare = make_windows(panel, plain_scaler(3), np.array([10]), np.array([0]), context=4, horizon=2)
    assert bare.take(jnp.array([0])).inputs[3:5] == (None, None)


@pytest.mark.parametrize("impute", KINDS)
def test_the_future_is_0_where_it_is_missing_or_outside_the_series(impute):
    panel = dataclasses.replace(make_random([10, 10], 0.0, 3, seed=2), known=2, targets=1)
    mask = panel.mask.copy()
    mask[8, 1] = mask[9, 2] = False
    panel = dataclasses.replace(panel, mask=mask, values=np.where(mask, panel.values, 0))
    where = np.array([8, 18]), np.array([0, 1])
    windows = make_windows(panel, plain_scaler(3), *where, context=4, horizon=3, impute=impute, season=2)
    future = np.asarray(TAKE(windows, jnp.array([0, 1])).inputs.future)
    value = panel.values.astype(np.float32)
    np.testing.assert_array_equal(future[0], [[0, value[8, 2]], [value[9, 1], 0], [0, 0]])
    np.testing.assert_array_equal(future[1], [*value[18:20, 1:], [0, 0]])


@pytest.mark.parametrize("impute", KINDS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_imputation_fills_the_past_and_nothing_else(impute, missing):
    panel = dataclasses.replace(make_random([25, 20], missing, 3, seed=3), known=1)
    span = Span(panel.offsets[:-1], panel.offsets[1:])
    scaler = fit_scaler(panel, span)
    rows, series = origins(panel, span, context=6, horizon=3, whole=False)
    facts = {"context": 6, "horizon": 3, "room": 8}
    indices = jnp.array([0, 4, -1, len(rows) - 1, np.flatnonzero(series)[0]])  # the last reaches into another series
    plain = TAKE(make_windows(panel, scaler, rows, series, **facts), indices)
    batch = TAKE(make_windows(panel, scaler, rows, series, **facts, impute=impute, season=3), indices)
    past, mask = plain.inputs.past, plain.inputs.mask
    if impute == "seasonal":
        values, filled = fill_seasonal(panel, 3)
        filled_panel = dataclasses.replace(panel, values=values, mask=panel.mask | filled)
        other = TAKE(make_windows(filled_panel, scaler, rows, series, **facts), indices).inputs
        past, mask = other.past, other.mask
    else:
        past, mask = fill_window(past, mask, kind=impute)
    expected = plain._replace(inputs=plain.inputs._replace(past=past, mask=mask))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=FLOAT32), batch, expected)
    if missing and impute != "mask":
        assert np.asarray(batch.inputs.mask).sum() > np.asarray(plain.inputs.mask).sum()


def test_seasonal_imputation_goes_back_the_panels_own_season():
    panel = dataclasses.replace(make_random([60], 0.3, 1, seed=4), clock="ns", step=3_600 * 10**9)
    where, scaler = (np.array([50]), np.array([0])), Scaler(np.ones((1, 1)), np.ones((1, 1)), shared=True)
    own, said, other = (
        make_windows(panel, scaler, *where, context=9, horizon=3, impute="seasonal", season=season)
        for season in (None, 24, 5)
    )
    assert np.asarray(own.values).tobytes() == np.asarray(said.values).tobytes() != np.asarray(other.values).tobytes()
    assert not np.asarray(own.values)[~np.asarray(own.mask | own.filled)].any()


@pytest.mark.parametrize("impute", ["forward", "linear", "seasonal"])
def test_imputed_windows_compile_and_take_another_context(impute):
    panel = make_random([30, 20], 0.4, 2, 5)
    span = Span(panel.offsets[:-1], panel.offsets[1:])
    rows, series = origins(panel, span, context=5, horizon=3)
    facts = {"horizon": 3, "impute": impute, "season": 4}
    windows = make_windows(panel, fit_scaler(panel, span), rows, series, context=5, room=9, **facts)
    indices = jnp.array([0, 7, -1, 3])
    compiled = jax.jit(lambda examples, order: examples.take(order))(windows.with_context(9), indices)
    longer = make_windows(panel, fit_scaler(panel, span), rows, series, context=9, **facts).take(indices)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=FLOAT32), compiled, longer)


def test_there_is_a_mask_only_where_a_window_misses_something():
    panel = make_random([20, 20], 0.0, 2, 6)
    mask = panel.mask.copy()
    mask[[3, 15, 36], 0] = False
    panel = dataclasses.replace(panel, mask=mask, values=np.where(mask, panel.values, 0))
    for impute in KINDS:

        def has_mask(rows, series, impute=impute, room=0):
            where = np.array(rows), np.array(series)
            made = make_windows(
                panel, plain_scaler(2), *where, context=4, horizon=3, room=room, impute=impute, season=2
            )
            assert made.mask is not None or made.filled is None
            return made.mask is not None

        assert not has_mask([8, 12, 33], [0, 0, 1])
        assert has_mask([8, 12, 33], [0, 0, 1], room=5)  # row 3
        assert has_mask([7], [0])
        assert has_mask([13], [0])
        assert has_mask([34], [1])
        assert has_mask([23], [1])  # begins in the series before


def prepared(panel, span, impute):
    """The panel and the windows of a run that uses everything at once."""
    panel = clip(panel, bounds=fit_bounds(panel, span, high=0.95))
    panel = hampel(panel, window=7, deviations=3.0)
    panel = add_features(panel, lags=[1, 3, 6], rolling=[(4, "mean"), (5, "std")], horizon=3)
    rows, series = origins(panel, span, context=5, horizon=3)
    scaler = fit_scaler(panel, span, kind="robust", log1p=True)
    return scaler, make_windows(panel, scaler, rows, series, context=5, horizon=3, impute=impute, season=4)


def spoil(panel, later, how):
    later = np.broadcast_to(later[:, None], panel.mask.shape)
    if how == "missing":
        return dataclasses.replace(panel, values=np.where(later, 0, panel.values), mask=panel.mask & ~later)
    if how == "absurd":
        return dataclasses.replace(panel, values=np.where(later & panel.mask, 1e6 * panel.values - 7, panel.values))
    return dataclasses.replace(panel, values=np.where(later, np.nan, panel.values), mask=panel.mask | later)


@pytest.mark.parametrize("how", ["missing", "absurd", "nan"])
@pytest.mark.parametrize("impute", KINDS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_poison_after_the_train_rows_changes_no_train_batch(impute, how, missing):
    panel = make_random([40, 9, 30], missing, 2, 7)
    panel = dataclasses.replace(panel, values=np.abs(panel.values))
    span = Span(panel.offsets[:-1], panel.offsets[:-1] + np.array([30, 0, 21]))
    poisoned = spoil(panel, ~rows_inside(span, len(panel.values)), how)
    batches = []
    for one in (panel, poisoned):
        scaler, windows = prepared(one, span, impute)
        assert len(windows) > 10
        batches.append((scaler, TAKE(windows, jnp.arange(len(windows)))))
    assert jax.tree.structure(batches[0]) == jax.tree.structure(batches[1])  # a mask or none, too
    for before, after in zip(*map(jax.tree.leaves, batches), strict=True):
        assert np.asarray(before).tobytes() == np.asarray(after).tobytes()


@pytest.mark.parametrize("how", ["missing", "absurd", "nan"])
@pytest.mark.parametrize("impute", KINDS)
def test_no_input_depends_on_its_origin_or_what_follows(impute, how):
    panel = make_random([40, 30], 0.3, 2, 8)
    panel = dataclasses.replace(panel, values=np.abs(panel.values))
    span = Span(panel.offsets[:-1], panel.offsets[:-1] + 20)
    inputs = []
    for origin in (25, 63):
        later = np.zeros(70, bool)
        later[origin : 40 if origin < 40 else 70] = True
        for one in (panel, spoil(panel, later, how)):
            one = add_features(hampel(one, window=7, deviations=3.0), lags=[1, 3], rolling=[(4, "std")], horizon=3)
            where = np.array([origin]), np.array([int(origin >= 40)])
            scaler = fit_scaler(one, span)
            windows = make_windows(one, scaler, *where, context=8, horizon=3, impute=impute, season=3)
            inputs.append(TAKE(windows, jnp.array([0])).inputs)
    assert inputs[0].future.shape == (1, 3, 2)  # the lags of 3 rows are known
    for clean, poisoned in (inputs[:2], inputs[2:]):
        for before, after in zip(jax.tree.leaves(clean), jax.tree.leaves(poisoned), strict=True):
            assert np.asarray(before).tobytes() == np.asarray(after).tobytes()


@pytest.mark.parametrize("impute", ["mask", "forward"])
def test_making_windows_needs_one_copy_of_the_panel(impute):
    panel = make_random([600_000, 400_000], 0.1, 2, 9)
    scaler = fit_scaler(panel, Span(panel.offsets[:-1], panel.offsets[1:]))
    where = np.array([5]), np.array([0])
    make_windows(panel, scaler, *where, context=4, horizon=2, impute=impute)
    tracemalloc.start()
    try:
        windows = make_windows(panel, scaler, *where, context=4, horizon=2, impute=impute)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = windows.values.nbytes + windows.mask.nbytes
    assert peak < 1.5 * held + 10e6, (peak, held)


@pytest.mark.parametrize("kind", ["forward", "linear"])
def test_a_channel_without_any_observation_stays_masked_and_zero(kind):
    past = jnp.full((1, 3, 2), 7.0)
    seen = jnp.array([[[False, True], [False, False], [False, True]]])
    filled, mask = fill_window(past, seen, kind=kind)
    np.testing.assert_array_equal(filled[..., 0], [[0, 0, 0]])
    np.testing.assert_array_equal(mask, [[[False, True]] * 3])


def test_a_statistic_is_one_value_of_a_target_whatever_the_horizon():
    panel = make_random([40], 0, 1, 0)
    rows, series = origins(panel, Span(panel.offsets[:-1], panel.offsets[1:]), context=5, horizon=3)
    windows = make_windows(panel, plain_scaler(1), rows, series, context=5, horizon=3)
    assert windows.steps == 3
    assert dataclasses.replace(windows, coming=jnp.zeros((40, 1)), whole=jnp.ones((40, 1), bool)).steps == 1
