"""The calibration of a finished run: fitted on held-out windows, kept with the run, judged on the test part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.data.split import Part
from gym_jax.errors import ConfigError, DataError, GymJaxError, did_you_mean
from gym_jax.evaluate.conformal import LEVELS, METHODS, Calibration, Method, calibrate
from gym_jax.evaluate.coverage import summarise
from gym_jax.evaluate.surprise import Surprises, collect
from gym_jax.run.assemble import cut, fingerprint, model_of, places, same_data, shape_of
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import is_group, sound_members
from gym_jax.run.intervals import Piece, Source, coverage_of, floor_of, pieces, scores_of, surprises_of
from gym_jax.run.load import Trained, best_step, load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.scores import solve
from gym_jax.run.task import need_forecast

FILE = "calibration.json"
DOCUMENT = "calibration"


class Calibrated(NamedTuple):
    """A calibration with what else its intervals need."""

    calibration: Calibration
    floor: tuple[float | None, ...]
    """What each target has never been below; None where nothing is known."""
    part: Part
    surprises: tuple[Surprises, ...]
    """How far the first step of held-out windows lay beyond the widest interval, for each target."""

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings of the columns of both ends of each level: `_lo80`, `_hi80`."""
        return tuple(f"_{end}{100 * level:g}" for level in self.calibration.levels for end in ("lo", "hi"))


def calibrate_run(
    run: str | Path | RunFolder,
    *,
    method: Method = "adaptive",
    levels: Sequence[float] = LEVELS,
    part: Part = "val",
    compare: bool = False,
) -> dict[str, Any]:
    """Fit intervals for each of `levels` on one part of the run's own data, keep them, and return how they do on test.

    With `compare` the other methods and the baselines are calibrated alike and judged beside it; they are not kept.
    Raises ConfigError on wrong words, DataError when the data changed or the part is too short.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    levels = _judged(method, levels, part)
    need_forecast(read_config(folder), "calibrate")
    facts = folder.read_json("data.json")
    if facts and not same_data(facts, fingerprint(read_config(folder))):
        raise DataError(
            f"the data of {folder.path} changed since it was trained",
            hint="a calibration rests on rows that the run has kept apart",
            attempt=f"gymjax train --config {folder.path}/config.yaml",
            code="data.changed",
        )
    trained = load_run(folder)
    source = source_of(trained)
    fitted = fit_calibration(source, method, levels, part)
    found: dict[str, Any] = {method: judge_calibration(source, fitted)}
    if compare:
        found |= {
            other: judge_calibration(source, fit_calibration(source, other, levels, part))
            for other in METHODS
            if other != method
        }
        for kind in trained.config.evaluate.baselines:
            if kind != trained.config.model.kind and (rival := _baseline(trained, kind)) is not None:
                found[kind] = judge_calibration(rival, fit_calibration(rival, method, levels, part))
    with folder.lock():
        folder.write_json(
            FILE,
            {
                "part": part,
                "steps": steps_of(folder),
                "targets": list(trained.prepared.panel.channels[: trained.prepared.panel.targets]),
                "floor": list(fitted.floor),
                "surprises": [table.to_json() for table in fitted.surprises],
                DOCUMENT: fitted.calibration.to_json(),
            },
        )
    facts = {"run": str(folder.path), "step": trained.step, "weights": trained.weights}
    return {**facts, "method": method, "part": part, "intervals": found}


def source_of(trained: Trained) -> Source:
    """Return what forecasts when a run is asked."""
    return Source(trained.config, trained.prepared, trained.model, trained.members)


def fit_calibration(source: Source, method: Method, levels: Sequence[float], part: Part) -> Calibrated:
    """Return the calibration that the windows of one part teach."""
    rows, series = places(source.config, source.prepared, part)
    panel = source.prepared.truth
    found = [
        (scores_of(source, panel, piece).astype(np.float32), piece.owner)
        for piece in pieces(source, rows, series, levels)
    ]
    if not found:
        raise DataError(
            f"the {part} part holds no window to calibrate on",
            hint="intervals are fitted on rows that training has not seen",
            attempt="gymjax train ... data.split.val=0.1",
            code="data.no_windows",
        )
    scores, owner = (np.concatenate(part) for part in zip(*found, strict=True))
    calibration = calibrate(scores, owner, panel.series, levels=levels, method=method)
    surprises = surprises_of(source, calibration, Piece(rows, owner, *[np.empty(0)] * 2), scores[:, :, :1])
    tables = tuple(collect(surprises[:, target]) for target in range(panel.targets))
    return Calibrated(calibration, tuple(floor_of(source.config, panel, rows)), part, tables)


def judge_calibration(source: Source, fitted: Calibrated, part: Part = "test") -> dict[str, Any]:
    """Return coverage and width on one part, by target and level; {} where it holds no window."""
    rows, series = places(source.config, source.prepared, part)
    if not len(rows):
        return {}
    total = coverage_of(source, fitted.calibration, fitted.floor, rows, series)
    panel = source.prepared.panel
    return summarise(total, fitted.calibration.levels, panel.series, panel.channels[: panel.targets])


def read_calibration(folder: RunFolder) -> tuple[Calibrated | None, list[str]]:
    """Return the calibration of a run, if it has one for its present weights, and a note when it is of others."""
    document = folder.read_json(FILE)
    if not document:
        return None, []
    if document["steps"] != steps_of(folder):
        return None, [
            f"its intervals were calibrated for weights that it no longer ends with: gymjax calibrate {folder.path}"
        ]
    fitted = Calibration.from_json(document[DOCUMENT])
    tables = tuple(Surprises.from_json(table) for table in document["surprises"])
    return Calibrated(fitted, tuple(document["floor"]), document["part"], tables), []


def steps_of(folder: RunFolder) -> dict[str, int]:
    """Return the step whose weights answer, of every member of a group."""
    members = sound_members(folder) if is_group(folder) else {0: folder}
    return {str(seed): best_step(member) for seed, member in members.items()}


def _baseline(trained: Trained, kind: str) -> Source | None:
    """Return a baseline as a source, None where it can not be solved."""
    config, prepared = trained.config, trained.prepared
    module = model_of(kind, config, shape_of(prepared))
    try:
        params = solve(kind, module, cut(config, prepared, "train"))
    except GymJaxError:
        return None
    return Source(config, prepared, module, ({"params": params},), trained=False)


def _judged(method: str, levels: Sequence[float], part: str) -> tuple[float, ...]:
    """Return the levels in order. Raises ConfigError on a word or a level that is none."""
    if method not in METHODS:
        raise ConfigError(f"unknown method `{method}`", hint=did_you_mean(method, METHODS))
    if wrong := [level for level in levels if not 0 < level < 1]:
        raise ConfigError(
            f"a level of {wrong[0]:g}",
            hint="a level is how often the interval is to hold: between 0 and 1",
            attempt="gymjax calibrate RUN --levels 0.8,0.95",
        )
    if part == "test":
        raise ConfigError(
            "the test part is for judging",
            hint="calibrate on val, or on train",
            attempt="gymjax calibrate RUN --part val",
        )
    if not levels:
        raise ConfigError("no level", hint="name one or more, such as 0.8,0.95")
    return tuple(sorted(set(levels)))
