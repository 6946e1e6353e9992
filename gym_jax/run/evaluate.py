"""Scores of a finished run, from its folder alone, on its own test part or on other data."""

from pathlib import Path
from typing import Any

from gym_jax.data.split import Part
from gym_jax.run.folder import RunFolder, open_run
from gym_jax.run.load import load_run
from gym_jax.run.scores import score_run


def evaluate_run(run: str | Path | RunFolder, *, data: str | Path | None = None, part: Part = "test") -> dict[str, Any]:
    """Return the errors of a run and of the baselines, over every window of a part; nothing is written.

    Units are the data's own. Raises CheckpointError or DataError.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    trained = load_run(folder, data)
    scores = score_run(trained.config, trained.prepared, trained.model, trained.variables, part)
    return {"run": str(folder.path), "step": trained.step, "data": trained.config.data.path, **scores}
