"""Which member of a group fills which column of the program, epoch by epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from gym_jax.data.order import shuffled
from gym_jax.run.members import Member, training
from gym_jax.run.plan import Plan
from gym_jax.train.loop import Progress
from gym_jax.train.many import Pack, member, stack
from gym_jax.train.parallel import Layout
from gym_jax.types import Mean, TrainState

_one = jax.jit(member)


@dataclass
class Seats:
    """Who fills each column of the program over an epoch.

    The columns are those of all members that were there when the epoch began, filled up with copies of the first that
    still trains: their number, and with it the program, depends on nothing else.
    """

    filled: list[Member]
    owners: dict[int, Member]
    """The members that train, by their column."""
    given: dict[int, TrainState] = field(default_factory=dict)
    """The states that were dealt out last."""

    def states(self) -> TrainState:
        """Return the stacked states."""
        return stack([owner.session.state for owner in self.filled])

    def orders(self, plan: Plan, number: int) -> np.ndarray:
        """Return the orders of an epoch: [steps, columns, batch]."""
        count, size = len(plan.train), plan.config.train.batch_size
        own = {seed: shuffled(seed, number, count, size) for seed in {owner.seed for owner in self.owners.values()}}
        return np.stack([own[owner.seed] for owner in self.filled], axis=1)

    def deal(self, progress: Progress, layout: Layout) -> Iterator[tuple[Member, Progress]]:
        """Yield each member that trains with its own part of a chunk; one that was lost earlier has none."""
        states = None if progress.state is None else layout.replicate(progress.state)
        windows = progress.windows // len(self.filled)
        for column, owner in self.owners.items():
            if owner.left is not None:
                continue
            state = None if states is None else _one(states, column)
            if state is not None:
                self.given[column] = state
            metrics = {name: Mean(m.total[:, column], m.count[:, column]) for name, m in progress.metrics.items()}
            yield owner, progress._replace(state=state, windows=windows, metrics=metrics)

    def judged(self, values: np.ndarray | None) -> list[tuple[Member, float | None]]:
        """Return each member that has a column, with the value of its column."""
        return [(owner, None if values is None else float(values[column])) for column, owner in self.owners.items()]

    @property
    def stale(self) -> bool:
        """Whether a member has left, or the host has changed a state."""
        return any(
            owner.left is not None or owner.session.state is not self.given[column]
            for column, owner in self.owners.items()
        )


def seat(members: Sequence[Member], pack: Pack) -> Seats:
    """Return the columns of the epoch at which the members stand; one after the other they need no copies."""
    live = training(members)
    epoch = live[0].session.position.epoch
    there = live if pack.packing == "loop" else [m for m in members if m.left is None or m.left > epoch]
    width = len(live) if pack.packing == "loop" else min(len(members), 1 << (len(there) - 1).bit_length())
    filled = [owner if owner.left is None else live[0] for owner in there] + [live[0]] * (width - len(there))
    return Seats(filled, {column: owner for column, owner in enumerate(there) if owner.left is None})
