"""Row 17: artefacts and names made to run code, to leave their folder or to exhaust memory.

A process of its own, with an audit hook, is given each. Right is: it is refused in words or taken as plain data; no
process is started, nothing unpickled, nothing imported from beside the data, nothing opened for writing or deleted
outside the case's folder, no connection made, little memory taken.
"""

import shutil
from pathlib import Path

from harness import Bench, Outcome, Row, words_of
from hostile_data import DATA, QUICK, ROWS_OF, Make, train_on
from hostile_exports import EXPORTS
from hostile_names import NAMES, YAML
from hostile_runs import RUN

SECONDS, MEGABYTES = 20, 500
"""What a refusal may take: JAX and its first program some 200 MB; a packed file may grow a hundredfold."""


def series_called(name: str) -> Make:
    """Return what trains on a series of that name and writes its forecast."""
    row = ROWS_OF.replace("{0}", '"' + name.replace('"', '""').replace("\n", " ").replace("\0", "") + '"')
    return train_on("x.csv", row.encode(), "--target", "cpu")


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
    **EXPORTS,
}


def _configured(folder: Path, text: str) -> list[str]:
    (folder / "evil.yaml").write_text(text)
    (folder / "evil.py").write_text("open('../executed', 'w')\n")
    return ["train", "--config", "evil.yaml", "--dry-run"]  # nothing on the line stands above what it says


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
