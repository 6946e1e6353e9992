import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32, FLOAT64

from gym_jax.data import Panel
from gym_jax.data.static import StaticEncoder, fit_static


def make_panel(static=None, categories=None):
    count = len(categories if static is None else static)
    return Panel(
        series=tuple(map(str, range(count))),
        channels=("cpu",),
        targets=1,
        values=np.zeros((count, 1)),
        mask=np.ones((count, 1), bool),
        offsets=np.arange(count + 1),
        first=np.zeros(count, np.int64),
        step=1,
        clock="step",
        static=None if static is None else np.array(static, np.float64),
        categories=None if categories is None else np.array(categories, object),
    )


def make_random(count, seed=0):
    generator = np.random.default_rng(seed)
    static = generator.normal([3, 1e9, -5], [1, 10, 1e-3], size=(count, 3))
    static[generator.random(static.shape) < 0.2] = np.nan
    words = np.array(["", "small", "large", "médium", "zone 4"], object)
    return make_panel(static, words[generator.integers(0, 5, (count, 2))])


def test_three_numbers_by_hand():
    panel = make_panel([[1.0, 4], [2, 4], [6, 4], [np.nan, 9]], [["b"], ["a"], [""], ["c"]])
    encoder = fit_static(panel, np.array([True, True, True, False]))
    assert encoder.shift.tolist() == [3, 4]
    np.testing.assert_allclose(encoder.scale, [np.sqrt(14 / 3), 1], rtol=FLOAT64)
    assert encoder.vocabularies == (("a", "b"),)
    assert encoder.sizes == (2,)
    static, categories = encoder.encode(panel)
    assert (static.dtype, categories.dtype) == (np.float32, np.int32)
    np.testing.assert_allclose(static[:, 0], np.array([-2, -1, 3, 0]) / np.sqrt(14 / 3), atol=FLOAT32)
    assert static[:, 1].tolist() == [0, 0, 0, 5]
    assert categories.tolist() == [[2], [1], [0], [0]]


@given(count=st.integers(1, 30), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=50, deadline=None)
def test_encoding_is_the_slow_loop(count, seed, data):
    panel = make_random(count, seed)
    use = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    encoder = fit_static(panel, use)
    static, categories = encoder.encode(panel)
    for feature in range(3):
        seen = panel.static[use, feature]
        seen = seen[~np.isnan(seen)]
        shift, scale = (seen.mean(), seen.std() or 1.0) if len(seen) else (0.0, 1.0)
        np.testing.assert_allclose([encoder.shift[feature], encoder.scale[feature]], [shift, scale], rtol=1e-9)
        for series in range(count):
            number = (panel.static[series, feature] - encoder.shift[feature]) / encoder.scale[feature]
            assert static[series, feature] == (0 if np.isnan(number) else np.float32(number))
    for kind in range(2):
        words = sorted({word for word in panel.categories[use, kind] if word})
        assert encoder.vocabularies[kind] == tuple(words)
        for series in range(count):
            word = panel.categories[series, kind]
            assert categories[series, kind] == (words.index(word) + 1 if word in words else 0)


@pytest.mark.parametrize("spoilt", [np.nan, 1e15])
def test_series_that_are_not_used_change_nothing(spoilt):
    panel, use = make_random(40), np.arange(40) % 3 > 0
    static, categories = panel.static.copy(), panel.categories.copy()
    static[~use], categories[~use] = spoilt, "poison"
    clean, poisoned = (
        fit_static(panel, use),
        fit_static(dataclasses.replace(panel, static=static, categories=categories), use),
    )
    assert clean.vocabularies == poisoned.vocabularies
    for before, after in zip(clean[:2], poisoned[:2], strict=True):
        assert before.tobytes() == after.tobytes()


def test_the_order_of_the_series_moves_the_codes_along():
    panel = make_random(25)
    encoder = fit_static(panel, np.ones(25, bool))
    order = np.random.default_rng(1).permutation(25)
    for moved, stayed in zip(encoder.encode(panel.select(order)), encoder.encode(panel), strict=True):
        np.testing.assert_array_equal(moved, stayed[order])
    assert fit_static(panel.select(order), np.ones(25, bool)).vocabularies == encoder.vocabularies


def test_a_panel_without_such_columns_has_none():
    words = make_panel(categories=[["a"], ["b"]])
    assert fit_static(words, np.ones(2, bool)).encode(words)[0] is None
    numbers = make_panel(static=[[1.0], [2.0]])
    encoder = fit_static(numbers, np.ones(2, bool))
    assert encoder.encode(numbers)[1] is None
    assert encoder.sizes == ()
    plain = dataclasses.replace(numbers, static=None)
    assert fit_static(plain, np.ones(2, bool)).encode(plain) == (None, None)


def test_no_word_and_no_number_at_all():
    panel = make_panel([[np.nan], [np.nan]], [[""], ["late"]])
    encoder = fit_static(panel, np.array([True, False]))
    static, categories = encoder.encode(panel)
    assert encoder.sizes == (0,)
    assert static.tolist() == [[0], [0]]
    assert categories.tolist() == [[0], [0]]


def test_a_hundred_thousand_series():
    panel = make_random(100_000)
    static, categories = fit_static(panel, np.arange(100_000) < 70_000).encode(panel)
    known = ["large", "médium", "small", "zone 4"]
    assert [known.index(word) + 1 if word else 0 for word in panel.categories[:, 1]] == categories[:, 1].tolist()
    assert abs(np.std(static[~np.isnan(panel.static[:, 1]), 1], dtype=float) - 1) < 0.01


def test_json_keeps_every_bit():
    encoder = fit_static(make_random(40), np.ones(40, bool))
    again = StaticEncoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again.vocabularies == encoder.vocabularies
    for before, after in zip(encoder[:2], again[:2], strict=True):
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()
