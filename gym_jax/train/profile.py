"""A look inside: the profiler's trace of a few chunks, to be opened with XProf, TensorBoard or Perfetto."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jax

from gym_jax.errors import RunFailed, StorageError

SESSIONS = Path("plugins") / "profile"
"""Where JAX puts the files of a trace, in a folder named after the second."""


@contextmanager
def profiled(folder: str | Path | None) -> Iterator[None]:
    """Write a trace of the block to `folder/plugins/profile/TIME`; None traces nothing.

    Work counts that has ended within the block: fetch a result before leaving it. On the CPU neither JAX nor XLA prints
    anything of this. Raises RunFailed when a trace is already running, StorageError when the disk refuses.
    """
    if folder is None:
        yield
        return
    folder = Path(folder).absolute()
    try:
        (folder / SESSIONS).mkdir(parents=True, exist_ok=True)
        # a second trace within the same second would overwrite the files of the first, so each is written apart
        part = Path(tempfile.mkdtemp(prefix=".trace-", dir=folder))
    except OSError as error:
        raise _refused(folder, error) from error
    try:
        _start(part)
        try:
            yield
        finally:
            _stop(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _start(part: Path) -> None:
    try:
        jax.profiler.start_trace(part)
    except RuntimeError as error:
        raise RunFailed(
            f"the profiler can not start: {error}",
            hint="a process traces one thing at a time; leave the other profiled() or jax.profiler.trace block first",
            attempt="jax.profiler.stop_trace()",
        ) from error


def _stop(part: Path, folder: Path) -> None:
    try:
        jax.profiler.stop_trace()
        for session in (part / SESSIONS).iterdir():
            _move(session, folder / SESSIONS)
    except (OSError, RuntimeError) as error:
        raise _refused(folder, error) from error


def _move(session: Path, sessions: Path) -> None:
    """Move a trace to its place; of several with one name the later ones are numbered."""
    for number in itertools.count():
        with suppress(FileExistsError):
            place = sessions / (f"{session.name}-{number}" if number else session.name)
            place.mkdir()
            session.replace(place)  # an empty folder may be replaced, and no other trace takes it meanwhile
            return


def _refused(folder: Path, error: Exception) -> StorageError:
    return StorageError(
        f"the trace can not be written to {folder}: {error}",
        hint="free space or choose another folder",
        attempt=f"df -h {folder.parent}",
    )
