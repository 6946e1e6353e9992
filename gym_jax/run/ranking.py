"""Runs beside each other: what each is, which can be compared, and which is best."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gym_jax.errors import CheckpointError, ConfigError, GymJaxError, did_you_mean, nearest
from gym_jax.metrics import HIGHER
from gym_jax.run.folder import ALLOCATION, RunFolder

STATUS = ("done", "stopped", "failed", "pruned", "running", "damaged", "unknown")
READING = ("policy", "resample", "units", "split")
"""Settings of the data that change what forecasts are held against."""


class Entry(NamedTuple):
    """A run in a list. `scores` are those of the model by target; what is not known is None or empty."""

    run: RunFolder
    status: str
    model: str | None = None
    kind: str | None = None
    """Of its task, or `allocation` where one was learnt."""
    epochs: int | None = None
    steps: int | None = None
    val_loss: float | None = None
    scores: Mapping[str, dict[str, Any]] = MappingProxyType({})
    facts: Mapping[str, Any] = MappingProxyType({})
    """What the scores rest on: only runs with the same can be compared."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.run.path.name

    def value(self, metric: str, target: str | None = None) -> float | None:
        """Return a test metric of a target (None: of the first), or `val_loss`."""
        if metric == "val_loss":
            return self.val_loss
        block = self.scores.get(target or next(iter(self.scores), ""), {})
        value = block.get(metric)
        return value if isinstance(value, int | float) else None

    def metrics(self) -> list[str]:
        """Return the names of what was measured."""
        blocks = self.scores.values()
        return [k for block in blocks for k, v in block.items() if isinstance(v, int | float) and k != "count"]


class Group(NamedTuple):
    """Runs that can be compared, the best first; those without a value last."""

    facts: dict[str, Any]
    ranked: list[tuple[Entry, float | None]]


def read_entry(run: RunFolder) -> Entry:
    """Return what a run, or a learned allocation, is; what can not be read is `damaged`."""
    try:
        if (run.path / ALLOCATION).is_file():
            run.read_json(ALLOCATION)
            return Entry(run, "done", "learned", "allocation")
        status, scores, config = run.read_json("status.json"), run.read_json("scores.json"), run.read_config()
        targets = scores.get("model", {}).get("targets", {})
        known = status.get("status", "unknown")
        return Entry(
            run,
            "stopped" if known == "running" and not run.in_use() else known,  # killed without a word
            config["model"]["kind"],
            config.get("task", {}).get("kind"),
            status.get("epochs"),
            status.get("steps"),
            val_loss_of(status.get("best", {})),
            targets,
            _facts(run, config, scores) if targets else {},
        )
    except (GymJaxError, KeyError, TypeError, AttributeError):
        return Entry(run, "damaged")


def rank(entries: Iterable[Entry], metric: str = "mae", target: str | None = None) -> list[Group]:
    """Return the finished runs in groups that can be compared, the largest group first.

    Raises ConfigError when no run has the metric or the target, CheckpointError when none is finished.
    """
    done = [entry for entry in entries if entry.status == "done" and entry.scores]
    if not done:
        raise CheckpointError(
            "no finished run to rank",
            hint="a run has scores once it is done",
            attempt="gymjax runs list",
            code="run.not_found",
        )
    _check(metric, {name for entry in done for name in entry.metrics()} | {"val_loss"})
    if target is not None:
        _check(target, {name for entry in done for name in entry.scores}, "target")
        done = [entry for entry in done if target in entry.scores]
    groups: dict[str, list[Entry]] = {}
    for entry in done:
        facts = dict(entry.facts) if metric == "val_loss" else {k: v for k, v in entry.facts.items() if k != "loss"}
        if metric != "mase":
            facts.pop("season", None)
        groups.setdefault(json.dumps(facts, sort_keys=True), []).append(entry)
    sign = -1 if metric in HIGHER else 1

    def order(pair: tuple[Entry, float | None]) -> tuple[bool, float, str]:
        return pair[1] is None, sign * (pair[1] or 0), pair[0].name

    found = [
        Group(json.loads(key), sorted(((entry, entry.value(metric, target)) for entry in group), key=order))
        for key, group in groups.items()
    ]
    return sorted(found, key=lambda group: -len(group.ranked))


def differences(groups: Sequence[Group]) -> list[str]:
    """Return the names of the facts in which groups differ."""
    names = dict.fromkeys(name for group in groups for name in group.facts)
    return [name for name in names if len({json.dumps(group.facts.get(name), sort_keys=True) for group in groups}) > 1]


def val_loss_of(best: Mapping[str, Any]) -> float | None:
    """Return the lowest validation loss of a run; of several seeds the mean: the least of many is always lower."""
    return best.get("mean_val_loss", best.get("val_loss"))


def _check(word: str, known: set[str], what: str = "metric") -> None:
    if word not in known:
        raise ConfigError(
            f"no finished run has the {what} `{word}`",
            hint=did_you_mean(word, known),
            attempt=f"gymjax runs best --{what} {nearest(word, known) or min(known)}",
        )


def _facts(run: RunFolder, config: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    """Return what the scores of a run rest on."""
    facts, data = run.read_json("data.json"), config["data"]
    kept = {name: data.get(name) for name in READING}
    fitted = {name: data.get(name) for name in ("scale", "clip")}
    return {
        "data": _data(facts),
        "targets": list(scores["model"]["targets"]),
        "horizon": config["task"]["horizon"],
        "statistic": config["task"].get("statistic", "none"),
        "step": facts.get("step"),
        "part": scores.get("part"),
        "windows": scores.get("windows", scores.get("cases")),
        "reading": _digest(kept),
        "season": scores.get("season"),
        "loss": {**config["loss"], "data": _digest(fitted)},
        **({"task": config["task"]["kind"]} if config["task"]["kind"] != "forecast" else {}),
    }


def _data(facts: dict[str, Any]) -> str:
    """Return a name for the very bytes a run was trained on."""
    if "synthetic" in facts:
        return f"generated panel {_digest(facts['synthetic'])}"
    files = facts.get("files", [])
    names = [Path(file["path"]).name for file in files]
    shown = names[0] if len(names) == 1 else f"{len(names)} files"
    return f"{shown} {_digest([file['sha256'] for file in files])}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
