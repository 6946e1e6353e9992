"""Scores against loops over the panel, and the sentence that compares."""

import numpy as np
import pytest

from gym_jax.data import fit_scaler, make_panel, make_windows, origins, split_by_time
from gym_jax.evaluate.score import Target, forecasts, report, score, score_members, verdict
from gym_jax.metrics import Totals, naive_errors


def test_every_error_is_the_formula_over_every_observed_element():
    generator = np.random.default_rng(0)
    lengths, horizon = (60, 90), 3
    codes = np.repeat([0, 1], lengths)
    values = generator.normal(10, 3, (sum(lengths), 1))
    values[generator.random(len(values)) < 0.2] = np.nan
    times = np.concatenate([np.arange(n) for n in lengths])
    panel = make_panel(codes, ["a", "b"], times, values, channels=("cpu",), targets=1, clock="step")
    split = split_by_time(panel)
    scaler = fit_scaler(panel, split.train)
    rows, series = origins(panel, split.test, context=8, horizon=horizon, whole=False)
    windows = make_windows(panel, scaler, rows, series, context=8, horizon=horizon)
    guess = generator.normal(size=(len(rows), horizon, 1)).astype(np.float32)

    def forecast(examples, order):
        return guess[np.maximum(order, 0)]

    naive = naive_errors(panel.values, panel.mask, split.train.begin, split.train.end, 1)
    got = report(score(forecast, windows, panel, scaler, naive, batch_size=4), panel, naive)["cpu"]

    errors = []  # series, step, forecast, truth
    for window, (row, owner) in enumerate(zip(rows, series, strict=True)):
        for step in range(horizon):
            if panel.mask[row + step, 0]:
                value = guess[window, step, 0] * scaler.scale[owner, 0] + scaler.shift[owner, 0]
                errors.append((owner, step, value, panel.values[row + step, 0]))
    owner, step, f, y = (np.array(column) for column in zip(*errors, strict=True))
    miss = np.abs(f - y)
    near = pytest.approx
    assert got["count"] == len(miss)
    assert got["mae"] == near(miss.mean())
    assert got["mse"] == near((miss**2).mean())
    assert got["rmse"] == near(np.sqrt((miss**2).mean()))
    assert got["r2"] == near(1 - (miss**2).sum() / ((y - y.mean()) ** 2).sum())
    assert got["smape"] == near((200 * miss / (np.abs(f) + np.abs(y))).mean())
    by_series = [miss[owner == i].mean() for i in (0, 1)]
    assert got["per_series"]["id"] == ["a", "b"]
    assert got["per_series"]["mae"] == near(by_series)
    assert got["per_series"]["mase"] == near(np.array(by_series) / naive[:, 0])
    assert got["mase"] == near(np.mean(np.array(by_series) / naive[:, 0]))
    assert got["per_horizon"]["mae"] == near([miss[step == s].mean() for s in range(horizon)])
    assert got["per_horizon"]["mase"] == near([(miss / naive[owner, 0])[step == s].mean() for s in range(horizon)])


def few_windows():
    """Return a panel of one rising series with its windows and what scoring them takes."""
    panel = make_panel(
        np.zeros(60, int),
        ["a"],
        np.arange(60),
        np.arange(60.0)[:, None] % 7,
        channels=("cpu",),
        targets=1,
        clock="step",
    )
    split = split_by_time(panel)
    scaler = fit_scaler(panel, split.train)
    rows, series = origins(panel, split.train, context=8, horizon=3)
    windows = make_windows(panel, scaler, rows, series, context=8, horizon=3)
    naive = naive_errors(panel.values, panel.mask, split.train.begin, split.train.end, 1)
    return panel, scaler, windows, naive


