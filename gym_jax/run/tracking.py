"""What trackers get of a run, out of its events; a tracker that fails is told of once and stops nothing."""

import logging
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from gym_jax.config.document import flat
from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError, Interrupted, StorageError
from gym_jax.run.fit import Event
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import members_of
from gym_jax.track import make_tracker
from gym_jax.track.feed import Feed, fault_line
from gym_jax.track.tracker import Ending, Place, Point
from gym_jax.train.processes import group

LOGGER = logging.getLogger(__name__)
KEPT = "track.json"
"""What trackers ask to be kept, by their names: ids, so that a resumed run goes on in the same place."""
PLACES = {"step", "epochs", "best", "seeds", "training", "seconds", "windows_per_second"}
"""Facts of an epoch that are no curve, or one under another name."""
Tell = Callable[[Event], None]


class Tracking:
    """The trackers of one run."""

    def __init__(self, config: Config, run: RunFolder) -> None:
        self.config, self.run = config, run
        self.feeds: list[Feed] = []
        self.step = 0
        self.scores: dict[str, float] = {}
        self.ending: Ending = "stopped"
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._kept: dict[str, Any] = {}
        self._sent = time.monotonic()

    def begin(self) -> None:
        """Start the trackers on what the run folder holds: its settings, and the epochs that they do not have yet."""
        track = self.config.track
        place = Place(self.run.path, track.project, track.wandb_mode, track.mlflow_uri, track.patience)
        settings, before = flat(self.config.document()), history(self.run)
        self._kept = read_kept(self.run)
        for name in dict.fromkeys(track.to):
            state = {key: value for key, value in self._kept.get(name, {}).items() if key != "done"}
            tracker = make_tracker(name, place, state)
            self.feeds.append(Feed(name, tracker, settings=settings, before=before, keep=self._keeper(name)))

    def take(self, event: Event) -> None:
        """Pass on what an event says in numbers."""
        facts = event.facts
        if event.kind == "start":
            self.step = facts["step"]
            self.begin()
        elif event.kind == "epoch":
            self._put(facts["step"], {**numbers_of(facts), **spread_of(facts.get("per_seed", {})), **speed_of(facts)})
        elif event.kind == "chunk" and time.monotonic() - self._sent >= self.config.track.every:
            running = {"running/loss": facts["loss"], "running/lr": facts["lr"]}
            self._put(facts["step"], {**_finite(running), **speed_of(facts)})
        elif event.kind == "scored":
            self.take_scores(facts["scores"])

    def take_scores(self, scores: Mapping[str, Any]) -> None:
        """Keep the scores for the end of the trackers; a run that was not to be scored has none."""
        self.ending = "done"
        if not scores:
            return
        targets = scores["model"]["targets"]
        self.scores = {f"test/{target}/{key}": value for target, own in targets.items() for key, value in _errors(own)}
        for feed in self.feeds:
            feed.show("text", self.step, "test/scores", score_table(scores))

    def end(self, ending: Ending) -> None:
        """Wait for the trackers, for as long as the settings say."""
        for feed in self.feeds:
            feed.finish(ending, self.step, self.scores)
        deadline = time.monotonic() + self.config.track.patience
        for feed in self.feeds:
            feed.wait(max(0.0, deadline - time.monotonic()))

    def faults(self) -> Iterator[dict[str, Any]]:
        """Yield each tracker that has failed, once."""
        for feed in self.feeds:
            if feed.fault is not None and feed.name not in self._told:
                self._told.add(feed.name)
                yield {"tracker": feed.name, **feed.fault._asdict()}

    def _put(self, step: int, numbers: Mapping[str, float]) -> None:
        self.step, self._sent = step, time.monotonic()
        point = Point(step, numbers, time.time())
        for feed in self.feeds:
            feed.put(point)

    def _keeper(self, name: str) -> Callable[[dict[str, Any]], None]:
        def keep(state: dict[str, Any]) -> None:
            with self._lock:
                self._kept[name] = state
                self.run.write_json(KEPT, self._kept)

        return keep


