"""Models beside each other: their errors with intervals, and which differences can be chance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gym_jax.report.style import Values, dress, label, new_figure, numbers, set_title, theme_of, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def model_comparison(
    names: Sequence[str],
    values: Values,
    low: Values,
    high: Values,
    *,
    metric: str = "mae",
    unit: str | None = None,
    dark: bool = False,
) -> "Figure":
    """Return the error of each model as a dot with its interval, the first on top.

    >>> figure = model_comparison(["mlp", "last"], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5], unit="cores")
    >>> figure.axes[0].get_xlabel()
    'mae (cores); lower is better'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 1.5 + 0.5 * max(len(names), 2)))
    places = list(range(len(names)))
    panel.hlines(places, numbers(low), numbers(high), color=theme.colours[0], linewidth=2.4, alpha=0.55)
    panel.plot(numbers(values), places, "o", color=theme.colours[0], markersize=8)
    panel.set_yticks(places, [label(name) for name in names])
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_ylabel("model")
    panel.set_xlabel(f"{with_unit(metric, unit)}; lower is better")
    set_title(panel, "Error with its 95 % interval over series" if numbers(low).size and _any(low) else "Error")
    return dress(figure, dark, grid="x")


def significance(pairs: Sequence[Mapping[str, Any]], names: Sequence[str], *, dark: bool = False) -> "Figure":
    """Return a square of pairs: better, worse or no evidence, with the p of each.

    A pair has `first`, `second`, `difference` (first minus second), `p` (corrected) and `better`, a name or None.

    >>> pair = {"first": "mlp", "second": "last", "difference": -1.0, "p": 0.0004, "better": "mlp"}
    >>> significance([pair], ["mlp", "last"]).axes[0].get_title("left")
    'Which differences are no chance'
    """
    theme = theme_of(dark)
    size = max(3.2, 1.6 + 0.72 * len(names))
    figure, (panel,) = new_figure(size=(size + 1.0, size))
    places = {name: number for number, name in enumerate(names)}
    cells = []
    for pair in pairs:
        one, other = places[pair["first"]], places[pair["second"]]
        for row, column, own in ((one, other, pair["first"]), (other, one, pair["second"])):
            better = pair.get("better")
            shade = theme.grid if better is None else theme.colours[0] if better == own else theme.colours[1]
            word = "no evidence" if better is None else "better" if better == own else "worse"
            cells.append((row, column, shade, word, pair.get("p")))
    from matplotlib.patches import Rectangle

    for row, column, shade, _, _ in cells:
        panel.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=shade, alpha=0.55, linewidth=0))
    panel.set_xlim(-0.5, len(names) - 0.5)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xticks(range(len(names)), [label(name, 16) for name in names], rotation=30, ha="right")
    panel.set_yticks(range(len(names)), [label(name, 20) for name in names])
    panel.set_xlabel("... than this one")
    panel.set_ylabel("is this model ...")
    set_title(panel, "Which differences are no chance")
    for row, column, _, word, p in cells:
        said = "" if p is None else "\np < 0.001" if p < 0.001 else f"\np = {p:.3f}"
        panel.text(column, row, f"{word}{said}", ha="center", va="center", fontsize=7.5)
    return dress(figure, dark, grid="none")


def _any(values: Values) -> bool:
    return any(value is not None for value in values)
