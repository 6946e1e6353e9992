"""Where the curves of a run go besides metrics.jsonl: one small protocol, three trackers, a thread for each."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from gym_jax.errors import MissingExtra
from gym_jax.track.tracker import Place, Tracker


class Entry(NamedTuple):
    """Where a tracker is, and what it needs."""

    home: str
    """Module and class."""
    needs: tuple[str, ...] = ()
    """Packages, which the extra of the tracker's name brings."""


TRACKERS = {
    "tensorboard": Entry("tensorboard:TensorBoard"),
    "wandb": Entry("wandb:Wandb", ("wandb",)),
    "mlflow": Entry("mlflow:MLflow", ("mlflow", "sqlalchemy", "alembic")),
}


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
    module, _, kind = TRACKERS[name].home.partition(":")
    tracker: Tracker = getattr(import_module(f"gym_jax.track.{module}"), kind)(place, state)
    return tracker
