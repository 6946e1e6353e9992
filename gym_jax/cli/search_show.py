"""What is said of a search while it runs, on stderr, and what is printed at its end."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gym_jax.cells import cell
from gym_jax.cli.log import Output, log
from gym_jax.cli.progress import make_lines, style
from gym_jax.cli.show import print_table

SHOWN = 20
"""Trials in the table; trials.json has all."""
FINE = ("chunk", "epoch", "saved", "scored", "placement", "member", "left_out")
"""Events of a run within a search: shown with -v."""


@contextmanager
def search_watcher(output: Output | None = None) -> Iterator[Callable[[Any], None]]:
    """Yield a function that shows and logs the events of a search: a line a trial, with -v also those of its run."""
    output = output or Output()
    said = style(output) not in ("none", "json")
    lines = make_lines(max(0, output.verbosity - 1))

    def tell(event: Any) -> None:
        if event.kind in ("search", "trial"):
            log(event.kind, event.facts)
        told = [search_line(event.facts)] if event.kind == "search" else []
        told = [trial_line(event.facts)] if event.kind == "trial" else told
        if event.kind in FINE and output.verbosity > 0:
            told = lines(event, None)
        if said and told:
            print("\n".join(told), file=sys.stderr, flush=True)

    yield tell


def search_line(facts: Mapping[str, Any]) -> str:
    """Return the line that opens a search."""
    before = f", {facts['done']} done before" if facts["done"] else ""
    together = f", up to {facts['batch']} in one program" if facts["batch"] > 1 else ""
    return f"search: {facts['folder']} ({facts['trials']} trials{before}{together})"


def trial_line(facts: Mapping[str, Any]) -> str:
    """Return the line about a trial that has ended."""
    name = f"trial {facts['trial']:>{len(str(facts['trials'] - 1))}}"
    if facts["state"] not in ("complete", "pruned"):
        return f"{name}  {facts['state']}: {facts['reason']}  {settings_words(facts['values'])}"
    told = [name, f"{facts['metric']} {'-' if facts['value'] is None else format(facts['value'], '<8.5g')}"]
    if facts["leader"] == facts["trial"]:
        told.append("best so far")
    elif facts["leader"] is not None:
        told.append(f"best {facts['leading']:.5g} of trial {facts['leader']}")
    given_up = ", pruned" if facts["state"] == "pruned" else ""
    epochs = "1 epoch" if facts["epochs"] == 1 else f"{facts['epochs']} epochs"
    return "  ".join([*told, epochs + given_up, settings_words(facts["values"])])


def settings_words(values: Mapping[str, Any]) -> str:
    """Return settings in a few words."""
    return " ".join(f"{key}={_value(value)}" for key, value in values.items())


def show_tuned(found: Mapping[str, Any]) -> None:
    """Print the best trials, what mattered, and where the best settings are."""
    names = list(found["space"])
    sign = -1 if found["direction"] == "maximize" else 1
    ended = [row for row in found["trials"] if row["state"] == "complete"]
    rows = sorted(ended, key=lambda row: sign * row["value"])
    print_table(
        ("trial", found["metric"], "epochs", *names),
        [(row["trial"], row["value"], row["epochs"], *_columns(row, names)) for row in rows[:SHOWN]],
        f"{', '.join(f'{count} {state}' for state, count in found['counts'].items())}"
        + (f"; the best {SHOWN}" if len(rows) > SHOWN else ""),
    )
    if found["importance"]:
        print()
        print_table(("setting", f"importance ({found['importance_by']})"), list(found["importance"].items()))
    print(f"\nsearch: {found['folder']}")
    for picture in found["pictures"]:
        print(f"picture: {picture}")
    if found["best"] is not None:
        print(f"best: trial {found['best']['trial']}, {found['metric']} {cell(found['best']['value'])} on the val part")
        print(f"train it: gymjax train --config {_short(found['best_config'])}")
    if found["run_status"] == "shared":
        print(f"{found['counts']['running']} trials still run in other processes; the last to end tells of all")
    if found["run_status"] == "stopped":
        print(f"stopped by --timeout; go on with: gymjax tune --resume {_short(found['folder'])}")


def show_swept(found: Mapping[str, Any]) -> None:
    """Print the runs by their validation loss, and the means over seeds."""
    names = list(found["space"])
    print_table(
        ("run", "val_loss", "best epoch", "epochs", *names),
        [
            (
                row["run"],
                row["val_loss"] if row["state"] == "complete" else row["state"],
                row["best_epoch"],
                row["epochs"],
                *_columns(row, names),
            )
            for row in found["runs"]
        ],
    )
    if found["over_seeds"]:
        rest = [name for name in names if name != "train.seed"]
        print()
        print_table(
            ("mean val_loss", "sd", "seeds", *rest),
            [(row["val_loss"], row["sd"], row["seeds"], *_columns(row, rest)) for row in found["over_seeds"]],
        )
    for row in found["runs"]:
        if "reason" in row:
            print(f"{row['run']}: {row['state']}, {row['reason']}")
    for note in found["notes"]:
        print(f"note: {note}")
    print(f"\nsweep: {found['folder']}")
    print(f"the runs: gymjax runs list --root {_short(found['folder'])}/trials")
    if found["run_status"] == "stopped":
        print(f"not finished; go on with: gymjax sweep --resume {_short(found['folder'])}")


def show_combinations(found: Sequence[Mapping[str, Any]], names: Sequence[str], folder: str) -> None:
    """Print the combinations that would be trained."""
    print_table(
        ("run", *names), [(f"trials/{place:04d}", *_columns({"values": v}, names)) for place, v in enumerate(found)]
    )
    print(f"\n{len(found)} runs in {folder}; dry run: nothing was written")


def _columns(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [_value(row["values"][name]) if name in row["values"] else None for name in names]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{cell(value)}]"
    return "null" if value is None else str(value) if isinstance(value, int) else cell(value)


def _short(path: str) -> str:
    """Return a path as it is typed here."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else path
