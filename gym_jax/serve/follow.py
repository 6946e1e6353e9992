"""One run as it is being trained by another process: its curves and documents, as of the last look."""

import math
from array import array
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from jaxtyping import Float

from gym_jax.errors import GymJaxError
from gym_jax.run.folder import RunFolder
from gym_jax.serve.tail import Tail, signature

TABLES = {
    "metrics": ("epoch", "step", "lr", "loss", "grad_norm", "val_loss"),
    "speed": ("epoch", "step", "seconds", "windows_per_second", "time"),
    "chunks": ("at", "step", "loss", "lr", "windows_per_second", "time"),
}
"""What is drawn, by its columns; the first is where a value stands, in epochs. `chunks` lie within an epoch."""
DOCUMENTS = ("config.yaml", "status.json", "scores.json", "choices.json", "env.json")
BEGINS = ("started", "resumed")


@dataclass
class Table:
    """Columns of numbers that grow; NaN where there is none."""

    columns: "dict[str, array[float]]"
    cut: int = 0
    """How often rows were taken away again."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def add(self, line: dict[str, Any]) -> None:
        """Append a row."""
        for name, column in self.columns.items():
            column.append(number_of(line.get(name)))

    def cut_after(self, step: float) -> None:
        """Take away the rows of later optimiser steps: they are done anew."""
        keep = sum(value <= step for value in self.columns["step"])
        if keep < len(self):
            self.cut += 1
            for name, column in self.columns.items():
                self.columns[name] = column[:keep]

    def clear(self) -> None:
        """Take all rows away."""
        self.cut += 1
        self.columns = {name: array("d") for name in self.columns}

    def column(self, name: str) -> Float[np.ndarray, " rows"]:
        """Return a copy of a column."""
        return np.array(self.columns[name])

    def rows(self, begin: int) -> list[list[float | None]]:
        """Return the rows from one on, as JSON has them."""
        parts = [column[begin:] for column in self.columns.values()]
        return [[value if math.isfinite(value) else None for value in row] for row in zip(*parts, strict=True)]


def _tables() -> dict[str, Table]:
    return {name: Table({column: array("d") for column in columns}) for name, columns in TABLES.items()}


@dataclass
class Followed:
    """What is known of a run."""

    id: str
    folder: RunFolder
    group: str | None = None
    """Of a member of a run of several seeds: the id of that run."""
    tables: dict[str, Table] = field(default_factory=_tables)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    """Which documents can not be read, and why."""
    in_use: bool = False
    session: tuple[float, float, int] = (0.0, 0.0, 0)
    """When this stretch of training began, at which epoch, and how many rows of `speed` there were."""
    early: bool = False
    """Whether it was stopped early."""
    _signatures: dict[str, Any] = field(default_factory=dict)
    _metrics: Tail = field(init=False)
    _log: Tail = field(init=False)

    def __post_init__(self) -> None:
        self._metrics = Tail(self.folder.path / "metrics.jsonl")
        self._log = Tail(self.folder.path / "log.jsonl")

    def look(self) -> None:
        """Take in what is new."""
        self._read_documents()
        self._read_metrics()
        self._read_log()
        try:
            self.in_use = self.document("status.json").get("status") != "done" and self.folder.in_use()
        except OSError:  # a lock that this user may not read
            self.in_use = False

    def document(self, name: str) -> dict[str, Any]:
        """Return a document of the run, {} when it is not there or can not be read."""
        return self.documents.get(name, {})

    def setting(self, section: str, name: str) -> Any:
        """Return a setting of the run; None when it is not known."""
        part = self.document("config.yaml").get(section)
        return part.get(name) if isinstance(part, dict) else None

    def _read_documents(self) -> None:
        for name in DOCUMENTS:
            now = signature(self.folder.path / name)
            if name in self._signatures and self._signatures[name] == now:
                continue
            self._signatures[name] = now
            self.documents[name] = {}
            self.faults.pop(name, None)
            try:
                if now is not None:
                    self.documents[name] = _read(self.folder, name)
            except (GymJaxError, AttributeError, TypeError, RecursionError) as error:
                self.faults[name] = str(error)

    def _read_metrics(self) -> None:
        begun = self._metrics.begun
        lines = self._metrics.read()
        if self._metrics.begun != begun:
            self.tables["metrics"].clear()
        for line in lines:
            if math.isfinite(number_of(line.get("epoch"))):
                self.tables["metrics"].add(line)

    def _read_log(self) -> None:
        begun = self._log.begun
        lines = self._log.read()
        if self._log.begun != begun:
            self.tables["speed"].clear()
            self.tables["chunks"].clear()
        for line in lines:
            self._take(line, seconds_of(line.get("time")))

    def _take(self, line: dict[str, Any], when: float) -> None:
        event, epoch, step = line.get("event"), number_of(line.get("epoch")), number_of(line.get("step"))
        if math.isnan(epoch):
            return
        if event in BEGINS and not math.isnan(step):
            for name in ("speed", "chunks"):
                self.tables[name].cut_after(step)
            self.session, self.early = (when, epoch, len(self.tables["speed"])), False
        elif event == "epoch":
            self.tables["speed"].add({**line, "time": when})
        elif event == "chunk":
            batch, batches = number_of(line.get("batch")), number_of(line.get("batches"))
            if batches > 0 and batch >= 0:
                self.tables["chunks"].add({**line, "at": epoch + batch / batches, "time": when})
        elif event == "early_stop":
            self.early = True


def number_of(value: Any) -> float:
    """Return a number of a document as a float; NaN when it is none."""
    if type(value) is float:
        return value
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


def seconds_of(stamp: Any) -> float:
    """Return a time that a run noted in seconds since 1970; NaN when it is none."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (TypeError, ValueError):
        return math.nan


def _read(folder: RunFolder, name: str) -> dict[str, Any]:
    return folder.read_config() if name == "config.yaml" else folder.read_json(name)
