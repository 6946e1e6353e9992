"""The end of the process: a failed one leaves at once, whoever still waits for something."""

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    After a failure nobody waits for threads of libraries: Orbax' wait five minutes for a folder that could not be made,
    and the interpreter waits for them.
    """
    main = threading.main_thread()
    if code and any(thread is not main and not thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed by whoever read it
                stream.flush()
        os._exit(code)
    sys.exit(code)
