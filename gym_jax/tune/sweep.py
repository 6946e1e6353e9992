"""Every combination of a few settings, a run each."""

import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gym_jax.config.schema import Config
from gym_jax.config.vary import vary
from gym_jax.data.keep import keep_data
from gym_jax.errors import ConfigError, GymJaxError, Interrupted, gathered
from gym_jax.run.fit import Event
from gym_jax.run.folder import RunFolder
from gym_jax.run.ranking import val_loss_of
from gym_jax.tune.folder import Search, begin_search
from gym_jax.tune.many import in_programs, run_trials
from gym_jax.tune.space import ORIGIN, Space, applicable, judge_space
from gym_jax.tune.trial import LOSS, Outcome, Way
from gym_jax.tune.tune import OTHER_LOSS, OTHER_TASK, interrupted

TABLE = "runs.json"
SEED = "train.seed"


def combinations(config: Config, space: Space) -> list[tuple[dict[str, Any], Config]]:
    """Return every combination with its settings, the last key changing fastest.

    What a kind does not have is left out of its combinations. Raises ConfigError that names every one that is wrong.
    """
    judge_space(config, space)
    for sweep in space:
        if sweep.over.values is None:
            raise ConfigError(
                f"`{sweep.key}={sweep.text}` has no end of values",
                hint="a grid takes a list or range(start, stop, step); gymjax tune searches intervals",
                attempt=f"gymjax sweep ... '{sweep.key}={','.join(f'{end:g}' for end in sweep.over.ends)}'",
                code="config.sweep",
            )
    found: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*(sweep.over.values or () for sweep in space)):
        own = applicable(config, space, dict(zip((sweep.key for sweep in space), values, strict=True)))
        found.setdefault(json.dumps(own), own)
    configs: list[tuple[dict[str, Any], Config]] = []
    problems: list[Any] = []
    for own in found.values():
        try:
            configs.append((own, vary(config, own, ORIGIN)))
        except ConfigError as error:
            problems += error.problems or (error,)
    if problems:
        raise gathered(list({problem.message: problem for problem in problems}.values()), code="config.problems")
    return configs


def begin_sweep(config: Config, space: Space, batch: int = 8) -> Search:
    """Return the folder of a sweep, made where there is none; up to `batch` of its runs may share a program."""
    return begin_search("sweep", config, space, {"batch": batch})[0]


def sweep(
    search: Search,
    found: list[tuple[dict[str, Any], Config]],
    *,
    seconds: float | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], int | None] | None = None,
) -> dict[str, Any]:
    """Train a run of every combination that is not finished yet, and return a table of all.

    Every run is scored like one of `gymjax train`; `seconds` ends the sweep earlier, saved. Raises Interrupted when a
    signal came, after the runs that were training were saved.
    """
    way = Way(tell, stop, math.inf if seconds is None else time.monotonic() + seconds, "test")
    ends = {number: end for number in range(len(found)) if (end := _ended(search.trial(number))) is not None}
    tell(Event("search", {"folder": str(search.path), "done": len(ends), "trials": len(found), **search.asked}))
    with keep_data():
        for group in _groups({number: config for number, (_, config) in enumerate(found)}, search.asked["batch"]):
            if all(number in ends for number in group):
                continue
            code = stop() if stop else None
            if code:
                raise interrupted(search, code)
            if time.monotonic() >= way.deadline:
                break
            try:
                outcomes = run_trials(search, {number: found[number][1] for number in group}, way)
            except Interrupted as error:
                raise interrupted(search, error.exit_code) from error
            for number, outcome in outcomes.items():
                if outcome.state == "stopped":
                    continue
                ends[number] = outcome
                known = {n: end.value for n, end in ends.items() if end.value is not None}
                leader = min(known, key=known.__getitem__, default=None)
                facts = {"trial": number, "trials": len(found), "values": found[number][0], "metric": LOSS}
                facts |= {
                    "leader": leader,
                    "leading": None if leader is None else known[leader],
                    "best_epoch": outcome.best.get("epoch"),
                }
                tell(Event("trial", {**facts, **outcome._asdict()}))
    return _document(search, found, ends)


def _groups(configs: Mapping[int, Config], batch: int) -> Iterator[list[int]]:
    """Yield the numbers of what is trained together: alike, and no more than `batch`."""
    for group in in_programs(configs):
        for begin in range(0, len(group), batch):
            yield group[begin : begin + batch]


def _ended(folder: Path) -> Outcome | None:
    """Return how a run ended before, by its folder alone."""
    try:
        status = RunFolder(folder).read_json("status.json")
    except GymJaxError:
        return None
    if status.get("status") == "done":
        return Outcome("complete", val_loss_of(status["best"]), status["epochs"], status["best"])
    return None


def _document(
    search: Search, found: list[tuple[dict[str, Any], Config]], ends: Mapping[int, Outcome]
) -> dict[str, Any]:
    """Return the table of all runs, the lowest validation loss first, and the means over seeds; write it too."""
    rows: list[dict[str, Any]] = []
    for number, (values, _) in enumerate(found):
        end = ends.get(number, Outcome("unfinished"))
        row = {"run": f"trials/{number:04d}", "state": end.state, "values": values, LOSS: end.value}
        rows.append({**row, "epochs": end.epochs, "best_epoch": end.best.get("epoch"), **_why(end)})
    notes = _notes(search)
    rows.sort(key=lambda row: (row[LOSS] is None, row[LOSS] or 0.0))
    best = rows[0] if rows[0][LOSS] is not None and not notes else None
    document = {
        "folder": str(search.path),
        "space": {sweep.key: sweep.text for sweep in search.space},
        "run_status": "done" if len(ends) == len(found) else "stopped",
        "runs": rows,
        "over_seeds": _over_seeds(rows) if any(sweep.key == SEED for sweep in search.space) else [],
        "notes": notes,
        "best": None if best is None else best["run"],
    }
    if best is not None:
        config = vary(search.config, best["values"], ORIGIN)
        search.write_best(config, f"{best['run']} of {search.path.name}, {LOSS} {best[LOSS]!r}")
    search.write(TABLE, json.dumps({"schema": 1, **document}, indent=1, allow_nan=False) + "\n")
    return document


def _why(end: Outcome) -> dict[str, str]:
    return {"reason": end.reason} if end.reason else {}


def _over_seeds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean and standard deviation of the validation loss over the seeds of every other combination."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        rest = {key: value for key, value in row["values"].items() if key != SEED}
        groups.setdefault(json.dumps(rest), []).append(row)
    out = []
    for text, group in groups.items():
        losses = [row[LOSS] for row in group if row[LOSS] is not None]
        mean = statistics.fmean(losses) if losses else None
        spread = statistics.stdev(losses) if len(losses) > 1 else None
        out.append({"values": json.loads(text), "seeds": len(losses), LOSS: mean, "sd": spread})
    return sorted(out, key=lambda row: (row[LOSS] is None, row[LOSS] or 0.0))


def _notes(search: Search) -> list[str]:
    """Return a note where the validation losses of the runs can not be compared."""
    keys = [sweep.key for sweep in search.space if sweep.key.startswith((*OTHER_LOSS, *OTHER_TASK))]
    said = (
        f"{', '.join(keys)} changes what the validation loss is of: only runs with the same value can be compared by it"
    )
    return [said] if keys else []
