"""The run folder: one self-contained place, written atomically, never reused silently.

config.yaml    the resolved configuration; it alone reruns the job
env.json       versions, device, git commit, command
data.json      where the data came from: files with sha256, columns, series, notes, scaler
choices.json   what the run chose by itself (devices, steps per call), reused on resume
metrics.jsonl  a line per epoch: the source of truth, the same bytes after any interruption
profile.json   how the train rows looked, by series and column: what drift is told by
log.jsonl      events with wall-clock times
pins.jsonl     steps that other runs began from
stacks-N.txt   where process N stood when nothing moved any more
status.json    running | done | stopped | failed, and the best step
scores.json    test scores beside the baselines
track.json     what trackers keep of the run: ids
checkpoints/   one Orbax checkpoint a step
members/       of a run of several seeds: a run folder like this one for each
"""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import yaml

from gym_jax.config.migrate import SCHEMA_VERSION, readable
from gym_jax.config.plain import meant
from gym_jax.config.text import unreadable
from gym_jax.errors import CheckpointError, RunInUse, StorageError
from gym_jax.files import sync, write_synced
from gym_jax.locks import try_lock
from gym_jax.train.processes import group

LOCK_TRIES = 5
"""Of a lock that is held, 10 ms apart."""
ALLOCATION = "allocation.json"
"""What a learned allocation has in place of a configuration."""
PINS = "pins.jsonl"
"""The steps that other runs began from: they stay as long as the run does."""


class RunFolder:
    """Paths and atomic writes of one run. Of several processes that train as one only the first one writes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the run, {} when it is not there. Raises CheckpointError when it is damaged."""
        try:
            document = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.path / name} can not be read: {error}", hint="the run is damaged") from error
        if not isinstance(document, dict):
            return {}
        if not readable(version := document.get("schema", SCHEMA_VERSION)):
            raise CheckpointError(f"{self.path / name} has schema {version!r}", hint="the run is damaged")
        if version > SCHEMA_VERSION:
            raise CheckpointError(
                f"{self.path / name} has schema {version}, this version reads up to {SCHEMA_VERSION}",
                hint="it was written by a later version of gym_jax",
                attempt="pip install --upgrade gym-jax",
            )
        return document

    def read_config(self) -> dict[str, Any]:
        """Return the resolved configuration as a plain tree."""
        try:
            tree = dict(yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise CheckpointError(
                unreadable(str(self.path / "config.yaml"), error).message, hint="the run is damaged"
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{self.path / 'config.yaml'} can not be read: {error}", hint="the run is damaged"
            ) from error
        return {key: meant(value) for key, value in tree.items()}

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Return the whole lines of a JSONL file; those that were cut short are left out."""
        try:
            text = (self.path / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        lines = []
        for line in text.splitlines():
            with suppress(ValueError, RecursionError):
                lines.append(json.loads(line))
        return lines

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Write strict JSON with its schema version, whole or not at all."""
        self._write(name, json.dumps({"schema": SCHEMA_VERSION, **document}, indent=1, allow_nan=False) + "\n")

    def write_config(self, document: dict[str, Any], heading: str) -> None:
        """Write the resolved configuration."""
        from gym_jax.config.document import to_yaml  # not above: it loads the models, and a list of runs does not

        self._write("config.yaml", f"# {heading}\n" + to_yaml(document))

    def append(self, name: str, document: dict[str, Any]) -> None:
        """Append one JSON line; behind one that was cut short it begins anew."""
        if not group().writer:
            return
        line = json.dumps(document, allow_nan=False).encode() + b"\n"
        with self._storage(), (self.path / name).open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)

    def log(self, event: str, **facts: Any) -> None:
        """Append an event with the time to log.jsonl."""
        self.append("log.jsonl", {"time": now(), "event": event, **facts})

    def rewrite_lines(self, name: str, lines: list[dict[str, Any]]) -> None:
        """Replace a JSONL file, whole or not at all."""
        self._write(name, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))

    def status(self, **facts: Any) -> None:
        """Merge facts into status.json; a new status forgets why the last one ended."""
        before = self.read_json("status.json")
        if "status" in facts:
            before = {key: value for key, value in before.items() if key not in ("exit_code", "reason")}
        self.write_json("status.json", {**before, "updated": now(), **facts})

    def pin(self, step: int, by: str) -> None:
        """Note that another run began from a step, so that it is kept. A run that may not be written is left alone."""
        if step not in self.pinned():
            with suppress(StorageError):
                self.append(PINS, {"step": step, "by": by})

    def pinned(self) -> set[int]:
        """Return the steps that other runs began from."""
        return {line["step"] for line in self.read_lines(PINS)}

    def began(self) -> str:
        """Return when the run began; for runs of earlier versions, when their settings were written."""
        for name in ("env.json", ALLOCATION):
            with suppress(CheckpointError):
                if time := self.read_json(name).get("began"):
                    return str(time)
        settings = self.path / "config.yaml"
        return stamp((settings if settings.exists() else self.path).stat().st_mtime)

    def in_use(self) -> bool:
        """Return whether another process holds the lock; nothing is written."""
        try:
            with (self.path / ".lock").open(encoding="utf-8") as file:
                return not try_lock(file, shared=True)
        except FileNotFoundError:
            return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder against other processes. Raises RunInUse that names the holder."""
        if not group().writer:
            yield
            return
        with self._storage():
            file = (self.path / ".lock").open("a+", encoding="utf-8")
        with file:
            if not _locked(file):
                file.seek(0)
                raise RunInUse(
                    f"{self.path} is in use by {file.read().strip() or 'another process'}",
                    hint="one process trains a run at a time",
                    attempt=f"gymjax runs show {self.path}",
                )
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {now()}")
            file.flush()
            yield

    def sync(self, name: str) -> None:
        """Put what was appended to a file on the disk; one that is not there needs nothing."""
        if not group().writer:
            return
        with self._storage(), suppress(FileNotFoundError):
            sync(self.path / name)

    def _write(self, name: str, text: str) -> None:
        if not group().writer:
            return
        with self._storage():
            write_synced(self.path / name, text)

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            closed = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            raise StorageError(
                f"{self.path} can not be written: {error.strerror or error}",
                hint=f"{'look at its owner and mode' if closed else 'free space'} or choose another folder",
                attempt=f"{'ls -ld' if closed else 'df -h'} {self.path.parent}",
            ) from error


def _locked(file: IO[str]) -> bool:
    """Return whether the lock was had; who asks `in_use` holds it for a moment, so that one refusal says nothing."""
    for left in reversed(range(LOCK_TRIES)):
        if try_lock(file):
            return True
        if left:
            time.sleep(0.01)
    return False


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def stamp(seconds: float) -> str:
    """Return seconds since 1970 as `now` writes a time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
