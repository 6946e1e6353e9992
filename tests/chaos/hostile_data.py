"""Files of data made to run code, to leave their folder or to exhaust memory."""

import gzip
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

Make = Callable[[Path], list[str]]
"""Makes what is hostile in a folder that holds `run`, a small run, and `data.csv`; returns the words to type."""


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Return what pickle is to call."""
        return os.system, ("touch ../executed",)


PICKLED = pickle.dumps(Bomb())
QUICK = ["-m", "last", "task.context=24", "task.horizon=4", "evaluate.baselines=[]", "--run-dir", "out"]


def train_on(name: str, content: bytes, *more: str) -> Make:
    """Return what trains on a file with this content."""

    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(content)
        return ["train", "--data", name, *QUICK, *more]

    return make


def npy(shape: str, descr: str = "'<f8'", body: bytes = b"\x00" * 8) -> bytes:
    """Return a NumPy file whose header says so."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


def zipped(**members: bytes) -> bytes:
    """Return a zip of these members; a name may climb."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def objects() -> bytes:
    """Return an NPZ whose values are pickled objects."""
    out = io.BytesIO()
    np.savez(out, values=np.array([Bomb(), 1], object))
    return out.getvalue()


ROWS_OF = "unique_id,ds,cpu\n" + "".join(f"{{0}},2026-01-01T{h:02d}:{m:02d},{h}\n" for h in range(24) for m in (0, 30))
BOMB = gzip.compress(b"\0" * (1 << 20)) * 4096  # four gigabytes of zeros


def _infinite(folder: Path) -> list[str]:
    os.symlink("/dev/zero", folder / "zero.csv")
    return ["train", "--data", "zero.csv", *QUICK]


def _pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "pipe.csv")
    return ["train", "--data", "pipe.csv", *QUICK]


def _circle(folder: Path) -> list[str]:
    (folder / "ring").mkdir()
    os.symlink(folder / "ring", folder / "ring" / "ring")
    return ["train", "--data", "ring", *QUICK]


def _beside(folder: Path) -> list[str]:
    """Lay modules of well-known names beside the data."""
    for name in ("numpy", "yaml", "orbax", "gym_jax", "evil", "sitecustomize", "pyarrow"):
        (folder / f"{name}.py").write_text("open('../executed', 'w')\n")
    return ["train", "--data", "data.csv", *QUICK]


DATA: dict[str, Make] = {
    "pickle": train_on("data.pkl", PICKLED),
    "pickle called csv": train_on("x.csv", PICKLED),
    "pickle called parquet": train_on("x.parquet", PICKLED),
    "pickle called npz": train_on("x.npz", PICKLED),
    "joblib": train_on("x.joblib", PICKLED),
    "torch": train_on("x.pt", zipped(**{"archive/data.pkl": PICKLED, "archive/version": b"3"})),
    "hdf5": train_on("x.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100),
    "npz of objects": train_on("x.npz", objects()),
    "npz of a shape of 10^12": train_on("x.npz", zipped(**{"values.npy": npy("(1000000000000,)")})),
    "npz of a negative shape": train_on("x.npz", zipped(**{"values.npy": npy("(-1,)")})),
    "npz with code for a type": train_on(
        "x.npz", zipped(**{"values.npy": npy("(1,)", "__import__('os').system('touch executed')")})
    ),
    "npz with code for a shape": train_on(
        "x.npz", zipped(**{"values.npy": npy("__import__('os').system('touch executed')")})
    ),
    "npz that climbs": train_on("x.npz", zipped(**{"../../evil.npy": npy("(1,)")})),
    "npz bomb": train_on("x.npz", zipped(**{"values.npy": npy(f"({1 << 27},)", body=b"\0" * (1 << 30))})),
    "gz bomb": train_on("x.csv.gz", BOMB),
    "gz of a pickle": train_on("x.csv.gz", gzip.compress(PICKLED)),
    "a parquet of lies": train_on("x.parquet", b"PAR1" + b"\xff" * 200 + struct.pack("<I", 2**31 - 1) + b"PAR1"),
    "an arrow of lies": train_on("x.arrow", b"ARROW1\0\0" + b"\xff" * 200 + struct.pack("<i", 2**31 - 1) + b"ARROW1"),
    "deep json": train_on("x.jsonl", b"[" * 100_000 + b"]" * 100_000),
    "json of 1e999": train_on("x.jsonl", b'{"unique_id": "a", "ds": 1, "cpu": 1e999}\n' * 100),
    "json with a long number": train_on("x.jsonl", b'{"unique_id": "a", "ds": 1, "cpu": ' + b"9" * 100_000 + b"}\n"),
    "ts with a long header": train_on("x.ts", b"@problemName " + b"x" * 1_000_000 + b"\n@data\n"),
    "csv of one line without an end": train_on("x.csv", b"a" * 50_000_000),
    "csv of many columns": train_on(
        "x.csv", b",".join(b"c%d" % i for i in range(200_000)) + b"\n" + b",".join(b"1" for _ in range(200_000))
    ),
    "csv with formulas": train_on("x.csv", ROWS_OF.format("=cmd|' /C touch executed'!A0").encode(), "--target", "cpu"),
    "csv of nul": train_on("x.csv", b"unique_id,ds,cpu\n\0\0\0,\0,\0\n"),
    "endless": _infinite,
    "a pipe that nobody fills": _pipe,
    "folders in a ring": _circle,
    "modules beside the data": _beside,
    "a path with a null": lambda folder: ["train", "--data", "x\x00.csv", *QUICK],
    "an address": lambda folder: ["train", "--data", "http://127.0.0.1:9/x.csv", *QUICK],
    "an s3 address": lambda folder: ["train", "--data", "s3://evil/x.parquet", *QUICK],
    "a glob of everything": lambda folder: ["train", "--data", "/proc/*/mem", *QUICK],
}
