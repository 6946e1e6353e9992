"""What a run looks at and where it fails, as bars and lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_jax.run.picture import COLOURS, save_figure

MOST = 12
"""Bars of a panel at most."""


def draw_explanation(found: Mapping[str, Any], path: str | Path) -> Path:
    """Draw an explanation into a file in the format of its ending; a file that is there is replaced.

    Raises StorageError when the file can not be written.
    """
    return save_figure(make_figure(found), path)


def make_figure(found: Mapping[str, Any]) -> Any:
    """Return the figure: importance of inputs and lags, attribution by lag, errors by step, hour and series."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    metric, target = found["metric"], found["target"]
    inputs, lags, by_lag, step, hour, worst = figure.subplots(2, 3).ravel()
    importance = found["importance"]
    rise = f"{metric} above {importance['base']:.3g}"
    _bars(inputs, [(row["name"], row["increase"], row["sd"]) for row in importance["inputs"]], "exchanged input", rise)
    rows = [(row["name"], row["increase"], row["sd"]) for row in importance["lags"]]
    _bars(lags, rows, "exchanged lags, all inputs", rise)
    _lags(by_lag, found["attribution"])
    _errors(step, found["by_horizon"], "step", metric, "step of the horizon")
    if "by_hour" in found:
        _errors(hour, found["by_hour"], "hour", metric, f"hour of the day{_zone(found)}")
    else:
        hour.set_axis_off()
    series = found["by_series"]
    order = sorted((row for row in zip(series["id"], series[metric], strict=True) if row[1] is not None), key=_second)
    _bars(worst, [(name, value, None) for name, value in order], f"worst of {len(order):,} series", metric)
    for panel in (inputs, lags, by_lag, step, hour, worst):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="both" if panel is by_lag else "x", linewidth=0.4, color="#cccccc")
        panel.set_axisbelow(True)
    figure.suptitle(f"{Path(found['run']).name} ({found['kind']}): {target}, {found['part']}")
    return figure


def _second(row: tuple[str, float]) -> float:
    return -row[1]


def _zone(found: Mapping[str, Any]) -> str:
    return f", {found['hours_in']}" if found["hours_in"] else ""


def _bars(panel: Any, rows: Sequence[tuple[str, Any, Any]], title: str, label: str) -> None:
    rows = [row for row in rows[:MOST] if row[1] is not None]
    errors = [row[2] or 0 for row in rows]
    values = [row[1] for row in rows]
    bars = panel.barh(range(len(rows)), values, xerr=errors if any(errors) else None, color=COLOURS[0])
    panel.bar_label(bars, [f"{value:.3g}" for value in values], fontsize=7, padding=3)
    panel.set_ylim(-0.6, max(len(rows), 4) - 0.4)
    panel.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8)
    panel.invert_yaxis()
    panel.set_title(title)
    panel.set_xlabel(label)


def _lags(panel: Any, attribution: Mapping[str, Any]) -> None:
    lags = attribution["lags"]
    names = [row["name"] for row in attribution["inputs"] if row["name"] in lags["channels"]][: len(COLOURS)]
    for name, colour in zip(names, COLOURS, strict=False):
        channel = lags["channels"].index(name)
        panel.plot(lags["lag"], [row[channel] for row in lags["size"]], color=colour, label=name, marker=".", ms=3)
    panel.set_yscale("symlog", linthresh=max(1e-9, 0.01 * max(max(row) for row in lags["size"])))
    panel.invert_xaxis()
    panel.set_xlabel("lag (1 is the last row)")
    panel.set_title(f"attribution, {attribution['of']}")
    panel.legend(fontsize=8, frameon=False)


def _errors(panel: Any, block: Mapping[str, Any], label: str, metric: str, title: str) -> None:
    known = [
        (group, value, bias)
        for group, value, bias in zip(block[label], block[metric], block["bias"], strict=True)
        if value is not None
    ]
    for place, (name, colour) in enumerate(((metric, COLOURS[0]), ("bias", COLOURS[2])), start=1):
        if name != "bias" or metric in ("mae", "rmse"):
            panel.plot([row[0] for row in known], [row[place] for row in known], color=colour, label=name, marker=".")
    panel.axhline(0, color="#555555", linewidth=0.6)
    panel.set_xlabel(title)
    panel.legend(fontsize=8, frameon=False)
