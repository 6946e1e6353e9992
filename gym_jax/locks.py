"""Locks on open files that the system takes back when a process dies: flock and lockf, or msvcrt's where those are not.

A whole file is held through one handle, and a second handle of the same process is refused as any other. Places in a
file are claimed by a process.
"""

import os
import time
from importlib import import_module
from typing import IO, Any

from gym_jax.errors import StorageError

FAR = 1 << 30
"""The byte that stands for a whole file where only bytes can be locked: behind any text, which stays readable."""


def try_lock(file: IO[Any], *, shared: bool = False) -> bool:
    """Hold a file until it is closed; return whether that was possible. Raises OSError where there are no locks."""
    if (fcntl := _fcntl()) is None:
        return _bytes(file, FAR)
    return _done(fcntl.flock, file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def wait_for_lock(file: IO[Any]) -> None:
    """Hold a file until it is closed, as soon as nobody else does."""
    if (fcntl := _fcntl()) is not None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    while not _bytes(file, FAR):
        time.sleep(0.01)


def claim(file: IO[Any], place: int) -> bool:
    """Claim one place in a file for this process, until it is released; return whether no other process has it."""
    if (fcntl := _fcntl()) is None:
        return _bytes(file, place)
    return _done(fcntl.lockf, file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)


def release(file: IO[Any], place: int) -> None:
    """Give a claimed place back."""
    if (fcntl := _fcntl()) is None:
        _bytes(file, place, "LK_UNLCK")
    else:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


def _fcntl() -> Any:
    try:
        return import_module("fcntl")
    except ImportError:
        return None


def _bytes(file: IO[Any], place: int, mode: str = "LK_NBLCK") -> bool:
    try:
        msvcrt: Any = import_module("msvcrt")
    except ImportError:
        raise StorageError(
            "this system has no locks on files", hint="runs are held against other processes by flock or by msvcrt"
        ) from None
    number = file.fileno()
    before = os.lseek(number, 0, os.SEEK_CUR)
    os.lseek(number, place, os.SEEK_SET)
    try:
        return _done(msvcrt.locking, number, getattr(msvcrt, mode), 1)
    finally:
        os.lseek(number, before, os.SEEK_SET)


def _done(lock: Any, *words: Any) -> bool:
    try:
        lock(*words)
    except (BlockingIOError, PermissionError):  # EAGAIN, or EACCES
        return False
    return True
