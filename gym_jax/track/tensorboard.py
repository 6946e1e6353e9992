"""TensorBoard: an event file in the run folder, written without any package; `tensorboard --logdir runs` shows it."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gym_jax.track import events
from gym_jax.track.tracker import Ending, Place, Point

FILE = "events.out.tfevents.gymjax"
"""TensorBoard takes every file for its own whose name says tfevents."""


class TensorBoard:
    """One event file, which a resumed run goes on with behind the last whole record."""

    def __init__(self, place: Place, state: Mapping[str, Any]) -> None:
        self.path, self.name = place.folder / FILE, place.folder.name
        self.new = True

    def start(self) -> int:
        """Open the file; return the last step in it."""
        data = self.path.read_bytes() if self.path.exists() else b""
        end = step = -1
        for place, event in events.frames(data):
            end, step = place, max(step, events.step_of(event))
        self.new = end < 0
        # unbuffered: what was logged is there when the process is killed
        self.file = self.path.open("wb" if self.new else "r+b", buffering=0)
        if self.new:
            self._write(events.version_event(time.time()))
        else:
            self.file.truncate(end)
            self.file.seek(end)
        return step

    def hparams(self, settings: Mapping[str, Any]) -> None:
        """Write the settings for the HParams dashboard, which takes the first it finds."""
        if self.new:
            known = {key: _scalar(value) for key, value in settings.items() if value is not None}
            self._write(events.session_event(time.time(), self.name, known))

    def log(self, points: Sequence[Point]) -> None:
        """Write points, all at once."""
        self._write(*(events.scalars_event(point.time, point.step, point.numbers) for point in points))

    def text(self, step: int, name: str, markdown: str) -> None:
        """Write a text."""
        self._write(events.text_event(time.time(), step, name, markdown))

    def image(self, step: int, name: str, png: bytes) -> None:
        """Write a picture."""
        self._write(events.image_event(time.time(), step, name, png))

    def finish(self, ending: Ending, step: int, scores: Mapping[str, float]) -> None:
        """Write the scores and how the run ended, and close the file."""
        if scores:
            self._write(events.scalars_event(time.time(), step, scores))
        if ending != "stopped":
            self._write(events.session_end_event(time.time(), ending))
        self.file.close()

    def state(self) -> dict[str, Any]:
        """Return nothing: the file says where it ends."""
        return {}

    def _write(self, *written: bytes) -> None:
        data = memoryview(b"".join(map(events.framed, written)))
        while data:
            data = data[self.file.write(data) :]


def _scalar(value: Any) -> bool | float | str:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)
