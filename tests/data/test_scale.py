import json

import numpy as np
import pytest
from tolerances import FLOAT32, FLOAT64

from gym_jax.data import Panel, Scaler, Span, fit_scaler, read_frame


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
    scaler = Scaler(generator.normal(size=(5, 3)) * 1e9, generator.random((5, 3)) * 1e-9)
    again = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    assert again.shared == scaler.shared
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
