"""What trackers cost a run: its speed with each of them beside none, and with one that raises or blocks.

    python benchmarks/trackers.py [--rounds 12] [--seconds 130] [--epochs 40] [--every 10] [--arms tensorboard,wandb]

Trains the same small LSTM once per arm and round in one process, in an order that turns; no round begins once the
seconds are over. What is compared is the time from the end of the first epoch to that of the last, on the clock and of
the processor (all threads of this process, other processes left out), and that of the whole run with its beginning, its
scores and its wait for the tracker. Every arm runs once before, uncounted: what importing a package and making a
database takes, it takes once a process. `again` is a second run without trackers: what noise is. `own` is counted and
not compared: the processor's time of the other Python threads of the process, the tracker's among them, and of
processes that it started, in hundredths of the run's.
"""

import argparse
import logging
import os
import random
import statistics
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import jax
from ratios import quantile

from gym_jax.config.load import load_config
from gym_jax.run import tracking
from gym_jax.run.train import train_run

MODEL = ["model=lstm", "model.hidden=32", "task.context=48", "task.horizon=12", "train.batch_size=64"]
DATA = ["data.synthetic.series=4", "data.synthetic.days=7", "data.stride=4", "evaluate.baselines=[]"]
FIXED = ["train.patience=null", "run.save_seconds=1000", "train.chunk=8"]


class Raises:
    """A tracker whose service is not there."""

    def __init__(self, place, state):
        self.place = place

    def start(self):
        raise ConnectionError("no route to the tracker")


class Blocks(Raises):
    """A tracker that hangs for a minute."""

    def start(self):
        threading.Event().wait(60)


OWN = {"raises": Raises, "blocks": Blocks}
NEEDS = {"wandb": "wandb", "mlflow": "sqlalchemy"}
ARMS = ("none", "again", "tensorboard", "wandb", "mlflow", "raises", "blocks")


def beside() -> float:
    """Return the processor's seconds of all Python threads but the main one, and of processes begun by this one."""
    ticks = 0
    here = [thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()]
    for place in [*(f"/proc/self/task/{number}" for number in here), *map("/proc/{}".format, children(os.getpid()))]:
        try:
            words = Path(place, "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(process: int) -> list[int]:
    """Return the processes that a process has begun, and theirs."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


class Taken(NamedTuple):
    """Seconds of a run: from the first epoch's end to the last one's on the clock, of the processor, of that what other
    threads and processes took, and of the whole run."""

    clock: float
    processor: float
    own: float
    whole: float


def run(arm: str, root: str, epochs: int, every: float) -> Taken:
    """Train once; return what it took."""
    make = tracking.make_tracker
    to = "tensorboard" if arm in OWN else "" if arm in ("none", "again") else arm
    settings = [*MODEL, *DATA, *FIXED, f"train.epochs={epochs}", f"track.to=[{to}]", f"track.every={every}"]
    settings.append(f"track.patience={2 if arm in OWN else 30}")
    config = load_config([], settings, {"run.root": root})
    ends = []

    def watch(event):
        if event.kind == "epoch":
            ends.append((time.perf_counter(), time.process_time(), beside()))

    if arm in OWN:
        tracking.make_tracker = lambda name, place, state: OWN[arm](place, state)
    began = time.perf_counter()
    try:
        train_run(config, watch=watch)
    finally:
        tracking.make_tracker = make
    clock, processor, own = (last - first for first, last in zip(ends[0], ends[-1], strict=True))
    return Taken(clock, processor, own, time.perf_counter() - began)


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """Return the median and where 95 % of its bootstrap draws lie."""
    drawn = random.Random(0)
    medians = sorted(statistics.median(drawn.choices(values, k=len(values))) for _ in range(4000))
    return statistics.median(values), quantile(medians, 0.025), quantile(medians, 0.975)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=130.0)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--every", type=float, default=10.0, help="track.every; 0 sends every compiled call too")
    parser.add_argument("--arms", default=",".join(ARMS[1:]))
    options = parser.parse_args()
    arms = ["none", *(arm for arm in options.arms.split(",") if NEEDS.get(arm) is None or find_spec(NEEDS[arm]))]
    logging.getLogger("gym_jax").setLevel(logging.ERROR)  # packages of trackers may print what is warned of
    taken: dict[str, list[Taken]] = {arm: [] for arm in arms}
    with tempfile.TemporaryDirectory(prefix="gym-jax-trackers-", ignore_cleanup_errors=True) as root:
        jax.config.update("jax_compilation_cache_dir", f"{root}/compiled")  # all arms train the same program
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        for arm in arms:
            run(arm, root, 2, options.every)
        deadline = time.monotonic() + options.seconds
        for number in range(options.rounds):
            if number and time.monotonic() > deadline:
                break
            turned = arms[number % len(arms) :] + arms[: number % len(arms)]
            for arm in turned if number % 2 else reversed(turned):
                taken[arm].append(run(arm, root, options.epochs, options.every))
        sizes = {path.parent.name: path.stat().st_size for path in Path(root).glob("*/events.*")}
    base = taken["none"]
    epoch = statistics.median(one.clock for one in base) / (options.epochs - 1)
    print(
        f"{len(base)} rounds of {options.epochs} epochs of {1000 * epoch:.1f} ms, {os.cpu_count()} cores, load", end=" "
    )
    print(f"{os.getloadavg()[0]:.1f}; an event file has {max(sizes.values(), default=0):,} bytes")
    print(f"{'arm':<12} {'clock':>7} {'95 %':>16} {'processor':>11} {'95 %':>16} {'own':>9} {'run':>9} {'added':>9}")
    for arm in arms:
        pairs = list(zip(taken[arm], base, strict=True))
        shown = [median_interval([own[part] / other[part] for own, other in pairs]) for part in (0, 1)]
        words = [f"{middle:.3f} {f'{low:.3f} to {high:.3f}':>16}" for middle, low, high in shown]
        own = statistics.median(100 * one.own / one.processor for one, _ in pairs)
        whole = statistics.median(one.whole for one, _ in pairs)
        added = statistics.median(one.whole - other.whole for one, other in pairs)
        print(f"{arm:<12}   {words[0]}       {words[1]} {own:>7.2f} % {whole:>7.2f} s {added:>+7.2f} s")


if __name__ == "__main__":
    main()
