"""Errors by step, hour and series against loops over the panel."""

import dataclasses

import numpy as np
import pytest

from gym_jax.data import fit_scaler, generate_panel, make_windows, origins, split_by_time
from gym_jax.evaluate.breakdown import break_down, hours_of

HOUR = 3_600 * 10**9


def test_every_group_is_the_mean_of_its_errors():
    generator = np.random.default_rng(0)
    panel, horizon = generate_panel(series=3, days=2, gaps=0.1), 4
    split = split_by_time(panel)
    scaler = fit_scaler(panel, split.train)
    rows, series = origins(panel, split.test, context=8, horizon=horizon, whole=False)
    windows = make_windows(panel, scaler, rows, series, context=8, horizon=horizon)
    guesses = generator.normal(size=(2, len(rows), horizon, 1)).astype(np.float32)
    members = [lambda examples, order, own=own: own[np.maximum(order, 0)] for own in guesses]
    found = break_down(members, windows, panel, scaler, batch_size=16)
    errors = {name: {} for name in found}
    for window, (row, owner) in enumerate(zip(rows, series, strict=True)):
        for step in range(horizon):
            if panel.mask[row + step, 0]:
                value = guesses[:, window, step, 0].mean() * scaler.scale[owner, 0] + scaler.shift[owner, 0]
                error = value - panel.values[row + step, 0]
                hour = int(panel.stamps(np.array([owner]), np.array([row + step]))[0] // HOUR % 24)
                for name, group in (("by_horizon", step + 1), ("by_hour", hour), ("by_series", panel.series[owner])):
                    errors[name].setdefault(group, []).append(error)
    for name, label in (("by_horizon", "step"), ("by_hour", "hour"), ("by_series", "id")):
        block = found[name]
        for place, group in enumerate(block[label]):
            own = np.array(errors[name].get(group, []))
            assert block["count"][place] == len(own)
            got = tuple(block[key][place] for key in ("mae", "rmse", "bias"))
            if len(own):
                wanted = np.abs(own).mean(), np.sqrt((own**2).mean()), own.mean()
                assert got == pytest.approx(wanted, rel=1e-5, abs=1e-6)
            else:
                assert got == (None, None, None)
        assert "mase" not in block


def test_hours_follow_the_zone_of_the_calendar():
    panel = generate_panel(series=2, days=1, gaps=0)
    assert hours_of(panel)[:13].tolist() == [0] * 12 + [1]
    moved = hours_of(dataclasses.replace(panel, calendar_zone="America/New_York"))
    assert moved[:13].tolist() == [19] * 12 + [20], "January: five hours behind"
    assert hours_of(dataclasses.replace(panel, clock="step")) is None
    assert hours_of(dataclasses.replace(panel, step=24 * HOUR)) is None
