"""Answers of a model to cases, and how good they are, in the data's units."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from gym_jax.data.order import sequential
from gym_jax.data.samples import Samples
from gym_jax.data.scale import Scaler
from gym_jax.evaluate.score import Forecast
from gym_jax.metrics import METRICS, measure, plain, summarise

OF_SERIES = "mase"
"""The metric that needs a season."""
NUMBER_METRICS = tuple(name for name in METRICS if name != OF_SERIES)


def answers_of(forecast: Forecast, samples: Samples, *, batch_size: int) -> np.ndarray:
    """Return what a model says of every case: float32 [cases, targets] or [cases, targets, outputs]."""
    order = sequential(len(samples), min(batch_size, len(samples)))
    said = np.asarray(forecast(samples, order))  # type: ignore[arg-type]
    return said.reshape(-1, *said.shape[2:])[: len(samples), 0]


def restored(scaler: Scaler, said: np.ndarray) -> Float[np.ndarray, "cases targets *outputs"]:
    """Return scaled numbers in the data's units; further outputs of a target alike."""
    return scaler.restore(said[:, None], np.zeros(len(said), np.int64))[:, 0]


def report_numbers(
    said: Float[np.ndarray, "cases targets"],
    truth: Float[np.ndarray, "cases targets"],
    names: tuple[str, ...],
    quantiles: Mapping[float, Float[np.ndarray, "cases targets"]] | None = None,
    more: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the errors of each target as plain JSON; `below` is how often the truth was at or below each quantile.

    `more` names metrics of plug-ins.
    """
    out: dict[str, Any] = {}
    for column, name in enumerate(names):
        known, nobody = ~np.isnan(truth[:, column]), np.zeros(len(truth), np.int64)
        totals = measure(said[:, column], truth[:, column], known, nobody, 1)
        block = {key: plain(float(value[0])) for key, value in summarise(totals, more=more).items() if key != OF_SERIES}
        out[name] = {**block, "count": int(totals.count[0])}
        if quantiles:
            shares = {
                str(level): plain(float((truth[known, column] <= limit[known, column]).mean()))
                for level, limit in quantiles.items()
            }
            out[name]["below"] = shares
    return out


def judge_cases(
    name: str, model: Mapping[str, Mapping[str, Any]], baselines: Mapping[str, Mapping[str, Any]], metric: str
) -> str:
    """Return one clear sentence a target: does the model beat every baseline on `metric`; accuracy is to be high."""
    sentences, high = [], metric == "accuracy"
    for target, own in model.items():
        rivals = {kind: blocks[target][metric] for kind, blocks in baselines.items()}
        rivals = {kind: value for kind, value in rivals.items() if value is not None}
        word, value = metric.upper() if not high else metric, own[metric]
        if value is None or not rivals:
            sentences.append(f"{target}: {'nothing to compare with' if value is not None else 'nothing was scored'}.")
            continue
        best = (max if high else min)(rivals, key=rivals.__getitem__)
        ahead = value - rivals[best] if high else rivals[best] - value
        beaten = [kind for kind, other in rivals.items() if (value > other if high else value < other)]
        said = f"its {word} is {value:.4g}, that of `{best}`, the best of them, {rivals[best]:.4g}"
        if ahead > 0:
            sentences.append(f"{target}: {name} beats every baseline; {said}.")
        else:
            others = " or ".join(f"`{kind}`" for kind in rivals if kind not in beaten)
            sentences.append(f"{target}: {name} does NOT beat {others}; {said}.")
    return " ".join(sentences)
