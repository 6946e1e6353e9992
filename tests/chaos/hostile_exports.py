"""Exports made to run code, to leave their folder or to exhaust memory; each is asked for a forecast."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from hostile_data import PICKLED, Make


def export_with(change: Callable[[Path], object]) -> Make:
    """Return what forecasts with an export after something of it was changed."""

    def make(folder: Path) -> list[str]:
        from gym_jax.run.export import export_run

        export_run(folder / "run", folder / "export", onnx=False)
        change(folder / "export")
        return ["predict", "export", "--data", "data.csv"]

    return make


def sealed(change: Callable[[dict], object]) -> Callable[[Path], object]:
    """Return what changes a manifest and seals it anew, with the sizes and digests of the files that are there."""

    def changed(export: Path) -> object:
        from gym_jax.inference.artefact import seal_of
        from gym_jax.inference.npz import read_arrays, unpack
        from gym_jax.inference.spec import Spec

        path = export / "manifest.json"
        found = json.loads(path.read_text())
        change(found)
        with suppress(Exception):  # where there is nothing left to be digested
            tables = read_arrays((export / "tables.npz").read_bytes())
            found["model"] = Spec.from_json(unpack(found["spec"], tables)).digest
        for name in found["files"]:
            if (export / name).is_file():
                content = (export / name).read_bytes()
                found["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        found["seal"] = seal_of(found)
        return path.write_text(json.dumps(found))

    return changed


def weights(content: bytes) -> Callable[[Path], object]:
    """Return what puts other bytes in the place of the weights, under a right seal."""

    def change(export: Path) -> object:
        (export / "weights.npz").write_bytes(content)
        return sealed(lambda found: None)(export)

    return change


def archive(name: str, content: bytes, packed: bool = False) -> bytes:
    """Return a ZIP file of one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def array(shape: tuple[int, ...], kind: str = "<f4", content: bytes = b"") -> bytes:
    """Return an array that says of itself what it likes."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": kind})
    return buffer.getvalue() + content


def setting(*path: str, value: object) -> Callable[[Path], object]:
    """Return what says something else in the manifest."""

    def change(found: dict) -> None:
        *inner, last = path
        for word in inner:
            found = found[word]
        found[last] = value

    return sealed(change)


def linked(export: Path) -> None:
    """Put a link to an endless file in the place of the weights."""
    (export / "weights.npz").unlink()
    os.symlink("/dev/zero", export / "weights.npz")


def piped(export: Path) -> None:
    """Put a pipe that nobody writes to in the place of the weights."""
    (export / "weights.npz").unlink()
    os.mkfifo(export / "weights.npz")


KERNEL = "head/kernel.npy"
EXPORTS: dict[str, Make] = {
    f"export: {name}": export_with(change)
    for name, change in {
        "a pickle for weights": weights(PICKLED),
        "a pickled array": weights(archive(KERNEL, array((1,), "|O", PICKLED))),
        "a shape of 10^12": weights(archive(KERNEL, array((10**12,)))),
        "a shape that overflows": weights(archive(KERNEL, array((1 << 40, 1 << 40)))),
        "a packed array": weights(archive(KERNEL, array((25_000_000,), "<f4", b"\0" * 100_000_000), packed=True)),
        "an array that climbs": weights(archive("../../../executed.npy", array((1,), "<f4", b"\0" * 4))),
        "a graph of somebody else": lambda export: (export / "model.onnx").write_bytes(PICKLED),
        "a file beside": lambda export: (export / "sitecustomize.py").write_text("open('../executed', 'w')\n"),
        "a name that climbs": setting("files", "../../etc/passwd", value={"bytes": 4, "sha256": "0" * 64}),
        "an absolute name": setting("files", "/etc/passwd", value={"bytes": 4, "sha256": "0" * 64}),
        "so deep": lambda export: (export / "manifest.json").write_text("[" * 1_000_000),
        "a number so long": lambda export: (export / "manifest.json").write_text('{"kind": ' + "9" * 1_000_000 + "}"),
        "10^12 steps": setting("spec", "horizon", value=10**12),
        "10^12 rows": setting("spec", "look_back", value=10**12),
        "a window of 10^12 rows": setting("spec", "preprocessing", "rolling", value=[[10**12, "mean"]]),
        "a filter of 10^12 steps": setting("spec", "model", value={"kind": "fcn", "sizes": [10**12]}),
        "a network called by code": setting("spec", "model", "kind", value="os.system"),
        "a zone of files": setting("spec", "calendar_zone", value="../../../../etc/passwd"),
        "weights are a device": linked,
        "weights are a pipe": piped,
    }.items()
}
