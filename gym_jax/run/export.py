"""A run's weights as plain files: NumPy arrays and a manifest, which need neither JAX nor Orbax to be read."""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gym_jax import __version__
from gym_jax.config.migrate import SCHEMA_VERSION
from gym_jax.errors import ConfigError, StorageError
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import best_member, is_group
from gym_jax.run.load import load_weights, read_config
from gym_jax.run.runs import open_run

WEIGHTS, MANIFEST = "weights.npz", "manifest.json"


def export_run(run: str | Path | RunFolder, folder: str | Path) -> dict[str, Any]:
    """Write the weights that judge and forecast to `folder`, a new one, and return its manifest.

    `weights.npz` holds an array for every parameter by its path (`layer_0/kernel`); `manifest.json` says of which step
    and which average they are, with configuration, columns, scaler and a sha256. Of a run of several seeds it is the
    best member, and `seed` says which. Raises ConfigError when the folder is
    there and not empty, CheckpointError when the run holds no weights, StorageError when the disk refuses.
    """
    source = run if isinstance(run, RunFolder) else open_run(run)
    path = Path(folder).expanduser().absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(
            f"{path} exists already",
            hint="an export is a new folder",
            attempt=f"gymjax export {source.path} --out {path}-2",
            code="config.export_exists",
        )
    group = source if is_group(source) else None
    source = best_member(source) if group else source
    saved = load_weights(source)
    arrays = {
        jax.tree_util.keystr(place, simple=True, separator="/"): np.asarray(leaf)
        for place, leaf in jax.tree_util.tree_leaves_with_path(saved.params)
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    manifest = {
        "schema": SCHEMA_VERSION,
        "gym_jax": __version__,
        "run": (group or source).path.name,
        **({"seed": int(source.path.name)} if group else {}),
        "step": saved.step,
        "weights": saved.weights,
        "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "arrays": {name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in arrays.items()},
        "config": read_config(source).document(),
        "data": source.read_json("data.json"),
    }
    _write(path, {WEIGHTS: buffer.getvalue(), MANIFEST: (json.dumps(manifest, indent=1) + "\n").encode()})
    return manifest


def _write(path: Path, files: dict[str, bytes]) -> None:
    """Write a folder, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, content in files.items():
            (part / name).write_bytes(content)
        part.replace(path)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StorageError(
            f"{path} can not be written: {error.strerror or error}",
            hint="free space or choose another folder",
            attempt=f"df -h {path.parent}",
        ) from error
