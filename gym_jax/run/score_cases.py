"""Scores of models of cases, alone and together, beside the baselines, for one part of the cases."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gym_jax.config.derive import settings
from gym_jax.config.schema import Config
from gym_jax.data.split import Part
from gym_jax.errors import DataError
from gym_jax.evaluate.baselines import LABEL_BASELINES, NUMBER_BASELINES
from gym_jax.evaluate.labels import LABEL_METRICS, probabilities_of, report_labels
from gym_jax.evaluate.score import forecasters
from gym_jax.evaluate.score_cases import NUMBER_METRICS, answers_of, judge_cases, report_numbers, restored
from gym_jax.evaluate.spread import spread_of
from gym_jax.losses import quantiles_of
from gym_jax.run.assemble import build_columns
from gym_jax.run.cases import PreparedCases, cut_cases
from gym_jax.run.scores import GroupScores

SQUARED = ("mse", "huber", "log_cosh", "gaussian")
"""Losses whose best answer is a mean: judged by RMSE, the others by MAE."""


def said_of(config: Config, prepared: PreparedCases, model: Any, members: list[Any], part: Part) -> list[np.ndarray]:
    """Return what each of several weights says of the cases of a part, in the data's units.

    Numbers are [cases, targets, outputs], the outputs as `build_columns` names them; labels [cases, classes].
    """
    samples, size = cut_cases(config, prepared, part), config.evaluate.batch_size
    if config.task.kind == "classify":
        forecasts = forecasters(model, members)
        return [probabilities_of(answers_of(one, samples, batch_size=size)[:, 0]) for one in forecasts]
    forecasts = forecasters(model, members, build_columns(config)[1])
    return [restored(prepared.learnt.target, answers_of(one, samples, batch_size=size)) for one in forecasts]


def score_cases(
    config: Config, prepared: PreparedCases, model: Any, members: Mapping[int, Any], part: Part = "test"
) -> GroupScores:
    """Return the scores of the mean of several answers, with the spread of their own, and of each by itself.

    `members` are the variables of one model by seed. Baselines know train and val, which a model may look at too.
    """
    places = getattr(prepared.parts, part)
    known = places[prepared.cases.answered[places]]
    if not len(known):
        raise DataError(
            f"the {part} part holds no case to score",
            hint="no case has its answer" if len(places) else "its share of the cases is 0",
            attempt="gymjax predict RUN --data FILE" if len(places) else "gymjax train ... data.split.val=0.1",
            code="data.no_cases",
        )
    prepared = prepared._replace(parts=prepared.parts._replace(**{part: known}))
    said = said_of(config, prepared, model, list(members.values()), part)
    reports = [_report(config, prepared, one, part) for one in [*said, np.mean(said, axis=0)]]
    others = {
        kind: _report(config, prepared, answers, part) for kind, answers in _baselines(config, prepared, part).items()
    }
    metric = "accuracy" if config.task.kind == "classify" else "rmse" if config.loss.kind in SQUARED else "mae"

    def scores(own: dict[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return {
            "part": part,
            "cases": len(known),
            "model": {"kind": config.model.kind, "targets": own},
            **(more or {}),
            "baselines": others,
            "notes": [],
            "verdict": judge_cases(config.model.kind, own, others, metric),
        }

    alone = reports[:-1]
    numbers = (*NUMBER_METRICS, *config.evaluate.metrics)
    metrics = tuple(LABEL_METRICS) if config.task.kind == "classify" else numbers
    spread = {"members": {"seeds": list(members), "targets": spread_of(alone, metrics)}}
    return GroupScores(scores(reports[-1], spread), dict(zip(members, map(scores, alone), strict=True)))


def _report(config: Config, prepared: PreparedCases, said: np.ndarray, part: Part) -> dict[str, Any]:
    """Return the scores of some answers by target."""
    cases, learnt = prepared.cases.select(getattr(prepared.parts, part)), prepared.learnt
    if cases.labels is not None:
        return {cases.target_names[0]: report_labels(said, learnt.codes(cases), learnt.classes)}
    assert cases.targets is not None
    levels, _ = quantiles_of(config.loss.kind, settings(config.loss))
    limits = {level: said[..., 1 + k] for k, level in enumerate(levels)} if said.shape[-1] > 1 else {}
    return report_numbers(said[..., 0], cases.targets, cases.target_names, limits, config.evaluate.metrics)


def _baselines(config: Config, prepared: PreparedCases, part: Part) -> dict[str, np.ndarray]:
    """Return what the baselines say of the cases of a part, in the shape of a model's answers."""
    cases, parts, learnt = prepared.cases, prepared.parts, prepared.learnt
    known = np.sort(np.concatenate([parts.train, parts.val]))
    if not len(known):  # of other data than those of the run
        return {}
    x, new = _features(prepared, known), _features(prepared, getattr(parts, part))
    if cases.labels is not None:
        codes = learnt.codes(cases.select(known))
        return {kind: LABEL_BASELINES[kind](x, codes, len(learnt.classes), new) for kind in config.evaluate.baselines}
    assert cases.targets is not None
    y = cases.targets[known]
    return {kind: NUMBER_BASELINES[kind](x, y, ~np.isnan(y), new)[..., None] for kind in config.evaluate.baselines}


def _features(prepared: PreparedCases, keep: np.ndarray) -> np.ndarray:
    """Return cases as rows of numbers: what models see, words one by one as 0 or 1."""
    cases, learnt = prepared.cases.select(keep), prepared.learnt
    past, _ = learnt.scaled(cases)
    static, codes = learnt.encoder.encode(cases)
    parts = [past.reshape(len(cases), -1), *([static] if static is not None else [])]
    for kind, words in enumerate(learnt.encoder.sizes):
        assert codes is not None
        parts.append(np.eye(words + 1)[codes[:, kind]][:, 1:])
    return np.concatenate(parts, axis=1).astype(np.float64)
