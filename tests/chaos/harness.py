"""What every row of the scoreboard uses: outcomes, a server of victims under a failing file system, folders to harm."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Outcome(NamedTuple):
    """What came of one fault."""

    number: int
    right: bool
    words: str
    silent: bool = False
    """Whether wrong bits were taken for right ones without a word."""
    seconds: float | None = None
    """What was timed, where a row asks for a time."""


class Row(NamedTuple):
    """One kind of fault: what it asks, how to list its faults, how to try one."""

    title: str
    faults: Callable[["Bench"], list[int]]
    attempt: Callable[["Bench", int], Outcome]
    every: int = 10
    """Of the faults, one in so many is tried when not all are; 0 tries none."""


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % bounds of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    z, share = 1.959964, right / count
    middle, half = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


class Bench:
    """A server of victims under the file system that fails, and folders to harm."""

    def __init__(self, subject: str, root: str) -> None:
        self.subject, self.root = subject, Path(root)
        library = self.root / "faultfs.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "faultfs.c", "-ldl"], check=True)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.server = subprocess.Popen(
            [sys.executable, HERE / "victims.py", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.count = 0
        self.known: dict[str, dict[str, Any]] = {}
        """What came of runs that nothing harmed."""

    def act(
        self, act: str, folder: Path, seconds: float = 30, environment: dict[str, str] | None = None, **more: Any
    ) -> dict[str, Any]:
        """Return what comes of an act in a process of its own; of one in the background, what `wait` takes."""
        self.count += 1
        out = str(self.root / f"out-{self.count}.json")
        request = {"act": act, "subject": self.subject, "folder": str(folder), "out": out, "seconds": seconds}
        return {**self._ask({**request, "environment": environment or {}, **more}), "out": out}

    def wait(self, begun: dict[str, Any]) -> dict[str, Any]:
        """Return what came of an act in the background."""
        return self._ask({"wait": begun["out"]})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return dict(json.loads(self.server.stdout.readline()))

    def fresh(self) -> Path:
        """Return an empty folder."""
        return Path(tempfile.mkdtemp(dir=self.root))

    def saved(self) -> Path:
        """Return a copy of a folder with every step saved."""
        whole = self.root / "whole"
        if not whole.exists():
            whole.mkdir()
            found = self.act("save", whole)
            assert found["status"] == 0, found
        copy = self.root / "harmed"
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(whole, copy))

    def calls(self) -> list[str]:
        """Return the file calls of all saves, in order: `what path`."""
        log, folder = self.root / "calls.log", self.fresh()
        log.unlink(missing_ok=True)
        self.act("save", folder, environment={"FAULT_PREFIX": str(folder), "FAULT_LOG": str(log)})
        return [line.split(" ", 1)[1].replace(str(folder), "") for line in log.read_text().splitlines()]

    def close(self) -> None:
        """End the server."""
        self.server.kill()
        self.server.wait()


def words_of(found: dict[str, Any]) -> str:
    told = f"hung\n{found.get('stacks', '')}" if found["hung"] else f"status {found['status']}"
    if found.get("from") is not None:
        told += f", step {found['from']}{'' if found.get('right') else ' WRONG'}"
    return told + (f", {found['error'][:160]}" if "error" in found else "")
