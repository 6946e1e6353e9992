"""Checkpoints: with `among`, all that knows Orbax. A step is an ordinary Orbax checkpoint that Orbax itself opens.

Orbax's own retention deletes before anything is verified, so which steps stay is decided here, after a save.
"""

import errno
import functools
import json
import logging
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from gym_jax.errors import CheckpointError, GymJaxError, StorageError
from gym_jax.files import sync
from gym_jax.plugins import one_line
from gym_jax.train.alike import refuse_other
from gym_jax.train.among import among_processes, writable
from gym_jax.train.manifest import MANIFEST, find_fault, write_manifest
from gym_jax.train.places import abstract, in_places_of, is_apart, lies_apart
from gym_jax.train.processes import broadcast, group, together

ITEM = "state"
MARK = "_CHECKPOINT_METADATA"
"""The file that tells a step from other folders."""
SEALED = "gym_jax.sealed"
"""In the metadata of a step that has a manifest, once its save is over."""
DELETED, UNFINISHED = "deleted", "orbax-checkpoint-tmp"
"""What the name of a step ends with while it is deleted, and while Orbax writes it."""
PAUSES = (0.1, 0.4, 1.6)
"""Seconds before a save is tried again."""
TRANSIENT = (errno.EIO, errno.EINTR, errno.EAGAIN, errno.ETIMEDOUT, errno.ESTALE)
"""What may be gone a moment later."""
ROOM = 1 << 20
"""Bytes that a step takes beside its arrays."""


