"""A run as plain files that answer without JAX: weights, a sealed manifest, a graph; tried before they are written."""

import hashlib
import importlib.util
import json
import math
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax import __version__
from gym_jax.errors import ConfigError, GateFailed, GymJaxError, MissingExtra, StorageError
from gym_jax.files import sync
from gym_jax.inference.artefact import BLOB, GRAPH, KIND, LONGEST, MANIFEST, SCHEMA, TABLES, WEIGHTS, Golden, seal_of
from gym_jax.inference.graph import make_graph
from gym_jax.inference.model import TOLERANCE, Run, apart, can_run_graphs, run_of_numpy, run_of_onnx
from gym_jax.inference.networks import NETWORKS
from gym_jax.inference.npz import pack, write_arrays
from gym_jax.inference.window import Window, chosen, join
from gym_jax.run.assemble import reading
from gym_jax.run.describe import GOLDEN, Described, describe_run, window_of
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import is_group
from gym_jax.run.load import load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.task import task_of
from gym_jax.types import Inputs

TRIED = 1000
"""Windows on which every way of the network must say the same."""
AT_ONCE = 250
NEWER = timedelta(days=182)
"""How much newer than the JAX that wrote it one may be that reads a blob: six months, by the dates of their builds."""
BUILT = {"0.10.2": "2026-06-17", "0.11.0": "2026-07-16"}
"""When versions of JAX were built, which they do not say themselves."""
PLATFORMS = ("cpu", "cuda", "tpu")


