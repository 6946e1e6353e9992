"""The run folder: one self-contained place, written atomically, never reused silently.

config.yaml    the resolved configuration; it alone reruns the job
env.json       versions, device, git commit, command
data.json      where the data came from: files with sha256, columns, series, notes, scaler
choices.json   what the run chose by itself (devices, steps per call), reused on resume
metrics.jsonl  a line per epoch: the source of truth, the same bytes after any interruption
log.jsonl      events with wall-clock times
status.json    running | done | stopped | failed, and the best step
scores.json    test scores beside the baselines
checkpoints/   one Orbax checkpoint a step
"""

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from gym_jax.config.migrate import SCHEMA_VERSION
from gym_jax.config.plain import meant
from gym_jax.errors import CheckpointError, ConfigError, RunInUse, StorageError

REMOVED = ".gymjax-removed"
"""Where a run goes first that is being removed: two folders down, where no run is looked for."""
ADJECTIVES = tuple(
    "amber brave calm clear eager fair glad keen kind lucid neat quick quiet sharp steady warm".split()  # noqa: SIM905
)
ANIMALS = tuple(
    "badger crane dolphin falcon fox gecko heron ibex lynx marten otter owl raven seal stoat wren".split()  # noqa: SIM905
)


class RunFolder:
    """Paths and atomic writes of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the run, {} when it is not there. Raises CheckpointError when it is damaged."""
        try:
            document = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path / name} can not be read: {error}", hint="the run is damaged") from error
        if not isinstance(document, dict):
            return {}
        if (version := document.get("schema", SCHEMA_VERSION)) > SCHEMA_VERSION:
            raise CheckpointError(
                f"{self.path / name} has schema {version}, this version reads up to {SCHEMA_VERSION}",
                hint="it was written by a later version of gym_jax",
                attempt="pip install --upgrade gym-jax",
            )
        return document

    def read_config(self) -> dict[str, Any]:
        """Return the resolved configuration as a plain tree."""
        try:
            tree = dict(yaml.safe_load((self.path / "config.yaml").read_text()))
        except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
            raise CheckpointError(
                f"{self.path / 'config.yaml'} can not be read: {error}", hint="the run is damaged"
            ) from error
        return {key: meant(value) for key, value in tree.items()}

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Return the whole lines of a JSONL file; a last line cut short is left out."""
        lines = []
        try:
            text = (self.path / name).read_text()
        except FileNotFoundError:
            return []
        for line in text.splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
        return lines

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Write strict JSON with its schema version, whole or not at all."""
        self._write(name, json.dumps({"schema": SCHEMA_VERSION, **document}, indent=1, allow_nan=False) + "\n")

    def write_config(self, document: dict[str, Any], heading: str) -> None:
        """Write the resolved configuration."""
        from gym_jax.config.document import to_yaml  # not above: it loads the models, and a list of runs does not

        self._write("config.yaml", f"# {heading}\n" + to_yaml(document))

    def append(self, name: str, document: dict[str, Any]) -> None:
        """Append one JSON line."""
        with self._storage(), (self.path / name).open("a") as file:
            file.write(json.dumps(document, allow_nan=False) + "\n")

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

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder against other processes. Raises RunInUse that names the holder."""
        with self._storage():
            file = (self.path / ".lock").open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RunInUse(
                    f"{self.path} is in use by {file.read().strip() or 'another process'}",
                    hint="one process trains a run at a time",
                    attempt=f"gymjax runs show {self.path}",
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {now()}")
            file.flush()
            yield

    def _write(self, name: str, text: str) -> None:
        path = self.path / name
        temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
        with self._storage():
            with temporary.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.path} can not be written: {error.strerror or error}",
                hint="free space or choose another folder with --run-dir",
                attempt=f"df -h {self.path.parent}",
            ) from error


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def create_run(root: str | Path, *, label: str, name: str | None = None, exact: str | Path | None = None) -> RunFolder:
    """Make a new run folder: `exact`, or `root/name`, or `root/TIME_LABEL_TWO-WORDS`. Raises when it is there."""
    if exact is not None or name is not None:
        path = (
            Path(exact).expanduser().absolute() if exact is not None else Path(root).expanduser().absolute() / str(name)
        )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(
                f"{path} exists already",
                hint="a run folder is never reused; continue it, or choose another",
                attempt=f"gymjax train --resume {path}",
                code="config.run_exists",
            )
        return _make(path, may_exist=True)
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    for attempt in range(100):
        seed = time.time_ns() + attempt
        words = f"{ADJECTIVES[seed // 16 % 16]}-{ANIMALS[seed // 4096 % 16]}"
        path = Path(root).expanduser().absolute() / f"{stamp}_{label}_{words}"
        if not path.exists():
            return _make(path, may_exist=False)
    raise StorageError(f"no free run name in {root}")


def _make(path: Path, *, may_exist: bool) -> RunFolder:
    folder = RunFolder(path)
    with folder._storage():
        path.mkdir(parents=True, exist_ok=may_exist)
    return folder


def open_run(path: str | Path, root: str | Path = "runs") -> RunFolder:
    """Return an existing run: a folder, a name under `root`, or `latest`. Raises CheckpointError when there is none."""
    for candidate in (Path(path).expanduser(), Path(root).expanduser() / path):
        if (candidate / "config.yaml").is_file():
            return RunFolder(candidate)
    if str(path) == "latest" and (known := list_runs(root)):
        return known[-1]
    raise CheckpointError(
        f"no run at `{path}`",
        hint="a run is a folder with a config.yaml in it",
        attempt="gymjax runs list",
        code="run.not_found",
    )


def list_runs(root: str | Path = "runs") -> list[RunFolder]:
    """Return the runs under `root`, by the time they began, oldest first."""
    configs = Path(root).expanduser().glob("*/config.yaml")
    return [RunFolder(path.parent) for path in sorted(configs, key=lambda path: (path.stat().st_mtime_ns, path))]


def is_made_here(run: RunFolder) -> bool:
    """Return whether a folder is a run that this library made, and a folder itself: not a symlink to one."""
    try:
        config, facts = run.read_config(), run.read_json("data.json") or run.read_json("status.json")
    except CheckpointError:
        return False
    own = {"schema_version", "task", "model", "run"} <= config.keys() and isinstance(facts.get("schema"), int)
    return own and not run.path.is_symlink() and not (run.path / "config.yaml").is_symlink()


def is_in_use(run: RunFolder) -> bool:
    """Return whether another process holds the lock of a run; nothing is written."""
    try:
        with (run.path / ".lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def size_of(path: Path) -> int:
    """Return the bytes under a folder; symlinks are not followed."""
    names = (Path(place) / name for place, _, files in os.walk(path) for name in files)
    return sum(name.lstat().st_size for name in names)


def remove_run(run: RunFolder, root: str | Path) -> None:
    """Remove a run that lies directly under `root`: renamed first, so that a half-removed run is never seen as one.

    Raises RunInUse, ConfigError when it is no run of this library under `root`, StorageError.
    """
    place = Path(root).expanduser().resolve()
    if run.path.parent.resolve() != place or not is_made_here(run):
        raise ConfigError(f"{run.path} is no run made by gymjax train under {place}; it is not removed")
    aside = place / REMOVED
    with run.lock(), run._storage():
        aside.mkdir(exist_ok=True)
        if aside.is_symlink():
            raise StorageError(f"{aside} is a symlink; nothing is moved through it", hint="remove it")
        run.path.rename(aside / f"{run.path.name}.{time.time_ns()}")
    empty_removed(place)


def empty_removed(root: str | Path) -> None:
    """Remove what `remove_run` has put aside, here or before it was interrupted. Raises StorageError."""
    aside = Path(root).expanduser().resolve() / REMOVED
    if not aside.is_dir() or aside.is_symlink():
        return
    for path in aside.iterdir():
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            raise StorageError(
                f"{path} can not be removed", hint="it is no longer listed as a run", attempt=f"rm -r {path}"
            )
    with suppress(OSError):  # another process may just put a run aside
        aside.rmdir()
