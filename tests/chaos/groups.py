"""Rows 10, 11, 21 and F1 to F7: two processes that train as one, under the launcher, and what happens to one of them.

Rank 0 keeps the folder and the coordinator, rank 1 is any other. Faults come from `rank.py`, within the process.
"""

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from harness import HERE, ROOT, Bench, Outcome, Row
from whole import KINDS

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))
from processes import start_processes

from gym_jax.errors import GymJaxError
from gym_jax.launch.supervise import supervise
from gym_jax.train.checkpoint import saved_steps
from gym_jax.train.manifest import find_fault

SMALL = [
    *("data.synthetic.series=3", "data.synthetic.days=3", "data.stride=8", "task.context=24", "task.horizon=4"),
    *("train.batch_size=16", "train.epochs=8", "train.chunk=3", "train.patience=null", "evaluate.baselines=[last]"),
    *("run.save_seconds=0.5", "run.watchdog_seconds=8", "run.compare_chunks=4"),
]
CHUNKS = 40
"""Chunks of such a run: five an epoch."""
LIMIT = 15.0
"""Seconds from a fault until every process must be gone."""
K = 4
"""`run.compare_chunks` of these runs."""


class Went(NamedTuple):
    """How a launch ended."""

    code: int
    words: str
    """The error; "" when all went well."""
    ended: float
    marks: dict[str, float]
    """When which fault came, and when a later attempt had trained its first chunk."""
    lines: list[tuple[int, str]]
    out: str

    def since(self, mark: str) -> float:
        """Return the seconds from a mark to the end."""
        return self.ended - self.marks.get(mark, self.ended)


def words(kind: str, folder: Path, *more: str) -> list[str]:
    """Return the words of a small training."""
    return ["train", "--run-dir", str(folder), f"model={kind}", *KINDS[kind], *SMALL, *more]


PARTS = ["train.parameters=shard", "train.placement=shard", "run.save_seconds=0", "model.hidden=[128,128]"]
"""A model large enough to lie in parts."""


def launch(
    bench: Bench, fault: str, rank: int, chunk: int, arguments: list[str], *, restarts: int = 0, **environ: str
) -> Went:
    """Launch two processes of which one harms itself; return how that ended."""
    cache = bench.root / "compiled"
    cache.mkdir(mode=0o700, exist_ok=True)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu", **environ}
    variables |= {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
    command = [sys.executable, str(HERE / "rank.py"), fault, str(rank), str(chunk), *arguments]
    lines: list[tuple[int, str]] = []
    marks: dict[str, float] = {}

    def say(which: int, line: str) -> None:
        lines.append((which, line))
        if found := re.fullmatch(r"chaos (\w+) ([\d.]+)", line):
            marks.setdefault(found[1], float(found[2]))

    code, told, out = 0, "", b""
    try:
        out = supervise(command, 2, restarts=restarts, environ=variables, say=say)
    except GymJaxError as error:
        code, told = error.exit_code, error.message
    return Went(code, told, time.time(), marks, lines, out.decode())


def whole_of(bench: Bench, kind: str) -> str:
    """Return the bits of a run in two processes that nothing harms."""
    key = f"two processes, {kind}"
    if key not in bench.known:
        folder = bench.fresh() / "run"
        went = launch(bench, "none", 0, 0, words(kind, folder))
        assert went.code == 0, went
        bench.known[key] = bits(bench, folder)
    return str(bench.known[key]["bits"])


def bits(bench: Bench, folder: Path) -> dict[str, Any]:
    """Return a hash of all that a run has left."""
    return bench.act("bits", folder, seconds=60)


ENDINGS = (
    ("kill", 1),
    ("kill", 0),
    ("stop", 1),
    ("stop", 0),
    ("stuck", 1),
    ("stuck", 0),
    ("exception", 1),
    ("memory", 0),
)


def ended(bench: Bench, number: int) -> Outcome:
    """Harm one process: all must be gone within fifteen seconds, and the error name the one, with its exit code."""
    fault, rank = ENDINGS[number % len(ENDINGS)]
    folder = bench.fresh() / "run"
    went = launch(bench, fault, rank, random.Random(number).randint(6, CHUNKS - 5), words("mlp", folder))
    took = went.since(fault)
    code = {"exception": 1, "memory": 1}.get(fault, 7)
    told = fault not in ("kill", "exception", "memory") or f"process {rank} of 2" in went.words
    right = fault in went.marks and took <= LIMIT and went.code == code and told
    shutil.rmtree(folder.parent, ignore_errors=True)
    shown = f"{fault} of rank {rank}: all gone after {took:.1f} s with {went.code}, {went.words[:100]}"
    return Outcome(number, right, shown, seconds=took)


def healed(bench: Bench, number: int) -> Outcome:
    """Kill a process: the launcher must bring the run to the bits of one that nothing harmed (F1, row 11)."""
    kind, rank = list(KINDS)[number % len(KINDS)], number // len(KINDS) % 2
    whole, folder = whole_of(bench, kind), bench.fresh() / "run"
    chunk = random.Random(number).randint(1, CHUNKS - 1)
    went = launch(bench, "kill", rank, chunk, words(kind, folder), restarts=2)
    found = bits(bench, folder) if went.code == 0 else {}
    took = went.marks.get("again", went.ended) - went.marks.get("kill", went.ended)
    right = went.code == 0 and found.get("bits") == whole and "kill" in went.marks
    shutil.rmtree(folder.parent, ignore_errors=True)
    shown = f"{kind}, rank {rank} killed at chunk {chunk}: status {went.code}, {str(found.get('bits'))[:8]}"
    return Outcome(number, right, f"{shown} {went.words[:100]}, {took:.1f} s", silent=went.code == 0, seconds=took)


def zombie(bench: Bench, number: int) -> Outcome:
    """Stop a process, and have it go on when the others are gone: it can no longer write (F2)."""
    if number >= 2:
        return revived(bench, number)
    folder, rank = bench.fresh() / "run", number % 2
    went = launch(bench, "stop", rank, random.Random(number).randint(6, CHUNKS - 5), words("mlp", folder))
    pids = {which: int(line.split()[-1]) for which, line in went.lines if line.startswith("chaos-pid ")}
    alive = [which for which, pid in pids.items() if Path(f"/proc/{pid}").exists()]
    right = went.code == 7 and not alive and went.since("stop") <= LIMIT and len(pids) == 2
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"rank {rank} stopped: {went.since('stop'):.1f} s, status {went.code}, alive {alive}")


