"""One look at the runs for all pages that are open: what changed goes to each of them as Server-Sent Events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gym_jax.serve.watcher import Change, Watcher

WAITING = 2000
"""Events that wait for a page at most; one that does not read them is cut off, and asks anew."""
RETRY = 1000
"""Milliseconds after which a page that lost the server looks for it again."""


@dataclass
class Hub:
    """Who listens, and the task that looks while anybody does."""

    watcher: Watcher
    listeners: set[asyncio.Queue[str | None]] = field(default_factory=set)
    closing: bool = False
    """Whether the server is about to leave: no page is listened to any longer."""
    _task: asyncio.Task[None] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self) -> None:
        """Look once, unless that was done a moment ago, and tell everybody what changed."""
        async with self._turn:
            changes = await asyncio.to_thread(self.watcher.look)
            for queue in list(self.listeners):
                for change in changes:
                    if queue.qsize() >= WAITING:
                        self.listeners.discard(queue)
                        queue.put_nowait(None)
                        break
                    queue.put_nowait(event_of(change))

    async def listen(self) -> AsyncIterator[str]:
        """Yield events as text from now on, until the page or the server goes."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield f"retry: {RETRY}\nevent: hello\ndata: {{}}\n\n"
            while (text := await queue.get()) is not None:
                yield text
        finally:
            self.listeners.discard(queue)

    def close(self) -> None:
        """Let every page go."""
        self.closing = True
        for queue in self.listeners:
            queue.put_nowait(None)

    async def _look(self) -> None:
        while self.listeners and not self.closing:
            with suppress(OSError):  # of a folder that is being removed: the next look finds out
                await self.refresh()
            await asyncio.sleep(self.watcher.every)


def event_of(change: Change) -> str:
    """Return a change as an event of the stream."""
    name, facts = change
    return f"event: {name}\ndata: {compact(facts)}\n\n"


def compact(document: Any) -> str:
    """Return strict JSON without blanks."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)
