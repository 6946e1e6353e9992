"""The folder of an export: a manifest that seals every byte of it, and the way back, which believes nothing.

manifest.json    what the model is, its files with sizes and SHA-256, how it was tried, a seal over all of this
weights.npz      its parameters by their paths
tables.npz       long lists of the manifest, golden windows and what came out of them
model.onnx       the network as a graph, for other programs
model.jaxexport  the network as StableHLO, for JAX
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.errors import CheckpointError, GymJaxError
from gym_jax.files import OPENING
from gym_jax.inference.npz import read_arrays, unpack
from gym_jax.inference.spec import Spec
from gym_jax.inference.window import Window

KIND, SCHEMA = "gym_jax export", 1
MANIFEST, WEIGHTS, TABLES, GRAPH, BLOB = "manifest.json", "weights.npz", "tables.npz", "model.onnx", "model.jaxexport"
FILES = (WEIGHTS, TABLES, GRAPH, BLOB)
LARGEST = 1 << 31
"""Bytes of a file."""
LONGEST = 1 << 23
"""Bytes of a manifest: some hundred thousand series."""
MOST = 1_000_000
"""The largest number of rows, steps or units that a model may ask for."""
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError, MemoryError)


class Golden(NamedTuple):
    """Windows and what the network gave for them when it was exported."""

    window: Window
    outputs: np.ndarray


class Export(NamedTuple):
    """What an export folder holds, verified."""

    path: Path
    spec: Spec
    weights: dict[str, np.ndarray]
    golden: Golden
    manifest: dict[str, Any]


def read_export(path: str | Path) -> Export:
    """Return what a folder holds, every byte compared with its manifest.

    Raises CheckpointError when it is no export, damaged, or of another version.
    """
    folder = Path(path).expanduser().absolute()
    try:
        manifest = _manifest(folder)
        files = _verified(folder, manifest["files"])
        tree = unpack({"spec": manifest["spec"], "golden": manifest["golden"]}, read_arrays(files[TABLES]))
        weights = read_arrays(files[WEIGHTS]) if WEIGHTS in files else {}
        spec, golden = Spec.from_json(tree["spec"]), tree["golden"]
        found = Export(
            folder, spec, weights, Golden(Window(**golden["window"]), np.asarray(golden["outputs"])), manifest
        )
        _refuse_odd(found)
    except CheckpointError:
        raise
    except (*DAMAGED, GymJaxError) as error:
        raise _damaged(folder, str(error) or type(error).__name__) from error
    except OSError as error:
        raise _damaged(folder, error.strerror or str(error)) from error
    return found


def is_export(path: str | Path) -> bool:
    """Return whether a folder looks like an export, of any version, and not like a run."""
    folder = Path(path).expanduser()
    return (folder / MANIFEST).is_file() and not (folder / "config.yaml").exists()


def digest_of(weights: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays, by name, with their shapes."""
    found = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        found.update(f"{name} {array.dtype.str} {list(array.shape)}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def seal_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all of a manifest but its seal."""
    whole = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).exists():
        raise CheckpointError(
            f"{folder} is no export: it has no {MANIFEST}",
            hint="an export is a folder that gymjax export made",
            attempt="gymjax export RUN --out FOLDER",
            code="export.not_found",
        )
    manifest = json.loads(_read(folder / MANIFEST, LONGEST), parse_constant=_no_number)
    if not isinstance(manifest, dict):
        raise ValueError(f"{MANIFEST} holds no object")
    if manifest.get("kind") != KIND:
        if {"arrays", "config", "sha256"} <= set(manifest):
            raise CheckpointError(
                f"{folder} was exported by an earlier version of gym_jax: it holds weights alone",
                hint="an export now says how its model is asked, too; the run has what it takes",
                attempt=f"gymjax export RUN --out {folder}-2",
                code="export.older",
            )
        raise ValueError(f"{MANIFEST} is not of an export")
    if manifest.get("schema") != SCHEMA:
        newer = isinstance(manifest.get("schema"), int) and manifest["schema"] > SCHEMA
        raise CheckpointError(
            f"{folder} has schema {str(manifest.get('schema'))[:20]}, this version reads {SCHEMA}",
            hint="it was written by a later version of gym_jax" if newer else "it is damaged",
            attempt="pip install --upgrade gym-jax" if newer else f"gymjax export RUN --out {folder}-2",
            code="export.newer" if newer else "export.damaged",
        )
    if manifest.get("seal") != seal_of(manifest):
        raise ValueError(f"the seal of {MANIFEST} is broken")
    return manifest


