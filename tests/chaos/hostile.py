"""Row 17: artefacts and names made to run code, to leave their folder or to exhaust memory.

A process of its own, with an audit hook, is given each. Right is: it is refused in words or taken as plain data; no
process is started, nothing unpickled, nothing imported from beside the data, nothing opened for writing or deleted
outside the case's folder, no connection made, little memory taken.
"""

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Bench, Outcome, Row, words_of

SECONDS, MEGABYTES = 20, 500
"""What a refusal may take: JAX and its first program some 200 MB; a packed file may grow a hundredfold."""
Make = Callable[[Path], list[str]]
"""Makes what is hostile in a folder that holds `run`, a small run, and `data.csv`; returns the words to type."""


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Return what pickle is to call."""
        return os.system, ("touch ../executed",)


PICKLED = pickle.dumps(Bomb())
NAMES = [
    *(
        "../evil",
        "../../evil",
        "..",
        ".",
        "/tmp/evil-gymjax",
        "a/../../evil",
        "..\\evil",
        "evil\x00",
        "~/evil",
        "$(touch executed)",
    ),
    *(
        "`touch executed`",
        "; touch executed",
        "evil\n",
        "-rf",
        "--help/../evil",
        "%2e%2e%2fevil",
        "....//evil",
        "a" * 5000,
    ),
    *("CON/../../evil", "\u202egpj.evil", "members/../../evil"),
]
YAML = {
    "python object": "train: !!python/object/apply:os.system ['touch executed']\n",
    "python name": "model: !!python/name:os.system\n",
    "python module": "model: !!python/module:evil\n",
    "python tuple": "train: !!python/tuple [1, 2]\n",
    "object new": "train: !!python/object/new:os.system ['touch executed']\n",
    "target": "model: {_target_: os.system, kind: mlp}\n",
    "target at the top": "_target_: os.system\nmodel: {kind: mlp}\n",
    "partial": "model: {_partial_: true, kind: mlp}\n",
    "environment": "run: {root: '${oc.env:HOME}/evil'}\ndata: {path: '${oc.env:HOME}'}\n",
    "interpolation": "train: {epochs: '${eval:1+1}'}\n",
    "include": "train: !include /etc/passwd\n",
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "deep": "[" * 20_000 + "]" * 20_000 + "\n",
    "long number": f"train: {{epochs: {'9' * 100_000}}}\n",
    "many nodes": "train: {epochs: 1e400}\n",
    "sexagesimal": "train: {epochs: 190:20:30}\n",
    "merge": "a: &a {<<: *a}\n",
    "lambda": 'loss: {kind: \'lambda x: __import__("os").system("touch executed")\'}\n',
    "code": 'model: {kind: \'__import__("os").system("touch executed")\'}\n',
    "tag uri": "train: !<tag:yaml.org,2002:python/object/apply:os.system> ['touch executed']\n",
    "binary": "train: !!binary gIAB\n",
    "tab": "train:\n\tepochs: 1\n",
    "nul": "train: {epochs: 1}\x00\n",
    "huge key": "x" * 1_000_000 + ": 1\n",
}
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


def series_called(name: str) -> Make:
    """Return what trains on a series of that name and writes its forecast."""
    row = ROWS_OF.replace("{0}", '"' + name.replace('"', '""').replace("\n", " ").replace("\0", "") + '"')
    return train_on("x.csv", row.encode(), "--target", "cpu")


def run_with(change: Callable[[Path], object], *words: str) -> Make:
    """Return what uses a run after something of it was changed."""

    def make(folder: Path) -> list[str]:
        change(folder / "run")
        return [*words, "run"]

    return make


def newest(run: Path) -> Path:
    """Return the newest step of a run."""
    return max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))


def document(name: str, **changes: object) -> Callable[[Path], object]:
    """Return what sets keys of a JSON file of a run."""

    def change(run: Path) -> object:
        path = run / name
        return path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def setting(line: str) -> Callable[[Path], object]:
    """Return what appends a line to a run's settings."""
    return lambda run: (run / "config.yaml").open("a").write(line)


