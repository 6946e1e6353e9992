"""A picture as a file: its formats, its colours, and whether it can be written at all."""

from pathlib import Path
from typing import Any

from gym_jax.errors import ConfigError
from gym_jax.files import whole_file

ENDINGS = (".png", ".svg", ".pdf")
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#000000")
"""Okabe and Ito's, told apart by colour-blind readers."""


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure in the format of the path's ending, whole or not at all. Raises StorageError."""
    with whole_file(path) as (path, temporary):
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150)
    return path


def refuse_chart(option: str, path: str | None) -> None:
    """Raise ConfigError when a picture can not be written to this path: before any work is done."""
    if path is None:
        return
    place = Path(path).expanduser()
    if place.suffix.lower() not in ENDINGS:
        message, hint = f"{option} {path} is of no kind that is drawn", f"choose from {', '.join(ENDINGS)}"
    elif place.is_dir() or not place.absolute().parent.is_dir():
        message, hint = f"{option} {path} can not be written", "it is a file in a folder that exists"
    else:
        return
    raise ConfigError(message, hint=hint, attempt=f"{option} chart.png", code="usage")
