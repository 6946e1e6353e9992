"""One piece of work at a time beside the training, such as a save."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any


class Behind:
    """A thread that does one thing while the others go on; as a context it waits for the last one.

    An error of the work is raised by whoever asks for it next.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._work: Future[Any] | None = None

    def begin(self, work: Callable[[], Any]) -> Any:
        """Begin a piece of work, and return what the one before gives; it is waited for. Raises its error."""
        before = self.wait()
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="behind")
        self._work = self._pool.submit(work)
        return before

    def take(self) -> Any:
        """Return what the work gave, once, when it is over; None before. Raises its error."""
        return self.wait() if self._work is not None and self._work.done() else None

    def wait(self) -> Any:
        """Return what the work gives, if any is on its way. Raises its error."""
        work, self._work = self._work, None
        return None if work is None else work.result()

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            with suppress(*((Exception,) if error is not None else ())):  # the first error is told
                self.wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None
