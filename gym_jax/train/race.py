"""The race at the start of a run: which layout is fastest here, and whether its numbers are right.

Every candidate runs the real program on the real data. Before one may win, its loss and gradients on a real batch are
compared with those of the safe compilation; one that disagrees is dropped.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from gym_jax.plugins import one_line
from gym_jax.train.compile import compiler_options
from gym_jax.train.many import Pack
from gym_jax.train.parallel import Layout, make_epoch
from gym_jax.types import Examples, Step, TrainState

LOGGER = logging.getLogger(__name__)
AGREE = 1e-3
"""Distance of two gradients, relative to their norm, and of two losses, within which they are the same."""
AGREE_ROUNDED = 3e-2
"""The same where products are rounded to bfloat16."""


class Lane(NamedTuple):
    """How a candidate did."""

    layout: Layout | Pack
    seconds: float | None
    """Of one step; None when it was not timed."""
    fault: str | None = None
    """Why it was dropped."""

    @property
    def facts(self) -> dict[str, Any]:
        """The lane in plain words and numbers."""
        ms = None if self.seconds is None else round(1e3 * self.seconds, 4)
        return {**self.layout.names, "ms_per_step": ms, "fault": self.fault}


class Won(NamedTuple):
    """The layout to train with, its compiled epoch, and how every candidate did."""

    layout: Any
    epoch: Callable[..., Any]
    lanes: tuple[Lane, ...]


def race(
    step_for: Callable[..., Step],
    probe_for: Callable[..., Step],
    state: TrainState,
    examples: Examples,
    order: np.ndarray,
    layouts: Sequence[Layout] | Sequence[Pack],
    *,
    make: Callable[..., Any] | None = None,
    seconds: float = 1.0,
    tolerance: float = AGREE,
) -> Won:
    """Return the fastest layout whose numbers agree with the safe compilation; without any, the first one, made safe.

    `step_for` is what `make_epoch` takes; `probe_for` is the same with the optimiser `record_gradients()`. `order` is a
    chunk as training will run it, so that the winner is compiled already. `state` stays as it is. One layout alone is
    compared and not timed. With `make=make_many_epoch`, packs race over stacked states and the orders of their members.
    """
    compiled: Callable[..., Any] = make or make_epoch
    lanes = [_Runner(compiled(step_for, layout), layout, state, examples, order) for layout in layouts]
    if len(lanes) > 1:
        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(_Runner.run, lanes))  # compiles
        for _ in range(2):
            for lane in lanes:
                lane.time(seconds / len(lanes) / 2)
        lanes.sort(key=_Runner.seconds_of)
    results = []
    winner = None
    for lane in lanes:
        fault = lane.fault
        if winner is None and fault is None:
            fault = disagreement(probe_for, lane.layout, state, examples, order, make=make, tolerance=tolerance)
            winner = lane if fault is None else None
        timed = lane.seconds_of()
        results.append(Lane(lane.layout, timed if np.isfinite(timed) else None, fault))
        LOGGER.debug("%s: %.3g s a step, %s", lane.layout, timed, fault or ("won" if lane is winner else "slower"))
    if winner is not None:
        return Won(winner.layout, winner.epoch, tuple(results))
    safe = safe_layout(layouts[0])
    return Won(safe, compiled(step_for, safe), tuple(results))


def disagreement(
    probe_for: Callable[..., Step],
    layout: Layout | Pack,
    state: TrainState,
    examples: Examples,
    order: np.ndarray,
    *,
    make: Callable[..., Any] | None = None,
    tolerance: float = AGREE,
) -> str | None:
    """Return in words by how much loss or gradients of a layout differ from its safe compilation; None: they agree."""
    safe = safe_layout(layout)
    if layout == safe or compiler_options("safe") is None:
        return None
    twice = np.repeat(order[:1], 2, axis=0)  # a loop of one step would be compiled as no loop
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(lambda one: _gradients(probe_for, one, state, examples, twice, make or make_epoch), (layout, safe))
        )
    (loss, gradients), (true_loss, true) = found
    off = float(optax.tree.norm(optax.tree.sub(gradients, true)) / optax.tree.norm(true))
    off_loss = abs(loss - true_loss) / abs(true_loss) if true_loss else abs(loss)
    for what, distance in (("loss", off_loss), ("gradients", off)):
        if not distance <= tolerance:  # also when it is no number
            return f"its {what} differ from the safe compilation by {distance:.2g} of their size"
    return None


def safe_layout(layout: Any) -> Any:
    """Return the layout, or the pack, compiled safely; pmap can not be, so the compiler splits the work instead."""
    if isinstance(layout, Pack):
        return layout._replace(layout=safe_layout(layout.layout))
    placement = "shard" if layout.placement == "pmap" else layout.placement
    return layout._replace(placement=placement, compile="safe")


def record_gradients() -> optax.GradientTransformation:
    """Return an optimiser that changes nothing and keeps the gradients of its last step as its state."""
    return optax.GradientTransformation(
        lambda params: params, lambda grads, state, params=None: (optax.tree.zeros_like(grads), grads)
    )


def _gradients(
    probe_for: Callable[..., Step],
    layout: Layout | Pack,
    state: TrainState,
    examples: Examples,
    order: np.ndarray,
    make: Callable[..., Any],
) -> tuple[float, PyTree]:
    """Return the mean loss of the last step, over all members, and the gradients."""
    probe = _apart(layout, state._replace(opt_state=state.params))
    done, metrics = make(probe_for, layout)(probe, layout.replicate(examples), order)
    return float(metrics["loss"].value[-1].mean()), jax.device_get(done.opt_state)


def _apart(layout: Layout | Pack, state: TrainState) -> TrainState:
    """Return the state on the devices of a layout, in buffers that may be given away."""
    return layout.place(jax.tree.map(jnp.copy, state))


class _Runner:
    """A candidate while it runs."""

    def __init__(
        self, epoch: Callable[..., Any], layout: Layout | Pack, state: TrainState, examples: Examples, order: np.ndarray
    ) -> None:
        self.epoch, self.layout, self.order = epoch, layout, order
        self.state, self.examples = _apart(layout, state), layout.replicate(examples)
        self.times: list[float] = []
        self.fault: str | None = None

    def run(self) -> None:
        try:
            self.state, metrics = self.epoch(self.state, self.examples, self.order)
            jax.block_until_ready(metrics)
        except Exception as error:  # out of memory, say: the others go on
            self.fault = one_line(error)[:200]

    def time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.fault is None:
            begin = time.monotonic()
            self.run()
            self.times.append((time.monotonic() - begin) / len(self.order))
            if time.monotonic() >= end:
                break

    def seconds_of(self) -> float:
        return float(np.median(self.times)) if self.times and self.fault is None else np.inf
