"""A session as it is saved: on the host, so that training may go on meanwhile; and how it is read."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from gym_jax.errors import CheckpointError
from gym_jax.optim import Plateau
from gym_jax.train.places import to_host
from gym_jax.train.stopping import EarlyStop
from gym_jax.types import TrainState


class Snapshot(NamedTuple):
    """What a save needs of a session."""

    step: int
    epochs: int
    state: TrainState
    """With the data of its key."""
    metadata: dict[str, Any]
    best_step: int
    best: tuple[TrainState, dict[str, Any]] | None
    """The best state and its metadata, until they are on the disk."""


def on_host(state: TrainState) -> TrainState:
    """Return a copy of a state in the memory of the host, with the data of its key; of leaves in parts its own."""
    return to_host(state._replace(key=jax.random.key_data(state.key)))


def with_key(state: TrainState) -> TrainState:
    """Return a state of the host with its key."""
    return state._replace(key=jax.random.wrap_key_data(state.key))


def read_stopping(metadata: Mapping[str, Any]) -> EarlyStop:
    """Return what a checkpoint knows of the best step so far. Raises CheckpointError when it is none of a run."""
    if "stopping" not in metadata:
        raise CheckpointError(
            "a checkpoint does not say what was best: it is none of a training run",
            hint="it is damaged, or was written by other means; Orbax itself opens it",
        )
    best, *rest = metadata["stopping"]
    return EarlyStop(math.inf if best is None else best, *rest)


def read_plateau(metadata: Mapping[str, Any]) -> Plateau:
    """Return what a checkpoint knows of the learning rate; those of schema version 1 know nothing."""
    best, *rest = metadata.get("plateau", (None,))
    return Plateau(math.inf if best is None else best, *rest)
