"""Scores of a trained model, or of a group of seeds, beside the baselines, for one part of the split."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gym_jax.config.schema import Config
from gym_jax.data.order import sequential
from gym_jax.data.split import Part
from gym_jax.data.windows import Windows
from gym_jax.errors import DataError
from gym_jax.evaluate.score import forecasters, report, score_members, verdict
from gym_jax.evaluate.spread import spread_of
from gym_jax.metrics import METRICS, naive_errors
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import Prepared, build_point, cut, model_of, reading, shape_of

SOLVE_BATCH = 8192


class GroupScores(NamedTuple):
    """The scores of a group, and of each of its members by seed."""

    group: dict[str, Any]
    members: dict[int, dict[str, Any]]


def score_run(config: Config, prepared: Prepared, model: Any, variables: Any, part: Part = "test") -> dict[str, Any]:
    """Return the errors of the model and of every baseline on one part, with a sentence that compares them."""
    return score_group(config, prepared, model, {config.train.seed: variables}, part).members[config.train.seed]


def score_group(
    config: Config, prepared: Prepared, model: Any, members: Mapping[int, Any], part: Part = "test"
) -> GroupScores:
    """Return the same of the mean of several forecasts, with the spread of their errors, and of each by itself.

    `members` are the variables of one model by seed. The forecasts are made once, and so are the baselines.
    """
    windows = cut(config, prepared, part)
    refuse_empty(part, len(windows))
    panel, task = prepared.truth, config.task
    naive = naive_errors(
        panel.values[:, : panel.targets],
        panel.mask[:, : panel.targets],
        *prepared.naive_span(task.horizon),
        prepared.season,
    )

    def errors(module: Any, weights: list[Any], point: Any = None) -> list[dict[str, Any]]:
        forecast, seen, size = forecasters(module, weights, point), reading(module, windows), config.evaluate.batch_size
        totals = score_members(forecast, seen, panel, prepared.scaler, naive, batch_size=size)
        return [report(own, panel, naive, config.evaluate.metrics) for own in totals]

    reports = errors(model, list(members.values()), build_point(config))
    train = cut(config, prepared, "train")
    others: dict[str, Any] = {}
    notes = []
    for kind in config.evaluate.baselines:
        if kind != config.model.kind:
            module = model_of(kind, config, shape_of(prepared))
            try:
                others[kind] = errors(module, [{"params": solve(kind, module, train)}])[0]
            except DataError as error:
                notes.append(f"baseline `{kind}` is left out: {error.message}")

    return arranged(
        config, list(members), reports, others, notes, part=part, windows=len(windows), season=prepared.season
    )


def refuse_empty(part: Part, windows: int) -> None:
    """Raise DataError when a part has no window to score."""
    if not windows:
        raise DataError(
            f"the {part} part holds no window to score",
            hint="its share of the rows is 0, or nothing in it was observed",
            attempt="gymjax train ... data.split.train=0.7 data.split.val=0.1",
            code="data.no_windows",
        )


def arranged(
    config: Config,
    seeds: list[int],
    reports: list[dict[str, Any]],
    others: Mapping[str, Any],
    notes: list[str],
    *,
    part: Part,
    windows: int,
    season: int,
) -> GroupScores:
    """Return the errors of members (of more than one, last those of their mean) and of baselines as scores."""
    task = config.task

    def scores(own: dict[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return {
            "part": part,
            "windows": windows,
            "season": season,
            **({} if task.statistic == "none" else {"statistic": task.statistic, "window": task.horizon}),
            "model": {"kind": config.model.kind, "targets": own},
            **(more or {}),
            "baselines": others,
            "notes": list(notes),
            "verdict": verdict(config.model.kind, own, others),
        }

    alone = reports[: len(seeds)]
    spread = {"members": {"seeds": seeds, "targets": spread_of(alone, (*METRICS, *config.evaluate.metrics))}}
    return GroupScores(scores(reports[-1], spread), dict(zip(seeds, map(scores, alone), strict=True)))


def solve(kind: str, module: Any, train: Windows) -> Any:
    """Return the parameters of a kind that is not trained by gradient."""
    solver = MODELS[kind].solve
    assert solver is not None
    return solver(module, train, sequential(len(train), SOLVE_BATCH))
