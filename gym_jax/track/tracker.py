"""What a tracker is: eight calls, all made from a thread of its own, any of which may fail."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

Ending = Literal["done", "stopped", "failed"]
"""How a run ended; one that was stopped may go on."""


class Place(NamedTuple):
    """Where a tracker keeps a run."""

    folder: Path
    """Of the run; its name is that of the run."""
    project: str
    """W&B's project, MLflow's experiment."""
    wandb_mode: Literal["offline", "online"] = "offline"
    mlflow_uri: str | None = None
    """Where MLflow keeps runs; None takes `mlflow.db` beside the run folder."""
    patience: float = 10.0
    """Seconds that the end of a run waits."""


class Point(NamedTuple):
    """Finite numbers by name, as they were after an optimiser step."""

    step: int
    numbers: Mapping[str, float]
    time: float
    """Seconds since 1970."""


class Tracker(Protocol):
    """What the curves of a run are sent to. A call that raises is the last one."""

    def start(self) -> int:
        """Begin, or go on with what `state` of an earlier time says; return the last step that is there, -1 if none."""

    def hparams(self, settings: Mapping[str, Any]) -> None:
        """Take the settings by dotted key; plain JSON values."""

    def log(self, points: Sequence[Point]) -> None:
        """Take points of rising step."""

    def text(self, step: int, name: str, markdown: str) -> None:
        """Take a text."""

    def image(self, step: int, name: str, png: bytes) -> None:
        """Take a picture."""

    def finish(self, ending: Ending, step: int, scores: Mapping[str, float]) -> None:
        """End; `scores` are of the best weights on the test part, {} where there are none."""

    def state(self) -> dict[str, Any]:
        """Return plain JSON values to go on with: an id, say."""


@contextmanager
def defaults_in_environment(**values: str) -> Iterator[None]:
    """Set variables that are not set, for as long as the block takes."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
