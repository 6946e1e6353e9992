"""How results and errors are printed: one JSON document, or text for people."""

import json
import math
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_jax.cells import cell
from gym_jax.errors import ConfigError, DataError, GateFailed, GymJaxError
from gym_jax.files import whole_file
from gym_jax.track.feed import fault_line

ERROR_COLUMNS = ("mae", "rmse", "r2", "smape", "mase")
LABEL_COLUMNS = ("accuracy", "macro_f1", "auroc", "log_loss", "brier", "ece")
FEW = 12
"""Classes whose confusion is shown."""
NARROW = 24
"""Characters that the last column of a table has at least when it is broken into lines."""
QUANTITY = re.compile(r"[-+]?(x )?[\d,.]+(e[-+]\d+)?( ?(%|[KMG]iB|B|ms|s|h|d))?|[-+:/,.e\d]*\d[-+:/,.e\d]*|-")
"""What is told from right to left: a number, with its unit; a date, a range; nothing."""


def print_json(command: str, document: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command to stdout."""
    print(json.dumps({"schema": 1, "command": command, "status": "ok", **document}, indent=1, allow_nan=False))


def write_document(command: str, document: Mapping[str, Any], path: str | Path) -> str:
    """Write the JSON document of a command to a file, whole or not at all; return its path. Raises StorageError."""
    text = json.dumps({"schema": 1, "command": command, **document}, indent=1, allow_nan=False) + "\n"
    with whole_file(path) as (path, temporary):
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return str(path)


def print_error(error: GymJaxError, *, as_json: bool, command: str = "") -> None:
    """Print an error: three lines on stderr, or one JSON document on stdout.

    Of several processes the first one alone has stdout; the others say which they are.
    """
    from gym_jax.train.processes import group

    if as_json and group().writer:
        document: dict[str, Any] = {"schema": 1, "command": command, "status": "error", **error.facts()}
        if isinstance(error, ConfigError | DataError):
            document["problems"] = [problem.facts() for problem in error.problems or (error,)]
        if isinstance(error, GateFailed):
            document = {**error.document, **document}
        if isinstance(error, DataError):
            document["findings"] = [finding._asdict() for finding in error.findings]
        print(json.dumps({**document, "exit_code": error.exit_code}, indent=1))
        return
    facts, who = error.facts(), "" if group().writer else f"process {group().rank}: "
    for word, name in (("error", "message"), ("hint", "hint"), ("try", "try")):
        print(f"{who}{word}: {facts[name]}", file=sys.stderr)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print an aligned table to stdout: numbers to the right; on a terminal a last column of words is broken to fit."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) if cells else len(name) for i, name in enumerate(columns)]
    right = [bool(cells) and all(QUANTITY.fullmatch(row[i]) for row in cells) for i in range(len(columns))]
    room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
    if sys.stdout.isatty() and not right[-1] and NARROW <= room < widths[-1]:
        cells = [line for row in cells for line in _broken(row, room)]
        widths[-1] = max(len(columns[-1]), *(len(row[-1]) for row in cells))

    def line(parts: Sequence[str]) -> str:
        padded = (p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    if title:
        print(title)
    print(line(columns))
    print("  ".join("-" * width for width in widths))
    for row in cells:
        print(line(row))


def _broken(row: Sequence[str], room: int) -> list[list[str]]:
    """Return the lines of a row whose last cell has so many characters in each."""
    first, *more = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
    return [[*row[:-1], first], *([*[""] * (len(row) - 1), text] for text in more)]


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print the error table of a model beside the baselines, the notes and the verdict."""
    from gym_jax.metrics import added

    model, members = scores["model"], scores.get("members")
    name = f"{model['kind']}, mean of {len(members['seeds'])}" if members else model["kind"]
    for target, own in model["targets"].items():
        columns = [*(key for key in (*ERROR_COLUMNS, *LABEL_COLUMNS) if key in own), *added(own)]
        rows = [(name, *(own[key] for key in columns))]
        rows += [(kind, *(block[target][key] for key in columns)) for kind, block in scores["baselines"].items()]
        count = f"{scores['cases']:,} cases" if "cases" in scores else f"{scores['windows']:,} windows"
        values = "" if "confusion" in own else f", {own['count']:,} values"
        what = f", {scores['statistic']} of the coming {scores['window']} steps" if "statistic" in scores else ""
        print_table(("model", *columns), rows, f"\n{target}{what}: {scores['part']}, {count}{values}")
        if members:
            print(member_line(members["targets"][target][columns[0]], columns[0]))
        if "confusion" in own and len(own["confusion"]) <= FEW:
            classes = own["per_class"]["class"]
            rows = [(word, *counts) for word, counts in zip(classes, own["confusion"], strict=True)]
            print_table(("true \\ said", *classes), rows, "\nhow often each class is taken for which")
    if "intervals" in scores:
        print_intervals(scores["intervals"], scores["part"])
    for note in scores["notes"]:
        print(f"\nnote: {note}")
    print(f"\n{scores['verdict']}")
    if "weights" in scores:
        seeds = members["seeds"] if members else [scores["seed"]] if "seed" in scores else ()
        print(weights_line(scores.get("step"), scores["weights"], seeds))


def print_intervals(found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], part: str = "test") -> None:
    """Print for each target how often the intervals of each method held, and how wide they were."""
    columns = ("method", "level", "held", "sd", "worst series", "first step", "last step", "width", "interval score")
    for target in dict.fromkeys(name for blocks in found.values() for name in blocks):
        rows = []
        for method, blocks in found.items():
            for block in blocks.get(target, ()):
                worst, steps = block["worst"], block["per_horizon"]["coverage"]
                shares = (
                    block["level"],
                    block["coverage"],
                    block["sd"],
                    worst and worst["coverage"],
                    steps[0],
                    steps[-1],
                )
                rows.append((method, *map(percent, shares), block["width"], block["interval_score"]))
        print_table(columns, rows, f"\n{target}: intervals, {part}, in the data's units")


