"""Weights & Biases: a run under the run folder, offline unless asked otherwise; `wandb sync` sends it later."""

import netrc
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from gym_jax.track.tracker import Ending, Place, Point, defaults_in_environment


class Wandb:
    """A run of W&B apart from any that the process has of its own."""

    def __init__(self, place: Place, state: Mapping[str, Any]) -> None:
        self.place = place
        self.id: str = state.get("id") or secrets.token_hex(4)
        self.sent: int = state.get("sent", -1)

    def start(self) -> int:
        """Begin, or go on with the run of the same id; return the last step that was sent to it."""
        place, online = self.place, self.place.wandb_mode == "online"
        # its daemon writes a log of its own, and reports errors over the network
        own = {"WANDB_CACHE_DIR": str(place.folder / "wandb" / "cache")}
        with defaults_in_environment(WANDB_ERROR_REPORTING="true" if online else "false", **own):
            import wandb

            asked: dict[str, Any] = {"console": "off", "silent": True, "finish_timeout": place.patience}
            asked |= {"save_code": False, "disable_code": True, "disable_git": True, "x_save_requirements": False}
            asked |= {"x_disable_stats": not online, "x_disable_machine_info": not online}
            settings = {name: value for name, value in asked.items() if name in wandb.Settings.model_fields}
            if online and not _has_key(wandb.setup().settings.base_url):  # it would ask on the terminal
                raise RuntimeError("no API key for W&B; `wandb login` asks for one, or set WANDB_API_KEY")
            self.run = wandb.init(
                project=place.project,
                id=self.id,
                name=place.folder.name,
                dir=str(place.folder),
                mode=place.wandb_mode,
                resume="allow" if online else None,
                reinit="create_new",
                settings=wandb.Settings(**settings),
            )
        return self.sent

    def hparams(self, settings: Mapping[str, Any]) -> None:
        """Send the settings; a resumed run may have others."""
        self.run.config.update(dict(settings), allow_val_change=True)

    def log(self, points: Sequence[Point]) -> None:
        """Send points with their steps."""
        for point in points:
            self.run.log(dict(point.numbers), step=point.step)
            self.sent = point.step

    def text(self, step: int, name: str, markdown: str) -> None:
        """Put a text into the summary of the run."""
        self.run.summary[name] = markdown

    def image(self, step: int, name: str, png: bytes) -> None:
        """Put a picture into the summary of the run."""
        import wandb

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            path.write_bytes(png)
            self.run.summary[name] = wandb.Image(str(path))

    def finish(self, ending: Ending, step: int, scores: Mapping[str, float]) -> None:
        """Put the scores into the summary, and end."""
        self.run.summary.update(dict(scores))
        self.run.finish(exit_code=1 if ending == "failed" else 0)

    def state(self) -> dict[str, Any]:
        """Return the id of the run and the last step that was sent."""
        return {"id": self.id, "sent": self.sent}


def _has_key(url: str) -> bool:
    """Return whether W&B finds a key without asking: in the environment, or in the file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(os.environ.get("NETRC")).authenticators(urlparse(url).hostname or "") is not None
    return False
