"""Which runs may go: chosen by what the user names, held back by what must stay."""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import time
from typing import NamedTuple

from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import group_of
from gym_jax.run.ranking import Entry, rank, read_entry
from gym_jax.run.runs import is_made_here, list_runs, size_of

BY = ("mae", "accuracy")
"""Metrics of the test part by which a run is the best: of numbers, of classes."""


class Chosen(NamedTuple):
    """A run that may go, with its bytes."""

    entry: Entry
    bytes: int


class Kept(NamedTuple):
    """A run that the criteria chose, and why it stays all the same."""

    entry: Entry
    why: str


def choose_runs(
    root: str | Path,
    *,
    keep: int | None = None,
    status: Collection[str] | None = None,
    older_than: float | None = None,
    best_too: bool = False,
) -> tuple[list[Chosen], list[Kept]]:
    """Return the runs that may go and those that stay although they were chosen, oldest first.

    `older_than` is in seconds since a run was last touched. Of what `status` and `older_than` choose, the newest `keep`
    stay, unmentioned. Runs in use, symlinks and folders that are no runs of this library always stay.
    """
    entries = [read_entry(run) for run in list_runs(root)]
    found = [entry for entry in entries if status is None or entry.status in status]
    if older_than is not None:
        found = [entry for entry in found if time() - _touched(entry.run) >= older_than]
    found = found[: max(0, len(found) - (keep or 0))]
    best = set() if best_too else best_names(entries)
    needed = _starts(entries)
    chosen, kept = [], []
    for entry in found:
        why = _reason(entry, best) or needed.get(entry.run.path.resolve())
        if why:
            kept.append(Kept(entry, why))
        else:
            chosen.append(Chosen(entry, size_of(entry.run.path)))
    return chosen, kept


def best_names(entries: list[Entry]) -> set[str]:
    """Return the names of the runs that are best, by a metric of `BY`, among those they can be compared with."""
    best = set()
    for metric in BY:
        with suppress(CheckpointError, ConfigError):  # nothing is finished, or nothing has the metric
            leaders = (group.ranked[0] for group in rank(entries, metric))
            best |= {entry.name for entry, value in leaders if value is not None}
    return best


def _reason(entry: Entry, best: Collection[str]) -> str | None:
    if entry.run.path.is_symlink():
        return "a symlink"
    if not is_made_here(entry.run):
        return "not made by gymjax train, or damaged"
    if entry.run.in_use():
        return "in use"
    return "the best of those it can be compared with" if entry.name in best else None


def _starts(entries: list[Entry]) -> dict[Path, str]:
    """Return the runs that others began from: without them the settings of those repeat nothing."""
    out = {}
    for entry in entries:
        with suppress(CheckpointError, KeyError, TypeError):
            config = entry.run.read_config()
            for path in (config["run"].get("parent"), config["train"].get("init_from")):
                if path is not None:
                    start = RunFolder(Path(path).resolve())
                    out[(group_of(start) or start).path] = f"the start of {entry.name}"
    return out


def _touched(run: RunFolder) -> float:
    """Return when a run was last written, in seconds since 1970."""
    try:
        return datetime.fromisoformat(run.read_json("status.json")["updated"]).timestamp()
    except (CheckpointError, KeyError, TypeError, ValueError):
        return (run.path / "config.yaml").stat().st_mtime
