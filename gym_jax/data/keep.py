"""Data that many runs read: a search reads and judges them once, and again only when a file has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from gym_jax.data.read import find_files
from gym_jax.data.reading import Reading

Read = TypeVar("Read")
KEPT: ContextVar[dict[str, tuple[str, Any]] | None] = ContextVar("kept", default=None)
"""The newest of every kind with what it was read of; None outside of a search, where nothing is kept."""


@contextmanager
def keep_data() -> Iterator[None]:
    """Keep, within the block, the newest panel and the newest cases that are read."""
    token = KEPT.set({})
    try:
        yield
    finally:
        KEPT.reset(token)


def read_once(kind: str, path: str, reading: Reading, asked: Any, read: Callable[[], Read]) -> Read:
    """Return what `read` does, or what it returned before for the same files, unchanged, and the same `reading`.

    What is kept is shared: its arrays can no longer be written to.
    """
    kept = KEPT.get()
    if kept is None:
        return read()
    files = [(str(file), (state := file.stat()).st_size, state.st_mtime_ns) for file in find_files(path)]
    key = repr((files, [getattr(reading, item.name) for item in fields(Reading)], asked))
    if kept.get(kind, ("",))[0] != key:
        kept.pop(kind, None)  # both at once may be too much
        found = read()
        for name in (item.name for item in fields(found)):  # type: ignore[arg-type]
            if isinstance(part := getattr(found, name), np.ndarray):
                part.flags.writeable = False
        kept[kind] = key, found
    return kept[kind][1]
