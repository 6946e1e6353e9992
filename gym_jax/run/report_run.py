"""What a report knows of one run: what stands in its folder, and what its model says of the test part."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from gym_jax.config.schema import Config
from gym_jax.data.units import unit_in_name
from gym_jax.errors import ConfigError, GymJaxError, did_you_mean
from gym_jax.run.calibrate import judge_calibration, read_calibration, source_of
from gym_jax.run.evaluate import evaluate_run, refuse_changed
from gym_jax.run.explain import explain_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import is_group, members_of
from gym_jax.run.load import Trained, load_run, read_config
from gym_jax.run.report_forecasts import Sampled, levels_of, sample_forecasts
from gym_jax.run.score_cases import said_of


class Asked(NamedTuple):
    """What a report is to hold."""

    target: str | None = None
    """Column that is drawn; the first of each run when None."""
    windows: int = 4096
    """Of the test part that are drawn at random for pictures; tables are of all."""
    series: tuple[str, ...] = ()
    """That are drawn; the worst, the best and two between when none is named."""
    explain: bool = False
    """Whether inputs are exchanged to see which matter."""
    seed: int = 0
    draw: tuple[str, ...] = ()
    """Pictures of plug-ins that are drawn too."""


class Said(NamedTuple):
    """What a model says of the cases of the test part, in the data's units."""

    classes: tuple[str, ...]
    """Of labels; none of numbers."""
    answers: Float[np.ndarray, "cases outputs"]
    """Probabilities of classes; of a number its point, then its quantiles."""
    truth: Float[np.ndarray, " cases"] | Int[np.ndarray, " cases"]
    levels: tuple[float, ...] = ()


class Reported(NamedTuple):
    """One run as a report sees it; what could not be made is named in `missing`."""

    folder: RunFolder
    name: str
    config: Config
    facts: dict[str, Any]
    environment: dict[str, Any]
    choices: dict[str, Any]
    status: dict[str, Any]
    scores: dict[str, Any]
    epochs: list[dict[str, Any]]
    events: list[dict[str, Any]]
    members: dict[int, list[dict[str, Any]]]
    """Of a group the epochs of each seed."""
    target: str
    unit: str | None
    trained: Trained | None
    sampled: Sampled | None
    said: Said | None
    intervals: Mapping[Any, Any] | None
    """Of a calibrated run: how its intervals did, by method and target."""
    explained: dict[str, Any] | None
    missing: list[str]
    notes: list[str]
    draw: tuple[str, ...] = ()
    """Pictures of plug-ins that were asked for."""

    @property
    def parameters(self) -> int | None:
        """How many numbers the model has learnt; of a group, each member."""
        if self.trained is None:
            return None
        return sum(leaf.size for leaf in jax.tree.leaves(self.trained.members[0]["params"]))

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.status.get("status") == "done"

    @property
    def own(self) -> dict[str, Any]:
        """The scores of the drawn target, {} when there are none."""
        return self.scores.get("model", {}).get("targets", {}).get(self.target, {})


def open_report(folder: RunFolder, name: str, asked: Asked) -> Reported:
    """Return what is known of a run. Raises CheckpointError when it is none, ConfigError on a target or series unknown.

    Data that are gone, or a run without a checkpoint, are no error: what stands in the folder is shown.
    """
    config, facts = read_config(folder), folder.read_json("data.json")
    targets = _targets(config, facts)
    if asked.target is not None and asked.target not in targets:
        raise ConfigError(
            f"{name} does not answer with `{asked.target}`",
            hint=did_you_mean(asked.target, targets),
            attempt=f"gymjax report RUN --target {targets[0]} --html report.html",
        )
    target = asked.target or targets[0]
    members = {seed: member.read_lines("metrics.jsonl") for seed, member in members_of(folder).items()}
    missing: list[str] = []
    notes: list[str] = []
    scores = folder.read_json("scores.json")
    trained = sampled = said = intervals = explained = None
    try:
        refuse_changed(folder, None)
        trained = load_run(folder)
        scores = scores or evaluate_run(folder)
        if config.task.kind == "forecast":
            calibrated, notes = read_calibration(folder)
            channel = targets.index(target)
            errors = scores["model"]["targets"][target]["per_series"]["mae"]
            sampled = sample_forecasts(
                trained,
                calibrated,
                channel=channel,
                errors=errors,
                windows=asked.windows,
                named=asked.series,
                seed=asked.seed,
            )
            if calibrated is not None:
                intervals = {calibrated.calibration.method: judge_calibration(source_of(trained), calibrated)}
            if asked.explain:
                explained = explain_run(folder, target=target, windows=256, repeats=3, seed=asked.seed)
        else:
            said = _said(trained, targets.index(target))
    except ConfigError:
        raise
    except GymJaxError as error:
        hint = f" ({error.hint})" if error.hint else ""
        missing.append(f"Pictures of forecasts are missing: {error.message}{hint}.")
    return Reported(
        folder,
        name,
        config,
        facts,
        folder.read_json("env.json"),
        folder.read_json("choices.json"),
        folder.read_json("status.json"),
        scores,
        folder.read_lines("metrics.jsonl"),
        folder.read_lines("log.jsonl"),
        members if is_group(folder) else {},
        target,
        None if config.task.kind == "classify" else unit_in_name(target),
        trained,
        sampled,
        said,
        intervals,
        explained,
        missing,
        notes,
        asked.draw,
    )


def _targets(config: Config, facts: dict[str, Any]) -> Sequence[str]:
    columns = facts["columns"]
    return columns["channels"][: columns["targets"]] if config.task.kind == "forecast" else columns["targets"]


def _said(trained: Trained, column: int) -> Said:
    prepared = trained.prepared
    cases = prepared.cases.select(prepared.parts.test)
    answers = np.mean(said_of(trained.config, prepared, trained.model, list(trained.members), "test"), axis=0)
    if trained.config.task.kind == "classify":
        return Said(tuple(prepared.learnt.classes), answers, prepared.learnt.codes(cases))
    return Said((), answers[:, column], cases.targets[:, column], tuple(levels_of(trained)))