def _verified(folder: Path, files: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files that are read, once every file is what the manifest says, and none is there besides."""
    there = {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}  # volumes bring such
    if strange := sorted((there | {*files}) - {MANIFEST, *FILES}):
        raise ValueError(f"{ascii(strange[0])[:80]} is no file of an export")
    if odd := sorted(there ^ {MANIFEST, *files}):
        raise ValueError(f"{odd[0]} is {'not in its manifest' if odd[0] in there else 'gone'}")
    found = {}
    for name, facts in files.items():
        data = _read(folder / name, min(LARGEST, int(facts["bytes"])))
        if len(data) != facts["bytes"] or hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise ValueError(f"{name} has other bytes than were exported")
        if name in (WEIGHTS, TABLES):
            found[name] = data
    return found


def _read(path: Path, most: int) -> bytes:
    """Return a file of at most so many bytes. Raises ValueError when it has more, or is none."""
    number = os.open(path, OPENING)  # a pipe would be waited for
    with os.fdopen(number, "rb") as file:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{path.name} is no file")
        if about.st_size > most:
            raise ValueError(f"{path.name} has {about.st_size:,} bytes, {most:,} at most are right")
        return file.read(most + 1)


def _refuse_odd(export: Export) -> None:
    """Raise ValueError when the parts of an export do not belong together, or ask for more than a machine has."""
    _, spec, weights, golden, manifest = export
    if digest_of(weights) != spec.weights_digest or spec.digest != manifest["model"]:
        raise ValueError("its weights are not those of its manifest")
    for name, array in weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"{name} holds what is no finite float32")
    if large := [number for number in _whole_numbers(spec.to_json()) if number > MOST]:
        raise ValueError(f"it asks for {large[0]:,} rows or units")
    outputs = int(spec.model.get("outputs", 1))
    width = 1 if spec.classes else len(spec.targets)
    shape = (golden.window.size, spec.steps, width, *([outputs] if outputs > 1 else []))
    if golden.outputs.shape != shape or golden.window.past.shape[1] != spec.look_back:
        raise ValueError("its golden windows are of another model")
    if golden.window.mask.shape != golden.window.past.shape or not np.isfinite(golden.outputs).all():
        raise ValueError("its golden windows are damaged")
    if int(spec.model["horizon"]) != spec.steps or int(spec.model["targets"]) != width:
        raise ValueError("its network is of another task")
    widest = max([spec.look_back, *(array.shape[0] for array in weights.values())])
    asked = ["season", "patch", *(["window"] if spec.statistic != "none" else [])]
    if any(int(spec.model.get(name) or 0) > widest for name in asked):
        raise ValueError("its season, or its patch, is longer than its window")


def _whole_numbers(tree: Any) -> list[int]:
    """Return the whole numbers of what a model is asked for; times, seeds and steps of training are none of these."""
    own = ("context", "look_back", "horizon", "season", "preprocessing", "model")
    found, left = [], [tree[name] for name in own]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left += part.values()
        elif isinstance(part, list):
            left += part
        elif isinstance(part, int):
            found.append(part)
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{MANIFEST} holds {word}")


def _damaged(folder: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{folder} can not be read: {' '.join(reason.split())[:200]}",
        hint="the export is damaged, or was changed",
        attempt=f"gymjax export RUN --out {folder}-2",
        code="export.damaged",
    )
