"""Our own cases: the training program as a run would build it, for every placement and way to compile."""

import functools
import itertools
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gym_jax.config.schema import Config
from gym_jax.data.order import shuffled
from gym_jax.data.windows import Windows
from gym_jax.errors import ConfigError, DataError
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import (
    Prepared,
    build_loss,
    build_model,
    build_optimiser,
    cut,
    load_panel,
    prepare,
    shape_of,
    step_settings,
)
from gym_jax.run.bench_memory import host_gauge
from gym_jax.run.bench_rows import OWN, Bench, Case, Ready
from gym_jax.run.plan import CHUNK_FLOPS, LONGEST_CHUNK
from gym_jax.train.compile import compiler_options, jit
from gym_jax.train.flops import count_flops
from gym_jax.train.parallel import AXIS, Layout, cpu_cores, make_epoch, make_layout, request_cpu_devices
from gym_jax.train.step import init_state, make_train_step

PEAK_SIZES = (1024, 2048)
"""Sides of the square products whose best rate is the peak."""


def open_own(
    configs: Sequence[Config],
    *,
    placements: Sequence[str] | None,
    batch_sizes: Sequence[int],
    dtypes: Sequence[str],
    compiles: Sequence[str] | None,
    seconds: float,
) -> Bench:
    """Return the bench of these models; None takes the placements and ways to compile that suit the devices.

    Raises what reading the data raises. Opens JAX's devices: on a CPU one for each core, unless they are open already.
    """
    request_cpu_devices("cores", next((c.train.devices for c in configs if c.train.devices), None))
    data = _reader()
    cases = [
        Case(OWN, config.model.kind, size, dtype, placement, compile)
        for config, size, dtype in itertools.product(configs, batch_sizes, dtypes)
        for placement, compile in ways(placements or usual_placements(), compiles or usual_compiles())
    ]
    kinds = {config.model.kind: config for config in configs}
    used = {one_device()}
    products: dict[str, Callable[[], float]] = {}
    prepared, windows = data(configs[0])

    def ready(case: Case) -> Ready:
        twin = same_program(case.compile, compiles or ())
        if twin is not None and case.placement != "pmap":
            raise ConfigError(f"the same program as compile={twin} on this machine: not measured twice")
        config = at(kinds[case.model], case)
        made = build_case(config, case, *data(config), seconds=seconds)
        used.add(made.devices)
        return made

    def peaks() -> dict[str, float]:
        for name in used - products.keys():
            products[name] = product_peak(name)
        return {name: measure() for name, measure in products.items()}

    panel, task = prepared.panel, configs[0].task
    facts = {
        "data": configs[0].data.path or "generated CPU-allocation panel (no --data given)",
        "windows": len(windows),
        "context": task.context,
        "horizon": task.steps,
        "channels": len(prepared.channels.channels),
        "targets": panel.targets,
        "platform": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "cores": cpu_cores(),
    }
    return Bench(cases, facts, ready, gauge, peaks)


def usual_placements() -> tuple[str, ...]:
    """Return `one`, with `cores` on a CPU of several cores and `shard` on several accelerators."""
    if jax.default_backend() == "cpu":
        return ("one", "cores") if cpu_cores() > 1 else ("one",)
    return ("one", "shard") if len(jax.devices()) > 1 else ("one",)


def usual_compiles() -> tuple[str, ...]:
    """Return `safe` and `fast`, or `safe` alone where both are the same program."""
    return ("safe", "fast") if compiler_options("safe") else ("safe",)


def ways(placements: Sequence[str], compiles: Sequence[str]) -> list[tuple[str, str]]:
    """Return every placement with every way to compile; pmap knows one."""
    pairs = [(p, "fast" if p == "pmap" else c) for p, c in itertools.product(placements, compiles)]
    return list(dict.fromkeys(pairs))


def same_program(compile: str | None, among: Sequence[str]) -> str | None:
    """Return the way to compile that stands before this one and makes the same program here, if any does."""
    before = among[: among.index(compile)] if compile in among else ()
    options: Callable[[Any], Any] = compiler_options
    return next((other for other in before if options(other) == options(compile)), None)


def at(config: Config, case: Case) -> Config:
    """Return the configuration as a case trains it."""
    chosen = {"batch_size": case.batch_size, "placement": case.placement, "compute_dtype": case.dtype}
    return config.model_copy(update={"train": config.train.model_copy(update=chosen)})


