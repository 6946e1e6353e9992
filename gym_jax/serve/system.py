"""How busy this machine is: load and memory, from the system itself."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def read_system() -> dict[str, Any]:
    """Return the time, the load over 1, 5 and 15 minutes, the cores, and bytes of memory used and there; None unknown.

    In a container with a limit the memory is that of the container.
    """
    load: list[float] | None = None
    with suppress(OSError, AttributeError):  # the second on Windows
        load = [round(value, 2) for value in os.getloadavg()]
    used, total = _memory()
    return {"time": time.time(), "load": load, "cores": _cores(), "memory": {"used": used, "total": total}}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> tuple[int | None, int | None]:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="utf-8").splitlines())
        total, free = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError, KeyError):
        return None, None
    with suppress(OSError, ValueError):  # `max` where there is no limit
        limit = int((GROUP / "memory.max").read_text(encoding="utf-8"))
        if limit < total:
            return int((GROUP / "memory.current").read_text(encoding="utf-8")), limit
    return total - free, total
