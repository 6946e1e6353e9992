"""What a launched process and its launcher tell each other: small files in a folder that only they know.

launch.json   the launcher's process id and which attempt this is
run           where the run is kept, from the moment it can be gone on with
error-RANK    why a process ends
"""

import faulthandler
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.errors import GymJaxError
from gym_jax.files import write_synced

LAUNCH, PROCESS = "GYMJAX_LAUNCH", "GYMJAX_PROCESS"
"""The variables that name the folder, and the number of a process."""
STACKS = getattr(signal, "SIGUSR1", signal.SIGTERM)
"""Has a launched process write on stderr where each of its threads stands."""
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux' prctl."""


class Launched(NamedTuple):
    """What a process knows of its launch."""

    attempt: int = 0
    """0 the first time, then how often all were started again."""
    run: Path | None = None
    """Where an earlier attempt kept its run."""


def launched() -> Launched:
    """Return what is known of the launch of this process; of one that nobody launched, nothing."""
    place = _place()
    told = {} if place is None else _read(place / "launch.json")
    return Launched(int(told.get("attempt", 0)), None if place is None else read_run(place))


def follow_launcher() -> None:
    """Have this process die with its launcher, if it has one (on Linux), and say where it stands when asked to."""
    place = _place()
    if place is None:
        return
    faulthandler.register(STACKS, all_threads=True)
    if sys.platform == "linux":
        import ctypes  # not above: every command looks whether it was launched

        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != _read(place / "launch.json").get("launcher", os.getppid()):
            os._exit(1)  # it died before it could be followed


def tell_run(folder: str | Path) -> None:
    """Tell the launcher, if there is one, where the run is kept."""
    if (place := _place()) is not None:
        with suppress(OSError):
            write_synced(place / "run", str(folder))


def tell_error(error: GymJaxError) -> None:
    """Tell the launcher, if there is one, why this process ends."""
    rank = os.environ.get(PROCESS, "0")
    if (place := _place()) is not None and rank.isdecimal():
        facts = {**error.facts(), "exit_code": error.exit_code}
        with suppress(OSError):
            write_synced(place / f"error-{rank}", json.dumps(facts))


def read_run(place: Path) -> Path | None:
    """Return where the run is kept, as far as the launcher's folder knows."""
    with suppress(OSError):
        return Path((place / "run").read_text(encoding="utf-8"))
    return None


def read_error(place: Path, rank: int) -> GymJaxError | None:
    """Return why a process ended, if it could tell."""
    facts = _read(place / f"error-{rank}")
    if not facts:
        return None
    error = GymJaxError(facts["message"], hint=facts["hint"], attempt=facts["try"], code=facts["code"])
    error.exit_code = facts["exit_code"]
    return error


def _place() -> Path | None:
    place = os.environ.get(LAUNCH)
    return Path(place) if place and os.path.isdir(place) else None


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}