def percent(share: float | None) -> str | None:
    """Return a share in per cent."""
    return None if share is None else f"{100 * share:.1f} %"


def member_line(spread: Mapping[str, Any], metric: str = "mae") -> str:
    """Return a sentence about the error, or another metric, of one member of a group, with its spread."""
    count, word = len(spread["values"]), metric.upper() if metric == "mae" else metric
    if spread["low"] is None:
        return f"one member alone: {word} {cell(spread['mean'])}; {count} says nothing about the spread"
    low, high = cell(spread["low"]), cell(spread["high"])
    return (
        f"one member alone: {word} {cell(spread['mean'])}, 95 % interval of the mean {low} to {high} over {count} seeds"
    )


def tracker_line(facts: Mapping[str, Any]) -> str:
    """Return what became of a tracker, or which ones a finished run was sent to."""
    return f"warning: {fault_line(facts)}" if "tracker" in facts else f"sent to {' and '.join(facts['trackers'])}"


def data_line(facts: Mapping[str, Any]) -> str:
    """Return a sentence about the data of a run: series and windows, or cases."""
    targets = f"target {', '.join(facts['targets'])}"
    if "cases" not in facts:
        parts = facts["windows"]
        return (
            f"{facts['series']:,} series, {facts['rows']:,} rows of {facts['interval']}, {targets}; "
            f"{parts['train']:,} train and {parts['val']:,} val windows"
        )
    parts, steps = facts["cases"], f" of {facts['steps']:,} steps" if "steps" in facts else ""
    classes = f" ({len(facts['classes'])} classes)" if "classes" in facts else ""
    return (
        f"{sum(parts.values()):,} cases{steps}, {targets}{classes}; "
        f"{parts['train']:,} train, {parts['val']:,} val and {parts['test']:,} test"
    )


def weights_line(step: int | None, weights: str, seeds: Sequence[int] = ()) -> str:
    """Return a sentence that says which weights judged or forecast, of which members when there are several."""
    kinds = {
        "trained": "the weights",
        "ema": "the running average of the weights (ema)",
        "schedule_free": "the averaged weights (schedule-free)",
    }
    if step is None:
        return f"made with the mean of {len(seeds)} members: {kinds[weights]} of the best step of each"
    return f"made with {kinds[weights]} of step {step:,}" + (f" of the best member, seed {seeds[0]}" if seeds else "")


def counted_in(facts: Mapping[str, Any]) -> str:
    """Return what a run counts: windows of forecasts, rows of a table, or sequences."""
    if "cases" not in facts:
        return "windows"
    return "sequences" if "steps" in facts else "rows"


def clock(seconds: float) -> str:
    """Return a length of time as 1:02:03 or 2:03; one that is not known yet as -:--."""
    if not math.isfinite(seconds):
        return "-:--"
    whole = int(seconds)
    minutes = f"{whole // 60 % 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}" if whole >= 3600 else minutes


def size(count: float) -> str:
    """Return bytes in words."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""
