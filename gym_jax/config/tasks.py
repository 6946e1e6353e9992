"""What each kind of task means by default, and which settings are none of its business."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gym_jax.data.split import OF_CASES
from gym_jax.losses import HEAD_LOSSES, LOSSES
from gym_jax.plugins import Registry

NUMBERS = (*LOSSES, "quantiles", "gaussian")
"""Losses of numbers."""
OF_TIME = (
    *("task.context", "data.stride", "data.known", "data.lags", "data.rolling", "data.calendar", "data.impute"),
    *("data.clip", "data.memory", "evaluate.season"),
)
"""Settings of forecasts."""


class Fit(NamedTuple):
    """What goes with a kind of task, and what its settings are where nobody says anything."""

    asks: str
    """In words, for messages."""
    losses: tuple[str, ...]
    splits: tuple[str, ...]
    baselines: tuple[str, ...]
    unfit: tuple[str, ...]
    """Settings, or sections, that mean nothing to it."""
    defaults: Mapping[str, Any] = {}


_CASES = {
    "task.horizon": 1,
    "model.normalise": "none",
    "data.split.kind": "random",
    "data.scale.scope": "global",
}
FITS: dict[str, Fit] = {
    "forecast": Fit(
        "forecasts steps of series",
        NUMBERS,
        ("share", "steps", "date", "series"),
        ("last", "seasonal", "linear"),
        ("data.test_path", "data.ignore"),
    ),
    "regress": Fit(
        "learns a number of every case",
        NUMBERS,
        OF_CASES,
        ("mean", "median", "ridge"),
        OF_TIME,
        {**_CASES, "loss.kind": "mse", "evaluate.baselines": ("mean", "ridge")},
    ),
    "classify": Fit(
        "learns the class of every case",
        tuple(name for name in HEAD_LOSSES if name not in NUMBERS),
        OF_CASES,
        ("majority", "nearest"),
        (*OF_TIME, "data.scale.log1p", "evaluate.metrics"),
        {**_CASES, "loss.kind": "cross_entropy", "evaluate.baselines": ("majority", "nearest")},
    ),
}
"""Kinds of tasks."""


def task_of(tree: Mapping[str, Any]) -> str:
    """Return the kind of task that a plain tree of settings asks for."""
    task = tree.get("task")
    kind = task.get("kind") if isinstance(task, Mapping) else None
    return kind if kind in FITS else "forecast"


def with_task_defaults(tree: Mapping[str, Any], models: Registry[Any], model: str) -> dict[str, Any]:
    """Return a tree with the defaults of its task where it says nothing; `model` is the kind of one that has none."""
    out = dict(tree)
    for path, value in FITS[task_of(tree)].defaults.items():
        if path != "model.normalise" or _normalises(out.get("model"), models, model):
            out = _filled(out, path.split("."), value)
    return out


def default_kind(section: str, tree: Mapping[str, Any], usual: str) -> str:
    """Return the kind that a section of a tree means when it names none."""
    return str(FITS[task_of(tree)].defaults.get(f"{section}.kind", usual))


def _normalises(section: Any, models: Registry[Any], model: str) -> bool:
    kind = section.get("kind", model) if isinstance(section, Mapping) else model
    return isinstance(kind, str) and kind in models.names() and "normalise" in models[kind].fields


def _filled(tree: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Return a tree with a value where there is none; what is no section is left for others to complain about."""
    head, *rest = path
    if not rest:
        return {head: value, **tree}
    inner = tree.get(head, {})
    return {**tree, head: _filled(inner, rest, value)} if isinstance(inner, Mapping) else dict(tree)
