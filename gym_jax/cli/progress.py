"""Progress on stderr: a live bar on a terminal, a plain line per epoch elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Watch = Callable[[Any], None]
SLOW = 10.0
"""Seconds between plain lines inside a long epoch."""


@contextmanager
def watcher(*, plain: bool = False, quiet: bool = False) -> Iterator[Watch]:
    """Yield a function that shows the events of a run."""
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("CI")) or "NO_COLOR" in os.environ
    if quiet:
        yield lambda event: None
    elif plain or dumb or not sys.stderr.isatty():
        yield _plain()
    else:
        with _live() as watch:
            yield watch


def opening(facts: dict[str, Any]) -> list[str]:
    """Return the lines that open a run: what is trained on what, where."""
    lines = [
        f"{facts['model']} ({facts['parameters']:,} parameters) on {facts['data']}",
        f"{facts['series']:,} series, {facts['rows']:,} rows of {facts['interval']}, "
        f"target {', '.join(facts['targets'])}; "
        f"{facts['windows']['train']:,} train and {facts['windows']['val']:,} val windows",
        *(f"note: {note}" for note in facts["notes"]),
        f"run: {facts['folder']}" + (f" (resumed at step {facts['step']:,})" if facts["resumed"] else ""),
    ]
    if facts["devices"] > 1:
        lines.insert(2, f"{facts['devices']} devices, placement {facts['placement']}")
    return lines


def epoch_line(facts: dict[str, Any], eta: float | None) -> str:
    """Return one line for a finished epoch."""
    value = f"  val {facts['val_loss']:<8.5g}{' *' if facts['best'] else '  '}" if "val_loss" in facts else ""
    left = f"  eta {clock(eta)}" if eta is not None else ""
    return (
        f"epoch {facts['epoch']:>{len(str(facts['epochs']))}}/{facts['epochs']}  loss {facts['loss']:<8.5g}{value}"
        f"  lr {facts['lr']:.2e}  {facts['windows_per_second']:,} windows/s  {facts['seconds']:.1f}s{left}"
    )


def closing(facts: dict[str, Any]) -> str:
    """Return the line that says whose weights the run ends with."""
    best = facts["best"]
    value = f" (val_loss {best['val_loss']:.5g})" if "val_loss" in best else ""
    early = f"stopped early after epoch {facts['epoch']} of {facts['epochs']}; " if facts["stopped_early"] else ""
    return early + (f"restored best epoch {best['epoch']}{value}" if value else f"ended with step {best['step']}")


def clock(seconds: float) -> str:
    """Return a length of time as 1:02:03 or 2:03."""
    whole = int(seconds)
    minutes = f"{whole // 60 % 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}" if whole >= 3600 else minutes


def _plain() -> Watch:
    last = time.monotonic()
    eta = _Eta()

    def watch(event: Any) -> None:
        nonlocal last
        facts = event.facts
        lines: list[str] = []
        if event.kind == "start":
            lines = opening(facts)
        elif event.kind == "epoch":
            lines = [epoch_line(facts, eta.left(facts))]
        elif event.kind == "chunk" and time.monotonic() - last > SLOW:
            lines = [
                f"epoch {facts['epoch'] + 1}/{facts['epochs']}  batch {facts['batch']:,}/{facts['batches']:,}"
                f"  loss {facts['loss']:.5g}  {facts['windows_per_second']:,} windows/s  eta {clock(eta.left(facts))}"
            ]
        elif event.kind == "scored":
            lines = [closing(facts)]
        if lines:
            last = time.monotonic()
            print("\n".join(lines), file=sys.stderr, flush=True)

    return watch


@contextmanager
def _live() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    eta = _Eta()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("reading", total=None, text="")

        def watch(event: Any) -> None:
            facts = event.facts
            if event.kind == "start":
                for line in opening(facts):
                    console.print(line, markup=False, soft_wrap=True)
                progress.update(bar, description="compiling")
            elif event.kind == "chunk":
                done = facts["epoch"] + facts["batch"] / facts["batches"]
                text = (
                    f"loss {facts['loss']:.4g}  lr {facts['lr']:.1e}  {facts['windows_per_second']:,} windows/s  "
                    f"eta {clock(eta.left(facts))}"
                )
                progress.update(
                    bar,
                    description=f"epoch {facts['epoch'] + 1}/{facts['epochs']}",
                    total=facts["epochs"],
                    completed=done,
                    text=text,
                )
            elif event.kind == "epoch":
                console.print(epoch_line(facts, None), markup=False, soft_wrap=True)
                text = f"eta {clock(eta.left(facts))}"
                progress.update(
                    bar,
                    description=f"epoch {facts['epoch']}/{facts['epochs']}",
                    total=facts["epochs"],
                    completed=facts["epoch"],
                    text=text,
                )
            elif event.kind == "scored":
                console.print(closing(facts), markup=False)

        yield watch


class _Eta:
    """Time left if no early stop comes, out of the time since the first chunk (which compiled) ended."""

    def __init__(self) -> None:
        self.mark: tuple[float, float] | None = None

    def left(self, facts: dict[str, Any]) -> float:
        done = facts["epoch"] + facts.get("batch", 0) / facts.get("batches", 1)
        if self.mark is None:
            self.mark = (time.monotonic(), done)
            return facts.get("seconds", 0.0) * (facts["epochs"] - done)
        began, first = self.mark
        rate = (time.monotonic() - began) / max(done - first, 1e-9)
        return rate * (facts["epochs"] - done)
