"""The end of the process: it does not wait for threads that wait for nothing."""

import logging
import math
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from gym_jax.track.feed import THREAD

WAITING = "_SignalingThread"
"""The class of Orbax' threads that make folders and wait for one another."""
TOGETHER = (0, 130, 143)
"""The exit codes with which all processes of a run leave, once all are done."""


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    Orbax' threads wait five minutes for a folder that could not be made, although the save has failed or was made at a
    second try, and the interpreter waits for them. Nobody waits for other threads after a failure either, nor for a
    tracker that was left behind: what its package does at the end of a process waits for the same thing. One of several
    processes that failed is waited for by all others, so that it leaves at once; else they wait for one another first.
    """
    several = _is_one_of_several()
    if several and code in TOGETHER:
        _part()
    main = threading.main_thread()
    others = [thread for thread in threading.enumerate() if thread is not main]
    needed = [thread for thread in others if not thread.daemon]
    stuck = any(type(thread).__name__ == WAITING or thread.name.startswith(THREAD) for thread in others)
    if several or stuck or (needed and code):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed by whoever read it
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _is_one_of_several() -> bool:
    processes = sys.modules.get("gym_jax.train.processes")  # it loads nothing that a command did without
    return processes is not None and processes.group().count > 1


def _part() -> None:
    """Wait for the other processes, then part: whoever left before the others were done would take them along."""
    import jax

    from gym_jax.train.processes import barrier

    with suppress(Exception):
        barrier("leave", math.inf)
        jax.distributed.shutdown()
