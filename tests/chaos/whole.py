"""Rows 1 and 7 to 9: whole runs that are killed, stopped, written to by a second process, moved to other devices."""

import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from harness import Bench, Outcome, Row, words_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from processes import start_processes

KINDS = {
    "mlp": ["model.hidden=[16]", "model.dropout=0.2"],
    "lstm": ["model.hidden=8", "model.dropout=0.2"],
    "transformer": ["model.width=8", "model.heads=2", "model.layers=1", "model.feedforward=16", "model.dropout=0.2"],
}
COMMON = [
    *("data.synthetic.series=3", "data.synthetic.days=3", "data.stride=8", "task.context=24", "task.horizon=4"),
    *("train.batch_size=16", "train.epochs=4", "train.chunk=3", "train.patience=null", "evaluate.baselines=[last]"),
    "run.save_seconds=0",
]


def words(kind: str, *more: str) -> list[str]:
    """Return the settings of a small run."""
    return [f"model={kind}", *KINDS[kind], *COMMON, *more]


def kind_of(number: int) -> str:
    """Return the model of a fault: each in turn."""
    return list(KINDS)[number % len(KINDS)]


def whole_of(bench: Bench, kind: str, *more: str) -> dict[str, Any]:
    """Return what comes of a run that nothing harms: its bits, and how long it takes once its programs are compiled."""
    key = " ".join([kind, *more])
    if key not in bench.known:
        for _ in range(2):
            bench.known[key] = train(bench, bench.fresh() / "run", kind, *more)
        assert bench.known[key]["status"] == 0, words_of(bench.known[key])
    return dict(bench.known[key])


def train(bench: Bench, folder: Path, kind: str, *more: str, devices: int | None = None, **how: Any) -> dict[str, Any]:
    """Return what comes of training in a folder, or of going on there; compiled programs are kept."""
    cache = bench.root / "compiled"
    cache.mkdir(mode=0o700, exist_ok=True)
    options = {"words": [*words(kind, *more), "--compile-cache", str(cache)], "devices": devices}
    return bench.act("train", folder, seconds=60, options=options, **how)


def killed(bench: Bench, number: int) -> Outcome:
    """Kill a run at a random moment, up to three times, and go on."""
    kind, chance = kind_of(number), random.Random(number)
    whole, folder = whole_of(bench, kind), bench.fresh() / "run"
    told = []
    for _ in range(1 + number % 3):
        at = chance.uniform(0, whole["took"])
        died = train(bench, folder, kind, kill_after=at)
        told.append(f"killed after {at:.2f}s ({words_of(died)})")
    done = train(bench, folder, kind)
    right = done["status"] == 0 and done["bits"] == whole["bits"]
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"{kind}: {', '.join(told)}; then {words_of(done)}", silent=done["status"] == 0)


POSITIONS = ("start", "chunk", "later chunk", "epoch", "saved", "time")


def stopped(bench: Bench, number: int) -> Outcome:
    """Tell a run to stop: it must leave within ten seconds with 143, no step lost, and go on to the same bits."""
    kind, position, chance = kind_of(number // 6), POSITIONS[number % 6], random.Random(number)
    whole, folder = whole_of(bench, kind), bench.fresh() / "run"
    turn = {"start": 1, "chunk": 1, "later chunk": chance.randint(2, 6)}.get(position, chance.randint(1, 3))
    seconds = chance.uniform(0, whole["took"])
    options = {"words": words(kind), "kind": position.split()[-1], "turn": turn, "seconds": seconds}
    left = bench.act("signalled", folder, seconds=60, options=options)
    shown = f"{kind}: told at {position} {turn}, {words_of(left)}, last {left.get('last')}, saved {left.get('saved')}"
    in_time = left.get("at") is None or left["ended"] - left["at"] < 10
    over = left["status"] == 0 and position == "time"  # it was done before its time came
    fine = over or (left["status"] == 143 and left["saved"] == left["last"])
    done = train(bench, folder, kind)
    right = fine and in_time and done["status"] == 0 and done["bits"] == whole["bits"]
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"{shown}; then {words_of(done)}")


def second(bench: Bench, number: int) -> Outcome:
    """Start a second process on the folder of a run: it must be refused at once, and the first be right."""
    kind, folder, longer = kind_of(number), bench.fresh() / "run", "train.epochs=12"
    whole = whole_of(bench, kind, longer)
    first = train(bench, folder, kind, longer, background=True)
    status, end = folder / "status.json", time.monotonic() + 30
    while not status.exists() and time.monotonic() < end:
        time.sleep(0.002)
    other = train(bench, folder, kind, longer)
    done = bench.wait(first)
    right = other["status"] == 75 and other["took"] < 2 and done["status"] == 0 and done["bits"] == whole["bits"]
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(
        number, right, f"{kind}: the second {words_of(other)} in {other['took']:.2f}s, the first {words_of(done)}"
    )


