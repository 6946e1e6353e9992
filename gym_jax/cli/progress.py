"""Progress on stderr: a live bar on a terminal, one row in a notebook, plain lines elsewhere; every event is logged."""

import html
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal, TextIO

from gym_jax.cli.crew import crew_closing, crew_line, crew_words, leaving_line, pack_words
from gym_jax.cli.log import Output, line_of, log
from gym_jax.cli.show import clock, counted_in, data_line, tracker_line

Watch = Callable[[Any], None]
Style = Literal["rich", "plain", "notebook", "json", "none"]
SLOW = 10.0
"""Seconds between plain lines inside a long epoch."""
FINE = ("chunk", "saved")
"""Events that are shown with -v and logged at the level debug."""


@contextmanager
def watcher(output: Output | None = None, *, plain: bool = False) -> Iterator[Watch]:
    """Yield a function that shows and logs the events of a run: `train_run(config, watch=watch)`.

    A user of the library gets what suits the place: a row in a notebook, a bar on a terminal.
    """
    output = output or Output()
    show = {"rich": _live, "plain": _plain, "notebook": _notebook}.get(style(output, plain=plain), _nothing)
    with show(output.verbosity) as watch:

        def tell(event: Any) -> None:
            if event.kind != "tracker":  # it was logged where it happened
                log(event.kind, _brief(event.facts), logging.DEBUG if event.kind in FINE else logging.INFO)
            watch(event)

        yield tell


def style(
    output: Output | None = None,
    *,
    plain: bool = False,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    notebook: bool | None = None,
) -> Style:
    """Return how progress is shown: what is asked for first, then what the place can show."""
    output, environ = output or Output(), os.environ if environ is None else environ
    dumb = environ.get("TERM") == "dumb" or bool(environ.get("CI")) or "NO_COLOR" in environ
    if output.format == "json":
        return "json"
    if output.verbosity < 0:
        return "none"
    if plain or dumb:
        return "plain"
    if in_notebook() if notebook is None else notebook:
        return "notebook"
    return "rich" if (stream or sys.stderr).isatty() else "plain"


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook; IPython is not imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def opening(facts: dict[str, Any]) -> list[str]:
    """Return the lines that open a run: what is trained on what, where."""
    lines = [
        f"{facts['model']} ({facts['parameters']:,} parameters) on {facts['data']}",
        data_line(facts),
        *(f"note: {note}" for note in facts["notes"]),
        *(f"warning: step {step:,} was set aside: {fault}" for step, fault in facts.get("damaged", {}).items()),
        f"run: {facts['folder']}" + (f" (resumed at step {facts['step']:,})" if facts["resumed"] else ""),
    ]
    if "seeds" in facts:
        lines.insert(2, crew_line(facts))
    elif facts["devices"] > 1 and facts["placement"] != "auto":
        of = f" in {facts['processes']} processes" if "processes" in facts else ""
        lines.insert(2, f"{facts['devices']} devices{of}, placement {facts['placement']}")
    return lines


def placement_lines(facts: dict[str, Any]) -> list[str]:
    """Return the line that says which layout won against which, and one for each whose numbers were wrong."""

    def named(lane: dict[str, Any]) -> str:
        return f"{pack_words(lane)}, {lane['compile']}"

    timed = [f"{named(lane)}: {lane['ms_per_step']:.3g} ms a step" for lane in facts["race"] if lane["ms_per_step"]]
    raced = f" ({'; '.join(timed)})" if timed else ""
    dropped = [f"dropped {named(lane)}: {lane['fault']}" for lane in facts["race"] if lane["fault"]]
    what = "packing" if "packing" in facts else "placement"
    return [*dropped, f"{what}: {named(facts)}{raced}, settled in {facts['seconds']:.1f}s"]


def left_out_line(facts: dict[str, Any]) -> str:
    """Return the line about steps that were not to be trusted."""
    whose = f" of seed {facts['seed']}" if "seed" in facts else ""
    done = "rolled back" if facts["policy"] == "rollback" else "skipped"
    return f"warning: {facts['reason']}; {facts['left_out']:,} steps{whose} were {done}"


def epoch_line(facts: dict[str, Any], eta: float | None, counted: str = "windows") -> str:
    """Return one line for a finished epoch."""
    value = f"  val {facts['val_loss']:<8.5g}{' *' if facts['best'] else '  '}" if "val_loss" in facts else ""
    left = f"  eta {clock(eta)}" if eta is not None else ""
    return (
        f"epoch {facts['epoch']:>{len(str(facts['epochs']))}}/{facts['epochs']}  loss {facts['loss']:<8.5g}{value}"
        f"  lr {facts['lr']:.2e}  {facts['windows_per_second']:,} {counted}/s  {facts['seconds']:.1f}s{left}"
        f"{crew_words(facts)}"
    )


def chunk_line(facts: dict[str, Any], eta: float | None, counted: str = "windows") -> str:
    """Return one line for a place inside an epoch."""
    left = f"  eta {clock(eta)}" if eta is not None else ""
    return (
        f"epoch {facts['epoch'] + 1}/{facts['epochs']}  batch {facts['batch']:,}/{facts['batches']:,}"
        f"  loss {facts['loss']:.5g}  {facts['windows_per_second']:,} {counted}/s{left}"
    )


def closing(facts: dict[str, Any]) -> str:
    """Return the line that says whose weights the run ends with."""
    if "seeds" in facts:
        return crew_closing(facts)
    best = facts["best"]
    value = f" (val_loss {best['val_loss']:.5g})" if "val_loss" in best else ""
    early = f"stopped early after epoch {facts['epoch']} of {facts['epochs']}; " if facts["stopped_early"] else ""
    return early + (f"restored best epoch {best['epoch']}{value}" if value else f"ended with step {best['step']}")


