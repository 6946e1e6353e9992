"""Plain answers against their formulas, and what is said of a model beside them."""

import numpy as np
import pytest

from gym_jax.evaluate.baselines import RIDGE, majority, mean, median, nearest, ridge
from gym_jax.evaluate.labels import probabilities_of
from gym_jax.evaluate.score_cases import judge_cases, report_numbers

NOISE = np.random.default_rng(1)
X, NEW = NOISE.normal(size=(30, 4)), NOISE.normal(size=(7, 4))
Y = np.column_stack([X @ [1.0, -2, 0.5, 0] + 3, NOISE.normal(size=30)])
KNOWN = np.ones((30, 2), bool)
KNOWN[:5, 1] = False


def test_mean_and_median_know_what_is_known():
    np.testing.assert_allclose(mean(X, Y, KNOWN, NEW), np.tile([Y[:, 0].mean(), Y[5:, 1].mean()], (7, 1)))
    np.testing.assert_allclose(median(X, Y, KNOWN, NEW)[0], [np.median(Y[:, 0]), np.median(Y[5:, 1])])


@pytest.mark.parametrize("features", [4, 60])
def test_ridge_is_the_penalised_least_squares_solution(features):
    """As one least-squares problem: rows of the penalty below the data, a column of ones that it spares."""
    x, new = (np.random.default_rng(2).normal(size=(n, features)) for n in (30, 7))
    said = ridge(x, Y, KNOWN, new)
    for column in range(2):
        there = KNOWN[:, column]
        design = np.column_stack([x[there], np.ones(there.sum())])
        penalty = np.sqrt(RIDGE) * np.eye(features, features + 1)
        wanted = np.concatenate([Y[there, column], np.zeros(features)])
        weights = np.linalg.lstsq(np.vstack([design, penalty]), wanted, rcond=None)[0]
        np.testing.assert_allclose(said[:, column], np.column_stack([new, np.ones(7)]) @ weights, rtol=1e-9)


def test_majority_says_how_often_each_class_is():
    assert majority(X[:4], np.array([2, 0, 2, 2]), 3, NEW[:2]).tolist() == [[0.25, 0, 0.75]] * 2


def test_nearest_is_the_slow_loop(monkeypatch):
    codes = NOISE.integers(0, 3, 30)
    expected = [codes[min(range(30), key=lambda i: np.linalg.norm(X[i] - row))] for row in NEW]
    monkeypatch.setattr("gym_jax.evaluate.baselines.CELLS", 2 * X.size)  # several portions
    assert nearest(X, codes, 3, NEW).tolist() == np.eye(3)[expected].tolist()


def test_the_softmax_bears_large_numbers():
    assert probabilities_of(np.array([[1e4, 0.0], [0, 0]])).tolist() == [[1, 0], [0.5, 0.5]]


def test_errors_and_quantiles_count_what_is_known():
    truth = np.array([[1.0], [2.0], [np.nan], [4.0]])
    block = report_numbers(np.array([[1.0], [3.0], [9.0], [4.0]]), truth, ("y",), {0.5: np.full((4, 1), 2.0)})["y"]
    assert (block["count"], block["mae"], block["mse"]) == (3, 1 / 3, 1 / 3)
    assert block["r2"] == pytest.approx(1 - 1 / np.sum((np.array([1, 2, 4]) - 7 / 3) ** 2))
    assert block["below"] == {"0.5": pytest.approx(2 / 3)}


def test_the_verdict_says_who_is_beaten_and_by_whom():
    rivals = {"mean": {"y": {"rmse": 2.0}}, "ridge": {"y": {"rmse": 1.0}}}
    said = judge_cases("mlp", {"y": {"rmse": 0.5}}, rivals, "rmse")
    assert said == "y: mlp beats every baseline; its RMSE is 0.5, that of `ridge`, the best of them, 1."
    said = judge_cases("mlp", {"y": {"rmse": 1.0}}, rivals, "rmse")
    assert said == "y: mlp does NOT beat `ridge`; its RMSE is 1, that of `ridge`, the best of them, 1."
    labels = {"majority": {"y": {"accuracy": 0.5}}, "nearest": {"y": {"accuracy": 0.9}}}
    assert "does NOT beat `nearest`; its accuracy is 0.7" in judge_cases(
        "mlp", {"y": {"accuracy": 0.7}}, labels, "accuracy"
    )
    assert judge_cases("mlp", {"y": {"rmse": None}}, rivals, "rmse") == "y: nothing was scored."
