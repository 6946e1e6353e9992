"""Scores of a trained model beside the baselines, for one part of the split."""

from typing import Any

from gym_jax.config.schema import Config
from gym_jax.data.order import sequential
from gym_jax.data.split import Part
from gym_jax.data.windows import Windows
from gym_jax.errors import DataError
from gym_jax.evaluate.score import forecaster, report, score, verdict
from gym_jax.metrics import naive_errors
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import Prepared, build_point, cut, model_of, reading, shape_of

SOLVE_BATCH = 8192


def score_run(config: Config, prepared: Prepared, model: Any, variables: Any, part: Part = "test") -> dict[str, Any]:
    """Return the errors of the model and of every baseline on one part, with a sentence that compares them."""
    panel, split = prepared.panel, prepared.split
    windows = cut(config, prepared, part)
    if not len(windows):
        raise DataError(
            f"the {part} part holds no window to score",
            hint="its share of the rows is 0, or nothing in it was observed",
            attempt="gymjax train ... data.split.train=0.7 data.split.val=0.1",
            code="data.no_windows",
        )
    naive = naive_errors(
        panel.values[:, : panel.targets],
        panel.mask[:, : panel.targets],
        split.train.begin,
        split.train.end,
        prepared.season,
    )

    def errors(module: Any, weights: Any, point: Any = None) -> dict[str, Any]:
        forecast, seen, size = forecaster(module, weights, point), reading(module, windows), config.evaluate.batch_size
        return report(score(forecast, seen, panel, prepared.scaler, naive, batch_size=size), panel, naive)

    own = errors(model, variables, build_point(config))
    train = cut(config, prepared, "train")
    others: dict[str, Any] = {}
    notes = []
    for kind in config.evaluate.baselines:
        if kind != config.model.kind:
            module = model_of(kind, config, shape_of(prepared))
            try:
                others[kind] = errors(module, {"params": solve(kind, module, train)})
            except DataError as error:
                notes.append(f"baseline `{kind}` is left out: {error.message}")
    return {
        "part": part,
        "windows": len(windows),
        "season": prepared.season,
        "model": {"kind": config.model.kind, "targets": own},
        "baselines": others,
        "notes": notes,
        "verdict": verdict(config.model.kind, own, others),
    }


def solve(kind: str, module: Any, train: Windows) -> Any:
    """Return the parameters of a kind that is not trained by gradient."""
    solver = MODELS[kind].solve
    assert solver is not None
    return solver(module, train, sequential(len(train), SOLVE_BATCH))
