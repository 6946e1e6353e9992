"""The other end of a process that measures: it is started, asked, listened to, and started again when it dies."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import gym_jax
from gym_jax import errors
from gym_jax.data.findings import Finding
from gym_jax.errors import DataError, GymJaxError, RunFailed
from gym_jax.run.bench_rows import Case

Hear = Callable[[str, dict[str, Any]], None]
"""`(event, facts)` of everything that a process says."""
ENVIRONMENT = {
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "KERAS_BACKEND": "jax",
}
"""Compilation is measured and not looked up, and no process takes the whole device."""


@dataclass
class Arm:
    """A process that measures and what it has said so far."""

    by: str
    settings: dict[str, Any]
    seconds: float
    """Of one case in one round."""
    cases: list[Case] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    ready: dict[int, dict[str, Any]] = field(default_factory=dict)
    times: dict[int, list[float]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    process: Any = None
    errors: IO[str] | None = None


def prepare(arm: Arm, hear: Hear) -> None:
    """Start the process and wait until every case is compiled or at fault. Raises what opening the bench raises."""
    while True:
        _start(arm)
        if _listen(arm, hear):
            return


def measure(arm: Arm, hear: Hear) -> None:
    """Let the process time all of its cases once."""
    if not arm.ready.keys() - arm.faults.keys():
        return
    while True:
        try:
            arm.process.stdin.write("\n")
            arm.process.stdin.flush()
        except OSError:
            pass  # it is dead: listening says so
        if _listen(arm, hear):
            return
        prepare(arm, hear)


def stop(arm: Arm) -> None:
    """End the process."""
    if arm.process is not None:
        arm.process.kill()
        arm.process.wait()
        arm.process.stdin.close()
        arm.process.stdout.close()
        arm.process = None
    if arm.errors is not None:
        arm.errors.close()
        arm.errors = None


def error_of(facts: dict[str, Any]) -> GymJaxError:
    """Return the error whose facts a process has told."""
    words = dict(facts["words"])
    error: GymJaxError = getattr(errors, facts["kind"])(words.pop("message"), **words)
    error.problems = tuple(error_of(problem) for problem in facts["problems"])
    if isinstance(error, DataError):
        error.findings = tuple(Finding(*finding) for finding in facts["findings"])
    return error


def _start(arm: Arm) -> None:
    stop(arm)
    home = str(Path(gym_jax.__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    arm.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed in `stop`
    arm.process = subprocess.Popen(
        [sys.executable, "-P", "-m", "gym_jax.run.bench_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=arm.errors,
        text=True,
        encoding="utf-8",
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)},
    )
    job = {"by": arm.by, "settings": arm.settings, "seconds": arm.seconds, "skip": list(arm.faults)}
    try:
        arm.process.stdin.write(json.dumps(job) + "\n")
        arm.process.stdin.flush()
    except OSError:
        pass


def _listen(arm: Arm, hear: Hear) -> bool:
    """Take in what the process says until its task is done; False when it died, its case then being at fault."""
    at: int | None = None
    for line in arm.process.stdout:
        facts = json.loads(line)
        event, case = facts.pop("event"), facts.pop("case", None)
        if event == "done":
            return True
        if event == "error":
            raise error_of(facts)
        if event == "start":
            arm.cases, arm.facts = [Case(*case) for case in facts["cases"]], facts["facts"]
        elif event == "begin":
            at = case
        elif event == "ready":
            arm.ready[case] = facts
        elif event == "times":
            arm.times.setdefault(case, []).extend(facts["seconds"])
        elif event == "fault":
            arm.faults[case] = facts["reason"]
        elif event == "peaks":
            for name, peak in facts["peaks"].items():
                arm.peaks[name] = max(peak, arm.peaks.get(name, 0.0))
        hear(event, facts if case is None else {**facts, "case": arm.cases[case]})
    reason = _cause(arm)
    if at is None:
        raise RunFailed(f"the process that measures {arm.by} ended before the first case: {reason}")
    arm.faults[at] = reason
    hear("fault", {"reason": reason, "case": arm.cases[at]})
    return False


def _cause(arm: Arm) -> str:
    """Return why the process is gone."""
    code = arm.process.wait()
    if code == -9:  # SIGKILL
        return "the system killed the process: out of memory, most likely"
    assert arm.errors is not None
    arm.errors.seek(0)
    last = ([line for line in arm.errors.read().splitlines() if line.strip()] or ["it said nothing"])[-1]
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the process died ({how}): {last.strip()[:200]}"
