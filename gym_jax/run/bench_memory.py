"""How far the memory of this process rises, on Linux."""

import contextlib
import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def host_gauge() -> Callable[[], int | None]:
    """Begin to watch; what is returned says by how many bytes the peak of the resident memory rose. None off Linux.

    What was freed before is given back first, so that it does not hide what is needed now.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        RESET.write_text("5", encoding="utf-8", newline="\n")  # the peak is what is resident now
    before, peak = read_memory("VmRSS"), read_memory("VmHWM")
    if before is None or peak is None:
        return lambda: None

    def rise() -> int | None:
        now = read_memory("VmHWM")
        return None if now is None or now <= peak else now - before

    return rise


def read_memory(name: str) -> int | None:
    """Return a size of this process in bytes: VmRSS now, VmHWM at its highest; None off Linux."""
    try:
        found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None