def export_run(
    run: str | Path | RunFolder, folder: str | Path, *, onnx: bool | None = None, blob: bool = False
) -> dict[str, Any]:
    """Write a run to `folder`, a new one, as a model that `gym_jax.inference` loads, and return its manifest.

    `onnx` adds a graph for other programs; None does where the extra is installed. `blob` adds the network as
    `jax.export` writes it. Of a run of several seeds it is the best member. Before anything is written NumPy, and
    onnxruntime with a graph, must say what JAX says on `TRIED` windows of the run's own data, of made-up ones where
    these are gone. Raises GateFailed when they do not, ConfigError when the folder is there and not empty or the model
    is a plug-in's,
    CheckpointError when the run holds no weights, MissingExtra when a package is lacking, StorageError when the disk
    refuses.
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
    onnx = can_run_graphs() if onnx is None else onnx
    found = describe_run(source)
    if (kind := found.spec.model["kind"]) not in NETWORKS:
        raise ConfigError(
            f"a model of kind `{kind}` has no network without JAX",
            hint="it is a plug-in's; the run itself can be asked and served",
            attempt=f"gymjax serve {source.path}",
            code="config.export_kind",
        )
    windows, whose = _windows(found)
    wanted = _said(found.forward, windows)
    golden = Golden(chosen(windows, np.arange(min(GOLDEN, windows.size))), wanted[:GOLDEN])
    own, weights = found.spec.model, found.weights
    graph = make_graph(own, weights, golden.window) if onnx else None
    ways = {"numpy": run_of_numpy(own, weights)}
    if graph is not None:
        ways["onnx"] = run_of_onnx(own, weights, golden.window, graph)
    largest = {name: _tried(name, way, windows, wanted) for name, way in ways.items()}
    spec_tree, tables = pack({"spec": found.spec.to_json(), "golden": _plain(golden)})
    files = {WEIGHTS: write_arrays(weights), TABLES: write_arrays(tables)}
    files |= {} if graph is None else {GRAPH: graph}
    more: dict[str, Any] = {}
    if blob:
        files[BLOB], more["jax_export"] = _blob(found, golden.window)
    manifest = {
        "kind": KIND,
        "schema": SCHEMA,
        "model": found.spec.digest,
        "gym_jax": __version__,
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": source.path.name,
        **({"seed": int(found.source.path.name), "member": "best"} if is_group(source) else {}),
        "step": found.spec.trained_step,
        "weights": found.spec.weights,
        "notes": list(found.spec.notes),
        "tried": {"windows": windows.size, "of": whose, "tolerance": TOLERANCE, "largest difference": largest},
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
        "arrays": {name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in weights.items()},
        **more,
        **spec_tree,
        "config": read_config(found.source).document(),
    }
    manifest["seal"] = seal_of(manifest)
    text = (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode()
    if len(text) > LONGEST:
        raise ConfigError(f"the manifest would have {len(text):,} bytes", hint=f"{LONGEST:,} are read at most")
    _write(path, {**files, MANIFEST: text})
    return manifest


def _windows(found: Described) -> tuple[Window, str]:
    """Return windows of the run's own data, spread over its test part and, where that has too few, over its train part;
    made-up ones where the data are gone.
    """
    own: list[Window] = []
    parts: list[str] = []
    try:
        trained = load_run(found.source)
        task, left = task_of(trained.config), TRIED
        for part in ("test", "train"):
            examples = reading(trained.model, task.cut(trained.config, trained.prepared, part))
            if count := min(left, len(examples)):
                take = jax.jit(lambda examples, some: examples.take(some).inputs)
                places = np.linspace(0, len(examples) - 1, count).astype(np.int32)
                taken = join([window_of(take(examples, jnp.asarray(some))) for some in _split(places)])
                own, parts, left = [*own, chosen(taken, np.arange(count))], [*parts, part], left - count
    except GymJaxError:
        own = []
    if own:
        return join(own), f"{' and '.join(parts)} part"
    made = found.golden.window
    draw = np.random.default_rng(1)
    several = []
    for _ in range(math.ceil(TRIED / made.size)):
        past = np.where(made.mask, made.past + draw.normal(size=made.past.shape).astype(np.float32), np.float32(0))
        several.append(made._replace(past=past.astype(np.float32)))
    return join(several), "made-up windows"


def _tried(name: str, way: Run, windows: Window, wanted: np.ndarray) -> float:
    """Return by how much a way differs from JAX at most. Raises GateFailed when that is more than rounding."""
    said = _said(way, windows)
    if (far := apart(said, wanted)) > TOLERANCE:
        raise GateFailed(
            f"{name} differs from JAX by {far:.1e} in {windows.size:,} windows; nothing was written",
            hint=f"{TOLERANCE:.0e} in scaled units is rounding; more must not be served",
            attempt="gymjax export RUN --out FOLDER --no-onnx" if name == "onnx" else None,
            code="gate.export",
        )
    return far


def _blob(found: Described, window: Window) -> tuple[bytes, dict[str, Any]]:
    """Return the network with its weights as StableHLO for any batch, and for which JAX it is."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise MissingExtra(
            "jax.export needs the package flatbuffers",
            hint="weights, manifest and graph need it not: leave --jax out",
            attempt="pip install 'gym-jax[onnx]'",
        )
    from jax import export

    batch = export.symbolic_shape("batch")[0]
    parts = {name: part for name, part in window._asdict().items() if part is not None}
    shapes = {name: jax.ShapeDtypeStruct((batch, *part.shape[1:]), part.dtype) for name, part in parts.items()}
    module = found.module.clone(kernel="plain") if hasattr(found.module, "kernel") else found.module

    @jax.jit
    def network(parts: Mapping[str, Any]) -> Any:
        return module.apply({"params": found.params}, Inputs(**parts))

    written = export.export(network, platforms=PLATFORMS)(shapes)
    built = BUILT.get(jax.__version__)
    until = None if built is None else (date.fromisoformat(built) + NEWER).isoformat()
    facts = {"jax": jax.__version__, "built": built, "until": until, "inputs": list(parts), "platforms": [*PLATFORMS]}
    return bytes(written.serialize()), facts


def _plain(golden: Golden) -> dict[str, Any]:
    return {"window": {k: v for k, v in golden.window._asdict().items() if v is not None}, "outputs": golden.outputs}


def _said(way: Run, windows: Window) -> np.ndarray:
    """Return what a network says of windows."""
    parts = [way(chosen(windows, places)) for places in _split(np.arange(windows.size))]
    return np.concatenate(parts)[: windows.size]


def _split(places: np.ndarray) -> list[np.ndarray]:
    """Return places in portions of one size, which compiles once; the last place is repeated to fill them."""
    size = min(AT_ONCE, len(places))
    return list(np.pad(places, (0, -len(places) % size), mode="edge").reshape(-1, size))


def _write(path: Path, files: dict[str, bytes]) -> None:
    """Write a folder, whole or not at all; the manifest comes last."""
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, content in files.items():
            (part / name).write_bytes(content)
            sync(part / name)
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StorageError(
            f"{path} can not be written: {error.strerror or error}",
            hint="free space or choose another folder",
            attempt=f"df -h {path.parent}",
        ) from error
