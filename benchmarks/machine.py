"""Where a measurement was made.

python benchmarks/machine.py     prints it
"""

import json
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "keras", "lightning", "neuralforecast")
PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


def facts() -> dict[str, Any]:
    """Return processor, cores, memory, system, versions and the load before."""
    processor = _line(r"model name\s*:\s*(.+)", "/proc/cpuinfo") or platform.processor()
    return {
        "processor": processor,
        "vectors": "avx512" if "avx512f" in (_line(r"flags\s*:\s*(.+)", "/proc/cpuinfo") or "") else "less",
        "cores": len(os.sched_getaffinity(0)),
        "accelerators": _accelerators(),
        "memory_gb": round(int(_line(r"MemTotal:\s+(\d+)", "/proc/meminfo") or 0) / 1e6, 1),
        "system": platform.platform(),
        "huge_pages": _line(r"\[(\w+)\]", PAGES),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "load_before": os.getloadavg()[0],
    }


def jiffies() -> tuple[int, int]:
    """Return what the machine's host has taken away and all time so far, in ticks of all cores."""
    numbers = [int(word) for word in (_line(r"cpu\s+(.+)", "/proc/stat") or "0").split()]
    return (numbers[7] if len(numbers) > 7 else 0), sum(numbers[:8])


def stolen(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the share of the time between that the host has taken away."""
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def _line(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found[1].strip() if found else None


def _accelerators() -> list[str]:
    """Return what NVIDIA's tool names, without opening a device."""
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True
        )
    except OSError:
        return []
    return told.stdout.split("\n")[:-1] if told.returncode == 0 else []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    print(json.dumps(facts(), indent=2))
