"""What `gymjax bench` shows: progress on stderr, tables on stdout."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gym_jax.cli.log import log
from gym_jax.cli.progress import style
from gym_jax.cli.show import print_table, size
from gym_jax.run.bench_chart import way_of
from gym_jax.run.bench_rows import OWN, Row

COLUMNS = {
    "windows/s": "windows_per_second",
    "ms/step": "step_ms",
    "spread": "spread",
    "compile s": "compile_seconds",
    "first s": "first_seconds",
    "memory": "memory_bytes",
    "GFLOP/s": "flops_per_second",
    "of peak": "peak_share",
}


def is_terminal() -> bool:
    """Return whether stdout can show a rich table."""
    return style(stream=sys.stdout, notebook=False) == "rich"


@contextmanager
def telling(output: Any, plain: bool) -> Iterator[Callable[[Any], None]]:
    """Yield what shows and logs the events of a comparison on stderr."""

    how = style(output, plain=plain, notebook=False)
    progress = None
    if how == "rich":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False)
        bars = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
        progress = Progress(*bars, console=console, transient=True)
        progress.start()
        bar = progress.add_task("reading", total=None)
    done = total = 0

    def tell(event: Any) -> None:
        nonlocal done, total
        log(f"bench.{event.kind}", event.facts, logging.DEBUG if event.kind in ("begin", "times") else logging.INFO)
        if event.kind == "start":
            total = event.facts["cases"] * (1 + event.facts["rounds"])
        done += event.kind in ("ready", "times", "fault")
        if progress is not None:
            doing = name_of(event.facts) if "model" in event.facts else "compiling"
            progress.update(bar, description=doing, completed=done, total=total or None)
        elif how == "plain" and event.kind in ("ready", "fault"):
            facts = event.facts
            what = f"first call {facts['first']:.1f}s" if event.kind == "ready" else facts["reason"]
            print(f"{name_of(facts)}: {what}", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if progress is not None:
            progress.stop()


def name_of(facts: dict[str, Any]) -> str:
    """Return a case in words."""
    words = (facts["by"], facts["model"], f"batch {facts['batch_size']}", facts["dtype"])
    return " ".join([*words, *(facts[key] for key in ("placement", "compile") if facts[key])])


def show(rows: Sequence[Row], facts: dict[str, Any], *, rich: bool) -> None:
    """Print the rows as tables or as plain text, what they rest on, and how to train as the fastest did."""
    peaks = dict.fromkeys((row.devices, row.peak_flops_per_second) for row in rows if row.peak_flops_per_second)
    (_rich if rich else _plain)(in_groups(rows))
    print(
        f"\n{facts['data']}: context {facts['context']}, horizon {facts['horizon']}, "
        f"{facts['channels']} channel{'' if facts['channels'] == 1 else 's'}, {facts['windows']:,} windows"
    )
    print(f"sgemm peak: {', '.join(f'{peak / 1e9:.0f} GFLOP/s on {name}' for name, peak in peaks)}")
    for model in dict.fromkeys(row.model for row in rows if row.by == OWN and not row.fault):
        own = [row for row in rows if row.model == model and row.by == OWN and not row.fault]
        best = max(own, key=lambda row: row.windows_per_second or 0)
        dtype = "" if best.dtype == "float32" else f" train.compute_dtype={best.dtype}"
        print(
            f"fastest {model}: gymjax train --model {model} --placement {best.placement} "
            f"--batch-size {best.batch_size} train.compile={best.compile}{dtype}"
        )


def in_groups(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with what can be compared side by side: a model's, by batch and type; ours before its peers."""

    def first(name: str, row: Row) -> int:
        values = [getattr(other, name) for other in rows if other.model is not None]
        return values.index(getattr(row, name)) if row.model is not None else len(rows)

    return sorted(rows, key=lambda row: [first(name, row) for name in ("model", "batch_size", "dtype")])


def _cells(row: Row) -> list[str]:
    """Return what was measured, as people read it."""

    def say(value: Any, text: Callable[[Any], str]) -> str:
        return "-" if value is None else text(value)

    texts: dict[str, Callable[[Any], str]] = {
        "windows/s": lambda v: f"{v:,.0f}",
        "ms/step": lambda v: f"{v:.4g}",
        "spread": lambda v: f"{v:.0%}",
        "compile s": lambda v: f"{v:.1f}",
        "first s": lambda v: f"{v:.1f}",
        "memory": size,
        "GFLOP/s": lambda v: f"{v / 1e9:.1f}",
        "of peak": lambda v: f"{v:.0%}",
    }
    return [say(getattr(row, field), texts[name]) for name, field in COLUMNS.items()]


def _plain(rows: Sequence[Row]) -> None:
    first = ("by", "model", "batch_size", "dtype", "placement", "compile")
    fault = ["fault"] if any(row.fault for row in rows) else []
    table = [(*(getattr(row, name) for name in first), *_cells(row), *([row.fault] if fault else [])) for row in rows]
    print_table((*(name.replace("_size", "") for name in first), *COLUMNS, *fault), table)


def _rich(rows: Sequence[Row]) -> None:
    """Print a table for each model, its fastest row of each batch in bold; faults stand below."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    types = len({row.dtype for row in rows if row.dtype}) > 1
    for model in dict.fromkeys(row.model for row in rows if row.model):
        own = [row for row in rows if row.model == model]
        table = Table(title=model, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
        table.add_column("batch", justify="right")
        for name in (*(["dtype"] if types else []), "how"):
            table.add_column(name, no_wrap=True)
        for name in COLUMNS:
            table.add_column(name.replace(" ", "\n").replace("/", "\n/"), justify="right", no_wrap=True)
        fastest: dict[int | None, Row] = {}
        for row in sorted(own, key=lambda row: row.windows_per_second or 0):
            fastest[row.batch_size] = row
        for place, row in enumerate(own):
            best = fastest[row.batch_size] is row and not row.fault
            last = place + 1 < len(own) and own[place + 1][2:4] != row[2:4]
            head = [str(row.batch_size), *([row.dtype] if types else []), way_of(row)]
            table.add_row(*head, *_cells(row), style="bold" if best else None, end_section=last)
        console.print(table)
    for row in rows:
        if row.fault:
            name = row.by if row.model is None else name_of(row._asdict())
            console.print(f"{name}: {row.fault}", style="yellow", markup=False, soft_wrap=True)
