"""One style for every picture: paper, ink and colours, light and dark, told apart by colour-blind readers.

Nothing of matplotlib's global state is read for it or changed: no pyplot, no rcParams.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's; the first ones are told from white paper best."""
LINES = ("-", "--", "-.", ":")
"""What tells lines apart beside their colours, and where there are more lines than colours."""
FONT = "DejaVu Sans"
"""Comes with matplotlib."""
UNKNOWN = "data's unit"
"""What stands for a unit that is not known."""


Values = Sequence[Any] | Shaped[np.ndarray, " n"]
"""Numbers, None or NaN where there is none."""


class Theme(NamedTuple):
    """What a picture is painted with."""

    paper: str
    ink: str
    """Of words and axes."""
    muted: str
    """Of lines that only guide the eye."""
    grid: str
    colours: tuple[str, ...]
    ramp: tuple[str, ...]
    """Of counts, from few to many: one hue, ever further from the paper."""


LIGHT = Theme("#ffffff", "#1b1f24", "#656d76", "#dfe3e8", COLOURS, ("#e3edf6", "#0072B2", "#00233a"))
DARK = Theme(
    "#14171c",
    "#e8eaed",
    "#9aa4b0",
    "#343a43",
    ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#ffffff", "#0072B2"),
    ("#1d2a37", "#3f8fc4", "#e8f6ff"),
)


def theme_of(dark: bool) -> Theme:
    """Return the theme of dark or of light paper."""
    return DARK if dark else LIGHT


def ramp_of(dark: bool) -> Any:
    """Return the colour map of counts."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("counts", theme_of(dark).ramp)


def new_figure(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (7.2, 4.0), **options: Any
) -> tuple[Any, np.ndarray]:
    """Return a figure on an Agg canvas and its panels in a flat array; `size` is in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def dress(figure: Any, dark: bool, *, grid: str = "both") -> Any:
    """Return the figure with paper, ink, fonts and a grid (`x`, `y`, `both`, `none`) that lies behind the data."""
    from matplotlib.text import Text

    theme = theme_of(dark)
    figure.set_facecolor(theme.paper)
    for panel in figure.axes:
        panel.set_facecolor(theme.paper)
        panel.tick_params(colors=theme.muted, which="both", labelsize=8.5)
        panel.spines[:].set_color(theme.muted)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
        if grid != "none":
            panel.grid(axis=grid, color=theme.grid, linewidth=0.6)
        panel.xaxis.label.set_fontsize(9.5)
        panel.yaxis.label.set_fontsize(9.5)
    for text in figure.findobj(Text):
        text.set_color(theme.ink)
        text.set_fontfamily(FONT)
    return figure


def add_legend(panel: Any, dark: bool, **options: Any) -> None:
    """Add a legend in the style of all pictures, where anything has a name."""
    if panel.get_legend_handles_labels()[0]:
        theme = theme_of(dark)
        settings = {"fontsize": 8.5, "framealpha": 0.85, "facecolor": theme.paper, "edgecolor": theme.grid, **options}
        panel.legend(**settings)


def legend_below(figure: Any, *panels: Any, columns: int = 6) -> None:
    """Add one legend for some panels below them, where it hides nothing; a name stands once."""
    handles = dict(item for panel in panels for item in zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    if handles:
        settings = {"ncols": min(columns, len(handles)), "frameon": False, "fontsize": 8.5}
        figure.legend(handles.values(), handles, loc="outside lower center", **settings)


def set_title(panel: Any, text: str) -> None:
    """Write a title above the left end of a panel."""
    panel.set_title(text, loc="left", fontsize=10.5)


def numbers(values: Values) -> np.ndarray:
    """Return values as float64, NaN for None."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def with_unit(what: str, unit: str | None) -> str:
    """Return the label of an axis: what it shows and its unit, or that it is that of the data."""
    return f"{label(what, 40)} ({label(unit, 20) if unit else UNKNOWN})"


def label(text: Any, most: int = 28) -> str:
    """Return users' words as a label: at most so long, no mathematics, no sign that the font lacks."""
    known = _glyphs()
    word = "".join(
        sign if sign.isprintable() and ord(sign) in known else "\N{REPLACEMENT CHARACTER}" for sign in str(text)
    )
    word = word if len(word) <= most else f"{word[: most - 1]}…"
    word = f" {word}" if word.startswith("_") else word  # matplotlib hides names that begin with it
    return word.replace("$", r"\$")


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())
