"""The end of the process: it does not wait for threads that wait for nothing."""

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from gym_jax.track.feed import THREAD

WAITING = "_SignalingThread"
"""The class of Orbax' threads that make folders and wait for one another."""


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    Orbax' threads wait five minutes for a folder that could not be made, although the save has failed or was made at a
    second try, and the interpreter waits for them. Nobody waits for other threads after a failure either, nor for a
    tracker that was left behind: what its package does at the end of a process waits for the same thing.
    """
    main = threading.main_thread()
    others = [thread for thread in threading.enumerate() if thread is not main]
    needed = [thread for thread in others if not thread.daemon]
    stuck = any(type(thread).__name__ == WAITING or thread.name.startswith(THREAD) for thread in others)
    if stuck or (needed and code):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed by whoever read it
                stream.flush()
        os._exit(code)
    sys.exit(code)
