"""Data judged as a training run would judge them, with every count; nothing is trained or written."""

from typing import Any

from gym_jax.config.schema import Config
from gym_jax.errors import DataError
from gym_jax.run.assemble import load_panel, places, prepare
from gym_jax.run.cases import prepare_cases
from gym_jax.run.stream import prepare_stream
from gym_jax.run.streamed import PARTS


def check_data(config: Config) -> tuple[dict[str, Any], DataError | None]:
    """Return what was looked for with its counts, the windows of each part and the notes; and what a run would raise.

    Every numeric column is judged as a target when none is named.
    """
    if config.task.kind != "forecast":
        return _check_cases(config)
    if config.data.memory is not None:
        return _check_stream(config)
    try:
        panel = load_panel(config, every=True)
    except DataError as error:
        return {"findings": [finding._asdict() for finding in error.findings], "windows": {}, "notes": []}, error
    document: dict[str, Any] = {"findings": [finding._asdict() for finding in panel.findings]}
    try:
        prepared = prepare(config, panel)
    except DataError as error:
        return {**document, "windows": {}, "notes": list(panel.notes)}, error
    windows = {part: len(places(config, prepared, part)[0]) for part in ("train", "val", "test")}
    return {**document, "windows": windows, "notes": list(prepared.channels.notes)}, None


def _check_stream(config: Config) -> tuple[dict[str, Any], DataError | None]:
    """Return the same of data that are read in portions."""
    try:
        survey = prepare_stream(config, every=True).survey
    except DataError as error:
        return {"findings": [finding._asdict() for finding in error.findings], "windows": {}, "notes": []}, error
    windows = {part: sum(share.windows[part] for share in survey.shares) for part in PARTS}
    findings = [finding._asdict() for finding in survey.findings]
    return {"findings": findings, "windows": windows, "notes": list(survey.notes)}, None


def _check_cases(config: Config) -> tuple[dict[str, Any], DataError | None]:
    """Return the same of a table or of sequences."""
    try:
        cases, parts, _ = prepare_cases(config)
    except DataError as error:
        return {"findings": [finding._asdict() for finding in error.findings], "cases": {}, "notes": []}, error
    counts = {name: len(part) for name, part in parts._asdict().items()}
    findings = [finding._asdict() for finding in cases.findings]
    return {"findings": findings, "cases": counts, "notes": list(cases.notes)}, None
