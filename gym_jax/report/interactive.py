"""Interactive figures for notebooks, drawn by Plotly (extra `viz`): values on hover, zoom, models to toggle."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gym_jax.report.extra import need
from gym_jax.report.forecasts import View, broken, broken_times
from gym_jax.report.style import UNKNOWN, Values, numbers, theme_of
from gym_jax.report.training import Epochs


def forecasts(
    models: Mapping[str, Sequence[View]], *, quantity: str = "value", unit: str | None = None, dark: bool = False
) -> Any:
    """Return forecasts of several models over what came; a button for each series, a legend that toggles models.

    Series are those that all models have, by name; zoom and hover show single values.
    """
    go, theme = need("plotly.graph_objects"), theme_of(dark)
    figure, owners = go.Figure(), []
    named = {model: {view.name: view for view in views} for model, views in models.items()}
    names = [name for name in next(iter(named.values()), {}) if all(name in views for views in named.values())]
    for place, name in enumerate(names):
        first, shown = next(iter(named.values()))[name], place == 0
        ink = {"line": {"color": theme.ink}, "mode": "lines", "visible": shown}
        figure.add_scatter(x=first.times, y=_plain(first.actual), name="observed", **ink)
        owners.append(place)
        for number, (model, views) in enumerate(named.items()):
            view, colour = views[name], theme.colours[number % len(theme.colours)]
            group = {"legendgroup": str(number), "visible": shown, "mode": "lines"}
            for at in reversed(range(len(view.levels))):
                x, y = _outline(view, at)
                area = {
                    "fill": "toself",
                    "fillcolor": colour,
                    "opacity": 0.22,
                    "line": {"width": 0},
                    "hoverinfo": "skip",
                }
                figure.add_scatter(x=x, y=y, name=f"{_text(model)}: {100 * view.levels[at]:g} %", **area, **group)
                owners.append(place)
            point = _plain(broken(view, view.point))
            figure.add_scatter(x=broken_times(view), y=point, name=_text(model), line={"color": colour}, **group)
            owners.append(place)
    buttons = [
        {
            "label": _text(name),
            "method": "update",
            "args": [{"visible": [owner == place for owner in owners]}, {"title.text": _text(name)}],
        }
        for place, name in enumerate(names)
    ]
    if len(names) > 1:
        figure.update_layout(updatemenus=[{"buttons": buttons, "x": 1, "xanchor": "right", "y": 1.15}])
    figure.update_layout(
        title={"text": _text(names[0]) if names else ""},
        xaxis_title="time",
        yaxis_title=_text(f"{quantity} ({unit or UNKNOWN})"),
        hovermode="x unified",
    )
    return _dressed(figure, dark)


def curves(runs: Mapping[str, Epochs], *, loss: str = "loss", dark: bool = False) -> Any:
    """Return losses of runs by epoch: train dashed, validation solid; the legend toggles a run."""
    go, theme = need("plotly.graph_objects"), theme_of(dark)
    figure = go.Figure()
    for number, (name, epochs) in enumerate(runs.items()):
        colour, place = theme.colours[number % len(theme.colours)], [line["epoch"] for line in epochs]
        for key, dash in (("loss", "dash"), ("val_loss", "solid")):
            figure.add_scatter(
                x=place,
                y=_plain(numbers([line.get(key) for line in epochs])),
                name=f"{_text(name)}: {'train' if key == 'loss' else 'validation'}",
                legendgroup=str(number),
                line={"color": colour, "dash": dash},
            )
    figure.update_layout(xaxis_title="epoch", yaxis_title=_text(loss), hovermode="x unified")
    return _dressed(figure, dark)


def scatter(
    models: Mapping[str, tuple[Values, Values]], *, quantity: str = "value", unit: str | None = None, dark: bool = False
) -> Any:
    """Return for each model its forecasts against what came (`predicted, actual`), every value under the pointer."""
    go, theme = need("plotly.graph_objects"), theme_of(dark)
    figure, ends = go.Figure(), []
    for number, (name, (predicted, actual)) in enumerate(models.items()):
        x, y = numbers(actual), numbers(predicted)
        ends += [float(part) for values in (x, y) for part in (np.nanmin(values), np.nanmax(values))]
        marker = {"color": theme.colours[number % len(theme.colours)], "size": 5, "opacity": 0.6}
        figure.add_scattergl(x=_plain(x), y=_plain(y), mode="markers", name=_text(name), marker=marker)
    if ends:
        line = {"color": theme.muted, "dash": "dash"}
        figure.add_scatter(x=[min(ends), max(ends)], y=[min(ends), max(ends)], name="forecast = observed", line=line)
    words = f"{quantity} ({unit or UNKNOWN})"
    figure.update_layout(xaxis_title=_text(f"observed {words}"), yaxis_title=_text(f"forecast {words}"))
    return _dressed(figure, dark)


def _outline(view: View, level: int) -> tuple[list[Any], list[float | None]]:
    """Return the outline of a band, forecast by forecast: its high ends forward, its low ends back."""
    assert view.bands is not None
    begins = list(view.begins) or [0]
    x: list[Any] = []
    y: list[float | None] = []
    for begin, end in zip(begins, [*begins[1:], len(view.times)], strict=True):
        times = view.times[begin:end].tolist() if view.times.dtype.kind != "M" else list(view.times[begin:end])
        low, high = (_plain(view.bands[begin:end, level, side]) for side in (0, 1))
        x += [*times, *times[::-1], None]
        y += [*high, *low[::-1], None]
    return x, y


def _dressed(figure: Any, dark: bool) -> Any:
    theme = theme_of(dark)
    figure.update_layout(
        paper_bgcolor=theme.paper, plot_bgcolor=theme.paper, font={"color": theme.ink}, template="none"
    )
    figure.update_xaxes(gridcolor=theme.grid, zerolinecolor=theme.muted)
    figure.update_yaxes(gridcolor=theme.grid, zerolinecolor=theme.muted)
    return figure


def _plain(values: np.ndarray) -> list[float | None]:
    """Return numbers with None where a line breaks."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _text(words: Any) -> str:
    """Return users' words as they are: Plotly reads a few tags of HTML in them."""
    return str(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


INTERACTIVE: dict[str, Callable[..., Any]] = {"forecasts": forecasts, "curves": curves, "scatter": scatter}
"""Plots by name that need Plotly; each returns a Plotly figure."""
