"""How good probabilities of classes are, in float64: right answers, ranking, calibration."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gym_jax.metrics import plain

Probabilities = Float[np.ndarray, "cases classes"]
Codes = Int[np.ndarray, " cases"]

BINS = 15
"""Of the calibration error (Guo et al. 2017)."""


def probabilities_of(logits: Probabilities) -> Probabilities:
    """Return the softmax, in float64."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def accuracy(probabilities: Probabilities, truth: Codes) -> float:
    """Return the share of cases whose likeliest class is the true one; of equals the first is taken."""
    return float((probabilities.argmax(axis=1) == truth).mean())


def macro_f1(probabilities: Probabilities, truth: Codes) -> float:
    """Return the mean F1 of the classes that are true or predicted of some case."""
    counts = confusion(probabilities, truth)
    right, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    there = true + said > 0
    return float((2 * right[there] / (true + said)[there]).mean())


def auroc(probabilities: Probabilities, truth: Codes) -> float:
    """Return the mean area under the ROC of each class against the rest; NaN when there is no class to rank.

    The area is the chance that a case of the class has the higher probability, ties by half (Mann and Whitney 1947).
    Classes that no case has, or every case, have none.
    """
    areas = []
    for code in range(probabilities.shape[1]):
        own = truth == code
        positive, negative = int(own.sum()), int((~own).sum())
        if positive and negative:
            ranks = _ranks(probabilities[:, code])[own].sum()
            areas.append((ranks - positive * (positive + 1) / 2) / (positive * negative))
    return float(np.mean(areas)) if areas else float("nan")


def roc_points(
    probabilities: Probabilities, truth: Codes, code: int
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Return the shares of others taken for a class and of its own cases found, at every threshold from high to low.

    Both are NaN where the class, or every other one, has no case.
    """
    order = np.argsort(-probabilities[:, code], kind="stable")
    own, values = (truth == code)[order], probabilities[order, code]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # equals share one threshold
    found, taken = np.cumsum(own)[last], np.cumsum(~own)[last]
    with np.errstate(invalid="ignore"):
        return np.append(0, taken) / np.float64((~own).sum()), np.append(0, found) / np.float64(own.sum())


def log_loss(probabilities: Probabilities, truth: Codes) -> float:
    """Return the mean negative log-likelihood of the true classes, in nats; infinite when one was said never to be."""
    with np.errstate(divide="ignore"):
        return float(-np.log(_of_truth(probabilities, truth)).mean())


def brier(probabilities: Probabilities, truth: Codes) -> float:
    """Return the mean squared distance from the truth summed over all classes, 0 to 2 (Brier 1950)."""
    return float(np.square(probabilities - np.eye(probabilities.shape[1])[truth]).sum(axis=1).mean())


def ece(probabilities: Probabilities, truth: Codes, bins: int = BINS) -> float:
    """Return the expected calibration error: how far confidence and accuracy lie apart, in `bins` of equal width.

    A confidence on the edge of two bins lies in the lower one (Guo et al. 2017).
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    apart = np.abs(np.bincount(place, right - confidence, bins))
    return float(apart.sum() / len(truth))


def confusion(probabilities: Probabilities, truth: Codes) -> Int[np.ndarray, "classes classes"]:
    """Return how many cases of each class (rows) are taken for each class (columns)."""
    classes = probabilities.shape[1]
    pairs = truth * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


LABEL_METRICS: dict[str, Callable[[Probabilities, Codes], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "auroc": auroc,
    "log_loss": log_loss,
    "brier": brier,
    "ece": ece,
}
"""Metrics of labels by name: `(probabilities, truth) -> value`."""


def report_labels(probabilities: Probabilities, truth: Codes, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return every metric, the confusion matrix and what becomes of each class, as plain JSON.

    A case whose probabilities are no numbers is taken for no class; every metric is null then.
    """
    known = np.isfinite(probabilities).all(axis=1)
    counts = confusion(probabilities[known], truth[known])
    right, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = {"precision": right / said, "recall": right / true, "f1": 2 * right / (true + said)}
    return {
        **dict.fromkeys(LABEL_METRICS),
        **{name: plain(metric(probabilities, truth)) for name, metric in LABEL_METRICS.items() if known.all()},
        "count": len(truth),
        "per_class": {"class": list(classes), "count": plain(true), **{name: plain(v) for name, v in each.items()}},
        "confusion": plain(counts),
    }


def _ranks(values: Float[np.ndarray, " cases"]) -> Float[np.ndarray, " cases"]:
    """Return the rank of each value from 1; equals share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], np.float64)


def _of_truth(probabilities: Probabilities, truth: Codes) -> Float[np.ndarray, " cases"]:
    return probabilities[np.arange(len(truth)), truth]
