"""New data against what a run was trained on, as its folder keeps it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.panel import Panel, describe_span
from gym_jax.errors import CheckpointError
from gym_jax.evaluate.drift import Profile, Rows, compare, make_profile
from gym_jax.run.assemble import Prepared, load_panel
from gym_jax.run.folder import RunFolder
from gym_jax.run.forecast import same_columns
from gym_jax.run.group import group_of
from gym_jax.run.load import read_config
from gym_jax.run.runs import open_run
from gym_jax.run.streamed import known_of
from gym_jax.run.task import need_forecast

PROFILE = "profile.json"
TOLD = 0.2
"""Share of drifted series from which `evaluate` and `predict` say so: single ones drift all the time."""


def keep_profile(run: RunFolder, prepared: Any) -> None:
    """Write what the train rows of a run looked like into its folder; tables and labelled sequences keep none."""
    if isinstance(prepared, Prepared):
        rows = rows_of(prepared.panel, *prepared.split.train)
        run.write_json(PROFILE, make_profile(rows, prepared.panel.channels).to_json())


def rows_of(panel: Panel, begin: np.ndarray, end: np.ndarray) -> Rows:
    """Return the rows of a panel from `begin` up to `end` of each series."""
    return Rows(panel.series, panel.values, panel.mask, begin, end, panel.step, panel.clock)


def read_profile(run: RunFolder) -> Profile | None:
    """Return what the train rows of a run, or of its group, looked like; None where it keeps nothing of the kind."""
    document = run.read_json(PROFILE)
    if not document and (group := group_of(run)) is not None:
        document = group.read_json(PROFILE)
    try:
        return Profile.from_json(document) if document else None
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{run.path / PROFILE} can not be read", hint="the run is damaged") from error


def drift_run(run: str | Path | RunFolder, data: str | Path | None = None) -> dict[str, Any]:
    """Return how far `data`, or what the run's own files hold after its training, are from what it was trained on.

    Of series that the run knows the rows after its training count, where there are any. Raises CheckpointError when the
    run keeps nothing to compare with, DataError.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    config, facts = read_config(folder), folder.read_json("data.json")
    need_forecast(config, "drift")
    profile = read_profile(folder)
    if profile is None and known_of(folder) is not None:
        raise CheckpointError(
            f"{folder.path} keeps no profile of its data: they were read in portions",
            hint="a run on some of the series, in memory, keeps one",
            attempt="gymjax train ... data.memory=null",
            code="run.no_profile",
        )
    if profile is None:
        raise CheckpointError(
            f"{folder.path} keeps no profile of its data: it was trained by an earlier version",
            hint="trained again, it does",
            attempt=f"gymjax train --config {folder.path}/config.yaml",
            code="run.no_profile",
        )
    config = config.model_copy(update={"data": same_columns(config, facts, data)})
    panel = load_panel(config)
    found = drift_of(profile, panel, facts)
    step = {"trained": describe_span(profile.step, profile.clock), "now": panel.describe_step()}  # type: ignore[arg-type]
    return {"run": str(folder.path), "data": config.data.path, **found, "step": {**found["step"], **step}}


def drift_of(profile: Profile, panel: Panel, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far a panel with the columns of a run is from what the run was trained on."""
    until = dict(zip(facts["series"], facts["used_until"], strict=True))
    used = np.array([until.get(name, np.iinfo(np.int64).min) for name in panel.series])
    past = np.clip(-(-(used.clip(panel.first) - panel.first) // panel.step), 0, panel.lengths)
    begin = panel.offsets[:-1] + np.where(past < panel.lengths, past, 0)
    return compare(profile, rows_of(panel, begin, panel.offsets[1:]))


def drift_notes(run: RunFolder, prepared: Any, facts: Mapping[str, Any], data: str | Path | None) -> list[str]:
    """Return a note when many series of other data have drifted from what a run was trained on."""
    profile = read_profile(run) if data is not None and isinstance(prepared, Prepared) else None
    if profile is None:
        return []
    series = drift_of(profile, prepared.panel, facts)["series"]
    if not series["judged"] or series["share"] <= TOLD:
        return []
    return [
        f"{series['drifted']:,} of {series['judged']:,} series no longer look as they did in training: "
        f"gymjax drift {run.path} --data {data}"
    ]
