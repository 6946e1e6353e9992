"""Several real processes that train as one, with a hard timeout: none outlives the test that started it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL, once the time is up."""


class Ended(NamedTuple):
    """How one process ended; `code` is negative for the signal that killed it."""

    rank: int
    code: int
    out: str
    err: str


class Running(NamedTuple):
    """Processes on their way, by rank, and the files that what they print goes to."""

    processes: list["subprocess.Popen[bytes]"]
    files: list[tuple[Path, Path]]

    def wait(self, seconds: float = 120) -> list[Ended]:
        """Return how each ended. Those that do not end in time are killed, and an error says what all have printed."""
        deadline = time.monotonic() + seconds
        late = []
        for rank, process in enumerate(self.processes):
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                late.append(rank)
        self.kill()
        ended = [
            Ended(rank, process.returncode, *(path.read_text(errors="replace") for path in self.files[rank]))
            for rank, process in enumerate(self.processes)
        ]
        told = "\n".join(f"--- {one.rank} ({one.code}):\n{one.out[-2000:]}{one.err[-4000:]}" for one in ended)
        assert not late, f"processes {late} did not end within {seconds:g} s\n{told}"
        return ended

    def kill(self) -> None:
        """End what still runs: SIGTERM, then SIGKILL."""
        for process in self.processes:
            if process.poll() is None:
                if os.name == "posix":
                    os.kill(process.pid, signal.SIGCONT)
                process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.processes:
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def start_processes(
    words: Sequence[str],
    count: int,
    folder: Path,
    *,
    devices: int = 2,
    port: int | None = None,
    ranks: Sequence[int] | None = None,
    environ: dict[str, str] | None = None,
    each: Sequence[Sequence[str]] = (),
) -> Running:
    """Start `python WORDS` in that many processes of one group, or of some `ranks` of it only.

    What they print goes to files under `folder`; `each` holds further words for every rank.
    """
    address = f"127.0.0.1:{port or free_port()}"
    shared = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "JAX_PLATFORMS": "cpu"}
    shared |= {"JAX_NUM_CPU_DEVICES": str(devices), **(environ or {})}
    running = Running([], [])
    place = Path(tempfile.mkdtemp(prefix="processes-", dir=folder))
    for rank in range(count) if ranks is None else ranks:
        group = {"GYMJAX_COORDINATOR": address, "GYMJAX_PROCESSES": str(count), "GYMJAX_PROCESS": str(rank)}
        files = place / f"{rank}.out", place / f"{rank}.err"
        with ExitStack() as opened:
            out, err = (opened.enter_context(path.open("wb")) for path in files)
            own = [*words, *(each[rank] if each else ())]
            command = [sys.executable, *own]
            running.processes.append(
                subprocess.Popen(command, stdout=out, stderr=err, env=shared | (group if count > 1 else {}))
            )
        running.files.append(files)
    return running


def gymjax(words: Sequence[str], count: int, folder: Path, seconds: float = 120, **options) -> list[Ended]:
    """Run `gymjax WORDS` in that many processes and return how each ended; `options` are those of start_processes."""
    return start_processes(["-m", "gym_jax", *words], count, folder, **options).wait(seconds)