def manifest(name: str) -> Callable[[Path], object]:
    """Return what has a manifest name a file anywhere, with a seal that is right."""

    def change(run: Path) -> object:
        from gym_jax.train.manifest import _seal

        path = newest(run) / "gym_jax.json"
        found = json.loads(path.read_text())
        found.pop("seal")
        found["files"][name] = [4, "0" * 64]
        return path.write_text(json.dumps({**found, "seal": _seal(found)}))

    return change


def linked(run: Path) -> None:
    """Put a folder of somebody else, with numbers for names, in the place of the checkpoints."""
    precious = run.parent.parent / "precious"
    shutil.copytree(run / "checkpoints", precious)
    for number in (1, 2, 3):
        (precious / str(number)).mkdir(exist_ok=True)
        (precious / str(number) / "letter").write_text("dear")
    shutil.rmtree(run / "checkpoints")
    os.symlink(precious, run / "checkpoints")


def one_linked(run: Path) -> None:
    """Put a link to a folder of somebody else among the checkpoints."""
    precious = run.parent.parent / "precious"
    precious.mkdir()
    (precious / "letter").write_text("dear")
    os.symlink(precious, run / "checkpoints" / "1")


def emptied(name: str, content: bytes) -> Callable[[Path], object]:
    """Return what writes a file of the newest step anew, without its manifest, as plain Orbax would have it."""

    def change(run: Path) -> object:
        step = newest(run)
        (step / "gym_jax.json").unlink()
        path = next(iter(sorted(step.rglob(name))), step / name)
        return path.write_bytes(content)

    return change


LATER = ("train", "--resume")
RUN: dict[str, Make] = {
    "manifest that climbs": run_with(manifest("../../../../etc/passwd"), "evaluate"),
    "manifest of an absolute path": run_with(manifest("/etc/passwd"), "evaluate"),
    "manifest of a device": run_with(manifest("/dev/zero"), "evaluate"),
    "checkpoints are a link": run_with(linked, *LATER),
    "a step is a link": run_with(one_linked, *LATER),
    "a pickle among the arrays": run_with(lambda run: (newest(run) / "state.pkl").write_bytes(PICKLED), "evaluate"),
    "a pickle for a checkpoint": run_with(lambda run: (run / "checkpoints" / "99999").write_bytes(PICKLED), "evaluate"),
    "metadata of another kind": run_with(emptied("_METADATA", PICKLED), "evaluate"),
    "metadata of a shape of 10^12": run_with(
        emptied("_METADATA", b'{"tree_metadata": {"x": {"value_metadata": {"write_shape": [1000000000000]}}}}'),
        "evaluate",
    ),
    "metadata so deep": run_with(emptied("_METADATA", b"[" * 100_000 + b"]" * 100_000), "evaluate"),
    "no metadata": run_with(emptied("_CHECKPOINT_METADATA", b""), "evaluate"),
    "sharding that names a class": run_with(emptied("_sharding", b'{"x": {"sharding_type": "os.system"}}'), "evaluate"),
    **{
        f"a step called {name}": run_with(lambda run, name=name: (run / "checkpoints" / name).mkdir(), *LATER)
        for name in ("-1", "1e3", "0x10", "99999999999999999999999999", "5.deleted", "7.bad-1", "latest", " 5", "5 ")
    },
    **{f"settings: {name}": run_with(setting(text), *LATER) for name, text in list(YAML.items())[:9]},
    "parent that climbs": run_with(setting("# x\n"), "runs", "show", "../precious/.."),
    "choices of many devices": run_with(document("choices.json", placement="cores", devices=10**9), *LATER),
    "choices of a long chunk": run_with(document("choices.json", chunk=10**15), *LATER),
    "choices with code": run_with(
        document("choices.json", placement="__import__('os').system('touch executed')"), *LATER
    ),
    "choices that are a list": run_with(lambda run: (run / "choices.json").write_text("[1]"), *LATER),
    "data that were elsewhere": run_with(
        document("data.json", files=[{"path": "/etc/shadow", "sha256": "0", "bytes": 1}]), *LATER
    ),
    "data that are deep": run_with(lambda run: (run / "data.json").write_text("[" * 100_000), "evaluate"),
    "a status with code": run_with(
        document("status.json", status="__import__('os')", steps="../../evil"), "runs", "show"
    ),
    "a pinned step elsewhere": run_with(document("status.json", pinned={"../../precious": "x"}), *LATER),
    "lines of metrics that are huge": run_with(
        lambda run: (run / "metrics.jsonl").write_text('{"epoch": 1, "step": 1e999, "x": ' + "9" * 100_000 + "}\n"),
        *LATER,
    ),
    "an allocation of lies": run_with(
        lambda run: (run / "allocation.json").write_bytes(PICKLED), "allocate", "recommend"
    ),
    "intervals of lies": run_with(lambda run: (run / "intervals.json").write_bytes(PICKLED), "predict"),
}
SHELL = {
    f"name {name[:20]!r}": (lambda folder, name=name: ["train", "--data", "data.csv", *QUICK[:-2], "--name", name])
    for name in NAMES
}
CASES: dict[str, Make] = {
    **SHELL,
    **{f"shown {name[:20]!r}": (lambda folder, name=name: ["runs", "show", name]) for name in NAMES},
    **{f"series {name[:20]!r}": series_called(name) for name in NAMES if len(name) < 1000},
    **{f"configuration: {name}": (lambda folder, text=text: _configured(folder, text)) for name, text in YAML.items()},
    **DATA,
    **RUN,
}


