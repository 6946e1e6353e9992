"""Run folders and checkpoints made to run code, to leave their folder or to exhaust memory."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hostile_data import PICKLED, Make
from hostile_names import YAML


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


def replaced(words: str, others: str) -> Callable[[Path], object]:
    """Return what puts other words into a run's settings."""

    def change(run: Path) -> object:
        text = (run / "config.yaml").read_text()
        assert words in text
        return (run / "config.yaml").write_text(text.replace(words, others))

    return change


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
    "a parent that climbs": run_with(replaced("parent: null", "parent: ../../precious"), *LATER),
    "a parent with code": run_with(replaced("parent: null", "parent: $(touch executed)"), *LATER),
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
    "a pinned step elsewhere": run_with(
        lambda run: (run / "pins.jsonl").write_text('{"step": "../../precious", "by": "x"}\n'), *LATER
    ),
    "lines of metrics that are huge": run_with(
        lambda run: (run / "metrics.jsonl").write_text('{"epoch": 1, "step": 1e999, "x": ' + "9" * 100_000 + "}\n"),
        *LATER,
    ),
    "an allocation of lies": run_with(
        lambda run: (run / "allocation.json").write_bytes(PICKLED), "allocate", "recommend"
    ),
    "intervals of lies": run_with(lambda run: (run / "calibration.json").write_bytes(PICKLED), "predict"),
}