PLACES: dict[str, tuple[list[str], int | None]] = {
    "one device": (["train.placement=one"], None),
    "two devices": (["train.placement=cores", "train.devices=2"], None),
    "four devices": (["train.placement=cores", "train.devices=4"], None),
    "eight devices": (["train.placement=cores", "train.devices=8"], None),
    "one device on one core": (["train.placement=one"], 1),
    "two devices on one core": (["train.placement=cores", "train.devices=2"], 1),
    "eight devices on one core": (["train.placement=cores", "train.devices=8"], 1),
    "as many as there are": (["train.placement=cores"], None),
    "moved": ([], None),
    "again": (["train.placement=cores", "train.devices=2"], None),
}
GROUPS: dict[str, tuple[tuple[int, int], ...]] = {
    "two processes": ((2, 2),),
    "four processes": ((4, 1),),
    "moved between processes": ((2, 1), (4, 1), (1, 8), (2, 4)),
}
"""Processes, and devices of each; all but the last are killed."""


def elsewhere(bench: Bench, number: int) -> Outcome:
    """Train canonical shards on some devices and cores, or move between them: the bits are those of one device."""
    if number >= 3 * len(PLACES):
        return together(bench, number)
    kind, (place, (where, cores)) = kind_of(number), list(PLACES.items())[number // 3]
    shards = ("train.shards=8", "run.save_seconds=0.2")
    whole, folder = whole_of(bench, kind, *shards, "train.placement=one"), bench.fresh() / "run"
    if place == "moved":
        for devices in ("2", "8", "1", "4"):
            at = ["train.placement=cores", f"train.devices={devices}"]
            train(bench, folder, kind, *shards, *at, kill_after=whole["took"] * 0.4)
        where = ["train.placement=one"]
    done = train(bench, folder, kind, *shards, *where, devices=cores)
    right = done["status"] == 0 and done["bits"] == whole["bits"]
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"{kind}, {place}: {words_of(done)}, {str(done.get('bits'))[:8]}")


def together(bench: Bench, number: int) -> Outcome:
    """Train canonical shards in several processes, or move between these: the bits are those of one device."""
    kind, (place, groups) = kind_of(number), list(GROUPS.items())[number // 3 - len(PLACES)]
    shards = ("train.shards=8", "run.save_seconds=0.2")
    whole, folder = whole_of(bench, kind, *shards, "train.placement=one"), bench.fresh() / "run"
    words_here = [*words(kind, *shards), "--run-dir", str(folder), "--resume", "auto", "-q"]
    told = []
    for place_in_row, (count, devices) in enumerate(groups, 1):
        command = ["-m", "gym_jax", "train", *words_here, "--compile-cache", str(bench.root / "compiled")]
        running = start_processes(command, count, folder.parent, devices=devices)
        if place_in_row < len(groups):
            wait_for_step(folder, deadline=time.monotonic() + 120, beyond=(place_in_row - 1) * 14)
            for process in running.processes:
                process.kill()
        told.append("/".join(str(one.code) for one in running.wait(240)))
    done = train(bench, folder, kind, *shards)  # it is over: only its bits are asked for
    right = done["status"] == 0 and done["bits"] == whole["bits"]
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"{kind}, {place}: {', '.join(told)}; {words_of(done)}, {str(done.get('bits'))[:8]}")


def wait_for_step(folder: Path, deadline: float, beyond: int) -> None:
    """Wait until a run has saved a step beyond another."""
    while time.monotonic() < deadline:
        if any(int(mark.parent.name) > beyond for mark in (folder / "checkpoints").glob("[0-9]*/gym_jax.json")):
            return
        time.sleep(0.02)


ROWS = {
    "1": Row(
        "whole runs killed at random moments, gone on to the bit", lambda bench: list(range(200)), killed, every=40
    ),
    "7": Row(
        "SIGTERM: left in time with 143, no step lost, gone on to the bit",
        lambda bench: list(range(60)),
        stopped,
        every=7,
    ),
    "8": Row("a second writer refused, the first to the bit", lambda bench: list(range(50)), second, every=25),
    "9": Row(
        "canonical shards elsewhere, to the bit",
        lambda bench: list(range(3 * (len(PLACES) + len(GROUPS)))),
        elsewhere,
        every=4,
    ),
}
