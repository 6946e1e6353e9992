"""How results and errors are printed: one JSON document, or text for people."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gym_jax.errors import ConfigError, DataError, GymJaxError

ERROR_COLUMNS = ("mae", "rmse", "r2", "smape", "mase")


def print_json(command: str, document: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command to stdout."""
    print(json.dumps({"schema": 1, "command": command, "status": "ok", **document}, indent=1, allow_nan=False))


def print_error(error: GymJaxError, *, as_json: bool, command: str = "") -> None:
    """Print an error: three lines on stderr, or one JSON document on stdout."""
    if as_json:
        document: dict[str, Any] = {"schema": 1, "command": command, "status": "error", **error.facts()}
        if isinstance(error, ConfigError | DataError):
            document["problems"] = [problem.facts() for problem in error.problems or (error,)]
        if isinstance(error, DataError):
            document["findings"] = [finding._asdict() for finding in error.findings]
        print(json.dumps({**document, "exit_code": error.exit_code}, indent=1))
        return
    facts = error.facts()
    for word, name in (("error", "message"), ("hint", "hint"), ("try", "try")):
        print(f"{word}: {facts[name]}", file=sys.stderr)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print an aligned table to stdout: numbers to the right, the same with and without a terminal."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) if cells else len(name) for i, name in enumerate(columns)]
    right = [all(_numeric(row[i]) for row in cells) and bool(cells) for i in range(len(columns))]

    def line(parts: Sequence[str]) -> str:
        padded = (p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    if title:
        print(title)
    print(line(columns))
    print("  ".join("-" * width for width in widths))
    for row in cells:
        print(line(row))


def cell(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return str(value)


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print the error table of a model beside the baselines, the notes and the verdict."""
    model = scores["model"]
    for target, own in model["targets"].items():
        rows = [(model["kind"], *(own[key] for key in ERROR_COLUMNS))]
        rows += [(kind, *(block[target][key] for key in ERROR_COLUMNS)) for kind, block in scores["baselines"].items()]
        title = f"\n{target}: {scores['part']}, {scores['windows']:,} windows, {own['count']:,} values"
        print_table(("model", *ERROR_COLUMNS), rows, title)
    for note in scores["notes"]:
        print(f"\nnote: {note}")
    print(f"\n{scores['verdict']}")
    if "weights" in scores:
        print(weights_line(scores["step"], scores["weights"]))


def weights_line(step: int, weights: str) -> str:
    """Return a sentence that says which weights judged or forecast."""
    kinds = {
        "trained": "the weights",
        "ema": "the running average of the weights (ema)",
        "schedule_free": "the averaged weights (schedule-free)",
    }
    return f"made with {kinds[weights]} of step {step:,}"


def size(count: float) -> str:
    """Return bytes in words."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def _numeric(text: str) -> bool:
    return (
        text == "-"
        or text.replace(",", "").replace(".", "").replace("e", "").replace("+", "").replace("-", "").isdigit()
    )
