"""One trial as a run of its own: begun, taken up again, given up, and what came of it."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.config.schema import Config
from gym_jax.data.split import Part
from gym_jax.errors import ConfigError, DataError, Diverged
from gym_jax.run.fit import Event, Judge
from gym_jax.run.folder import RunFolder
from gym_jax.run.ranking import val_loss_of
from gym_jax.run.train import resume_run, train_run

LOSS = "val_loss"


class Way(NamedTuple):
    """What is the same for all trials of a search: who is told, who may stop it, what is scored."""

    tell: Callable[[Event], None] = lambda event: None
    stop: Callable[[], int | None] | None = None
    deadline: float = math.inf
    """By the monotonic clock."""
    part: Part | None = None
    """What the best weights are scored on; None scores nothing."""
    metric: str = LOSS


class Outcome(NamedTuple):
    """How a trial ended; `stopped` is none of the ends: it goes on when it is taken up again."""

    state: str
    value: float | None = None
    epochs: int = 0
    best: Mapping[str, Any] = {}
    reason: str | None = None


def run_trial(config: Config, folder: Path, way: Way, judge: Judge | None = None) -> Outcome:
    """Train a run in `folder`, or go on with it; `judge` gives it up.

    What diverges, or is no configuration for these data, is an outcome. Raises Interrupted when a signal came.
    """
    run, given_up = RunFolder(folder), False

    def judged(epoch: int, value: float) -> bool:
        nonlocal given_up
        given_up = judge is not None and judge(epoch, value)
        return given_up

    try:
        if (ended := ended_before(run)) is not None:
            return ended
        seconds = max(0.0, way.deadline - time.monotonic())
        options: dict[str, Any] = {"watch": way.tell, "stop": way.stop, "part": way.part, "judge": judged}
        options["max_seconds"] = seconds if math.isfinite(seconds) else None
        if not (folder / "config.yaml").is_file():
            result = train_run(config, folder=folder, **options)
        elif judge is not None and (seen := replay(run, judge)) is not None:
            return give_up(run, *seen)
        else:
            result = resume_run(run, **options)
    except Diverged as error:
        return Outcome("diverged", reason=error.message)
    except (ConfigError, DataError) as error:
        return Outcome("failed", reason=error.message)
    if given_up:
        last = run.read_lines("metrics.jsonl")[-1]
        return give_up(run, last["epoch"], last[LOSS])
    if result.status == "stopped":
        return Outcome("stopped")
    return outcome(result.epochs, result.best, result.scores, way.metric)


def ended_before(run: RunFolder) -> Outcome | None:
    """Return how a trial ended that was given up or has diverged; None where there is something left to do."""
    status = run.read_json("status.json")
    if status.get("status") == "pruned":
        return Outcome("pruned", status["value"], status["epochs"], reason=status.get("reason"))
    if status.get("status") == "failed" and status.get("exit_code") == Diverged.exit_code:
        return Outcome("diverged", epochs=status.get("epochs", 0), reason=status.get("reason"))
    return None


def replay(run: RunFolder, judge: Judge) -> tuple[int, float] | None:
    """Return where the judge gives a run up, by what it has noted; None where it goes on.

    A run that was killed between judgement and note is judged again, by the same numbers.
    """
    for line in run.read_lines("metrics.jsonl"):
        if LOSS in line and judge(line["epoch"], line[LOSS]):
            return line["epoch"], line[LOSS]
    return None


def give_up(run: RunFolder, epoch: int, value: float) -> Outcome:
    """Mark a run as given up, and drop its weights: settings and losses stay."""
    reason = f"behind the finished trials after epoch {epoch}"
    run.status(status="pruned", epochs=epoch, value=value, reason=reason)
    run.log("pruned", epoch=epoch, val_loss=value)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    return Outcome("pruned", value, epoch, reason=reason)


def outcome(epochs: int, best: Mapping[str, Any], scores: Mapping[str, Any], metric: str) -> Outcome:
    """Return what a finished run is worth by a metric, of several seeds the mean; a solved model has no loss."""
    value = val_loss_of(best) if metric == LOSS else next(iter(scores["model"]["targets"].values())).get(metric)
    return Outcome("complete", None if value is None else float(value), epochs, dict(best))
