"""Cross-validation of a configuration: its folds trained and scored, their errors with mean and deviation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_jax.config.schema import Config
from gym_jax.data.folds import FOLD_KINDS, FoldKind, make_folds
from gym_jax.errors import ConfigError, did_you_mean
from gym_jax.evaluate.spread import spread_of
from gym_jax.run.assemble import load_panel
from gym_jax.run.folds import make_fold, train_folds
from gym_jax.run.scores import score_run
from gym_jax.run.task import need_forecast, need_resident
from gym_jax.train.parallel import request_cpu_devices


def cross_validate(
    config: Config,
    *,
    kind: FoldKind = "expanding",
    folds: int = 5,
    tell: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> dict[str, Any]:
    """Return the test errors of every fold and of the baselines, and their spread; nothing is written.

    The share of val rows, the purged gap and the seed of `series` are those of `data.split`. Each fold is what a run of
    its split would be, with scaler, early stop and baselines of its own. Raises ConfigError or DataError.
    """
    if kind not in FOLD_KINDS:
        raise ConfigError(f"unknown folds `{kind}`", hint=did_you_mean(kind, FOLD_KINDS))
    if folds < 2:
        raise ConfigError(
            f"{folds} folds", hint="the spread of errors needs two or more", attempt="gymjax cv ... --folds 5"
        )
    need_forecast(config, "cv")
    need_resident(config, "gymjax cv")
    request_cpu_devices("auto", config.train.devices)
    split, panel = config.data.split, load_panel(config)
    if kind == "series" and len(panel.series) < folds:
        raise ConfigError(
            f"{folds} folds of {len(panel.series)} series",
            hint="each fold tests on series of its own",
            attempt=f"gymjax cv ... --folds {max(2, len(panel.series))}",
        )
    splits = make_folds(panel, kind, folds, val=split.val, gap=split.gap, seed=split.seed, group=split.group)
    parts = [make_fold(config, panel, own, f"fold {number}") for number, own in enumerate(splits, 1)]
    fitted = train_folds(config, parts, tell)
    found = []
    for part, own in zip(parts, fitted, strict=True):
        scores = score_run(config, part.prepared, own.model, own.variables)
        facts = {"train_windows": len(part.train), "val_windows": len(part.val), "test_windows": scores["windows"]}
        found.append({**facts, "epochs": own.epochs, "best_epoch": own.best_epoch, **slim(scores)})
    return {"kind": kind, "model": config.model.kind, "folds": found, **spread_over(found)}


def slim(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the errors of a model and its baselines without those per step and per series."""

    def errors(targets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        return {
            name: {metric: value for metric, value in block.items() if not isinstance(value, Mapping)}
            for name, block in targets.items()
        }

    baselines = {kind: errors(targets) for kind, targets in scores["baselines"].items()}
    return {"targets": errors(scores["model"]["targets"]), "baselines": baselines, "notes": scores["notes"]}


def spread_over(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean, deviation and interval over folds of the errors of the model and of the baselines all folds have."""
    kinds = [kind for kind in found[0]["baselines"] if all(kind in fold["baselines"] for fold in found)]
    return {
        "targets": spread_of([fold["targets"] for fold in found]),
        "baselines": {kind: spread_of([fold["baselines"][kind] for fold in found]) for kind in kinds},
    }
