"""How well classes are told apart: the confusion matrix and the ROC."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gym_jax.report.style import LINES, Values, add_legend, dress, label, new_figure, ramp_of, set_title, theme_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 15
"""Classes whose counts are written into the cells."""
CURVES = 8
"""Classes whose ROC is drawn."""


def confusion_matrix(classes: Sequence[str], counts: Sequence[Sequence[int]], *, dark: bool = False) -> "Figure":
    """Return how often each true class (row) was taken for each class (column); colours are shares of the row.

    >>> confusion_matrix(["no", "yes"], [[3, 1], [0, 2]]).axes[0].get_title("left")
    'Confusion, 6 cases'
    """
    table = np.asarray(counts, np.float64)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = min(9.0, max(3.6, 2.2 + 0.42 * len(classes)))
    figure, (panel,) = new_figure(size=(size + 0.9, size))
    shown = panel.imshow(100 * share, cmap=ramp_of(dark), vmin=0, vmax=100)
    bar = figure.colorbar(shown, ax=panel, pad=0.02)
    bar.set_label("share of the true class (%)", fontsize=9.5)
    bar.outline.set_visible(False)
    every = max(1, -(-len(classes) // 30))
    places = range(0, len(classes), every)
    words = [label(classes[i], 14) for i in places]
    turned = {"rotation": 40, "ha": "right"} if sum(map(len, words)) > 40 else {}
    panel.set_xticks(places, words, **turned)
    panel.set_yticks(places, words)
    panel.set_xlabel("predicted class")
    panel.set_ylabel("true class")
    set_title(panel, f"Confusion, {int(table.sum()):,} cases")
    dress(figure, dark, grid="none")
    if len(classes) <= FEW:
        for row in range(len(classes)):
            for column in range(len(classes)):
                colour = shown.cmap(shown.norm(100 * share[row, column]))
                ink = "#000000" if np.dot(colour[:3], (0.299, 0.587, 0.114)) > 0.45 else "#ffffff"
                text = f"{int(table[row, column]):,}"
                panel.text(column, row, text, ha="center", va="center", fontsize=8.5, color=ink)
    return figure


def roc(
    curves: Mapping[str, tuple[Values, Values]],
    areas: Mapping[str, float | None] | None = None,
    *,
    dark: bool = False,
) -> "Figure":
    """Return for each class the share of its cases found over the share of others taken for it; `areas` are below.

    >>> figure = roc({"yes": ([0.0, 0.0, 1.0], [0.0, 0.5, 1.0])}, {"yes": 0.75})
    >>> figure.axes[0].get_title("left")
    'ROC, each class against the rest'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.2, 4.6))
    panel.plot([0, 100], [0, 100], color=theme.muted, linewidth=1.0, linestyle=":", label="chance")
    shown = list(curves.items())[:CURVES]
    for number, (name, (wrong, right)) in enumerate(shown):
        area = (areas or {}).get(name)
        panel.plot(
            100 * np.asarray(wrong, np.float64),
            100 * np.asarray(right, np.float64),
            LINES[number % len(LINES)],
            color=theme.colours[number % len(theme.colours)],
            linewidth=1.7,
            drawstyle="steps-post",
            label=label(name) + ("" if area is None else f": area {area:.3f}"),
        )
    panel.set_xlim(-1, 101)
    panel.set_ylim(-1, 101)
    panel.set_aspect("equal")
    panel.set_xlabel("other cases taken for the class (%)")
    panel.set_ylabel("cases of the class found (%)")
    more = "" if len(shown) == len(curves) else f": {len(shown)} of {len(curves)} classes"
    set_title(panel, f"ROC, each class against the rest{more}")
    add_legend(panel, dark, loc="lower right")
    return dress(figure, dark)
