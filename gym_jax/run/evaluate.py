"""Scores of a finished run, from its folder alone, on its own test part or on other data."""

from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.split import Part
from gym_jax.errors import DataError
from gym_jax.run.assemble import fingerprint, places, same_data
from gym_jax.run.calibrate import judge_calibration, read_calibration, source_of
from gym_jax.run.drift import drift_notes
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import Members, is_group, lost_note
from gym_jax.run.load import Trained, load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.task import task_of


def evaluate_run(
    run: str | Path | RunFolder, *, data: str | Path | None = None, part: Part = "test", members: Members = "mean"
) -> dict[str, Any]:
    """Return the errors of a run and of the baselines, over every window of a part; nothing is written.

    Units are the data's own. `notes` says when the run is unfinished, or when windows of other data lie before the end
    of what the run was trained and chosen on. Of a run of several seeds the mean of the forecasts is scored, and
    `members` holds the spread of the members' own errors; `members="best"` scores the best of them alone.
    Of a calibrated run `intervals` says how often its intervals held. Raises CheckpointError or DataError, the latter
    too when the run's own data changed since.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    refuse_changed(folder, data)
    calibrated, stale = read_calibration(folder)
    trained = load_run(folder, data, members=members, portions=calibrated is None)  # intervals: on data in memory
    own = dict(zip(trained.seeds or (trained.config.train.seed,), trained.members, strict=True))
    found = task_of(trained.config).score(trained.config, trained.prepared, trained.model, own, part)
    scores = found.group if trained.seeds else found.members[trained.config.train.seed]
    scores["notes"] += notes_of(folder, trained, data, part)
    if trained.config.task.kind == "forecast" and (members == "mean" or not is_group(folder)):
        scores["notes"] += stale
        if calibrated is not None:
            held = judge_calibration(source_of(trained), calibrated, part)
            scores["intervals"] = {calibrated.calibration.method: held}
    facts = {"run": str(folder.path), "step": trained.step, "weights": trained.weights}
    if is_group(folder) and not trained.seeds:
        facts["seed"] = trained.config.train.seed
    return {**facts, "data": trained.config.data.path, **scores}


def refuse_changed(folder: RunFolder, data: str | Path | None) -> None:
    """Raise DataError when a run's own data are asked for and are no longer what it was trained on."""
    facts = folder.read_json("data.json")
    if data is None and facts and not same_data(facts, fingerprint(read_config(folder))):
        raise DataError(
            f"the data of {folder.path} changed since it was trained",
            hint="to score the run on what is there now, name it",
            attempt=f"gymjax evaluate {folder.path} --data FILE",
            code="data.changed",
        )


def notes_of(folder: RunFolder, trained: Trained, data: str | Path | None, part: Part) -> list[str]:
    """Return what must be known about the scores of a run: members lost, windows seen before, a run not finished."""
    notes = lost_note(folder)
    if data is not None:
        facts = folder.read_json("data.json")
        notes += [*_seen_before(trained, facts, part), *drift_notes(folder, trained.prepared, facts, data)]
    if (status := folder.read_json("status.json").get("status")) != "done":
        of = "its best steps so far" if trained.step is None else f"step {trained.step:,}"
        notes.append(f"the run is not finished ({status}): these are the scores of {of}")
    return notes


def _seen_before(trained: Trained, facts: dict[str, Any], part: Part) -> list[str]:
    """Return a note when windows forecast times of a known series that training or early stopping has used.

    Cases have no times: of them it is said when the very files were used.
    """
    if trained.config.task.kind != "forecast":
        own = {file["sha256"] for file in facts.get("files", ())}
        known = own & {file["sha256"] for file in fingerprint(trained.config)["files"]}
        return ["the run knows these data: it was trained, chosen or scored on them"] if known else []
    panel = trained.prepared.panel
    until = dict(zip(facts["series"], facts["used_until"], strict=True))
    rows, series = places(trained.config, trained.prepared, part)
    limit = np.array([until.get(name, np.iinfo(np.int64).min) for name in panel.series])[series]
    used = int((panel.stamps(series, rows) < limit).sum())
    return [f"{used:,} of {len(rows):,} windows begin before the end of what the run was trained on"] if used else []
