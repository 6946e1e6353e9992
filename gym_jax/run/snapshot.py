"""A session as it is saved: on the host, so that training may go on meanwhile."""

from typing import Any, NamedTuple

import jax

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
    """Return a copy of a state in the memory of the host, with the data of its key."""
    return jax.device_get(state._replace(key=jax.random.key_data(state.key)))


def with_key(state: TrainState) -> TrainState:
    """Return a state of the host with its key."""
    return state._replace(key=jax.random.wrap_key_data(state.key))
