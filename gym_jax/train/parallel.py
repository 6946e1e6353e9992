"""One epoch as one compiled program, on one device or several, behind one signature.

`one`    a single device
`cores`  `shard_map` over the CPU, one XLA device per core
`shard`  `jit` over a mesh of all devices; the compiler splits the work
`pmap`   `jax.pmap` over all devices

Of several processes the devices are those of all; `cores` and `shard` run over them as over those of one.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int

from gym_jax.errors import ConfigError
from gym_jax.train.compile import jit
from gym_jax.train.places import put, shard_largest
from gym_jax.train.processes import group
from gym_jax.types import Compile, EvalStep, Examples, Metrics, Model, Parameters, Placement, Step, TrainState

PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
AXIS = "data"

Order = Int[np.ndarray, "steps batch"]
Epoch = Callable[[TrainState, Examples, Order], tuple[TrainState, Metrics]]
"""`(state, examples, order) -> (state, metrics of every step)`; the old state's buffers are given away."""
Evaluation = Callable[[TrainState, Examples, Order], Metrics]


class Layout(NamedTuple):
    """Where a program runs, and how it is compiled; pmap knows one way to compile.

    >>> layout.names, layout.processes
    ({'placement': 'one', 'devices': 1, 'compile': 'safe'}, 1)
    >>> layout.pad(np.array([[0, 1, 2]])).shape
    (1, 3)
    """

    placement: Placement
    """One device, or how a program is spread over several; the module says what each word means."""
    devices: tuple[jax.Device, ...]
    """Of every process as many."""
    compile: Compile = "safe"
    """How programs are compiled: `safe`, `fast` or `wide`."""
    parameters: Parameters = "replicate"
    """Whether each device keeps all parameters (`replicate`) or a part of them (`shard`)."""

    @property
    def processes(self) -> int:
        """How many processes the devices belong to."""
        return len({device.process_index for device in self.devices})

    @property
    def names(self) -> dict[str, Any]:
        """The layout in words, as a run keeps it."""
        names = {"placement": self.placement, "devices": len(self.devices), "compile": self.compile}
        more = {"parameters": self.parameters} if self.parameters != "replicate" else {}
        return {**names, **more, **({"processes": self.processes} if self.processes > 1 else {})}

    @property
    def mesh(self) -> Mesh:
        """The devices in a row; Auto axes, so that gathers inside jit need no sharding of their own."""
        return Mesh(np.array(self.devices), (AXIS,), axis_types=(AxisType.Auto,))

    def replicate(self, tree: Any) -> Any:
        """Return the tree on every device of the layout, in buffers of its own when it was elsewhere."""
        if self.placement == "one":
            return jax.device_put(tree, self.devices[0])
        everywhere = NamedSharding(self.mesh, P())
        if everywhere.is_fully_addressable:
            return jax.device_put(tree, everywhere)
        return jax.tree.map(lambda leaf: put(leaf, everywhere), tree)

    def place(self, state: Any) -> Any:
        """Return a state where it is trained; a pack of several has a way of its own."""
        if self.parameters == "replicate":
            return self.replicate(state)
        return jax.tree.map(put, state, self.shardings(state))

    def shardings(self, state: Any) -> Any:
        """Return where each leaf of a state lies whose parameters are spread over the devices."""
        return jax.tree.map(shard_largest(self.mesh, AXIS), state)

    def beside(self, order: Order) -> Order:
        """Return the batches of all processes, of which this one knows its own part: the others' rows stand as -1."""
        (rank, count), (steps, width) = group(), order.shape
        width += -width % (len(self.devices) // count)
        whole = np.full((steps, width * count), -1, order.dtype)
        whole[:, rank * width : rank * width + order.shape[1]] = order
        return whole

    def pad(self, order: Order) -> Order:
        """Return the order with batches padded by -1 to a multiple of the number of devices."""
        return np.pad(order, ((0, 0), (0, -order.shape[1] % len(self.devices))), constant_values=-1)


def cpu_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_devices(*, local: bool = False) -> list[jax.Device]:
    """Return the CPU devices of all processes or of this one; none where JAX_PLATFORMS names other backends alone.

    >>> cpu_devices()[0].platform
    'cpu'
    """
    try:
        return jax.local_devices(backend="cpu") if local else jax.devices("cpu")
    except RuntimeError:
        return []


def request_cpu_devices(placement: Placement | Literal["auto"], count: int | None = None) -> None:
    """Ask JAX for that many CPU devices, before any is opened; `cores` and `auto` ask for one per core.

    Does nothing once devices are open: `make_layout` then says what is missing. Of several processes each makes its
    share, or what JAX_NUM_CPU_DEVICES says.
    """
    said = getattr(jax.config, "jax_num_cpu_devices") > 0  # noqa: B009 - by JAX_NUM_CPU_DEVICES, say
    several = group().count > 1
    share = count and -(-count // group().count)
    wanted = share or (cpu_cores() if placement == "cores" or (placement == "auto" and not said) else None)
    if wanted and placement != "one" and not (several and said):
        try:
            jax.config.update("jax_num_cpu_devices", wanted)
        except RuntimeError:
            return


def make_layout(
    placement: Placement, count: int | None = None, compile: Compile = "safe", parameters: Parameters = "replicate"
) -> Layout:
    """Return the layout of `count` devices (None: all there are), of every process as many.

    Raises ConfigError when there are fewer, or where several processes have no such placement.

    >>> make_layout("one").placement
    'one'
    """
    several = group().count
    if several > 1 and placement in ("one", "pmap"):
        reason = {"one": "is a single device", "pmap": "passes all numbers through the host at every call there"}
        raise ConfigError(
            f"train.placement={placement} does not go with {several} processes: it {reason[placement]}",
            hint="cores (CPU) and shard go over the devices of all processes",
            attempt="gymjax train ... train.placement=cores",
            code="config.devices",
        )
    if placement == "one":
        return Layout(placement, (jax.devices()[0],), compile)
    found = cpu_devices() if placement == "cores" else jax.devices()
    wanted = count or (cpu_cores() if placement == "cores" and several == 1 else len(found))
    own: dict[int, list[jax.Device]] = {}
    for device in found:
        own.setdefault(device.process_index, []).append(device)
    share, odd = divmod(wanted, several)
    if odd or not found or any(len(devices) < share for devices in own.values()):
        kind = "cpu" if placement == "cores" else found[0].platform
        there = f"{len(found)} {kind}" + (f" in {several} processes" if several > 1 else "")
        raise ConfigError(
            f"train.placement={placement} needs {wanted} devices, JAX has {there}",
            hint="CPU devices are made before JAX opens the first one; set JAX_NUM_CPU_DEVICES, or ask for fewer"
            + ("; every process takes as many" if several > 1 else ""),
            attempt=f"JAX_NUM_CPU_DEVICES={-(-wanted // several)} gymjax train ... train.placement={placement}",
            code="config.devices",
        )
    chosen = tuple(device for devices in own.values() for device in devices[:share])
    return Layout(placement, chosen, "fast" if placement == "pmap" else compile, parameters)


def make_epoch(step_for: Callable[..., Step], layout: Layout) -> Epoch:
    """Compile `scan(step)` over an order of indices; `step_for` takes `axis_name` and returns the step.

    `functools.partial(make_train_step, model, loss, tx)` is such a `step_for`. State and examples must have been
    placed with `layout.replicate`. The state that is given is used up, and with it the one that was placed.

    >>> state = layout.replicate(begin(jax.random.key(0), batch.inputs))
    >>> state, metrics = epoch(state, layout.replicate(examples), order)
    >>> int(state.step), metrics["loss"].value.shape
    (3, (3,))
    """

    def run(step: Step) -> Epoch:
        def epoch(state: TrainState, examples: Examples, order: Any) -> tuple[TrainState, Metrics]:
            return lax.scan(lambda state, indices: step(state, examples.take(indices)), state, order)

        return epoch

    return _spread(run, step_for, layout, donate=(0,))


def make_evaluation(step_for: Callable[..., EvalStep], layout: Layout) -> Evaluation:
    """Compile an evaluation over an order of indices, like `make_epoch`; metrics come per step, to be added up.

    >>> evaluation = make_evaluation(functools.partial(make_eval_step, model, gym_jax.losses.mae), layout)
    >>> float(evaluation(start, examples, order)["loss"].count.sum())
    93.0
    """

    def run(step: EvalStep) -> Evaluation:
        def evaluation(state: TrainState, examples: Examples, order: Any) -> Metrics:
            return lax.map(lambda indices: step(state, examples.take(indices)), order)

        return evaluation

    return _spread(run, step_for, layout._replace(compile="safe"), donate=())


def make_forecast(model: Model) -> Callable[[Any, Examples, Order], Float[Array, "steps batch horizon targets"]]:
    """Compile predictions of every batch of an order; rows of padding (-1) hold no meaning.

    >>> make_forecast(model)(evaluation_variables(start), examples, order).shape
    (3, 16, 2, 1)
    """

    @jit
    def forecast(variables: Any, examples: Examples, order: Any) -> Array:
        return lax.map(lambda rows: model.apply(variables, examples.take(rows).inputs, train=False), order)

    return forecast


def _spread(run: Callable[[Any], Any], step_for: Callable[..., Any], layout: Layout, donate: Sequence[int]) -> Any:
    """Compile `run(step)` for the layout; its last argument is the order, split by batch, all else is replicated."""
    placement, devices = layout.placement, layout.devices
    make = functools.partial(jit, compile=layout.compile, donate_argnums=donate)
    if placement == "one":
        compiled = make(run(step_for(axis_name=None)))
        return lambda state, examples, order: compiled(state, examples, jnp.asarray(order))
    rows = NamedSharding(layout.mesh, P(None, AXIS))
    if placement == "pmap":
        mapped = jax.pmap(run(step_for(axis_name=AXIS)), AXIS, in_axes=(None, None, 1), out_axes=None, devices=devices)

        def split(order: Order) -> np.ndarray:
            padded = layout.pad(order)
            return padded.reshape(len(padded), len(devices), -1)

        return lambda state, examples, order: mapped(state, examples, split(order))
    if placement == "cores":
        whole = jax.shard_map(
            run(step_for(axis_name=AXIS)),
            mesh=layout.mesh,
            in_specs=(P(), P(), P(None, AXIS)),
            out_specs=P(),
            check_vma=False,
        )
        compiled = make(whole)
    elif donate and layout.parameters == "shard":
        compiled = _keeping_parts(run(step_for(axis_name=None)), make, layout)
    else:
        compiled = make(run(step_for(axis_name=None)), out_shardings=NamedSharding(layout.mesh, P()))
    return lambda state, examples, order: compiled(state, examples, put(layout.pad(order), rows))


def _keeping_parts(epoch: Callable[..., Any], make: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    """Compile an epoch that leaves the parts of a state where they lay; its shapes are known at the first call."""
    everywhere, compiled = NamedSharding(layout.mesh, P()), None

    def call(state: Any, examples: Any, order: Any) -> Any:
        nonlocal compiled
        compiled = compiled or make(epoch, out_shardings=(layout.shardings(state), everywhere))
        return compiled(state, examples, order)

    return call
