"""What it costs before any training: import, help, and the memory of a large file.

python benchmarks/footprint.py [--data PARQUET]     (default: the 4.6-million-row Bitbrains file in GYMJAX_DATA)
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
DATA = (
    Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data")) / "bitbrains" / "bitbrains_rnd_200vms.parquet"
)


def seconds(*command: str, rounds: int = 7) -> float:
    """Return the median wall time of a whole process."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def peak(*command: str) -> tuple[float, float]:
    """Return wall seconds and the peak memory in GB of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - began, usage.ru_maxrss / 1e6


READ = """
import re, sys, time
import pandas, pyarrow.parquet, gym_jax.data

def peak():  # of this process alone: ru_maxrss begins with what its parent had
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024 / 1e9

base = peak()
began = time.perf_counter()
panel = gym_jax.data.read(sys.argv[1], target=sys.argv[2:])
seconds = time.perf_counter() - began
size = panel.values.nbytes + panel.mask.nbytes
print(seconds, peak() - base, size / 1e9, len(panel.series))
"""


def reading(path: Path, *targets: str) -> str:
    """Return how long a file takes to become a Panel, and the memory above what the imports need."""
    out = subprocess.check_output([sys.executable, "-c", READ, str(path), *targets], text=True)
    seconds, memory, size, series = map(float, out.split())
    return f"{seconds:.1f} s, {memory:.2f} GB above the imports for a panel of {size:.2f} GB, {series:,.0f} series"


def read_files(data: Path, folder: Path) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield what is read: the real rows as they are and as CSV, and very many short series."""
    targets = ("cpu_cores", "memory_mib")
    yield data.name, data, targets
    pd.read_parquet(data).to_csv(folder / "cpu.csv", index=False)
    yield "the same as CSV", folder / "cpu.csv", targets
    count, rows = 100_000, 24
    short = {
        "unique_id": np.repeat(np.arange(count), rows).astype(str),
        "ds": np.tile(pd.date_range("2026-01-01", periods=rows, freq="h").to_numpy(), count),
        "cpu": np.random.default_rng(0).random(count * rows),
    }
    pd.DataFrame(short).to_parquet(folder / "short.parquet")
    yield f"{count:,} series of {rows} rows", folder / "short.parquet", ("cpu",)


def main(data: Path) -> None:
    """Print one line a figure."""
    python = sys.executable
    timed = "import time; t = time.perf_counter(); import gym_jax; print(time.perf_counter() - t)"
    light = statistics.median(float(subprocess.check_output([python, "-c", timed])) for _ in range(7))
    dry = seconds(python, "-m", "gym_jax", "train", "--dry-run", rounds=3)
    print(f"import gym_jax: {light:.3f} s")
    print(f"gymjax --help: {seconds(python, '-m', 'gym_jax', '--help'):.2f} s, whole process")
    print(f"gymjax train --dry-run: {dry:.1f} s, whole process")
    if data.is_file():
        with tempfile.TemporaryDirectory() as folder:
            for name, path, targets in read_files(data, Path(folder)):
                print(f"read {name}: {reading(path, *targets)}")
            command = [
                python,
                "-m",
                "gym_jax",
                "train",
                "-m",
                "mlp",
                "-d",
                str(data),
                "--target",
                "cpu_cores",
                "--epochs",
                "1",
            ]
            wall, memory = peak(*command, "--run-dir", f"{folder}/run")
        print(f"{data.name}, one MLP epoch and scores: {memory:.2f} GB at most, {wall:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[sys.argv.index("--data") + 1]) if "--data" in sys.argv else DATA)
