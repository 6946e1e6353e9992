"""The monitor in a terminal: a table of runs with the course of their losses, as often as it changes."""

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gym_jax.cells import cell
from gym_jax.cli.show import clock, size
from gym_jax.cli.signals import stop_on_signals
from gym_jax.errors import ConfigError
from gym_jax.serve.thin import thin
from gym_jax.serve.watcher import Watcher

BARS, PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=*#"
LENGTH = 20
"""Characters of a course."""
WIDTH = 140
"""Of a frame where there is no terminal."""
COLOURS = {"running": "blue", "done": "green", "failed": "red", "damaged": "red", "stopped": "yellow"}


def show_screen(watcher: Watcher) -> None:
    """Show the runs until Ctrl-C. Raises ConfigError where there is no terminal that can be written over."""
    console = _console()
    if not console.is_terminal or console.is_dumb_terminal:
        raise ConfigError(
            "--tui needs a terminal" + (", and TERM=dumb is none" if console.is_dumb_terminal else ""),
            hint="--once prints one frame into a file or a pipe",
            attempt="gymjax monitor --once",
            code="usage",
        )
    with stop_on_signals() as stopped, Live(console=console, screen=True, auto_refresh=False) as live:
        while stopped() is None:
            watcher.look()
            live.update(frame(watcher.snapshot(), watcher, console), refresh=True)
            wait(watcher.every, stopped)


def wait(seconds: float, stopped: Callable[[], int | None]) -> None:
    """Wait so long, or until a signal has come: a sleep goes on after one."""
    until = time.monotonic() + seconds
    while stopped() is None and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))


def _console(width: int | None = None) -> Console:
    """Return where it is shown; NO_COLOR takes bold and dim out too, which rich would leave in."""
    return Console(width=width, highlight=False, color_system=None if "NO_COLOR" in os.environ else "auto")


def print_screen(watcher: Watcher) -> None:
    """Print the runs as they are now."""
    console = _console(None if sys.stdout.isatty() else WIDTH)
    watcher.look()
    console.print(frame(watcher.snapshot(), watcher, console, every_run=True))


def frame(snapshot: dict[str, Any], watcher: Watcher, console: Console, *, every_run: bool = False) -> RenderableType:
    """Return a frame: the machine, a line for every run that fits, and why those that failed did."""
    runs = snapshot["runs"]
    shown = runs if every_run else runs[: max(1, console.height - 8)]
    bars = BARS if (console.encoding or "").lower().startswith("utf") else PLAIN_BARS
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("run", no_wrap=True, overflow="ellipsis", min_width=12, ratio=1)
    table.add_column("status", no_wrap=True)
    for name in ("epoch", "loss", "val loss", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("course", no_wrap=True, min_width=LENGTH)
    for name in ("windows/s", "patience", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in shown:
        table.add_row(*line_of(run, course_of(watcher, run["id"], bars)))
    parts: list[RenderableType] = [Text(head_of(snapshot)), Text(), table]
    if not runs:
        parts[-1] = Text(f"no runs in {safe(snapshot['root'])} yet")
    if hidden := len(runs) - len(shown) + snapshot["left_out"]:
        parts.append(Text(f"and {hidden:,} older ones", style="dim"))
    parts += [
        Text(f"{safe(run['id'])} {run['status']}: {safe(run['reason'])}", style=COLOURS.get(run["status"], ""))
        for run in shown
        if run["reason"] and run["status"] != "done"
    ]
    return Group(*parts)


def line_of(run: dict[str, Any], course: str) -> list[Text]:
    """Return the cells of a run."""
    name = f"  seed {run['seed']}" if run["group"] else run["id"]
    whole = "" if run["epochs"] is None else f"/{run['epochs']}"
    at = run["epoch"] if run["at"] is None or run["at"] == run["epoch"] else round(run["at"], 1)
    best = run["best"] or {}
    left = None if run["ends"] is None else clock(max(0.0, run["ends"] - time.time()))
    words = [
        safe(name),
        run["status"],
        f"{cell(at)}{whole}",
        cell(run["loss"]),
        cell(run["val_loss"]),
        f"{cell(best.get('val_loss'))} @{best['epoch']:g}" if best else "-",
        course,
        "-" if run["windows_per_second"] is None else f"{run['windows_per_second']:,.0f}",
        "-" if run["patience_left"] is None else f"{run['patience_left']}/{run['patience']}",
        left or "-",
    ]
    styles = ["", COLOURS.get(run["status"], ""), *[""] * 8]
    return [Text(word, style=style) for word, style in zip(words, styles, strict=True)]


def course_of(watcher: Watcher, name: str, bars: str) -> str:
    """Return the course of the validation loss of a run, or of its loss, as a row of bars; its peaks and dips stay."""
    run = watcher.find(name)
    if run is None:
        return ""
    metrics = run.tables["metrics"]
    values = metrics.column("val_loss")
    values = values if any(map(math.isfinite, values)) else metrics.column("loss")
    return sparkline(values[thin(values, LENGTH - 2)].tolist(), bars)


def sparkline(values: Sequence[float], bars: str = BARS) -> str:
    """Return values as bars between the least and the greatest of them; a blank where there is none."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(bars) - 1) or 1.0
    return "".join(bars[round((value - low) / step)] if math.isfinite(value) else " " for value in values)


def head_of(snapshot: dict[str, Any]) -> str:
    """Return the line about the machine."""
    system = snapshot["system"][-1]
    load = "-" if system["load"] is None else f"{system['load'][0]:.2f} of {system['cores']} cores"
    memory = system["memory"]
    held = "-" if memory["total"] is None else f"{size(memory['used'])} of {size(memory['total'])}"
    going = sum(run["status"] == "running" for run in snapshot["runs"])
    return f"{safe(snapshot['root'])}   {going} training   load {load}   memory {held}"


def safe(text: str) -> str:
    """Return a text without the characters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
