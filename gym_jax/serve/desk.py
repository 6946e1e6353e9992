"""Where forecasts are asked for: one thread loads runs and answers, so that nothing else waits for JAX."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gym_jax.run.folder import RunFolder

if TYPE_CHECKING:
    from gym_jax.serve.oracle import Oracle

LOADED = 4
"""Runs that stay loaded, those asked last."""
WAITING = 16
"""Questions that may wait."""


class Full(Exception):
    """Too many questions are waiting."""


@dataclass
class Desk:
    """The thread that answers, and the runs it has loaded; JAX is imported with the first question."""

    loaded: OrderedDict[str, "Oracle"] = field(default_factory=OrderedDict)
    waiting: int = 0
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "forecasts"))

    async def ask(self, what: Callable[..., dict[str, Any]], folder: RunFolder, **given: Any) -> dict[str, Any]:
        """Return an answer of the thread. Raises Full, and what the question raises."""
        if self.waiting >= WAITING:
            raise Full
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, lambda: what(folder, **given))
        finally:
            self.waiting -= 1

    def series(self, folder: RunFolder, *, fresh: bool = False) -> dict[str, Any]:
        """Return what may be asked of a run: its series with their origins; `fresh` loads it anew."""
        return self._oracle(folder, fresh).describe()

    def forecast(self, folder: RunFolder, *, series: str, origin: float, target: float) -> dict[str, Any]:
        """Return the forecast of a series from an origin, with what is around it."""
        return self._oracle(folder).answer(series, origin, target)

    def _oracle(self, folder: RunFolder, fresh: bool = False) -> "Oracle":
        from gym_jax.serve.oracle import open_oracle

        key = str(folder.path)
        if fresh or key not in self.loaded:
            self.loaded.pop(key, None)
            while len(self.loaded) >= LOADED:
                self.loaded.popitem(last=False)
            self.loaded[key] = open_oracle(folder)
        self.loaded.move_to_end(key)
        return self.loaded[key]