@contextmanager
def tracked(config: Config, run: RunFolder, watch: Tell | None) -> Iterator[Tell]:
    """Yield what is told of a run while it lasts: it goes to `watch`, and to the trackers that the settings name.

    Of several processes only the first one tells anything.
    """
    writer = group().writer
    tell: Tell = watch if watch and writer else (lambda event: None)
    if not config.track.to or not writer:
        yield tell
        return
    tracking = Tracking(config, run)
    ending: Ending = "failed"

    def told(event: Event) -> None:
        tell(event)
        tracking.take(event)
        _tell_faults(tracking, tell)

    try:
        yield told
        ending = tracking.ending
    except Interrupted:
        ending = "stopped"
        raise
    finally:
        tracking.end(ending)
        _tell_faults(tracking, tell)


def send_finished(config: Config, run: RunFolder, watch: Tell | None) -> None:
    """Send a run that is done to those trackers that do not have all of it."""
    tell: Tell = watch or (lambda event: None)
    kept = read_kept(run)
    late = tuple(name for name in config.track.to if not kept.get(name, {}).get("done"))
    if late:
        track = config.track.model_copy(update={"to": late})
        tracking = Tracking(config.model_copy(update={"track": track}), run)
        tracking.step = run.read_json("status.json")["steps"]
        tracking.begin()
        tracking.take_scores(run.read_json("scores.json"))
        tracking.end("done")
        _tell_faults(tracking, tell)
        if sent := [feed.name for feed in tracking.feeds if feed.fault is None]:
            tell(Event("sent", {"trackers": sent}))


def read_kept(run: RunFolder) -> dict[str, Any]:
    """Return what trackers had kept; nothing when it can not be read: they begin anew then."""
    with suppress(CheckpointError):
        return {name: state for name, state in run.read_json(KEPT).items() if isinstance(state, dict)}
    return {}


def history(run: RunFolder) -> list[Point]:
    """Return the epochs that a run folder holds, as points; those of a parent have the time of now."""
    times = {line["step"]: _seconds(line["time"]) for line in run.read_lines("log.jsonl") if line["event"] == "epoch"}
    of_seed = {
        seed: {line["epoch"]: line for line in member.read_lines("metrics.jsonl")}
        for seed, member in members_of(run).items()
    }
    out = []
    for line in run.read_lines("metrics.jsonl"):
        known = {seed: lines[line["epoch"]] for seed, lines in of_seed.items() if line["epoch"] in lines}
        numbers = {**numbers_of(line), **spread_of(known)}
        out.append(Point(line["step"], numbers, times.get(line["step"], time.time())))
    return out


def numbers_of(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the curves of an epoch under the names they have in metrics.jsonl."""
    return _finite({key: value for key, value in line.items() if key not in PLACES})


def spread_of(lines: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Return the losses of every member of a group, and how far they spread: the sample's standard deviation."""
    out = {}
    for name in ("loss", "val_loss"):
        values = _finite({f"{name}/seed_{seed}": line.get(name) for seed, line in lines.items()})
        out.update(values)
        if len(values) > 1:
            out[f"{name}/std"] = statistics.stdev(values.values())
    return out


def speed_of(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return how fast an epoch or chunk went."""
    return {f"speed/{key}": float(facts[key]) for key in ("windows_per_second", "seconds") if key in facts}


def score_table(scores: Mapping[str, Any]) -> str:
    """Return the errors of the model beside those of the baselines as Markdown."""
    lines = []
    for target, own in scores["model"]["targets"].items():
        columns = [key for key, _ in _errors(own)]
        rows = {scores["model"]["kind"]: own}
        rows |= {kind: block[target] for kind, block in scores["baselines"].items()}
        lines += [f"**{target}**", "", _row(["model", *columns]), _row(["---"] * (len(columns) + 1))]
        lines += [_row([kind, *(_cell(row.get(key)) for key in columns)]) for kind, row in rows.items()]
        lines.append("")
    return "\n".join([*lines, scores["verdict"]])


def _tell_faults(tracking: Tracking, tell: Tell) -> None:
    for facts in tracking.faults():
        LOGGER.warning("%s", fault_line(facts), extra={"event": "tracker", "facts": facts})
        with suppress(StorageError):  # the run itself notices when its disk is full
            tracking.run.log("tracker", **facts)
        tell(Event("tracker", facts))


def _errors(own: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(key, value) for key, value in _finite(own).items() if key != "count"]


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers among values."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
