"""Losses of every window against loops over the panel."""

import numpy as np
import pytest

from gym_jax.data import fit_scaler, make_panel, make_windows, origins, split_by_time
from gym_jax.evaluate.origins import ERRORS, origin_losses, origins_of


@pytest.mark.parametrize("metric", ERRORS)
def test_a_window_costs_the_sum_of_its_observed_errors(metric):
    generator = np.random.default_rng(0)
    lengths, horizon = (40, 60), 3
    codes = np.repeat([0, 1], lengths)
    values = generator.normal(10, 3, (sum(lengths), 2))
    values[generator.random(len(values)) < 0.2] = np.nan
    times = np.concatenate([np.arange(n) for n in lengths])
    panel = make_panel(codes, ["a", "b"], times, values, channels=("cpu", "memory"), targets=2, clock="step")
    split = split_by_time(panel)
    scaler = fit_scaler(panel, split.train)
    rows, series = origins(panel, split.test, context=8, horizon=horizon, whole=False)
    windows = make_windows(panel, scaler, rows, series, context=8, horizon=horizon)
    guesses = generator.normal(size=(2, len(rows), horizon, 2)).astype(np.float32)
    members = [lambda examples, order, own=own: own[np.maximum(order, 0)] for own in guesses]
    got = origin_losses(members, windows, panel, scaler, metric=metric, channel=1, batch_size=4)

    def cost(f, y):
        kinds = {"mae": abs(f - y), "mase": abs(f - y), "smape": 200 * abs(f - y) / (abs(f) + abs(y))}
        return kinds.get(metric, (f - y) ** 2)

    restored = guesses[..., 1] * scaler.scale[series, None, 1] + scaler.shift[series, None, 1]
    for window, row in enumerate(rows):
        seen = [step for step in range(horizon) if panel.mask[row + step, 1]]
        assert got.counts[window] == len(seen)
        for place, own in enumerate([*restored, restored.mean(axis=0)]):
            wanted = sum(cost(own[window, step], panel.values[row + step, 1]) for step in seen)
            assert got.losses[place, window] == pytest.approx(wanted, rel=1e-6)
    owner, begin = origins_of(windows, panel)
    np.testing.assert_array_equal(owner, series)
    np.testing.assert_array_equal(begin, panel.first[series] + rows - panel.offsets[series])