def _configured(folder: Path, text: str) -> list[str]:
    (folder / "evil.yaml").write_text(text)
    (folder / "evil.py").write_text("open('../executed', 'w')\n")
    return ["train", "--data", "data.csv", "--config", "evil.yaml", *QUICK]


def attempt(bench: Bench, number: int) -> Outcome:
    """Give a process one hostile thing; see what it did."""
    name, make = list(CASES.items())[number]
    root = bench.fresh()
    desk = root / "desk"
    shutil.copytree(_desk(bench), desk, symlinks=True)
    words = make(desk)
    before = _seen(root)
    found = bench.act("judge", desk, seconds=SECONDS, options={"words": words})
    faults = list(found.get("done", []))
    faults += [f"left {path}" for path in sorted(_seen(root) - before) if not path.startswith("desk/")]
    faults += [f"deleted {path}" for path in sorted(before - _seen(root)) if not path.startswith("desk/")]
    faults += [f"it took {found['megabytes']} MB more"] if found.get("megabytes", 0) > MEGABYTES else []
    faults += ["a traceback"] if found["status"] == 1 else []
    shutil.rmtree(root, ignore_errors=True)
    right = not found["hung"] and found["status"] not in (None, 1) and found["status"] >= 0 and not faults
    return Outcome(number, right, f"{name}: {words_of(found)}; {'; '.join(faults)[:300]}", silent=bool(faults))


def _seen(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def _desk(bench: Bench) -> Path:
    """Return a folder with a small run and its data, made once."""
    desk = bench.root / "desk"
    if not desk.exists():
        desk.mkdir()
        (desk / "data.csv").write_text(ROWS_OF.replace("{0}", "a") + ROWS_OF.split("\n", 1)[1].replace("{0}", "b"))
        small = ["model.hidden=[4]", "task.context=6", "task.horizon=2", "evaluate.baselines=[]", "train.epochs=2"]
        words = ["train", "-m", "mlp", "--data", "data.csv", "--target", "cpu", "--run-dir", "run", *small]
        found = bench.act("judge", desk, seconds=60, options={"words": words})
        assert found["status"] == 0, found
    return desk


ROWS = {
    "17": Row(
        "hostile names, settings, data and runs: nothing executed, escaped or exhausted",
        lambda bench: list(range(len(CASES))),
        attempt,
        every=5,
    )
}
