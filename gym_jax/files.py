"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gym_jax.errors import StorageError

WINDOWS = os.name == "nt"
OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags that open a file to be read as bytes; a pipe in its place is opened too, and not waited for."""


@contextmanager
def whole_file(path: str | Path, suffix: str = "") -> Iterator[tuple[Path, Path]]:
    """Yield the absolute path and where to write instead; what was written there takes its place at the end.

    The other path ends with `suffix`, for writers that go by it. Raises StorageError; nothing is left then.
    """
    path = Path(path).expanduser().absolute()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{suffix}")
    try:
        yield path, temporary
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} can not be written: {error.strerror or error}", hint="does its folder exist, with room?"
        ) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing is left
            temporary.unlink()


def write_synced(path: Path, text: str) -> None:
    """Write a text file whole or not at all, and so that it outlasts a loss of power. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk. Raises OSError. Windows does the second by itself."""
    if WINDOWS and path.is_dir():
        return
    number = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
