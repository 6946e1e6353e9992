"""Row 12: how much of the time is training when a run is killed again and again, and where the rest goes.

python tests/chaos/goodput.py [--epochs 300] [--every 30]

`gymjax train` as a user starts it, without and with a kill -9 every so many seconds, each time started again by
`--resume auto`. Goodput is the time that the epochs take undisturbed, over the time that all of it takes disturbed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness import ROOT

SETTINGS = [
    *(
        "model=lstm",
        "model.hidden=64",
        "task.context=60",
        "task.horizon=12",
        "train.batch_size=64",
        "train.patience=null",
    ),
    *("data.synthetic.series=8", "data.synthetic.days=14", "evaluate.baselines=[]", "run.save_seconds=2"),
]


def start(folder: Path, epochs: int, cache: Path) -> "subprocess.Popen[bytes]":
    """Start a run, or go on with it."""
    words = ["train", "--run-dir", str(folder), "--resume", "auto", "-q", "--compile-cache", str(cache), *SETTINGS]
    return subprocess.Popen(
        [sys.executable, "-m", "gym_jax", *words, f"train.epochs={epochs}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind, with their time in seconds since 1970."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{**line, "at": datetime.fromisoformat(line["time"]).timestamp()} for line in lines if line["event"] == kind]


def main(given: argparse.Namespace) -> int:
    """Train undisturbed, then disturbed; print the share and where the rest went; return 1 below nine tenths."""
    with tempfile.TemporaryDirectory() as root:
        cache = Path(root) / "cache"
        cache.mkdir(mode=0o700)
        clean, harmed = Path(root) / "clean", Path(root) / "harmed"
        assert start(clean, given.epochs, cache).wait() == 0
        lines = events(clean, "epoch")
        pace = statistics.median(line["seconds"] for line in lines[1:])
        apart = statistics.median(line["at"] - before["at"] for before, line in pairwise(lines))
        useful = pace * given.epochs
        begins, began, kills = [], time.time(), 0
        while True:
            begins.append(time.time())
            process = start(harmed, given.epochs, cache)
            try:
                assert process.wait(given.every) == 0
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        wall = time.time() - began
        ready = [*events(harmed, "started"), *events(harmed, "resumed")]
        ready.sort(key=lambda line: line["at"])
        startup = sum(line["at"] - begin for line, begin in zip(ready, begins, strict=False))
        steps = events(harmed, "epoch")[-1]["step"] / given.epochs
        ends = events(harmed, "epoch")
        redone = 0.0
        for line, begin in zip(ready[1:], begins[1:], strict=False):
            last = max((end["step"] for end in ends if end["at"] < begin), default=0)
            redone += max(last - line["step"], 0) / steps * pace
        same = (clean / "scores.json").read_bytes() == (harmed / "scores.json").read_bytes()
    share, between = useful / wall, max(apart - pace, 0) * given.epochs
    print(
        f" 12 goodput with {kills} kills, one in {given.every:g}s: {share:.1%} of {wall:.0f}s; "
        f"start {startup / wall:.1%}, redone at least {redone / wall:.1%}, validating {between / wall:.1%}, "
        f"the rest (tracing, compiling, saving, scoring) {1 - share - (startup + redone + between) / wall:.1%}; "
        f"the scores are {'the same' if same else 'OTHERS'}"
    )
    return int(share < 0.9 or not same)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--every", type=float, default=30.0, help="seconds from a start to its kill")
    sys.exit(main(parser.parse_args()))
