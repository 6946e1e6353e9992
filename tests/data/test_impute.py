import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32

from gym_jax.data import Panel
from gym_jax.data.impute import fill_seasonal
from gym_jax.data.windows import fill_window

COMPILED = jax.jit(fill_window, static_argnames="kind")


def make_random(lengths, missing, seed, channels=2):
    generator = np.random.default_rng(seed)
    mask = generator.random((sum(lengths), channels)) >= missing
    return Panel(
        series=tuple(map(str, range(len(lengths)))),
        channels=tuple(f"c{i}" for i in range(channels)),
        targets=1,
        values=np.where(mask, generator.normal(5, 3, mask.shape), 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.zeros(len(lengths), np.int64),
        step=1,
        clock="step",
    )


def seasonal_slowly(panel, season):
    values, filled = panel.values.copy(), np.zeros(panel.mask.shape, bool)
    for begin, end in itertools.pairwise(panel.offsets):
        for row in range(begin, end):
            for channel in np.flatnonzero(~panel.mask[row]):
                earlier = [r for r in range(row - season, begin - 1, -season) if panel.mask[r, channel]]
                if earlier:
                    values[row, channel], filled[row, channel] = panel.values[earlier[0], channel], True
    return values, filled


def window_slowly(past, mask, kind):
    """Linear by NumPy's own interpolation, which holds both ends."""
    out, seen = np.zeros_like(past), np.zeros_like(mask)
    step = np.arange(past.shape[1])
    for row, channel in np.ndindex(past.shape[0], past.shape[2]):
        there = mask[row, :, channel]
        if there.any():
            known, at = past[row, there, channel], step[there]
            nearest = np.maximum(np.searchsorted(at, step, "right") - 1, 0)
            out[row, :, channel] = np.interp(step, at, known) if kind == "linear" else known[nearest]
            seen[row, :, channel] = True
    return out, seen


def windowed(values, seen):
    return jnp.array(values, jnp.float32)[None, :, None], jnp.array(seen, bool)[None, :, None]


def test_three_numbers_by_hand():
    past, mask = windowed([0, 2, 0, 0, 8, 0], [0, 1, 0, 0, 1, 0])
    filled, seen = fill_window(past, mask, kind="forward")
    assert filled.ravel().tolist() == [2, 2, 2, 2, 8, 8]
    assert np.asarray(seen).all()
    assert fill_window(past, mask, kind="linear")[0].ravel().tolist() == [2, 2, 4, 6, 8, 8]
    assert fill_window(past, mask, kind="mask")[0] is past


def test_a_season_by_hand():
    panel = make_random([9], 0.0, 0, channels=1)
    mask = np.array([1, 1, 0, 0, 1, 0, 0, 0, 1], bool)[:, None]
    panel = dataclasses.replace(panel, values=np.where(mask, np.arange(9.0)[:, None], 0), mask=mask)
    values, filled = fill_seasonal(panel, 3)
    assert values.ravel().tolist() == [0, 1, 0, 0, 4, 0, 0, 4, 8]
    assert filled.ravel().tolist() == [False] * 3 + [True] + [False] * 2 + [True, True, False]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    season=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_seasonal_is_the_slow_loop(lengths, season, missing, seed):
    panel = make_random(lengths, missing, seed)
    for fast, slow in zip(fill_seasonal(panel, season), seasonal_slowly(panel, season), strict=True):
        np.testing.assert_array_equal(fast, slow)
        assert fast.dtype == slow.dtype


@pytest.mark.parametrize("spoilt", [np.nan, 1e15, None])
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), season=st.integers(1, 7), data=st.data())
@settings(max_examples=30, deadline=None)
def test_no_filled_value_depends_on_a_later_one_or_on_another_series(spoilt, lengths, season, data):
    panel = make_random(lengths, 0.4, 1)
    series = data.draw(st.integers(0, len(lengths) - 1))
    row = int(panel.offsets[series]) + data.draw(st.integers(0, lengths[series] - 1))
    end = int(panel.offsets[series + 1])
    values, mask = panel.values.copy(), panel.mask.copy()
    values[row:end], mask[row:end] = (0, False) if spoilt is None else (spoilt, True)
    others = np.r_[0:row, end : len(values)]
    clean = fill_seasonal(panel, season)
    poisoned = fill_seasonal(dataclasses.replace(panel, values=values, mask=mask), season)
    for before, after in zip(clean, poisoned, strict=True):
        assert before[others].tobytes() == after[others].tobytes()


@given(order=st.permutations(range(4)), season=st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_series_is_of_no_consequence(order, season):
    panel = make_random([9, 14, 1, 30], 0.4, 2)
    moved = panel.select(order)
    values, filled = fill_seasonal(panel, season)
    expected = dataclasses.replace(panel, values=values, mask=filled).select(order)
    again = fill_seasonal(moved, season)
    assert again[0].tobytes() == expected.values.tobytes()
    assert again[1].tobytes() == expected.mask.tobytes()


@pytest.mark.parametrize("kind", ["forward", "linear"])
@given(missing=st.sampled_from([0.0, 0.3, 0.9, 1.0]), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_windows_are_the_slow_loop(kind, missing, seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((3, 11, 2)) >= missing
    past = np.where(mask, generator.normal(size=mask.shape), 0).astype(np.float32)
    slow, slow_seen = window_slowly(past, mask, kind)
    for fill in (fill_window, COMPILED):
        filled, seen = fill(jnp.asarray(past), jnp.asarray(mask), kind=kind)
        np.testing.assert_allclose(filled, slow, atol=FLOAT32 * max(1, np.abs(past).max()))
        np.testing.assert_array_equal(seen, slow_seen)
        assert filled.dtype == past.dtype
        assert (np.asarray(filled)[mask] == past[mask]).all()


def test_a_channel_without_a_value_stays_masked():
    mask = jnp.zeros((1, 4, 2), bool).at[0, 2, 1].set(True)
    past = jnp.where(mask, 7.0, jnp.nan)  # what is masked does not matter
    for kind in ("forward", "linear"):
        filled, seen = COMPILED(past, mask, kind=kind)
        assert filled[0, :, 0].tolist() == [0] * 4
        assert not np.asarray(seen[0, :, 0]).any()
        assert filled[0, :, 1].tolist() == [7] * 4
        assert np.asarray(seen[0, :, 1]).all()
