"""A search of settings: what each trial reached, and which settings mattered."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gym_jax.report.style import add_legend, dress, label, new_figure, set_title, theme_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = {"complete": "o", "pruned": "x"}
SPREAD = 20
"""Values worse than the median by so many times what it is behind the best are left off the axis, and counted."""


def search_history(
    trials: Sequence[Mapping[str, Any]],
    *,
    metric: str = "val_loss",
    direction: str = "minimize",
    title: str = "",
    dark: bool = False,
) -> "Figure":
    """Return the value of every trial and the best so far; pruned ones stand at their last value.

    A trial has `trial`, its number, its `state`, and a `value` or None.

    >>> trials = [{"trial": 0, "state": "complete", "value": 3.0}, {"trial": 1, "state": "pruned", "value": 4.0}]
    >>> search_history(trials, metric="mae").axes[0].get_title("left")
    '2 trials'
    """
    from matplotlib.ticker import MaxNLocator

    theme, (figure, (panel,)) = theme_of(dark), new_figure(size=(7.2, 3.6))
    for place, (state, mark) in enumerate(MARKS.items()):
        found = [row for row in trials if row["state"] == state and row["value"] is not None]
        places, values = [row["trial"] for row in found], [row["value"] for row in found]
        if found:
            name = f"{state} ({len(found)})"
            panel.plot(places, values, mark, color=theme.colours[place], markersize=5, label=name, zorder=3)
    better = max if direction == "maximize" else min
    done = [row for row in trials if row["state"] == "complete" and row["value"] is not None]
    so_far = [better(row["value"] for row in done[: place + 1]) for place in range(len(done))]
    if done:
        ends = [row["trial"] for row in done]
        last = max(row["trial"] for row in trials)
        line = {"color": theme.colours[2], "label": "best so far"}
        panel.step([*ends, last], [*so_far, so_far[-1]], where="post", **line)
    hidden = _limit(panel, trials, direction)
    panel.set_xlabel("trial (number)" + (f"; {hidden} beyond the axis" if hidden else ""))
    panel.set_ylabel(f"{label(metric)} on the val part")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    set_title(panel, label(title or f"{len(trials)} trials", 70))
    add_legend(panel, dark)
    return dress(figure, dark)


def search_importance(
    shares: Mapping[str, float], *, metric: str = "val_loss", method: str = "", title: str = "", dark: bool = False
) -> "Figure":
    """Return the share of each setting in how much the value differs, the largest on top.

    >>> search_importance({"optim.lr": 0.8, "model.hidden": 0.2}, metric="mae").axes[0].get_title("left")
    'Which settings mae depends on'
    """
    names = list(shares)[::-1]
    theme, (figure, (panel,)) = theme_of(dark), new_figure(size=(7.2, 1.3 + 0.32 * len(names)))
    bars = panel.barh([label(name, 36) for name in names], [shares[name] for name in names], color=theme.colours[0])
    panel.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    panel.set_xlim(0, 1.12 * max(shares.values()) or 1)
    panel.set_xlabel(f"importance{f' ({label(method)})' if method else ''}, shares of 1")
    panel.set_ylabel("setting")
    set_title(panel, label(title or f"Which settings {metric} depends on", 70))
    return dress(figure, dark, grid="x")


def _limit(panel: Any, trials: Sequence[Mapping[str, Any]], direction: str) -> int:
    """Keep a few bad trials from flattening the picture; return how many are beyond the axis."""
    sign = -1 if direction == "maximize" else 1
    values = sorted(sign * row["value"] for row in trials if row["value"] is not None)
    if len(values) < 4:
        return 0
    best, middle = values[0], values[len(values) // 2]
    top = middle + SPREAD * (middle - best)
    if middle == best or top >= values[-1]:
        return 0
    room = 0.05 * (top - best)
    panel.set_ylim(sorted((sign * (best - room), sign * top)))
    return sum(value > top for value in values)
