"""One model behind the server: where it is from, which version it is, how it is opened and when it has changed."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.inference import Model, load_export
from gym_jax.inference.artefact import MANIFEST, is_export
from gym_jax.run.folder import RunFolder, now
from gym_jax.serve.api.ladder import RUNGS, on_ladder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHORT = 12
"""Characters of a version that are shown."""
Kind = Literal["run", "export"]
Mark = tuple[Any, ...]
"""What changes when there is a newer version at a place."""


class Source(NamedTuple):
    """A place that a model is opened from, and the name it is asked by."""

    name: str
    path: Path
    kind: Kind


@dataclass(frozen=True)
class Served:
    """A model, ready: its programs are compiled, its golden forecast was reproduced."""

    source: Source
    model: Model
    """Asked in the sizes of its ladder alone."""
    rungs: tuple[int, ...]
    mark: Mark
    loaded: str

    @property
    def name(self) -> str:
        """What it is asked by."""
        return self.source.name

    @property
    def version(self) -> str:
        """What its answers carry."""
        return self.model.spec.digest[:SHORT]


def sources_of(words: Sequence[str], root: str | Path | None = None) -> list[Source]:
    """Return the places that `RUN`, `EXPORT` or `NAME=PLACE` mean; runs are looked for below `root` too.

    Raises ConfigError on a name that is none or stands twice, CheckpointError on a place that holds no model.
    """
    found: list[Source] = []
    for word in words:
        given, equals, place = word.partition("=")
        path, kind = _find(place if equals else word, root)
        name = given if equals else path.name
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"`{name[:80]}` is no name for a model",
                hint="letters, digits, dots, dashes; 64 at most",
                attempt=f"gymjax serve cpu={path}",
                code="serve.name",
            )
        if any(other.name == name for other in found):
            raise ConfigError(
                f"two models are called `{name}`",
                hint="give one of them another name",
                attempt=f"gymjax serve {name}-2={path}",
                code="serve.name",
            )
        found.append(Source(name, path, kind))
    return found


def open_served(source: Source, rungs: Sequence[int] = RUNGS) -> Served:
    """Return the model at a place, verified, compiled and asked once. Raises what loading raises."""
    mark = mark_of(source)
    model, used = on_ladder(OPEN[source.kind](source.path), rungs)
    return Served(source, model, used, mark, now())


def mark_of(source: Source) -> Mark:
    """Return what changes with the version at a place, without opening it. Raises CheckpointError when it is gone."""
    return _mark_of_export(source.path) if source.kind == "export" else _mark_of_run(source.path)


def _find(place: str, root: str | Path | None) -> tuple[Path, Kind]:
    path = Path(place).expanduser()
    if is_export(path):
        return path.absolute(), "export"
    from gym_jax.run.runs import open_run

    return open_run(place, root).path, "run"


def _open_run(path: Path) -> Model:
    from gym_jax.run.describe import open_model

    return open_model(RunFolder(path))


OPEN: dict[Kind, Callable[[Path], Model]] = {"run": _open_run, "export": load_export}


def _mark_of_export(path: Path) -> Mark:
    """Return the identity of every file: ctime tells a copy whose other times and size are those of the one before."""
    try:
        found = [(entry.name, entry.stat()) for entry in os.scandir(path)]
        (path / MANIFEST).stat()
    except OSError as error:
        raise CheckpointError(f"{path} can not be read: {error.strerror}", hint="the export is gone") from error
    return tuple(sorted((name, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for name, one in found))


def _mark_of_run(path: Path) -> Mark:
    from gym_jax.run.calibrate import FILE
    from gym_jax.run.group import is_group, sound_members
    from gym_jax.run.load import best_step

    run = RunFolder(path)
    runs = sound_members(run).values() if is_group(run) else [run]
    calibration = path / FILE
    fitted = calibration.stat().st_mtime_ns if calibration.is_file() else 0
    return (fitted, *(best_step(one) for one in runs))
