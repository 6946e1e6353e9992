"""Scores of a finished run, from its folder alone, on its own test part or on other data."""

from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.split import Part
from gym_jax.errors import DataError
from gym_jax.run.assemble import fingerprint, places, same_data
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import Trained, load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.scores import score_run


def evaluate_run(run: str | Path | RunFolder, *, data: str | Path | None = None, part: Part = "test") -> dict[str, Any]:
    """Return the errors of a run and of the baselines, over every window of a part; nothing is written.

    Units are the data's own. `notes` says when the run is unfinished, or when windows of other data lie before the end
    of what the run was trained and chosen on. Raises CheckpointError or DataError, the latter too when the run's own
    data changed since.
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
    trained = load_run(folder, data)
    scores = score_run(trained.config, trained.prepared, trained.model, trained.variables, part)
    notes = [] if data is None else _seen_before(trained, facts, part)
    if (status := folder.read_json("status.json").get("status")) != "done":
        notes.append(f"the run is not finished ({status}): these are the scores of step {trained.step:,}")
    scores["notes"] += notes
    facts = {"run": str(folder.path), "step": trained.step, "weights": trained.weights}
    return {**facts, "data": trained.config.data.path, **scores}


def _seen_before(trained: Trained, facts: dict[str, Any], part: Part) -> list[str]:
    """Return a note when windows forecast times of a known series that training or early stopping has used."""
    panel = trained.prepared.panel
    until = dict(zip(facts["series"], facts["used_until"], strict=True))
    rows, series = places(trained.config, trained.prepared, part)
    limit = np.array([until.get(name, np.iinfo(np.int64).min) for name in panel.series])[series]
    used = int((panel.stamps(series, rows) < limit).sum())
    return [f"{used:,} of {len(rows):,} windows begin before the end of what the run was trained on"] if used else []