def make_lines(verbosity: int) -> Callable[[Any, float | None], list[str]]:
    """Return a function of an event and the time left that says it in lines, the more the higher the verbosity."""
    began = mark = time.monotonic()
    counted = "windows"

    def lines(event: Any, left: float | None) -> list[str]:
        nonlocal mark, counted
        facts, passed = event.facts, time.monotonic() - mark
        mark += passed
        out: list[str] = []
        timed = ""
        if event.kind == "start":
            counted = counted_in(facts)
            out, timed = opening(facts), f"read, judged and planned in {passed:.1f}s"
        elif event.kind == "placement":
            out = placement_lines(facts)
        elif event.kind == "left_out":
            out = [left_out_line(facts)]
        elif event.kind == "member":
            out = [leaving_line(facts)]
        elif event.kind in ("tracker", "sent"):
            out = [tracker_line(facts)]
        elif event.kind == "epoch":
            out = [epoch_line(facts, left, counted)]
        elif event.kind == "scored":
            out, timed = [closing(facts)], f"scored in {passed:.1f}s, all in all {mark - began:.1f}s"
        elif event.kind == "chunk" and verbosity > 0:
            out = [f"{chunk_line(facts, left, counted)}  {passed:.2f}s"]
        elif event.kind == "saved" and verbosity > 0:
            out = [f"saved step {facts['step']:,} in {passed:.2f}s"]
        if timed and verbosity > 0:
            out.append(timed)
        return [*out, f"{event.kind}: {line_of(facts)}"] if verbosity > 1 else out

    return lines


def _brief(facts: Any) -> Any:
    """Return facts without the tables a value per series and step: they stand in scores.json."""
    if not isinstance(facts, dict):
        return facts
    return {key: _brief(value) for key, value in facts.items() if not str(key).startswith("per_")}


@contextmanager
def _nothing(verbosity: int) -> Iterator[Watch]:
    yield lambda event: None


@contextmanager
def _plain(verbosity: int) -> Iterator[Watch]:
    last = time.monotonic()
    lines, eta = make_lines(verbosity), _Eta()

    def watch(event: Any) -> None:
        nonlocal last
        left = eta.left(event)
        out = lines(event, left)
        if event.kind == "chunk" and not out and time.monotonic() - last > SLOW:
            out = [chunk_line(event.facts, left, eta.counted)]
        if out:
            last = time.monotonic()
            print("\n".join(out), file=sys.stderr, flush=True)

    yield watch


@contextmanager
def _live(verbosity: int) -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    lines, eta = make_lines(verbosity), _Eta()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("reading", total=None, text="")

        def watch(event: Any) -> None:
            left = eta.left(event)
            for line in lines(event, None):
                console.print(line, markup=False, soft_wrap=True)
            if event.kind == "start":
                progress.update(bar, description="compiling")
            elif left is not None:
                title, done, total, text = _place(event.facts, left, eta.counted)
                progress.update(bar, description=title, completed=done, total=total, text=text)

        yield watch


@contextmanager
def _notebook(verbosity: int) -> Iterator[Watch]:
    display = import_module("IPython.display")
    lines, eta = make_lines(verbosity), _Eta()
    said: list[str] = []
    bar = "<progress></progress> reading"
    handle = display.display(display.HTML(bar), display_id=True)

    def watch(event: Any) -> None:
        nonlocal bar
        left = eta.left(event)
        out = lines(event, left)
        if event.kind == "start":
            bar = "<progress></progress> compiling"
        elif event.kind == "scored":
            bar = '<progress value="1" max="1"></progress> ' + html.escape(out[0])
            out = out[1:]
        elif left is not None:
            title, done, total, text = _place(event.facts, left, eta.counted)
            bar = f'<progress value="{done:g}" max="{total}"></progress> {html.escape(f"{title}  {text}")}'
        if event.kind != "epoch":  # the row has it already
            said.extend(out)
        body = "<br>".join([bar, *map(html.escape, said)])
        handle.update(display.HTML(f'<div style="font-family: monospace">{body}</div>'))

    yield watch


def _place(facts: dict[str, Any], left: float, counted: str) -> tuple[str, float, int, str]:
    """Return the title, the epochs done and to do, and the numbers of a bar."""
    if "batch" not in facts:
        value = f"val {facts['val_loss']:.4g}  " if "val_loss" in facts else ""
        text = f"loss {facts['loss']:.4g}  {value}eta {clock(left)}{crew_words(facts)}"
        return f"epoch {facts['epoch']}/{facts['epochs']}", facts["epoch"], facts["epochs"], text
    done = facts["epoch"] + facts["batch"] / facts["batches"]
    speed = f"{facts['windows_per_second']:,} {counted}/s"
    text = f"loss {facts['loss']:.4g}  lr {facts['lr']:.1e}  {speed}  eta {clock(left)}"
    return f"epoch {facts['epoch'] + 1}/{facts['epochs']}", done, facts["epochs"], text


class _Eta:
    """What is counted, and the time left if no early stop comes, out of that since the first chunk (which compiled)."""

    def __init__(self) -> None:
        self.counted = "windows"
        self.mark: tuple[float, float] | None = None

    def left(self, event: Any) -> float | None:
        if event.kind == "start":
            self.counted = counted_in(event.facts)
        if event.kind not in ("chunk", "epoch"):
            return None
        facts = event.facts
        done = facts["epoch"] + facts.get("batch", 0) / facts.get("batches", 1)
        if self.mark is None:
            self.mark = (time.monotonic(), done)
            return float(facts["seconds"] * (facts["epochs"] - done)) if "seconds" in facts else math.inf
        began, first = self.mark
        rate = (time.monotonic() - began) / max(done - first, 1e-9)
        return rate * (facts["epochs"] - done)