def build_case(config: Config, case: Case, prepared: Prepared, windows: Windows, *, seconds: float) -> Ready:
    """Return the training program of a case, ready to be called; nothing is compiled yet.

    A call is as long as a chunk of a run, shorter when the whole case is to take less than a second. Its batches are
    full: the windows come round again when there are few. Raises ConfigError when there are too few devices.
    """
    count = None if case.placement == "one" else config.train.devices
    layout = make_layout(case.placement, count, case.compile)  # type: ignore[arg-type]
    model, loss, size = build_model(config, shape_of(prepared)), build_loss(config), case.batch_size
    tx, _ = build_optimiser(config, -(-len(windows) // size))
    step_for = functools.partial(make_train_step, model, loss, tx, **step_settings(config))
    begin = functools.partial(init_state, model, tx, ema=config.train.ema)
    batch = jax.eval_shape(windows.take, jax.ShapeDtypeStruct((size,), jnp.int32))
    # what the formula asks for, whatever a hand-written kernel makes of it
    plain = model.clone(kernel="plain") if "kernel" in MODELS[case.model].fields else model
    counted = make_train_step(plain, loss, tx, **step_settings(config))
    flops = count_flops(counted, jax.eval_shape(begin, jax.random.key(0), batch.inputs), batch)
    steps = chunk_of(flops, seconds)
    rows = shuffled(config.train.seed, 0, len(windows), size)
    order = np.resize(rows[rows >= 0], (steps, size))
    inputs = windows.take(jnp.zeros(1, jnp.int32)).inputs
    state = layout.replicate(jax.jit(begin)(jax.random.key(config.train.seed), inputs))
    epoch, examples = make_epoch(step_for, layout), layout.replicate(windows)

    def call() -> None:
        nonlocal state
        state, metrics = epoch(state, examples, order)
        jax.block_until_ready((state, metrics))

    return Ready(call, steps, _name(layout), flops)


def chunk_of(flops: int, seconds: float) -> int:
    """Return the steps of one call: a run's chunk, less when the whole case may only take a part of a second."""
    return int(np.clip(CHUNK_FLOPS * min(1.0, seconds) / max(flops, 1), 2, LONGEST_CHUNK))


def product_peak(name: str) -> Callable[[], float]:
    """Return what measures the FLOP/s of square float32 products, one on each of the devices at once; the best counts.

    Compiles; `name` is platform and number, such as `cpu:2`.
    """
    platform, count = name.split(":")
    devices = tuple(jax.devices(platform)[: int(count)])
    layout = Layout("cores", devices)
    split = NamedSharding(layout.mesh, P(AXIS))
    product = jit(
        jax.shard_map(
            lambda x: lax.dot(x[0], x[0], precision="highest")[None],
            mesh=layout.mesh,
            in_specs=P(AXIS),
            out_specs=P(AXIS),
        )
    )
    squares = [jax.device_put(jnp.full((len(devices), n, n), 1 / n), split) for n in PEAK_SIZES]
    for square in squares:
        jax.block_until_ready(product(square))

    def measure() -> float:
        best = 0.0
        for square in squares:
            for _ in range(2):
                began = time.perf_counter()
                jax.block_until_ready(product(square))
                best = max(best, 2 * len(devices) * square.shape[-1] ** 3 / (time.perf_counter() - began))
        return best

    return measure


def gauge() -> Callable[[], int | None]:
    """Begin to watch memory: of the process on a CPU, of the fullest device elsewhere.

    A device keeps its peak for good: where the new one stays below an older one, None is returned.
    """
    if jax.default_backend() == "cpu":
        return host_gauge()
    before = [device.memory_stats() or {} for device in jax.local_devices()]

    def rise() -> int | None:
        now = [device.memory_stats() or {} for device in jax.local_devices()]
        key = "peak_bytes_in_use"
        rises = [
            after[key] - was["bytes_in_use"]
            for was, after in zip(before, now, strict=True)
            if key in after and after[key] > was[key]
        ]
        return max(rises, default=None)

    return rise


def one_device() -> str:
    """Return the name of a single device of the default backend, such as `cpu:1`."""
    return f"{jax.devices()[0].platform}:1"


def _name(layout: Layout) -> str:
    return f"{layout.devices[0].platform}:{len(layout.devices)}"


def _reader() -> Callable[[Config], tuple[Prepared, Windows]]:
    """Return a function that prepares the data of a configuration, the same data only once."""
    known: dict[str, tuple[Prepared, Windows]] = {}

    def data(config: Config) -> tuple[Prepared, Windows]:
        document = config.document()
        key = json.dumps([document["data"], document["task"], document["evaluate"]])
        if key not in known:
            prepared = prepare(config, load_panel(config))
            known[key] = prepared, cut(config, prepared, "train")
            if not len(known[key][1]):
                raise DataError(
                    "no train window: nothing was observed in the train part",
                    hint="look at the gaps, or at the split",
                    code="data.no_windows",
                )
        return known[key]

    return data