def save_checkpoint(folder: str | Path, step: int, state: PyTree, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write `folder/step` and return its path; it counts once all of it is on the disk. `metadata` must be plain JSON.

    A step that is already there and whole is left as it is. What passes is tried again. Where the state lies in parts
    over several processes all must call, and each writes its own. Raises StorageError when the disk refuses, or has no
    room for twice the state.
    """
    path = Path(folder).absolute() / str(int(step))
    try:
        if is_apart(state):
            _save_together(path, state, metadata or {})
        elif not _is_whole(path):
            _save_alone(path, state, metadata or {})
    except GymJaxError:
        raise
    except Exception as error:
        if not _of_storage(error):
            raise
        raise StorageError(
            f"checkpoint {path} can not be written: {_root(error)}",
            hint="free space or choose another folder; earlier checkpoints are untouched",
            attempt=f"df -h {path.parent}",
        ) from error
    return path


def _save_alone(path: Path, state: PyTree, metadata: Mapping[str, Any]) -> None:
    """Write a step; what passes is tried again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _need_room(path, state)
    for pause in (*PAUSES, None):
        try:
            _write(path, state, metadata)
            return
        except Exception as error:
            _discard(path)
            for left in path.parent.glob(f"{path.name}.{UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            if pause is None or getattr(_cause(error), "errno", None) not in TRANSIENT:
                raise
            logging.getLogger(__name__).warning("checkpoint %s: %s; tried again", path, _root(error))
            time.sleep(pause)


def _save_together(path: Path, state: PyTree, metadata: Mapping[str, Any]) -> None:
    """Write a step of which every process has a part; it counts once process 0 has seen all of it."""
    writer = group().writer
    if broadcast("save", writer and _is_whole(path)):
        return
    with together("room"):
        if writer:
            path.parent.mkdir(parents=True, exist_ok=True)
            _need_room(path, state)
            _discard(path)
    with together("write"), _quiet(), among_processes(apart=True):
        ocp.save_checkpointables(path, {ITEM: writable(state)}, custom_metadata={**metadata, SEALED: True})
    with together("seal"):
        if writer:
            _seal(path)


def _is_whole(path: Path) -> bool:
    return (path / MARK).is_file() and find_damage(path) is None


def restore_checkpoint(path: str | Path, like: PyTree) -> PyTree:
    """Return the tree saved at `path` in the structure, shapes, types and places of `like` (arrays or shapes).

    Raises CheckpointError when it is missing, damaged, or differs from `like` in any leaf.
    """
    path = Path(path).absolute()
    if not path.is_dir():
        raise CheckpointError(f"no checkpoint at {path}", hint="name a step folder, such as RUN/checkpoints/1200")
    if fault := find_damage(path):
        raise damaged(path, fault)
    apart = is_apart(like)
    wanted = jax.tree.map(functools.partial(abstract, apart=apart), like)
    try:
        with _quiet(), among_processes(apart):
            saved = ocp.metadata(path, checkpointable_name=ITEM).metadata
            if saved is None:
                raise ValueError("its description of the arrays is gone")
            refuse_other(saved, wanted, path)
            return in_places_of(ocp.load_checkpointables(path, {ITEM: wanted})[ITEM], like)
    except CheckpointError:
        raise
    except Exception as error:
        raise damaged(path, _root(error)) from error


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return the JSON that was saved beside the arrays. Raises CheckpointError when it can not be read."""
    path = Path(path).absolute()
    if fault := find_damage(path):
        raise damaged(path, fault)
    try:
        with _quiet(), among_processes():
            found = dict(ocp.metadata(path, checkpointable_name=ITEM).custom_metadata or {})
    except Exception as error:
        raise damaged(path, _root(error)) from error
    return {name: value for name, value in found.items() if name != SEALED}


def find_damage(path: str | Path) -> str | None:
    """Return in words what is wrong with a step; None: every byte is what was saved.

    A step of an earlier version, or of plain Orbax, has no manifest to compare it with, and passes.
    """
    path = Path(path)
    return None if not (path / MANIFEST).exists() and not _unfinished(path) else find_fault(path)


def damaged(path: Path, fault: str) -> CheckpointError:
    """Return the error that names a damaged step."""
    return CheckpointError(
        f"checkpoint {path} can not be read: {fault}",
        hint="it is damaged or not of this model; an earlier step may be whole",
        attempt=f"ls {path.parent}",
        code="checkpoint.damaged",
    )


def saved_steps(folder: str | Path) -> list[int]:
    """Return the steps in a folder of checkpoints, oldest first; anything else in it is ignored."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    found = (entry for entry in folder.iterdir() if re.fullmatch(r"0|[1-9][0-9]{0,17}", entry.name))
    return sorted(
        int(entry.name)
        for entry in found
        if not entry.is_symlink()
        and (entry / MARK).is_file()
        and ((entry / MANIFEST).exists() or not _unfinished(entry))
    )


def retain(folder: str | Path, keep: Iterable[int]) -> None:
    """Delete the checkpoints of `folder` whose step is not in `keep`; what can not be deleted now is left for later."""
    kept = set(keep)
    for step in saved_steps(folder):
        if step not in kept:
            with suppress(OSError):
                _discard(Path(folder) / str(step))


def mend(folder: str | Path) -> dict[int, tuple[str, Path]]:
    """Tidy a folder and set its damaged steps aside; return what is wrong with each, and where it is now.

    Only who holds the run's lock may.
    """
    tidy(folder)
    found = {}
    for step in saved_steps(folder):
        path = Path(folder) / str(step)
        if fault := find_damage(path):
            found[step] = fault, quarantine(path)
    return found


def quarantine(path: Path) -> Path:
    """Rename a damaged step, so that it is kept and no longer taken for one; return its new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.bad-{number}")).exists():
        number += 1
    path.rename(aside)
    sync(path.parent)
    return aside


def tidy(folder: str | Path) -> None:
    """Delete what saves and deletions that were cut short have left. Only who holds the run's lock may."""
    folder = Path(folder)
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        step, _, rest = entry.name.partition(".")
        if step.isdecimal() and (rest.startswith(UNFINISHED) or rest == DELETED):
            shutil.rmtree(entry, ignore_errors=True)
        elif step.isdecimal() and not rest and not entry.is_symlink() and _unfinished(entry):
            _discard(entry)


def _write(path: Path, state: PyTree, metadata: Mapping[str, Any]) -> None:
    """Write a step with Orbax, sync it, and then say what it is."""
    _discard(path)
    with _quiet(), among_processes():
        ocp.save_checkpointables(path, {ITEM: writable(state)}, custom_metadata={**metadata, SEALED: True})
    _seal(path)


def _seal(path: Path) -> None:
    versions = {name: version(name) for name in ("jax", "orbax-checkpoint")}
    write_manifest(path, {"step": int(path.name), **versions})


def _discard(path: Path) -> None:
    """Delete a step: renamed first, so that half a step is never taken for one."""
    if path.is_symlink() or not path.exists():
        return
    aside = path.with_name(f"{path.name}.{DELETED}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _unfinished(path: Path) -> bool:
    """Return whether a step should have a manifest and has none: its save was cut short."""
    try:
        promised = json.loads((path / MARK).read_text(encoding="utf-8"))["custom_metadata"].get(SEALED)
        return bool(promised) and not (path / MANIFEST).exists()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _need_room(path: Path, state: PyTree) -> None:
    """Raise StorageError when a disk has no room for twice a state."""
    leaves = (leaf for leaf in jax.tree.leaves(state, is_leaf=lies_apart) if hasattr(leaf, "nbytes"))
    needed, free = 2 * sum(leaf.nbytes for leaf in leaves) + ROOM, shutil.disk_usage(path.parent).free
    if free < needed:
        raise StorageError(
            f"checkpoint {path} needs {needed:,} bytes, {free:,} are free",
            hint="free space or choose another folder; earlier checkpoints are untouched",
            attempt=f"df -h {path.parent}",
        )


def _of_storage(error: BaseException) -> bool:
    """Return whether an error is the disk's and not ours: TensorStore's are ValueErrors that begin with a status."""
    cause = _cause(error)
    return isinstance(cause, OSError) or re.match(r"[A-Z_]+: ", str(cause)) is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Orbax from printing what is raised as an error of ours anyway."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _root(error: BaseException) -> str:
    return one_line(_cause(error))[:200]
