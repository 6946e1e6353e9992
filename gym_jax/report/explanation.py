"""What a run looks at and where it fails, as bars and lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gym_jax.report.style import Values, add_legend, dress, label, new_figure, set_title, theme_of, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12
"""Bars of a panel at most."""


def importance(
    names: Sequence[str],
    increases: Values,
    deviations: Values = (),
    *,
    metric: str = "mae",
    unit: str | None = None,
    dark: bool = False,
) -> "Figure":
    """Return by how much the error rises when an input comes from another window, a bar each, the first on top.

    >>> importance(["cpu", "day"], [2.0, 1.0], [0.1, 0.2], unit="cores").axes[0].get_xlabel()
    'rise of mae (cores)'
    """
    rows = list(zip(names, increases, deviations or [None] * len(names), strict=True))
    figure, (panel,) = new_figure(size=(5.6, max(2.4, 1.3 + 0.3 * min(len(rows), MOST))))
    _bars(panel, rows, "Importance: error when an input is exchanged", with_unit(f"rise of {metric}", unit), dark)
    panel.set_ylabel("input")
    return dress(figure, dark, grid="x")


def explanation(found: Mapping[str, Any], *, dark: bool = False) -> "Figure":
    """Return what `explain_run` found: importance, attribution by lag, errors by step, hour and series."""
    figure, (inputs, lags, by_lag, step, hour, worst) = new_figure(2, 3, size=(14, 7.5))
    metric, target = found["metric"], found["target"]
    exchanged = found["importance"]
    rise = f"{metric} above {exchanged['base']:.3g}"
    rows = [(row["name"], row["increase"], row["sd"]) for row in exchanged["inputs"]]
    _bars(inputs, rows, "exchanged input", rise, dark)
    rows = [(row["name"], row["increase"], row["sd"]) for row in exchanged["lags"]]
    _bars(lags, rows, "exchanged lags, all inputs", rise, dark)
    _lags(by_lag, found["attribution"], dark)
    _errors(step, found["by_horizon"], "step", metric, "step of the horizon", dark)
    if "by_hour" in found:
        _errors(hour, found["by_hour"], "hour", metric, f"hour of the day{_zone(found)}", dark)
    else:
        hour.set_axis_off()
    series = found["by_series"]
    order = sorted((row for row in zip(series["id"], series[metric], strict=True) if row[1] is not None), key=_second)
    _bars(worst, [(name, value, None) for name, value in order], f"worst of {len(order):,} series", metric, dark)
    title = f"{Path(found['run']).name} ({found['kind']}): {target}, {found['part']}"
    figure.suptitle(label(title, 90), fontsize=12)
    dress(figure, dark)
    for panel in (inputs, lags, worst):
        panel.grid(visible=False, axis="y")
    return figure


def _second(row: tuple[str, float]) -> float:
    return -row[1]


def _zone(found: Mapping[str, Any]) -> str:
    return f", {found['hours_in']}" if found["hours_in"] else ""


def _bars(panel: Any, rows: Sequence[tuple[str, Any, Any]], title: str, what: str, dark: bool) -> None:
    rows = [row for row in rows[:MOST] if row[1] is not None]
    errors, values, theme = [row[2] or 0 for row in rows], [row[1] for row in rows], theme_of(dark)
    bars = panel.barh(
        range(len(rows)), values, xerr=errors if any(errors) else None, color=theme.colours[0], ecolor=theme.ink
    )
    panel.bar_label(bars, [f"{value:.3g}" for value in values], fontsize=7, padding=3)
    panel.margins(x=0.12)
    panel.set_ylim(max(len(rows), 4) - 0.4, -0.6)
    panel.set_yticks(range(len(rows)), [label(row[0]) for row in rows])
    set_title(panel, title)
    panel.set_xlabel(what)


def _lags(panel: Any, attribution: Mapping[str, Any], dark: bool) -> None:
    lags, colours = attribution["lags"], theme_of(dark).colours
    names = [row["name"] for row in attribution["inputs"] if row["name"] in lags["channels"]][: len(colours)]
    for name, colour in zip(names, colours, strict=False):
        channel = lags["channels"].index(name)
        sizes = [row[channel] for row in lags["size"]]
        panel.plot(lags["lag"], sizes, color=colour, label=label(name), marker=".", ms=3)
    panel.set_yscale("symlog", linthresh=max(1e-9, 0.01 * max(max(row) for row in lags["size"])))
    panel.invert_xaxis()
    panel.set_xlabel("lag (1 is the last row)")
    set_title(panel, f"attribution, {attribution['of']}")
    add_legend(panel, dark)


def _errors(panel: Any, block: Mapping[str, Any], group: str, metric: str, what: str, dark: bool) -> None:
    known = [
        (place, value, bias)
        for place, value, bias in zip(block[group], block[metric], block["bias"], strict=True)
        if value is not None
    ]
    theme = theme_of(dark)
    for place, (name, colour) in enumerate(((metric, theme.colours[0]), ("bias", theme.colours[1])), start=1):
        if name != "bias" or metric in ("mae", "rmse"):
            panel.plot([row[0] for row in known], [row[place] for row in known], color=colour, label=name, marker=".")
    panel.axhline(0, color=theme.muted, linewidth=0.6)
    panel.set_xlabel(what)
    add_legend(panel, dark)