def revived(bench: Bench, number: int) -> Outcome:
    """Do so without a launcher: while process 0 stands its run is in use; whoever goes on leaves and harms nothing."""
    folder, rank, settings = bench.fresh() / "run", number % 2, [*KINDS["mlp"], *SMALL, "model=mlp"]
    command = [str(HERE / "rank.py"), "stop", str(rank), str(random.Random(number).randint(6, CHUNKS - 5))]
    running = start_processes([*command, *words("mlp", folder)], 2, folder.parent, devices=1)
    stopped, other = running.processes[rank], running.processes[1 - rank]
    try:
        other.wait(120)
        halted = Path(f"/proc/{stopped.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        early = bench.act("train", folder, seconds=60, options={"words": settings})
        stopped.send_signal(signal.SIGCONT)
        stopped.wait(LIMIT)
        done = bench.act("train", folder, seconds=60, options={"words": settings})
    finally:
        running.kill()
    faults = [step for step in saved_steps(folder / "checkpoints") if find_fault(folder / "checkpoints" / str(step))]
    kept_out = early["status"] == (75 if rank == 0 else 0)
    right = halted and kept_out and stopped.returncode != 0 and done["status"] == 0 and not faults
    shutil.rmtree(folder.parent, ignore_errors=True)
    shown = f"rank {rank} stopped, then another process: status {early['status']}; going on it left with"
    return Outcome(number, right, f"{shown} {stopped.returncode}; then {done['status']}, damaged {faults}")


def stuck(bench: Bench, number: int) -> Outcome:
    """Have a process stand still: the watchdogs fire, and the stacks of both are told (F3)."""
    folder, rank = bench.fresh() / "run", number % 2
    went = launch(bench, "stuck", rank, random.Random(number).randint(6, CHUNKS - 5), words("mlp", folder))
    stacks = {which for which, line in went.lines if "(most recent call first)" in line}
    named = any(which == rank and "in hang" in line for which, line in went.lines)
    files = list(folder.glob("stacks-*.txt"))
    right = went.code == 7 and stacks == {0, 1} and named and bool(files) and went.since("stuck") <= LIMIT
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(
        number, right, f"rank {rank} stuck: {went.since('stuck'):.1f} s, status {went.code}, stacks {stacks}, {files}"
    )


def failed(bench: Bench, number: int) -> Outcome:
    """Raise in one process: all leave within fifteen seconds, and the first error is what is said last (F4)."""
    fault, rank = ("exception", "memory")[number // 2 % 2], number % 2
    folder = bench.fresh() / "run"
    went = launch(bench, fault, rank, random.Random(number).randint(6, CHUNKS - 5), words("mlp", folder))
    said = f"process {rank} of 2: " + {"exception": "ZeroDivisionError", "memory": "MemoryError"}[fault]
    right = went.code == 1 and went.words.startswith(said) and went.since(fault) <= LIMIT
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(
        number, right, f"{fault} on rank {rank}: {went.since(fault):.1f} s, status {went.code}, {went.words[:100]}"
    )


DIFFERENT = ("optim.lr=0.5", "train.seed=9", "train.epochs=9", "model.dropout=0.1", "data", "version")


def different(bench: Bench, number: int) -> Outcome:
    """Start the processes unlike: refused before anything is trained or written, with what differs (F5)."""
    what = DIFFERENT[number % len(DIFFERENT)]
    folder = bench.fresh() / "run"
    more = []
    if what == "data":
        for rank in range(2):
            (folder.parent / str(rank)).mkdir()
            rows = "".join(
                f"a,2026-01-0{day}T{hour:02}:00,{day + hour + rank}\n" for day in range(1, 8) for hour in range(24)
            )
            (folder.parent / str(rank) / "cpu.csv").write_text("unique_id,ds,cpu\n" + rows)
        more = [f"data.path={folder.parent}/RANK/cpu.csv", "data.target=[cpu]"]
    went = launch(bench, f"unlike:{what}", 1, 0, words("mlp", folder, *more))
    name = {"data": "SHA-256 of data file 0", "version": "version of optax"}.get(what, what.partition("=")[0])
    right = went.code == 2 and f"{name} is" in went.words and not (folder / "config.yaml").exists()
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"{what}: status {went.code}, {went.words[:200]}")


def flipped(bench: Bench, number: int) -> Outcome:
    """Flip a bit of a parameter of one process in a whole run: it is found, named, and never saved (F6)."""
    folder, rank = bench.fresh() / "run", number % 2
    chunk = random.Random(number).randint(2, CHUNKS - K - 1)
    went = launch(bench, "flip", rank, chunk, words("mlp", folder, "run.save_seconds=1000"))
    steps = saved_steps(folder / "checkpoints")
    right = went.code == 7 and "no longer alike" in went.words and not steps
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(number, right, f"rank {rank}, chunk {chunk}: status {went.code}, saved {steps}, {went.words[:200]}")


def all_flips(bench: Bench, number: int) -> Outcome:
    """Flip one bit in each of a hundred trainings of the same two processes: all are found within K chunks."""
    went = launch(bench, "flips", 1, K, words("mlp", bench.fresh() / "run"))
    found = json.loads(went.out) if went.code == 0 else []
    missed = [trial for trial in found if not trial["found"]]
    return Outcome(number, len(found) == 100 and not missed, f"{len(found)} tried, missed {missed}, {went.words[:200]}")


def halves(bench: Bench, number: int) -> Outcome:
    """Kill one process while parameters in parts are saved: no half of a step is taken up, the bits are right (F7)."""
    rank, more = number % 2, PARTS
    key = "in parts"
    if key not in bench.known:
        folder = bench.fresh() / "run"
        assert launch(bench, "none", 0, 0, words("mlp", folder, *more)).code == 0
        bench.known[key] = bits(bench, folder)
    folder = bench.fresh() / "run"
    went = launch(bench, "save", rank, random.Random(number).randint(1, 20), words("mlp", folder, *more), restarts=2)
    damaged = [step for step in saved_steps(folder / "checkpoints") if find_fault(folder / "checkpoints" / str(step))]
    found = bits(bench, folder) if went.code == 0 else {}
    right = went.code == 0 and not damaged and found.get("bits") == bench.known[key]["bits"] and "save" in went.marks
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Outcome(
        number, right, f"rank {rank} killed in a save: status {went.code}, {went.words[:150]}", silent=went.code == 0
    )


ROWS = {
    "10": Row(
        "one of two processes harmed: all gone within 15 s, with the right code",
        lambda bench: list(range(3 * len(ENDINGS))),
        ended,
        every=0,
    ),
    "11": Row(
        "F1: a process killed, started again to the same bits; from there to the first new chunk",
        lambda bench: list(range(12)),
        healed,
        every=0,
    ),
    "21": Row("a hundred flipped bits found", lambda bench: [0], all_flips, every=0),
    "F2": Row("a process stopped, and never going on", lambda bench: list(range(4)), zombie, every=0),
    "F3": Row("a process that stands still, and where", lambda bench: list(range(4)), stuck, every=0),
    "F4": Row("an error of one process is what is said last", lambda bench: list(range(4)), failed, every=0),
    "F5": Row("processes that were not started alike", lambda bench: list(range(len(DIFFERENT))), different, every=0),
    "F6": Row("a flipped bit is found before it is saved", lambda bench: list(range(6)), flipped, every=0),
    "F7": Row("a process killed in a save of parts", lambda bench: list(range(6)), halves, every=0),
}
