"""Scores of a finished run, from its folder alone, on its own test part or on other data."""

from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.split import Part
from gym_jax.errors import DataError
from gym_jax.run.assemble import fingerprint, places, same_data
from gym_jax.run.calibrate import judge_calibration, read_calibration, source_of
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import Members, is_group, lost_note
from gym_jax.run.load import Trained, load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.scores import score_group


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
    facts = folder.read_json("data.json")
    if data is None and facts and not same_data(facts, fingerprint(read_config(folder))):
        raise DataError(
            f"the data of {folder.path} changed since it was trained",
            hint="to score the run on what is there now, name it",
            attempt=f"gymjax evaluate {folder.path} --data FILE",
            code="data.changed",
        )
    trained = load_run(folder, data, members=members)
    own = dict(zip(trained.seeds or (trained.config.train.seed,), trained.members, strict=True))
    found = score_group(trained.config, trained.prepared, trained.model, own, part)
    scores = found.group if trained.seeds else found.members[trained.config.train.seed]
    scores["notes"] += lost_note(folder)
    notes = [] if data is None else _seen_before(trained, facts, part)
    if (status := folder.read_json("status.json").get("status")) != "done":
        of = "its best steps so far" if trained.step is None else f"step {trained.step:,}"
        notes.append(f"the run is not finished ({status}): these are the scores of {of}")
    scores["notes"] += notes
    if members == "mean" or not is_group(folder):
        calibrated, stale = read_calibration(folder)
        scores["notes"] += stale
        if calibrated is not None:
            held = judge_calibration(source_of(trained), calibrated, part)
            scores["intervals"] = {calibrated.calibration.method: held}
    facts = {"run": str(folder.path), "step": trained.step, "weights": trained.weights}
    if is_group(folder) and not trained.seeds:
        facts["seed"] = trained.config.train.seed
    return {**facts, "data": trained.config.data.path, **scores}


def _seen_before(trained: Trained, facts: dict[str, Any], part: Part) -> list[str]:
    """Return a note when windows forecast times of a known series that training or early stopping has used."""
    panel = trained.prepared.panel
    until = dict(zip(facts["series"], facts["used_until"], strict=True))
    rows, series = places(trained.config, trained.prepared, part)
    limit = np.array([until.get(name, np.iinfo(np.int64).min) for name in panel.series])[series]
    used = int((panel.stamps(series, rows) < limit).sum())
    return [f"{used:,} of {len(rows):,} windows begin before the end of what the run was trained on"] if used else []