@pytest.mark.parametrize("at_once", [4, 8, 12, 20, 28, 1 << 16])
def test_every_window_is_forecast_once_and_in_order_in_calls_of_one_shape(monkeypatch, at_once):
    monkeypatch.setattr("gym_jax.evaluate.score.ROWS_AT_ONCE", at_once)
    _, scaler, windows, _ = few_windows()
    shapes, guess = set(), np.random.default_rng(0).normal(size=(len(windows), 3, 1)).astype(np.float32)

    def forecast(examples, order):
        shapes.add(order.shape)
        return guess[np.maximum(order, 0)]

    pieces = list(forecasts(forecast, windows, scaler, batch_size=4))
    index = np.concatenate([piece[0] for piece in pieces])
    assert index.tolist() == list(range(len(windows)))
    restored = scaler.restore(guess, np.zeros(len(windows), int))
    np.testing.assert_array_equal(np.concatenate([piece[1] for piece in pieces]), restored)
    assert len(shapes) == 1, "else it would be compiled again"
    assert max(shape[0] for shape in shapes) == max(1, min(at_once // 4, -(-len(windows) // 4)))


def test_the_mean_of_members_is_scored_behind_them():
    panel, scaler, windows, naive = few_windows()
    guesses = np.random.default_rng(1).normal(size=(2, len(windows), 3, 1)).astype(np.float32)
    members = [lambda examples, order, guess=guess: guess[np.maximum(order, 0)] for guess in guesses]
    found = score_members(members, windows, panel, scaler, naive, batch_size=4)
    assert len(found) == 3

    def mean(examples, order):
        return guesses.mean(axis=0)[np.maximum(order, 0)]

    alone = report(score(mean, windows, panel, scaler, naive, batch_size=4), panel, naive)["cpu"]
    together = report(found[2], panel, naive)["cpu"]
    assert together["mae"] == pytest.approx(alone["mae"], rel=1e-6)
    one = report(found[0], panel, naive)["cpu"]
    assert one == report(score(members[0], windows, panel, scaler, naive, batch_size=4), panel, naive)["cpu"]
    assert len(score_members(members[:1], windows, panel, scaler, naive, batch_size=4)) == 1, "there is no mean of one"


@pytest.mark.parametrize(
    ("own", "rivals", "words"),
    [
        (
            0.9,
            {"last": 1.0, "linear": 2.0},
            "cpu: m beats every baseline; its MAE is 10.0% below the best of them, `last`.",
        ),
        (
            1.5,
            {"last": 1.0, "linear": 2.0},
            "cpu: m does NOT beat `last`; its MAE is 50.0% above the best baseline, `last`.",
        ),
        (1.5, {"last": 2.0}, "cpu: m beats every baseline; its MAE is 25.0% below the best of them, `last`."),
        (
            1.0,
            {"last": 0.5, "seasonal": 0.8},
            "cpu: m does NOT beat `last` or `seasonal`; its MAE is 100.0% above the best baseline, `last`.",
        ),
        (1.0, {"last": 1.0}, "cpu: m does NOT beat `last`; its MAE is 0.0% above the best baseline, `last`."),
        (0.1, {"last": 0.0}, "cpu: m does NOT beat `last`, which makes no error at all."),
        (None, {"last": 1.0}, "cpu: the forecast of m is not finite."),
        (1.0, {}, "cpu: nothing to compare with."),
    ],
)
def test_the_verdict_is_one_clear_sentence(own, rivals, words):
    baselines = {kind: {"cpu": {"mae": mae}} for kind, mae in rivals.items()}
    assert verdict("m", {"cpu": {"mae": own}}, baselines) == words


def test_a_series_whose_forecast_is_no_number_is_not_left_out_of_mase():
    codes, times = np.repeat([0, 1], 60), np.tile(np.arange(60), 2)
    values = np.arange(120.0)[:, None]
    panel = make_panel(codes, ["a", "b"], times, values, channels=("cpu",), targets=1, clock="step")
    totals = Totals(*(np.array([[2.0, 2], [1, np.nan]][0 if name == "count" else 1]) for name in Totals._fields))
    target = Target(totals.collapse(), Totals.zero(1), totals, Totals.zero(1))
    assert report([target], panel, np.ones((2, 1)))["cpu"]["mase"] is None
    assert report([target], panel, np.array([[1.0], [0]]))["cpu"]["mase"] == 0.5, "b has no naive error"
