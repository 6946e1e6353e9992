"""Attempts in a row: when one fails, all processes are started again from the last whole checkpoint."""

import json
import os
import queue
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.errors import EXIT_CODES, ConfigError, GymJaxError, Interrupted, PeerError, RunFailed
from gym_jax.files import write_synced
from gym_jax.launch.attempt import ASKED, GRACE, End, Events, Say, run_attempt
from gym_jax.launch.child import LAUNCH, read_error, read_run
from gym_jax.train.manifest import find_fault

WORTH = (1, 6, 7)
"""Exit codes after which another attempt may end better: faults, storage, a process that is gone or stuck."""
FRUITLESS = 2
"""Restarts in a row without a newer checkpoint, after which no more are made."""


class Again(NamedTuple):
    """Why all processes are started again, and how."""

    error: GymJaxError
    restart: int
    """From 1."""
    pause: float
    """Seconds until then."""
    step: int
    """The newest whole checkpoint; 0 when there is none."""


def supervise(
    command: Sequence[str],
    count: int,
    *,
    restarts: int = 0,
    environ: Mapping[str, str] | None = None,
    say: Say,
    tell: Callable[[Again], None] = lambda again: None,
    pause: float = 1.0,
    grace: float = GRACE,
) -> bytes:
    """Run `count` processes of a command to their common end; return what process 0 wrote on stdout.

    When one fails all are ended, and started again at most `restarts` times, after `pause` seconds, or twice that when
    no newer checkpoint has appeared; two restarts in a row without one are the last. Raises the error of the process
    that failed first. Must be called by the main thread. Raises ConfigError on a system without the signals of POSIX.
    """
    if not hasattr(os, "killpg"):
        raise ConfigError(
            "processes can be launched on Linux and macOS only",
            hint="they are ended by signals of POSIX; one process trains everywhere",
            attempt="gymjax train ...",
            code="config.platform",
        )
    fruitless, best = 0, -1
    with tempfile.TemporaryDirectory(prefix="gymjax-launch-") as folder, _received() as events:
        place = Path(folder)
        variables = {**(os.environ if environ is None else environ), LAUNCH: folder}
        for number in range(restarts + 1):
            for old in place.glob("error-*"):
                old.unlink()
            write_synced(place / "launch.json", json.dumps({"launcher": os.getpid(), "attempt": number}))
            outcome = run_attempt(command, count, events, variables, say, grace=grace)
            if outcome.first is None:
                return outcome.out
            error = _error_of(outcome.first, count, place, outcome.halted)
            run = read_run(place)
            step = newest_step(run) if run is not None else 0
            fruitless = 0 if step > best else fruitless + 1
            best = max(best, step)
            if outcome.signalled or error.exit_code not in WORTH or number == restarts:
                break
            if fruitless >= FRUITLESS:
                error.hint = f"{FRUITLESS} restarts brought no newer checkpoint than step {best:,}; {error.hint}"
                break
            wait = pause * 2**fruitless
            tell(Again(error, number + 1, wait, step))
            if (received := _interrupted(events, wait)) is not None:
                error = _stopped(received, run)
                break
    raise error


def newest_step(run: Path) -> int:
    """Return the newest checkpoint of a run to the bit as it was saved; of a run of several seeds, their sum."""
    folders = [run / "checkpoints", *run.glob("members/*/checkpoints")]
    return sum(next(_whole(folder), 0) for folder in folders)


def _whole(folder: Path) -> Iterator[int]:
    names = [entry.name for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return (step for step in sorted(map(int, names), reverse=True) if find_fault(folder / str(step)) is None)


def _error_of(end: End, count: int, place: Path, halted: Sequence[int] = ()) -> GymJaxError:
    """Return the error of a process, as it told it or as its status says."""
    who = f"process {end.rank} of {count}" if count > 1 else "the process"
    told = read_error(place, end.rank)
    if told is not None and told.code == PeerError.code:  # who only says that another failed may leave before it
        for other in range(count):
            cause = read_error(place, other)
            if cause is not None and cause.code != PeerError.code:
                return _error_of(End(other, cause.exit_code), count, place)
    code = end.status if end.status >= 0 else {-signal.SIGINT: 130, -signal.SIGTERM: 143}.get(end.status, 7)
    if told is not None:
        told.message = f"{who}: {told.message}" if count > 1 and told.exit_code not in ASKED else told.message
        return told
    run = read_run(place)
    attempt = None if run is None else f"gymjax launch ... -- train --resume {run}"
    if code in ASKED:
        return Interrupted(
            f"{who} was stopped by {ASKED[code].name} before anything was saved", exit_code=code, attempt=attempt
        )
    if end.status < 0:
        name = signal.Signals(-end.status).name
        hint = "the kernel does so where memory is short: dmesg says" if name == "SIGKILL" else "what it said is above"
        if halted:
            hint = f"process {', '.join(map(str, halted))} had been stopped (SIGSTOP), and no longer answered it"
        return PeerError(f"{who} was killed by {name}", hint=hint, attempt=attempt, code="run.killed")
    error = RunFailed(f"{who} left with status {code} without a word", hint="what it said is above", attempt=attempt)
    error.exit_code = code if code in EXIT_CODES else 1
    return error


def _stopped(number: int, run: Path | None) -> Interrupted:
    return Interrupted(
        f"stopped by {signal.Signals(number).name} between two attempts",
        exit_code=128 + number,
        attempt=None if run is None else f"gymjax launch ... -- train --resume {run}",
    )


def _interrupted(events: Events, seconds: float) -> int | None:
    """Wait; return the signal that came meanwhile, if one did."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            event = events.get(timeout=left)
        except queue.Empty:
            return None
        if not isinstance(event, End):
            return event
    return None


@contextmanager
def _received() -> Iterator[Events]:
    """Yield a queue into which SIGINT and SIGTERM go while the block runs."""
    events: Events = queue.SimpleQueue()

    def receive(number: int, frame: Any) -> None:
        events.put(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield events
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
