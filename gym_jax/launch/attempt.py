"""One attempt: local processes from their start until all of them are gone."""

import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from gym_jax.launch.child import PROCESS, STACKS
from gym_jax.train.processes import COORDINATOR, PROCESSES

GRACE = 3.0
"""Seconds between the signal that asks a process to leave and the one that it can not refuse."""
LEAVING = 60.0
"""Seconds that others get to save, once the first has left because all were asked to."""
TELLING = 0.5
"""Seconds to say where one stands."""
ASKED = {130: signal.SIGINT, 143: signal.SIGTERM}
"""What a process leaves with that was asked to, and has saved."""
STUCK = 7
"""What a process leaves with that saw no progress: the others are then asked where they stand."""

Say = Callable[[int, str], None]
"""`(rank, line)`: told every line that a process writes on stderr."""


class End(NamedTuple):
    """How a process ended: its status, or minus the signal that killed it."""

    rank: int
    status: int


Events: TypeAlias = "queue.SimpleQueue[End | int]"
"""Ends of processes, and signals to the launcher, in the order in which they came."""


@dataclass
class Attempt:
    """Processes that were started together."""

    events: Events
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    out: bytearray = field(default_factory=bytearray)
    """What process 0 wrote on stdout."""
    threads: list[threading.Thread] = field(default_factory=list)


class Outcome(NamedTuple):
    """How an attempt ended."""

    first: End | None
    """The process that ended badly before the others; None when all ended well."""
    signalled: bool
    """Whether the launcher was asked to stop."""
    halted: list[int]
    """Who stood still by a signal (SIGSTOP) when the first one ended badly."""
    out: bytes


def run_attempt(
    command: Sequence[str], count: int, events: Events, environ: Mapping[str, str], say: Say, *, grace: float = GRACE
) -> Outcome:
    """Start `count` processes of a command, and return how they ended, once all of them are gone.

    As soon as one ends badly the others are asked to leave, and killed when they do not. Signals to the launcher, which
    come as numbers among the events, are passed on; a second one ends those who do not heed it.
    """
    attempt = Attempt(events)
    try:
        for rank, variables in enumerate(places(count)):
            _start(attempt, rank, command, {**environ, **variables}, say)
        first, signalled, halted = _await(attempt, grace)
    finally:
        _signal(attempt, signal.SIGKILL)
    for thread in attempt.threads:
        thread.join(grace)
    return Outcome(first, signalled, halted, bytes(attempt.out))


def places(count: int) -> list[dict[str, str]]:
    """Return the variables by which each process finds the others; one alone needs none."""
    if count == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {COORDINATOR: f"127.0.0.1:{port}", PROCESSES: str(count)}
    return [{**common, PROCESS: str(rank)} for rank in range(count)]


def _start(attempt: Attempt, rank: int, command: Sequence[str], environ: Mapping[str, str], say: Say) -> None:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=dict(environ),
        start_new_session=True,  # Ctrl-C reaches the launcher alone, which passes it on once
    )
    attempt.processes.append(process)

    def tell(stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                say(rank, line.decode(errors="replace").rstrip("\r\n"))

    def keep(stream: IO[bytes]) -> None:
        with stream:
            while part := os.read(stream.fileno(), 1 << 16):  # as it comes: who inherited the pipe may hold it open
                attempt.out.extend(part)

    readers = [threading.Thread(target=tell, args=(process.stderr,), daemon=True)]
    if process.stdout is not None:
        readers.append(threading.Thread(target=keep, args=(process.stdout,), daemon=True))
    watcher = threading.Thread(target=lambda: attempt.events.put(End(rank, process.wait())), daemon=True)
    for thread in (*readers, watcher):
        thread.start()
    attempt.threads += readers


def _await(attempt: Attempt, grace: float) -> tuple[End | None, bool, list[int]]:
    """Return which process ended badly first, whether a signal came, and who was halted, once all have ended."""
    first: End | None = None
    halted: list[int] = []
    left, signals = len(attempt.processes), 0
    due: list[tuple[float, int]] = []
    """When the processes that still run get which signals."""
    while left:
        try:
            event = attempt.events.get(timeout=max(0.0, due[0][0] - time.monotonic()) if due else None)
        except queue.Empty:
            _signal(attempt, due.pop(0)[1])
            continue
        now = time.monotonic()
        if not isinstance(event, End):
            signals += 1
            _signal(attempt, event)
            if signals > 1:
                due = [(now + grace, signal.SIGKILL)]
            continue
        left -= 1
        if event.status == 0 or first is not None:
            continue
        first, halted = event, [rank for rank, one in enumerate(attempt.processes) if _is_halted(one.pid)]
        if event.status in ASKED or signals:  # the others leave too; another signal would keep them from saving
            due = due or [(now + LEAVING, signal.SIGKILL)]
        elif event.status == STUCK:
            due = [(now, STACKS), (now + TELLING, signal.SIGTERM), (now + TELLING + grace, signal.SIGKILL)]
        else:
            due = [(now, signal.SIGTERM), (now + grace, signal.SIGKILL)]
    return first, signals > 0, halted


def _is_halted(pid: int) -> bool:
    """Return whether a process is stopped; where there is no /proc nobody is known to be."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


def _signal(attempt: Attempt, number: int) -> None:
    """Send a signal to every process that still runs, and to what it has started."""
    for process in attempt.processes:
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
