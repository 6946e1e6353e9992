"""A comparison as bars: a group of bars for each model and batch, a colour for each way to train it."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gym_jax.run.bench_rows import OWN, Row
from gym_jax.run.picture import COLOURS, save_figure

HATCHES = ("", "///", "...", "xxx")
"""More ways than colours are hatched."""


def way_of(row: Row) -> str:
    """Return how a row was trained, in words: placement and compilation of ours, the name of a peer."""
    return f"{row.placement}, {row.compile}" if row.by == OWN else row.by


def draw_chart(rows: Sequence[Row], path: str | Path) -> Path:
    """Draw windows per second into a file in the format of its ending; a file that is there is replaced.

    A case without a number has a cross on the axis. Raises StorageError when the file can not be written.
    """
    return save_figure(make_figure(rows), path)


def make_figure(rows: Sequence[Row]) -> Any:
    """Return the figure: a panel for each model, with an axis of its own, because their speeds lie far apart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.model is not None]
    models, several = list(dict.fromkeys(row.model for row in rows)), len({row.dtype for row in rows}) > 1
    ways = list(dict.fromkeys(map(way_of, rows)))
    groups = len(dict.fromkeys((row.batch_size, row.dtype) for row in rows))
    width = max(3.2, 0.9 + 0.26 * groups * (len(ways) + 1))
    figure = Figure(figsize=(width * len(models), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(models), squeeze=False)[0]
    for panel, model in zip(panels, models, strict=True):
        _draw_model(panel, [row for row in rows if row.model == model], ways, several)
        panel.set_title(model)
    panels[0].set_ylabel("windows per second (higher is better)")
    handles = dict(item for panel in panels for item in zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)
    return figure


def _draw_model(panel: Any, rows: Sequence[Row], ways: Sequence[str], several: bool) -> None:
    groups = list(dict.fromkeys((row.batch_size, row.dtype) for row in rows))
    styles = list(itertools.product(HATCHES, COLOURS))
    step = 0.84 / len(ways)
    for row in rows:
        place, way = groups.index((row.batch_size, row.dtype)), way_of(row)
        number = ways.index(way)
        x = place + (number - (len(ways) - 1) / 2) * step
        if row.windows_per_second is None:
            panel.plot([x], [0], "x", color="#555555", clip_on=False, zorder=3)
            continue
        hatch, colour = styles[number % len(styles)]
        bar = panel.bar(
            x,
            row.windows_per_second,
            0.9 * step,
            color=colour,
            hatch=hatch,
            edgecolor="#222222",
            linewidth=0.5,
            label=way,
        )
        panel.bar_label(bar, [short(row.windows_per_second)], rotation=90, fontsize=7, padding=2)
    panel.set_xticks(
        range(len(groups)), [f"batch {size}" + (f"\n{dtype}" if several else "") for size, dtype in groups]
    )
    highest = max((row.windows_per_second or 0 for row in rows), default=0)
    panel.set_ylim(0, 1.18 * highest or 1)
    panel.yaxis.set_major_formatter(lambda value, _: short(value))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", linewidth=0.4, color="#cccccc")
    panel.set_axisbelow(True)


def short(value: float) -> str:
    """Return a number with three digits and k, M or G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
