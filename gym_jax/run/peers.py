"""What the processes of one run make sure of: that they begin alike, that none stands still, that none outlives it."""

import faulthandler
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import jax

from gym_jax.config.document import flat
from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError, GymJaxError, Interrupted, PeerError
from gym_jax.launch.child import LAUNCH, tell_error
from gym_jax.run.assemble import fingerprint
from gym_jax.run.environment import PACKAGES, package_version
from gym_jax.run.fit import Event
from gym_jax.run.folder import RunFolder
from gym_jax.train.checkpoint import saved_steps
from gym_jax.train.processes import gather, group, together
from gym_jax.train.watchdog import guarded

LOGGER = logging.getLogger(__name__)
WATCHDOG = 60.0
"""Seconds without a step after which one of several processes, or a launched one, is given up."""
LAST = 8.0
"""Seconds that a process has for its last words, once it has failed or is stuck."""
PLACES = ("data.path", "data.test_path", "run.root")
"""Settings that may differ between machines: of data their bytes count."""
LOST = re.compile(r"(?i)gloo|peer|socket|heartbeat|coordination|unavailable|deadline|connection")
"""How JAX says that it can no longer reach another process."""


def refuse_different(config: Config, run: RunFolder | None = None) -> None:
    """Compare what every process is about to train, or to go on with, before anything is written.

    Raises ConfigError that names what differs and between whom.
    """
    if group().count == 1:
        return
    with together("files"):
        facts = _facts(config, run)
    said = gather("facts", facts)
    odd = [line for key in dict.fromkeys(key for told in said for key in told) if (line := _difference(key, said))]
    if odd:
        raise ConfigError(
            f"the processes were not started alike: {'; '.join(odd[:5])}"
            + (f"; and {len(odd) - 5} more" if len(odd) > 5 else ""),
            hint="all need the same settings, data, packages and run folder; nothing was trained",
            attempt=f"gymjax launch -n {group().count} -- train ...",
            code="config.processes",
        )


@contextmanager
def guard(
    config: Config, run: RunFolder, step: Callable[[], int], tell: Callable[[Event], None] = lambda event: None
) -> Iterator[None]:
    """Leave this process with exit code 7, its stacks written down, when training stands still within the block."""
    seconds = config.run.watchdog_seconds
    if seconds is None and (group().count > 1 or LAUNCH in os.environ):
        seconds = WATCHDOG
    with guarded(seconds, lambda silence: _stuck(run, step(), silence, tell)):
        yield


@contextmanager
def outlived_by_none(run: RunFolder, step: Callable[[], int]) -> Iterator[None]:
    """Have a failure of one of several processes end it for certain, and have it say that a peer is gone where one is.

    Whatever still waits for the others must not keep it: they wait for it.
    """
    if group().count == 1:
        yield
        return
    try:
        yield
    except Interrupted:
        raise
    except BaseException as error:
        found = _as_peer(error, run, step()) or error
        code = found.exit_code if isinstance(found, GymJaxError) else 1
        facts = {"process": group().rank, "step": step(), "reason": str(found) or type(found).__name__}
        LOGGER.error("failed", extra={"event": "failed", "facts": facts})
        _leave_after(LAST, code)
        if found is error:
            raise
        raise found from error


def _facts(config: Config, run: RunFolder | None) -> dict[str, Any]:
    """Return what must be alike, by what it is called."""
    settings = {key: value for key, value in flat(config.document()).items() if key not in PLACES}
    data = fingerprint(config)
    files = {f"SHA-256 of data file {at}": file["sha256"][:12] for at, file in enumerate(data.get("files", ()))}
    versions = {name: package_version(name) for name in ("gym-jax", *PACKAGES)}
    versions["python"] = ".".join(map(str, sys.version_info[:3]))
    steps = [] if run is None else saved_steps(run.checkpoints)
    return {
        "run": "a new one" if run is None else str(run.path),
        "newest checkpoint": steps[-1] if steps else None,
        **settings,
        **files,
        **{f"version of {name}": found for name, found in versions.items()},
    }


def _difference(key: str, said: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in words who says what of a key; None when all say the same."""
    values: dict[str, list[str]] = {}
    for rank, told in enumerate(said):
        values.setdefault(str(told.get(key)), []).append(str(rank))
    if len(values) == 1:
        return None
    shown = ", ".join(f"{value} in process {' and '.join(ranks)}" for value, ranks in values.items())
    return f"{key} is {shown}"


def _stuck(run: RunFolder, step: int, silence: float, tell: Callable[[Event], None]) -> None:
    """Write down where every thread stands, and leave. Nothing here waits for the thread that is stuck."""
    rank, stacks = group().rank, f"stacks-{group().rank}.txt"
    error = PeerError(
        f"nothing was trained for {silence:.0f} s after step {step:,}",
        hint=f"where each thread stood is told above and in {run.path / stacks}; run.watchdog_seconds allows more",
        attempt=f"gymjax train --resume {run.path}",
        code="run.stuck",
    )
    _leave_after(LAST, error.exit_code)
    with suppress(Exception):
        print(f"process {rank} is stuck; its stacks:", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
    with suppress(Exception):
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
    tell_error(error)
    with suppress(Exception):
        tell(Event("stuck", {"error": error}))
    with suppress(Exception), (run.path / stacks).open("w", encoding="utf-8", newline="\n") as file:
        faulthandler.dump_traceback(file, all_threads=True)
    with suppress(Exception):
        run.status(status="failed", exit_code=error.exit_code, reason=error.message)
        run.log("stuck", step=step, seconds=round(silence, 1))
    os._exit(error.exit_code)


def _as_peer(error: BaseException, run: RunFolder, step: int) -> PeerError | None:
    """Return what JAX' error means when another process is gone; None when it is something else."""
    if not isinstance(error, jax.errors.JaxRuntimeError) or not LOST.search(str(error)):
        return None
    return PeerError(
        f"another process of the run is gone, noticed after step {step:,}",
        hint="its own last words say why; what was saved is whole",
        attempt=f"gymjax train --resume {run.path}",
    )


def _leave_after(seconds: float, code: int) -> None:
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    try:
        timer.start()
    except (RuntimeError, MemoryError):  # there is no room for a thread
        os._exit(code)
