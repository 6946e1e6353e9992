"""What training on data larger than memory costs: a run that reads a folder in portions beside one that holds it all.

python benchmarks/out_of_core.py [--rows 20000000] [--memory 512MB] [--rounds 1] [--save] [--quick]

Makes a folder of Parquet files (series of 20,000 rows at 5 minutes, a daily wave with noise, 1 % of rows missing) in
bounded memory, then runs `gymjax train` on it for one epoch from a fresh process, streamed and resident in turns, with
the same model. Windows per second are those of the epoch, as the run's log has them; peak memory is that of the whole
process, first pass, validation and scores included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
from table import aligned

RESULTS = Path(__file__).parent / "results"
LENGTH, AT_ONCE = 20_000, 25
"""Rows of a series, and series that are made at once."""
STEP = 300 * 10**9
SETTINGS = [
    *("--model", "mlp", "--epochs", "1", "--context", "96", "--horizon", "12", "--plain", "--target", "cpu_cores"),
    *("model.hidden=[64,64]", "train.batch_size=256", "evaluate.baselines=[]"),
    *("data.split.train=0.85", "data.split.val=0.05"),
]
MOST_MB, LEAST_RATIO = 2000, 0.8
"""What is asked of the streamed run: megabytes, and its speed over that of the resident one."""


def panels(rows: int) -> Iterator[Any]:
    """Yield generated panels of some series each."""
    import numpy as np

    from gym_jax.data.panel import Panel

    hours = np.arange(LENGTH) * 2 * np.pi / 288
    for begin in range(0, -(-rows // LENGTH), AT_ONCE):
        names = tuple(f"vm-{number:06d}" for number in range(begin, min(begin + AT_ONCE, -(-rows // LENGTH))))
        rng = np.random.Generator(np.random.Philox(begin))
        level, phase = rng.uniform(0.5, 4, (len(names), 1)), rng.uniform(0, 6.28, (len(names), 1))
        load = level * (2 + np.sin(hours + phase)) + 0.2 * level * rng.normal(size=(len(names), LENGTH))
        mask = rng.random((len(names), LENGTH)) > 0.01
        mask[:, 0] = True
        values = np.where(mask, np.maximum(load, 0).round(4), 0.0).reshape(-1, 1)
        offsets = np.arange(len(names) + 1) * LENGTH
        first = np.full(len(names), 1_767_571_200 * 10**9)
        yield Panel(names, ("cpu_cores",), 1, values, mask.reshape(-1, 1), offsets, first, STEP)


def make(out: str, rows: int) -> None:
    """Write the folder."""
    from gym_jax.data.write_store import write_store

    write_store(panels(rows), out)


def start(words: list[str]) -> tuple[float, float]:
    """Return the seconds and the peak megabytes of a process that has to go well."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("GYMJAX_")}
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=around)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} left with {process.returncode}")
    return time.perf_counter() - began, used.ru_maxrss / 1e3


def run(folder: str, data: str, more: list[str]) -> dict[str, Any]:
    """Return what one run took."""
    seconds, peak = start(
        [sys.executable, "-m", "gym_jax", "train", "--data", data, *SETTINGS, *more, "--run-dir", folder]
    )
    events = [json.loads(line) for line in Path(folder, "log.jsonl").read_text().splitlines()]
    epoch = next(event for event in events if event["event"] == "epoch")
    scores = json.loads(Path(folder, "scores.json").read_text())
    lines = Path(folder, "metrics.jsonl").read_text().splitlines()
    return {
        "windows_per_second": epoch["windows_per_second"],
        "epoch_seconds": epoch["seconds"],
        "total_seconds": round(seconds, 2),
        "peak_mb": round(peak),
        "val_loss": json.loads(lines[-1])["val_loss"],
        "mae": scores["model"]["targets"]["cpu_cores"]["mae"],
        "placement": json.loads(Path(folder, "choices.json").read_text())["placement"],
    }


def killed(folder: str, data: str, memory: str, kills: int) -> bool:
    """Kill a streamed epoch that often, go on each time, and return whether it ends as one that was left alone."""
    fixed = [f"data.memory={memory}", "train.placement=one", "train.compile=safe", "train.chunk=4000"]
    words = [sys.executable, "-m", "gym_jax", "train", "--data", data, *SETTINGS, *fixed, "run.save_seconds=2"]
    whole, cut = Path(folder, "whole"), Path(folder, "cut")
    seconds, _ = start([*words, "--run-dir", str(whole)])
    again = [*words, "--run-dir", str(cut), "--resume", "auto"]
    for _ in range(kills):
        process = subprocess.Popen(again, stdout=subprocess.DEVNULL)
        try:
            process.wait(seconds / 2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    start(again)
    same = all((whole / name).read_bytes() == (cut / name).read_bytes() for name in ("metrics.jsonl", "scores.json"))
    resumed = (cut / "log.jsonl").read_text().count('"resumed"')
    print(f"killed {kills} times, gone on {resumed} times: {'the same' if same else 'OTHER'} metrics and scores")
    return same


def main(given: argparse.Namespace) -> int:
    """Measure, print, save; return the exit status."""
    rows = 400_000 if given.quick else given.rows
    memory = "8MB" if given.quick else given.memory
    arms = {"streamed": [f"data.memory={memory}"], "resident": []}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    facts = machine.facts()
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        data = f"{folder}/data"
        made, held = start([sys.executable, __file__, "--make", data, "--rows", str(rows)])
        size = sum(file.stat().st_size for file in Path(data).iterdir())
        if given.kills:
            return 0 if killed(folder, data, memory, given.kills) else 1
        for number in range(given.rounds):
            for name in list(arms)[:: 1 if number % 2 == 0 else -1]:
                more = [*arms[name], *given.more]
                found[name].append(run(f"{folder}/{name}-{number}", data, more))
    ratios = [
        one["windows_per_second"] / other["windows_per_second"]
        for one, other in zip(found["streamed"], found["resident"], strict=True)
    ]
    ratio, peak = statistics.median(ratios), max(one["peak_mb"] for one in found["streamed"])
    table = [("arm", "windows/s", "epoch s", "total s", "peak MB", "val loss", "test MAE")]
    table += [
        (
            name,
            f"{one['windows_per_second']:,}",
            f"{one['epoch_seconds']:.1f}",
            f"{one['total_seconds']:.1f}",
            f"{one['peak_mb']:,}",
            f"{one['val_loss']:.5f}",
            f"{one['mae']:.5f}",
        )
        for name, several in found.items()
        for one in several
    ]
    print(
        f"{rows:,} rows, {size / 1e6:,.0f} MB of Parquet, written in {made:.1f} s with {held:,.0f} MB; memory {memory}"
    )
    print("\n".join(aligned(table)))
    print(f"streamed / resident: {ratio:.2f} of the windows per second; most memory {peak:,} MB")
    if given.save:
        name = "quick_out_of_core" if given.quick else "out_of_core"
        written = {"seconds": round(made, 2), "peak_mb": round(held), "parquet_mb": round(size / 1e6)}
        result = {"machine": facts, "rows": rows, "memory": memory, "written": written, "arms": found, "ratios": ratios}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0 if given.quick or (peak <= MOST_MB and ratio >= LEAST_RATIO) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--memory", default="512MB")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scratch", help="folder for data and runs; the system's own when left out")
    parser.add_argument("--kills", type=int, default=0, help="kill an epoch that often and go on, instead of measuring")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("more", nargs="*", help="further settings of both runs, such as train.placement=one")
    words = parser.parse_args()
    if words.make:
        make(words.make, words.rows)
    else:
        sys.exit(main(words))
