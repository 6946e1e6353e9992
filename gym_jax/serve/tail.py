"""A file of JSON lines that another process writes: what is new since the last look."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_jax.files import OPENING

AT_ONCE = 4 << 20
"""Bytes taken in at one look, and the longest line."""
KEPT = 64
"""Bytes before the place read to, by which a file that was rewritten is told from one that grew."""
LARGEST = 16 << 20
"""Bytes of a document that is read whole."""


@dataclass
class Tail:
    """Where the reading of a file stands."""

    path: Path
    offset: int = 0
    inode: int = 0
    before: bytes = b""
    begun: int = 0
    """How often it was begun anew, because the file was cut or replaced."""

    def read(self) -> list[dict[str, Any]]:
        """Return the objects on the whole lines that are new; a line that is none is passed over."""
        number = _open(self.path)
        if number is None:
            self._restart()
            return []
        try:
            facts = os.fstat(number)
            if facts.st_ino != self.inode or facts.st_size < self.offset or not self._grew(number):
                self._restart()
                self.inode = facts.st_ino
            if facts.st_size == self.offset:
                return []
            block = _read(number, AT_ONCE, self.offset)
        except OSError:
            return []
        finally:
            os.close(number)
        end = block.rfind(b"\n") + 1 or (len(block) if len(block) == AT_ONCE else 0)
        self.offset += end
        self.before = (self.before + block[:end])[-KEPT:]
        return [line for line in map(_object, block[:end].splitlines()) if line is not None]

    def _grew(self, number: int) -> bool:
        return _read(number, len(self.before), self.offset - len(self.before)) == self.before

    def _restart(self) -> None:
        if self.offset:
            self.begun += 1
        self.offset, self.before = 0, b""


def signature(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a document is written anew; None when there is no such file of bearable size."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _open(path: Path) -> int | None:
    """Return a descriptor of an ordinary file; a pipe in its place would have the reader wait for ever."""
    try:
        number = os.open(path, OPENING)
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    return None


def _read(number: int, most: int, offset: int) -> bytes:
    os.lseek(number, offset, os.SEEK_SET)
    return os.read(number, most)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
