"""All models that are served, and the thread that replaces one when a newer version has proved itself beside it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gym_jax.errors import nearest
from gym_jax.serve.api.meters import Meters
from gym_jax.serve.api.problem import Problem, Refused, cut
from gym_jax.serve.api.served import Mark, Served, Source, mark_of, open_served

Tell = Callable[[str], None]


def _silent(words: str) -> None: ...


@dataclass
class Shelf:
    """The models by name; a request keeps the one that it began with."""

    models: dict[str, Served]
    meters: Meters
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    """By name: the error of a newer version that was not taken, until one is."""
    open: Callable[[Source], Served] = open_served
    tell: Tell = _silent
    _tried: dict[str, Mark | str] = field(default_factory=dict)
    _going: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def pick(self, name: str | None) -> Served:
        """Return the model of that name, or the only one. Raises Refused (404, 422)."""
        if name is None:
            if len(self.models) == 1:
                return next(iter(self.models.values()))
            words = f"{len(self.models)} models are served, and the question names none"
            raise Refused(422, Problem("question.model", words, f"one of {', '.join(self.models)}", path="model"))
        if name not in self.models:
            found = nearest(name, self.models)
            hint = f"did you mean `{found}`?" if found else f"there are {', '.join(self.models)}"
            raise Refused(404, Problem("model.unknown", f"no model `{cut(name)}`", hint, "GET /v1/models", "model"))
        return self.models[name]

    def look(self) -> None:
        """Take every newer version that loads and answers its golden windows; of any other keep the one there is."""
        for name, served in self.models.items():
            try:
                mark: Mark | str = mark_of(served.source)
                if mark == served.mark:
                    self.refused.pop(name, None)
                    self._tried.pop(name, None)
                    continue
                if mark == self._tried.get(name):
                    continue
                self._tried[name] = mark
                fresh = self.open(served.source)
            except Exception as error:  # whatever it is, the one that answers goes on
                self._refuse(name, error)
                continue
            self.models[name] = fresh
            self._tried.pop(name, None)
            self.refused.pop(name, None)
            if fresh.version != served.version:
                self.meters.reload(name, "taken")
                self.tell(f"{name}: version {served.version} -> {fresh.version}")

    def watch(self, seconds: float) -> None:
        """Look every so many seconds, in a thread, until `close`."""

        def go() -> None:
            while not self._going.wait(seconds):
                self.look()

        self._thread = threading.Thread(target=go, name="reload", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._going.set()

    def _refuse(self, name: str, error: Exception) -> None:
        words = str(error).strip() or type(error).__name__
        if self.refused.get(name, {}).get("error") == words:
            return
        self.refused[name] = {"error": words, "hint": getattr(error, "hint", None) or ""}
        self.meters.reload(name, "refused")
        self.tell(f"{name}: a newer version is refused, {self.models[name].version} goes on: {words}")


def open_shelf(sources: Sequence[Source], meters: Meters, tell: Tell = _silent) -> Shelf:
    """Return every model, opened. Raises what the first that can not be opened raises."""
    return Shelf({source.name: open_served(source) for source in sources}, meters, tell=tell)
