"""Metrics of labels against scikit-learn's values and slow loops."""

import numpy as np
import pytest
from tolerances import FLOAT64

from gym_jax.evaluate.labels import LABEL_METRICS, auroc, confusion, ece, log_loss, macro_f1, report_labels

SAID = np.array(
    [
        *([0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.5, 0.4, 0.1], [0.3, 0.3, 0.4]),
        *([0.25, 0.5, 0.25], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1], [0.4, 0.35, 0.25]),
    ]
)
TRUTH = np.array([0, 1, 2, 1, 0, 1, 0, 2, 2, 0])
SCIKIT_LEARN = {
    "accuracy": 0.7,
    "macro_f1": 0.6944444444444443,
    "auroc": 0.8373015873015873,
    "log_loss": 0.814458190817915,
    "brier": 0.458,
}
"""Version 1.9.1: accuracy_score, f1_score, roc_auc_score(multi_class="ovr"), log_loss, brier_score_loss unhalved."""


@pytest.mark.parametrize("name", SCIKIT_LEARN)
def test_the_metrics_are_those_of_scikit_learn(name):
    assert LABEL_METRICS[name](SAID, TRUTH) == pytest.approx(SCIKIT_LEARN[name], rel=FLOAT64)


def test_two_classes_are_those_of_scikit_learn():
    said, truth = np.column_stack([1 - SAID[:, 0], SAID[:, 0]]), (TRUTH == 0).astype(int)
    assert auroc(said, truth) == pytest.approx(0.9166666666666667, rel=FLOAT64)
    assert log_loss(said, truth) == pytest.approx(0.46256014908606125, rel=FLOAT64)
    assert macro_f1(said, truth) == pytest.approx(0.7619047619047619, rel=FLOAT64)


def slow_ece(said, truth, bins):
    total = 0.0
    for k in range(bins):
        inside = [i for i in range(len(truth)) if k / bins < said[i].max() <= (k + 1) / bins]
        if inside:
            right = np.mean([said[i].argmax() == truth[i] for i in inside])
            total += abs(right - np.mean([said[i].max() for i in inside])) * len(inside) / len(truth)
    return total


@pytest.mark.parametrize("bins", [1, 3, 15])
def test_the_calibration_error_is_the_slow_loop(bins):
    noise = np.random.default_rng(0)
    said, truth = noise.dirichlet([1, 1, 1], 200), noise.integers(0, 3, 200)
    for probabilities, true in ((SAID, TRUTH), (said, truth)):
        assert ece(probabilities, true, bins) == pytest.approx(slow_ece(probabilities, true, bins), rel=1e-9)


def test_a_confidence_on_an_edge_lies_in_the_lower_bin():
    said = np.array([[0.4, 0.35, 0.25], [0.5, 0.3, 0.2], [0.9, 0.1, 0]])
    assert ece(said, np.array([0, 1, 0]), 2) == pytest.approx((abs(0.6 - 0.5) + 0.1) / 3, rel=1e-9)


def test_ties_count_by_half_and_a_class_without_cases_has_no_area():
    assert auroc(np.full((4, 2), 0.5), np.array([0, 1, 1, 0])) == 0.5
    three = np.column_stack([SAID[:, 0], 1 - SAID[:, 0], np.zeros(10)])
    assert auroc(three, (TRUTH != 0).astype(int)) == auroc(three[:, :2], (TRUTH != 0).astype(int))
    assert np.isnan(auroc(SAID[:2], np.array([1, 1])))


def test_the_confusion_and_each_class_by_hand():
    assert confusion(SAID, TRUTH).tolist() == [[3, 0, 1], [1, 2, 0], [0, 1, 2]]
    facts = report_labels(SAID, TRUTH, ("a", "b", "c"))
    assert facts["per_class"] == {
        "class": ["a", "b", "c"],
        "count": [4, 3, 3],
        "precision": [3 / 4, 2 / 3, 2 / 3],
        "recall": [3 / 4, 2 / 3, 2 / 3],
        "f1": [3 / 4, 2 / 3, 2 / 3],
    }
    assert facts["count"] == 10


def test_what_was_said_never_to_be_costs_without_end_and_is_no_number_in_a_document():
    certain = np.eye(2)[[0, 1]]
    assert log_loss(certain, np.array([0, 1])) == 0
    assert log_loss(certain, np.array([1, 1])) == np.inf
    assert report_labels(certain, np.array([1, 1]), ("a", "b"))["log_loss"] is None
    assert report_labels(certain, np.array([1, 1]), ("a", "b"))["per_class"]["recall"] == [None, 0.5]


def test_probabilities_that_are_no_numbers_are_no_answer():
    said = np.array([[np.nan, np.nan], [0.1, 0.9], [0.2, 0.8]])
    facts = report_labels(said, np.array([0, 1, 1]), ("a", "b"))
    assert [facts[name] for name in LABEL_METRICS] == [None] * len(LABEL_METRICS)
    assert facts["confusion"] == [[0, 0], [0, 2]], "argmax of NaN is 0, which would be right by chance"
