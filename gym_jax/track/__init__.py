"""Where the curves of a run go besides metrics.jsonl: one small protocol, three trackers, a thread for each."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from gym_jax.errors import MissingExtra
from gym_jax.plugins import Registry, describe
from gym_jax.track.tracker import Place, Tracker


class Entry(NamedTuple):
    """Where a tracker is, and what it needs."""

    home: str | Callable[[Place, Mapping[str, Any]], Tracker]
    """Module and class; of a plug-in the class itself."""
    needs: tuple[str, ...] = ()
    """Packages, which the extra of the tracker's name brings."""


CALLS = ("start", "hparams", "log", "text", "image", "finish", "state")


def _entry(name: str, thing: Any) -> Entry:
    """Return the entry of a tracker that somebody adds. Raises TypeError when it is none."""
    if not isinstance(thing, type):
        raise TypeError(f"it is {describe(thing)}, not the class of a tracker")
    if lacks := [call for call in CALLS if not callable(getattr(thing, call, None))]:
        raise TypeError(f"it has no {', no '.join(lacks)}")
    return Entry(thing)


TRACKERS = Registry(
    "trackers",
    {
        "tensorboard": Entry("tensorboard:TensorBoard"),
        "wandb": Entry("wandb:Wandb", ("wandb",)),
        "mlflow": Entry("mlflow:MLflow", ("mlflow", "sqlalchemy", "alembic")),
    },
    _entry,
    taken=("none", "jsonl"),
)


def refuse_missing(names: Sequence[str]) -> None:
    """Raise MissingExtra when a package that a tracker needs is not installed."""
    missing = {name: lacks for name in names if (lacks := [p for p in TRACKERS[name].needs if find_spec(p) is None])}
    if missing:
        packages = sorted({package for lacks in missing.values() for package in lacks})
        raise MissingExtra(
            f"{' and '.join(missing)} can not be logged to: {', '.join(packages)} "
            f"{'is' if len(packages) == 1 else 'are'} not installed",
            hint="metrics.jsonl has the curves anyhow; --track none goes without, and a tracker may join later",
            attempt=f"pip install 'gym-jax[{','.join(missing)}]'",
            code="extra.tracker",
        )


def make_tracker(name: str, place: Place, state: Mapping[str, Any]) -> Tracker:
    """Return a tracker that has not begun; `state` is what it was asked to keep, {} for a new run."""
    home = TRACKERS[name].home
    if not isinstance(home, str):
        return home(place, state)
    module, _, kind = home.partition(":")
    tracker: Tracker = getattr(import_module(f"gym_jax.track.{module}"), kind)(place, state)
    return tracker
