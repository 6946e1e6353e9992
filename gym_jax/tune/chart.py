"""Pictures of a search: what each trial reached, and which settings mattered."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_jax.run.picture import COLOURS, save_figure

MARKS = {"complete": ("o", COLOURS[0]), "pruned": ("x", COLOURS[3])}
SPREAD = 20
"""Values above the median by so many times the distance of the better half are left off the axis, and counted."""


def draw_history(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], path: Path) -> Path:
    """Draw the value of every trial and the best so far; pruned ones stand at their last epoch. Raises StorageError."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for state, (mark, colour) in MARKS.items():
        found = [row for row in rows if row["state"] == state and row["value"] is not None]
        if found:
            numbers, values = [row["trial"] for row in found], [row["value"] for row in found]
            axes.plot(numbers, values, mark, color=colour, markersize=5, label=f"{state} ({len(found)})", zorder=3)
    better = max if facts["direction"] == "maximize" else min
    done = [row for row in rows if row["state"] == "complete" and row["value"] is not None]
    so_far = [better(row["value"] for row in done[: place + 1]) for place in range(len(done))]
    if done:
        ends = [row["trial"] for row in done]
        last = max(row["trial"] for row in rows)
        axes.step([*ends, last], [*so_far, so_far[-1]], where="post", color=COLOURS[2], label="best so far")
    hidden = _limit(axes, rows, facts["direction"])
    axes.set_xlabel("trial" + (f" ({hidden} beyond the axis)" if hidden else ""))
    axes.set_ylabel(f"{facts['metric']} on the val part")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"{Path(facts['folder']).name}: {len(rows)} trials", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return save_figure(figure, path)


def draw_importance(importance: Mapping[str, float], facts: Mapping[str, Any], path: Path) -> Path:
    """Draw the share of each setting, the largest on top. Raises StorageError."""
    from matplotlib.figure import Figure

    names = list(importance)[::-1]
    figure = Figure(figsize=(7, 1.3 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, [importance[name] for name in names], color=COLOURS[0])
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.set_xlim(0, max(importance.values()) * 1.12 or 1)
    axes.set_xlabel(f"importance ({facts['importance_by']}, shares of 1)")
    axes.set_title(f"{Path(facts['folder']).name}: which settings {facts['metric']} depends on", fontsize=10)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return save_figure(figure, path)


def _limit(axes: Any, rows: Sequence[Mapping[str, Any]], direction: str) -> int:
    """Keep a few bad trials from flattening the picture; return how many are beyond the axis."""
    sign = -1 if direction == "maximize" else 1
    values = sorted(sign * row["value"] for row in rows if row["value"] is not None)
    if len(values) < 4:
        return 0
    best, middle = values[0], values[len(values) // 2]
    top = middle + SPREAD * (middle - best)
    if middle == best or top >= values[-1]:
        return 0
    room = 0.05 * (top - best)
    axes.set_ylim(sorted((sign * (best - room), sign * top)))
    return sum(value > top for value in values)
