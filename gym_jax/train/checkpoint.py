"""Checkpoints: the only module that knows Orbax. A step is an ordinary Orbax checkpoint that Orbax itself opens.

Orbax's own retention deletes before anything is verified, so which steps stay is decided here, after a save.
"""

import logging
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from gym_jax.errors import CheckpointError, StorageError

ITEM = "state"
MARK = "_CHECKPOINT_METADATA"
"""The file that tells a step from other folders."""


def save_checkpoint(folder: str | Path, step: int, state: PyTree, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write `folder/step` and return its path; it appears whole or not at all. `metadata` must be plain JSON.

    A step that is already there is left as it is. Raises StorageError when the disk refuses.
    """
    path = Path(folder).absolute() / str(int(step))
    if (path / MARK).exists():
        return path
    try:
        if path.exists():  # what is left of a damaged step is not kept for one
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        ocp.save_checkpointables(path, {ITEM: state}, custom_metadata=dict(metadata or {}))
    except OSError as error:
        raise StorageError(
            f"checkpoint {path} can not be written: {error}",
            hint="free space or choose another folder; earlier checkpoints are untouched",
            attempt=f"df -h {path.parent}",
        ) from error
    return path


def restore_checkpoint(path: str | Path, like: PyTree) -> PyTree:
    """Return the tree saved at `path` in the structure, shapes, types and places of `like` (arrays or shapes).

    Raises CheckpointError when it is missing, damaged, or differs from `like` in any leaf.
    """
    path = Path(path).absolute()
    if not path.is_dir():
        raise CheckpointError(f"no checkpoint at {path}", hint="name a step folder, such as RUN/checkpoints/1200")
    abstract = jax.tree.map(_abstract, like)
    try:
        with _quiet():
            saved = ocp.metadata(path, checkpointable_name=ITEM).metadata
            if saved is None:
                raise ValueError("its description of the arrays is gone")
            _compare(saved, abstract, path)
            return ocp.load_checkpointables(path, {ITEM: abstract})[ITEM]
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"checkpoint {path} can not be read: {_root(error)}",
            hint="it is damaged or not of this model; an earlier step may be whole",
            attempt=f"ls {path.parent}",
        ) from error


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return the JSON that was saved beside the arrays. Raises CheckpointError when it can not be read."""
    try:
        with _quiet():
            return dict(ocp.metadata(Path(path).absolute(), checkpointable_name=ITEM).custom_metadata or {})
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} can not be read: {_root(error)}", hint="it is damaged") from error


def saved_steps(folder: str | Path) -> list[int]:
    """Return the steps in a folder of checkpoints, oldest first; anything else in it is ignored."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir() and (entry / MARK).exists())
    return sorted(int(name) for name in names if re.fullmatch(r"0|[1-9][0-9]{0,17}", name))


def retain(folder: str | Path, keep: Iterable[int]) -> None:
    """Delete the checkpoints of `folder` whose step is not in `keep`."""
    kept = set(keep)
    for step in saved_steps(folder):
        if step not in kept:
            shutil.rmtree(Path(folder) / str(step), ignore_errors=True)


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


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    if isinstance(leaf, jax.ShapeDtypeStruct) and leaf.sharding is None:
        place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
    return leaf


def _compare(saved: PyTree, wanted: PyTree, path: Path) -> None:
    """Refuse a leaf of another shape or type before any array is read: Orbax would cast types in silence."""
    have = {_name(where): leaf for where, leaf in jax.tree_util.tree_leaves_with_path(saved)}
    want = {_name(where): leaf for where, leaf in jax.tree_util.tree_leaves_with_path(wanted)}
    wrong = [f"{name}: only in the checkpoint" for name in have if name not in want]
    wrong += [f"{name}: not in the checkpoint" for name in want if name not in have]
    for name in have.keys() & want.keys():
        if jax.dtypes.issubdtype(getattr(want[name], "dtype", np.float32), jax.dtypes.prng_key):
            want[name] = jax.eval_shape(jax.random.key_data, want[name])  # saved as its words
        old, new = (getattr(leaf, "shape", None) for leaf in (have[name], want[name]))
        if old is not None and tuple(old) != tuple(new or ()):
            wrong.append(f"{name}: saved {tuple(old)} -> now {tuple(new or ())}")
        kinds = [getattr(leaf, "dtype", None) for leaf in (have[name], want[name])]
        if all(isinstance(kind, np.dtype | type) for kind in kinds) and np.dtype(kinds[0]) != np.dtype(kinds[1]):
            wrong.append(f"{name}: saved {np.dtype(kinds[0])} -> now {np.dtype(kinds[1])}")
    if wrong:
        shown = "; ".join(sorted(wrong, key=lambda text: (not text.startswith("params"), text))[:5]) + (
            f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        )
        raise CheckpointError(
            f"checkpoint {path} holds another state: {shown}",
            hint="the model, the optimiser or their sizes were changed since it was saved",
            code="checkpoint.mismatch",
        )


def _name(where: tuple[Any, ...]) -> str:
    return "/".join(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in where)


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
