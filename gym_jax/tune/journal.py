"""The journal's file on the disk: locks that the kernel takes back from a killed process, and a mended end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gym_jax.errors import StorageError
from gym_jax.locks import wait_for_lock

JOURNAL = "journal.log"


class Lock:
    """A lock as Optuna's journal wants it; its own is a link that a killed process leaves behind for 30 seconds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".journal"

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.file = self.path.open("a+", encoding="utf-8")
        wait_for_lock(self.file)
        return True

    def release(self) -> None:
        """Give it back."""
        self.file.close()


def mend(journal: Path) -> None:
    """Cut off a last line that a kill has cut short: with what is appended it would be unreadable."""
    with locked(journal.with_name(".journal")):
        if not journal.exists():
            return
        with journal.open("rb+") as file:
            content = file.read()
            if not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file against other processes, and wait for it. Raises StorageError."""
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path.parent} can not be written: {error.strerror or error}") from error
    with file:
        wait_for_lock(file)
        yield
