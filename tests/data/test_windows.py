import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_jax.data import Panel, Scaler, Span, fit_scaler, make_windows, origins


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
    batch = windows.take(jnp.asarray(indices, jnp.int32))
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


def test_covariates_travel_with_their_window():
    panel = dataclasses.replace(
        make_random([30, 30], 0.0, 3, seed=1),
        targets=1,
        known=1,
        static=np.array([[1.0, 2.0], [3.0, 4.0]]),
        categories=np.array([[7], [9]]),
    )
    scaler = Scaler(np.zeros((1, 3)), np.ones((1, 3)), shared=True)
    windows = make_windows(panel, scaler, np.array([10, 45]), np.array([0, 1]), context=4, horizon=2)
    inputs = jax.jit(windows.take)(jnp.array([1, 0])).inputs
    np.testing.assert_array_equal(inputs.future[0, :, 0], np.float32(panel.values[45:47, 2]))
    np.testing.assert_array_equal(inputs.static, [[3, 4], [1, 2]])
    np.testing.assert_array_equal(inputs.categories, [[9], [7]])
    assert panel.select([1]).static.tolist() == [[3, 4]]
