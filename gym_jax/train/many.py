"""Many models in one program: the same step on stacked states, each with its own order, seed and numbers.

`vmap`   all members at once, on one device
`cores`  an equal share of the members per device, at once within it
`turns`  an equal share per device, one after the other within it
`loop`   one member after the other, each over the layout of a single run
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Int, PyTree

from gym_jax.train.compile import jit
from gym_jax.train.parallel import AXIS, Layout, Order, make_epoch, make_evaluation
from gym_jax.types import EvalStep, Examples, Metrics, Step, TrainState

Packing = Literal["vmap", "cores", "turns", "loop"]
PACKINGS: tuple[Packing, ...] = get_args(Packing)
Whose = Literal["shared", "own"]
"""Whether all members learn from the same examples, or each from its own."""
Orders = Int[np.ndarray, "steps members batch"]
ManyEpoch = Callable[..., tuple[TrainState, Metrics]]
"""`(stacked states, examples, orders) -> (stacked states, metrics [steps, members])`; the old states are given away."""
ManyEvaluation = Callable[[TrainState, Examples, Order | Orders], Metrics]


class Pack(NamedTuple):
    """How members share the devices of a layout; of `vmap` its first device alone.

    >>> Pack("vmap", layout).names
    {'packing': 'vmap', 'placement': 'one', 'devices': 1, 'compile': 'safe'}
    """

    packing: Packing
    """`vmap`, `cores`, `turns` or `loop`; the module says what each word means."""
    layout: Layout
    """Where they run."""

    @property
    def names(self) -> dict[str, Any]:
        """The pack in words, as a run keeps it."""
        return {"packing": self.packing, **self.layout.names}

    @property
    def spread(self) -> bool:
        """Whether every device holds members of its own."""
        return self.packing in ("cores", "turns")

    def place(self, states: PyTree) -> PyTree:
        """Return stacked states where the members are trained, filled up with copies to an equal share per device."""
        if not self.spread:
            return self.layout.replicate(states)
        devices = len(self.layout.devices)
        filled = jax.tree.map(lambda leaf: leaf[np.arange(len(leaf) + -len(leaf) % devices) % len(leaf)], states)
        return jax.device_put(filled, NamedSharding(self.layout.mesh, P(AXIS)))

    def replicate(self, tree: PyTree) -> PyTree:
        """Return what all members share on every device."""
        return self.layout.replicate(tree)


def stack(states: Sequence[PyTree]) -> PyTree:
    """Return trees of arrays as one, members along a new first axis: of shapes [...] it has the shape [members, ...].

    >>> stack([{"w": jnp.zeros(3)}, {"w": jnp.ones(3)}])["w"].shape
    (2, 3)
    """
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def member(states: PyTree, index: int) -> PyTree:
    """Return one member of stacked trees: of shapes [members, ...] it has the shape [...].

    >>> member({"w": jnp.array([[0.0, 1.0], [2.0, 3.0]])}, 1)["w"].tolist()
    [2.0, 3.0]
    """
    return jax.tree.map(lambda leaf: leaf[index], states)


def make_many_epoch(
    step_for: Callable[..., Step], pack: Pack, settings: PyTree = None, examples: Whose = "shared"
) -> ManyEpoch:
    """Compile an epoch of many members; a member's numbers are those of its own single run, but for rounding.

    It takes stacked states, examples, and an order [steps, batch] of all or [steps, members, batch], and returns
    stacked states and metrics [steps, members]. `step_for(axis_name=...)` returns the step of a single run. With
    `settings`, arrays with the members along their first axis, it is called as `step_for(own_settings, axis_name=...)`,
    so that a rate, say, is a member's own. The epoch takes others, placed like states, as `settings`: no program is
    compiled anew for them. States and examples must have been placed with `pack.place` and `pack.replicate`; examples
    of their `own`, of one shape and stacked like states, with `pack.place` too. Raises ValueError for either with
    members in a loop.
    """
    if pack.packing == "loop":
        if settings is not None or examples == "own":
            raise ValueError("what members have of their own needs one program: packing vmap, cores or turns")
        return _in_a_loop(make_epoch(step_for, pack.layout), pack.layout)

    def run(own: Any, state: TrainState, examples: Examples, order: Any) -> tuple[TrainState, Metrics]:
        step = step_for(axis_name=None) if own is None else step_for(own, axis_name=None)
        return lax.scan(lambda state, indices: step(state, examples.take(indices)), state, order)

    compiled, placed = _packed(run, pack, donate=(1,), examples=examples), pack.place(settings)
    return lambda states, examples, order, settings=placed: compiled(settings, states, examples, order)


def make_many_evaluation(step_for: Callable[..., EvalStep], pack: Pack, examples: Whose = "shared") -> ManyEvaluation:
    """Compile an evaluation of many members, safely; metrics are [steps, members].

    The order is [steps, batch] when all members are judged by the same examples, else [steps, members, batch].
    """
    pack = pack._replace(layout=pack.layout._replace(compile="safe"))
    if pack.packing == "loop":
        one = make_evaluation(step_for, pack.layout)
        program = _in_a_loop(lambda state, examples, order: ((), one(state, examples, order)), pack.layout)
    else:

        def run(own: Any, state: TrainState, examples: Examples, order: Any) -> tuple[Any, Metrics]:
            step = step_for(axis_name=None)
            return (), lax.map(lambda indices: step(state, examples.take(indices)), order)

        compiled = _packed(run, pack, donate=(), examples=examples)
        program = functools.partial(compiled, None)

    def evaluate(states: TrainState, examples: Examples, order: Order | Orders) -> Metrics:
        if order.ndim == 2:
            order = np.repeat(order[:, None], len(states.step), axis=1)
        return program(states, examples, order)[1]

    return evaluate


def _packed(run: Callable[..., Any], pack: Pack, donate: Sequence[int], examples: Whose = "shared") -> Any:
    """Compile `run(settings, state, examples, order) -> (state, metrics)` for all members.

    States, and examples of their own, have the members on axis 0, orders and metrics on axis 1, behind the steps.
    """
    shared = examples == "shared"

    def at_once(own: Any, states: Any, data: Any, order: Any) -> Any:
        return jax.vmap(run, in_axes=(0, 0, None if shared else 0, 1), out_axes=(0, 1))(own, states, data, order)

    def in_turns(own: Any, states: Any, data: Any, order: Any) -> Any:
        orders = jnp.swapaxes(order, 0, 1)
        given = (own, states, orders) if shared else (own, states, orders, data)
        states, metrics = lax.map(lambda one: run(one[0], one[1], data if shared else one[3], one[2]), given)
        return states, jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), metrics)

    make = functools.partial(jit, compile=pack.layout.compile, donate_argnums=donate)
    inside = in_turns if pack.packing == "turns" else at_once
    if not pack.spread:
        whole = make(inside)
        return lambda own, states, examples, order: whole(own, states, examples, jnp.asarray(order))
    specs = P(AXIS), P(AXIS), P() if shared else P(AXIS), P(None, AXIS)
    spread = jax.shard_map(
        inside, mesh=pack.layout.mesh, in_specs=specs, out_specs=(P(AXIS), P(None, AXIS)), check_vma=False
    )
    whole = make(spread)

    def call(own: Any, states: Any, examples: Any, order: Orders) -> Any:
        """Give the copies behind the members the orders of those; leave their metrics out."""
        members = order.shape[1]
        filled = order[:, np.arange(len(jax.tree.leaves(states)[0])) % members]
        states, metrics = whole(
            own, states, examples, jax.device_put(filled, NamedSharding(pack.layout.mesh, specs[3]))
        )
        return states, jax.tree.map(lambda leaf: leaf[:, :members], metrics)

    return call


def _in_a_loop(one: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    """Return a program that runs that of a single member for one after the other."""

    def program(states: TrainState, examples: Examples, order: Orders) -> tuple[TrainState, Metrics]:
        done = [one(layout.replicate(member(states, m)), examples, order[:, m]) for m in range(order.shape[1])]
        new, metrics = zip(*done, strict=True)
        return stack(new), jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *metrics)

    return program
