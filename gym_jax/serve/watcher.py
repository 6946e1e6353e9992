"""All runs under a folder, or one of them: looked at together, with what changed since the last look."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gym_jax.errors import GymJaxError
from gym_jax.metrics import plain
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import members_of
from gym_jax.serve.follow import TABLES, Followed
from gym_jax.serve.summary import summarise, text_of
from gym_jax.serve.system import read_system
from gym_jax.serve.thin import thin_around

RUNS = 200
"""Runs that are watched at most, the newest ones; members of a group come on top."""
MEMBERS_SHOWN = 64
LONGEST_ID = 300
SAMPLES = 900
"""Samples of load and memory that are kept."""
DRAWN = {
    "metrics": ("loss", "val_loss", "lr", "grad_norm"),
    "speed": ("windows_per_second",),
    "chunks": ("loss",),
}
"""What is drawn of each table."""
Change = tuple[str, Any]
"""The name of an event and what the page is told."""


@dataclass
class Watcher:
    """What is known of the runs, as of the last look; safe to ask from several threads."""

    root: Path
    only: RunFolder | None = None
    """The one run that is watched, if it is one."""
    every: float = 1.0
    """Seconds between two looks at the least."""
    runs: dict[str, Followed] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    system: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    """Older runs that are not watched, because there are too many."""
    _told: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    _looked: float = 0.0
    _began: dict[Path, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def shown(self) -> str:
        """What is watched, in words."""
        return text_of(str(self.root.expanduser().absolute() if self.only is None else self.only.path))

    def look(self) -> list[Change]:
        """Take in what is new under the root; return what changed: `gone`, `run`, `rows` and `system`."""
        with self._lock:
            if time.monotonic() - self._looked < self.every / 2:
                return []
            changes: list[Change] = []
            found = dict(self._find())
            for name in self.runs.keys() - found:
                self._told.pop(name, None)
                changes.append(("gone", {"id": name}))
            before, self.summaries = self.summaries, {}
            for name, run in found.items():
                run.look()
                summary = self.summaries[name] = summarise(run)
                if summary != before.get(name):
                    changes.append(("run", summary))
                changes += self._grown(run, quiet=name not in self.runs)
            self.runs = found
            self.system = [*self.system, read_system()][-SAMPLES:]
            changes.append(("system", self.system[-1]))
            self._looked = time.monotonic()
            return changes

    def snapshot(self) -> dict[str, Any]:
        """Return all runs as of the last look, the newest first; the members of a group follow it."""
        with self._lock:
            alone = [one for one in self.summaries.values() if one["group"] not in self.summaries]
            inner: dict[str, list[dict[str, Any]]] = {}
            for one in self.summaries.values():
                inner.setdefault(one["group"], []).append(one)
            runs = [run for one in reversed(alone) for run in (one, *inner.get(one["id"], ()))]
            facts = {"root": self.shown, "left_out": self.left_out}
            return {**facts, "runs": runs, "system": list(self.system)}

    def find(self, name: str) -> Followed | None:
        """Return the run of an id, without waiting for a look; an id is looked up and never becomes a path."""
        return self.runs.get(name) if len(name) <= LONGEST_ID else None

    def curves(self, name: str, points: int, view: tuple[float, float] | None = None) -> dict[str, Any] | None:
        """Return the curves of a run, each thinned to so many points in `view` (epochs), and how far they go."""
        with self._lock:
            run = self.find(name)
            if run is None:
                return None
            out: dict[str, Any] = {"id": name}
            for kind, table in run.tables.items():
                x = table.column(TABLES[kind][0])
                out[kind] = {"cut": table.cut, "rows": len(table), "curves": {}}
                for column in DRAWN[kind]:
                    y = table.column(column)
                    kept = thin_around(x, y, points, view)
                    out[kind]["curves"][column] = {"x": plain(x[kept]), "y": plain(y[kept])}
            return out

    def _grown(self, run: Followed, *, quiet: bool) -> Iterator[Change]:
        """Yield the rows of a run that the page was not told of; of one that is new it asks by itself."""
        told = self._told.setdefault(run.id, {})
        for kind, table in run.tables.items():
            cut, rows = told.get(kind, (table.cut, 0))
            told[kind] = (table.cut, len(table))
            if quiet or (cut, rows) == told[kind]:
                continue
            if cut != table.cut:
                yield "rows", {"id": run.id, "table": kind, "cut": table.cut, "from": len(table), "rows": []}
            else:
                fresh = table.rows(rows)
                yield "rows", {"id": run.id, "table": kind, "cut": cut, "from": rows, "rows": fresh}

    def _find(self) -> Iterator[tuple[str, Followed]]:
        """Yield the runs that are there, each with its members behind it; those known already as they are."""
        for folder in self._folders():
            name = text_of(folder.path.name)
            yield name, self.runs.get(name) or Followed(name, folder)
            for seed, member in _members(folder):
                inner = f"{name}/{seed}"
                yield inner, self.runs.get(inner) or Followed(inner, member, name)

    def _folders(self) -> Sequence[RunFolder]:
        if self.only is not None:
            return [self.only]
        found = [path.parent for path in self.root.glob("*/config.yaml") if path.is_file()]
        for path in found:
            if path not in self._began:
                self._began[path] = _began(RunFolder(path))
        self._began = {path: self._began[path] for path in found}
        found.sort(key=lambda path: (self._began[path], path))
        self.left_out = max(0, len(found) - RUNS)
        return [RunFolder(path) for path in found[-RUNS:]]


def _members(group: RunFolder) -> Sequence[tuple[int, RunFolder]]:
    """Return the members of a group; none where they may not be read, or are being removed."""
    try:
        return list(members_of(group).items())[:MEMBERS_SHOWN]
    except OSError:
        return []


def _began(run: RunFolder) -> str:
    try:
        return run.began()
    except (GymJaxError, OSError):
        return ""
