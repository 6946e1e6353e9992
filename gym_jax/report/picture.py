"""A picture as a file or within a page: its formats, and whether it can be written at all."""

import io
import re
from pathlib import Path
from typing import Any

from gym_jax.errors import ConfigError
from gym_jax.files import whole_file

ENDINGS = (".png", ".svg", ".pdf")
SCREEN = 144
"""Dots per inch of a picture within a page."""


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure in the format of the path's ending, whole or not at all. Raises StorageError."""
    with whole_file(path) as (path, temporary):
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150)
    return path


def as_png(figure: Any) -> bytes:
    """Return a figure as PNG, in as few colours as it needs."""
    from PIL import Image  # comes with matplotlib

    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=SCREEN)
    Image.open(buffer).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


def as_svg(figure: Any) -> bytes:
    """Return a figure as SVG without date or random names, numbers to a hundredth of a point: the same bytes again."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r'(?<=[ "])(d|x|y)="[^"]*"', _shorter, text[text.index("<svg") :])
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', text))
    short = {name: f"i{number}" for number, name in enumerate(names)}
    text = re.sub(r'(\bid="|url\(#|href="#)([^")]+)', lambda found: found[1] + short.get(found[2], found[2]), text)
    return re.sub(r"\s*\n\s*", "\n", text).encode()


def _shorter(found: re.Match[str]) -> str:
    return re.sub(r"(\d\.\d{2})\d+", r"\1", found[0])


def refuse_chart(option: str, path: str | None) -> None:
    """Raise ConfigError when a picture can not be written to this path: before any work is done."""
    if path is None:
        return
    refuse_place(option, path, ENDINGS, f"{option} chart.png")


def refuse_place(option: str, path: str, endings: tuple[str, ...], attempt: str) -> None:
    """Raise ConfigError when no file of these endings can be written to a path."""
    place = Path(path).expanduser()
    if place.suffix.lower() not in endings:
        kind = "drawn" if endings == ENDINGS else "written"
        message, hint = f"{option} {path} is of no kind that is {kind}", f"choose from {', '.join(endings)}"
    elif place.is_dir() or not place.absolute().parent.is_dir():
        message, hint = f"{option} {path} can not be written", "it is a file in a folder that exists"
    else:
        return
    raise ConfigError(message, hint=hint, attempt=attempt, code="usage")
