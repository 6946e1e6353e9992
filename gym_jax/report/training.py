"""How training went: losses, learning rate, speed, and how far seeds lie apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gym_jax.report.style import (
    LINES,
    add_legend,
    dress,
    label,
    legend_below,
    new_figure,
    numbers,
    set_title,
    theme_of,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Epochs = Sequence[Mapping[str, Any]]
"""A mapping an epoch, such as the lines of metrics.jsonl."""


def training_curves(
    runs: Mapping[str, Epochs], *, best: Mapping[str, int] | None = None, loss: str = "", dark: bool = False
) -> "Figure":
    """Return losses above the learning rate over epochs, the best epoch of each run marked.

    `runs` holds for each name its `epoch`, `loss`, `val_loss` and `lr`; `loss` says which it is, in what unit. A single
    run has a line for train and one for val; several have a colour each, train dashed.

    >>> first = {"epoch": 1, "loss": 3.0, "val_loss": 2.5, "lr": 0.1}
    >>> second = {"epoch": 2, "loss": 2.0, "val_loss": 1.5, "lr": 0.05}
    >>> figure = training_curves({"mlp": [first, second]}, best={"mlp": 2}, loss="mae, scaled")
    >>> figure.axes[0].get_ylabel()
    'loss (mae, scaled)'
    """
    theme, alone = theme_of(dark), len(runs) == 1
    figure, (losses, rates) = new_figure(2, 1, size=(5.6, 4.4), sharex=True, height_ratios=(3, 1))
    for number, (name, epochs) in enumerate(runs.items()):
        place = [line["epoch"] for line in epochs]
        colour, other = (theme.colours[(number + step) % len(theme.colours)] for step in (0, 1))
        style = LINES[number // len(theme.colours) % len(LINES)]
        train, val = (numbers([line.get(key) for line in epochs]) for key in ("loss", "val_loss"))
        marker = "." if len(place) <= 30 else ""
        shown = {"color": other, "label": "train"} if alone else {"color": colour, "alpha": 0.6}
        losses.plot(place, train, "--", linewidth=1.1, marker=marker, **shown)
        losses.plot(
            place, val, style, color=colour, linewidth=1.7, marker=marker, label="validation" if alone else label(name)
        )
        rates.plot(place, numbers([line.get("lr") for line in epochs]), style, color=colour, linewidth=1.4)
        chosen = (best or {}).get(name)
        if chosen in place:
            value = val[place.index(chosen)]
            losses.plot([chosen], [value], "o", color=colour, markersize=8, markeredgecolor=theme.ink, zorder=4)
            if alone:
                losses.axvline(chosen, color=theme.muted, linewidth=0.9, linestyle=":")
                losses.plot([], [], "o", color=colour, markeredgecolor=theme.ink, label=f"best: epoch {chosen}")
    losses.set_ylabel(f"loss ({loss})" if loss else "loss (each its own)")
    rates.set_ylabel("learning rate\n(per step)")
    rates.set_ylim(bottom=0)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    rates.set_xlabel("epoch")
    rates.xaxis.get_major_locator().set_params(integer=True)
    set_title(losses, "Loss by epoch" if alone else "Loss by epoch: validation solid, train dashed")
    add_legend(losses, dark)
    figure.align_ylabels()
    return dress(figure, dark)


def throughput(runs: Mapping[str, Epochs], *, dark: bool = False) -> "Figure":
    """Return windows per second over epochs; `runs` holds for each name its `epoch` and `windows_per_second`.

    >>> first, second = {"epoch": 1, "windows_per_second": 10.0}, {"epoch": 2, "windows_per_second": 30.0}
    >>> figure = throughput({"mlp": [first, second]})
    >>> figure.axes[0].get_ylabel()
    'examples per second'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 4.4))
    for number, (name, epochs) in enumerate(runs.items()):
        panel.plot(
            [line["epoch"] for line in epochs],
            numbers([line.get("windows_per_second") for line in epochs]),
            LINES[number // len(theme.colours) % len(LINES)],
            color=theme.colours[number % len(theme.colours)],
            marker="." if len(epochs) <= 30 else "",
            label=label(name),
        )
    panel.set_ylim(bottom=0)
    panel.set_xlabel("epoch")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_ylabel("examples per second")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    set_title(panel, "Speed of training; the first epoch compiles")
    if len(runs) > 1:
        add_legend(panel, dark)
    return dress(figure, dark)


def seed_spread(
    values: Mapping[str, float | None],
    *,
    mean: float | None = None,
    low: float | None = None,
    high: float | None = None,
    together: float | None = None,
    metric: str = "mae",
    unit: str | None = None,
    dark: bool = False,
) -> "Figure":
    """Return a dot for the error of each seed, the interval of their mean, and the error of their mean forecast.

    >>> figure = seed_spread({"0": 1.0, "1": 2.0}, mean=1.5, low=1.1, high=1.9, unit="cores")
    >>> figure.axes[0].get_title("left")
    'How far seeds lie apart'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 2.2 + 0.26 * min(len(values), 20)))
    places = list(range(len(values)))
    if low is not None and high is not None:
        panel.axvspan(low, high, color=theme.colours[0], alpha=0.18, label="95 % interval of the mean seed")
    if mean is not None:
        panel.axvline(mean, color=theme.colours[0], linewidth=1.4, label="mean seed")
    if together is not None:
        panel.axvline(together, color=theme.colours[1], linewidth=1.6, linestyle="--", label="mean of their forecasts")
    panel.plot(numbers(list(values.values())), places, "o", color=theme.colours[0], markersize=7)
    panel.set_yticks(places, [label(name) for name in values])
    panel.set_ylim(len(values) - 0.4, -0.6)
    panel.set_ylabel("seed")
    panel.set_xlabel(with_unit(metric, unit))
    set_title(panel, "How far seeds lie apart")
    legend_below(figure, panel, columns=2)
    return dress(figure, dark)
