"""The same models by PyTorch and Keras 3, as fast as those are known to train: tensors on the device, fused Adam.

Their batches are synthetic and of the same shapes; covariates other than channels of the past are left out, and no
value is missing. PyTorch and Keras are imported only where one of their cases is made.
"""

import functools
import importlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gym_jax.errors import ConfigError
from gym_jax.run.bench_memory import host_gauge
from gym_jax.run.bench_rows import Bench, Case, Ready

EXTRA = "bench"
"""The extra that installs every peer."""
PEERS: dict[str, tuple[str, ...]] = {"torch": ("torch",), "torch-compile": ("torch",), "keras": ("keras",)}
"""The peers, and the packages that they need."""
LOSSES = ("mae", "mse", "huber")
"""What every peer has under its own name."""
MOST_STEPS = 256
"""Of one call: a peer goes step by step anyway."""
POOL = 16
"""Batches that are made; a call takes them in turn."""


class Shape(NamedTuple):
    """What the data look like."""

    context: int
    horizon: int
    channels: int
    targets: int


class Training(NamedTuple):
    """How a peer trains."""

    loss: str
    optimiser: Mapping[str, Any]
    clip: float | None
    platform: str


def is_missing(peer: str) -> str | None:
    """Return the package that a peer needs and that is not installed; None when it can run. Imports nothing."""
    return next((name for name in PEERS[peer] if importlib.util.find_spec(name) is None), None)


def open_peer(
    by: str,
    *,
    models: Sequence[Mapping[str, Any]],
    loss: str,
    optimiser: Mapping[str, Any],
    clip: float | None,
    shape: Mapping[str, int],
    platform: str,
    batch_sizes: Sequence[int],
    dtypes: Sequence[str],
    steps: Mapping[str, int],
) -> Bench:
    """Return the bench of a peer, every model of which has the settings of ours."""
    kinds = {model["kind"]: model for model in models}
    training, of = Training(loss, optimiser, clip, platform), Shape(**shape)
    cases = [
        Case(by, kind, size, dtype, None, None) for kind, size, dtype in itertools.product(kinds, batch_sizes, dtypes)
    ]

    def prepare(case: Case) -> Ready:
        if loss not in LOSSES:
            raise ConfigError(f"{by} is compared with loss={' or '.join(LOSSES)} only, this is {loss}")
        count = min(MOST_STEPS, steps.get(f"{case.model} {case.batch_size}", POOL))
        make = _keras if by == "keras" else functools.partial(_torch, compiled=by == "torch-compile")
        return make(case, kinds[case.model], of, training, count)

    return Bench(cases, {}, prepare, _torch_gauge if by != "keras" and platform == "gpu" else host_gauge, dict)


def _examples(case: Case, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows and targets of some batches, standard normal."""
    generator, rows = np.random.default_rng(0), POOL * case.batch_size
    past = generator.standard_normal((rows, shape.context, shape.channels), np.float32)
    return past, generator.standard_normal((rows, shape.horizon, shape.targets), np.float32)


def _torch(
    case: Case, settings: Mapping[str, Any], shape: Shape, training: Training, steps: int, *, compiled: bool
) -> Ready:
    """Return a training loop of PyTorch: rows by index, gradients set to None, one fused optimiser step."""
    torch = importlib.import_module("torch")
    make_torch = importlib.import_module("gym_jax.run.bench_torch").make_torch
    device = "cuda" if training.platform == "gpu" and torch.cuda.is_available() else "cpu"
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    x, y = (torch.from_numpy(part).to(device) for part in _examples(case, shape))
    order = torch.arange(len(x), device=device).reshape(POOL, -1)
    model = make_torch(settings, shape).to(device).train()
    losses = {"mae": "l1_loss", "mse": "mse_loss", "huber": "huber_loss"}
    distance = getattr(torch.nn.functional, losses[training.loss])
    decay = training.optimiser.get("weight_decay", 0.0) if training.optimiser["kind"] == "adamw" else None
    parameters = list(model.parameters())
    adam = torch.optim.Adam if decay is None else functools.partial(torch.optim.AdamW, weight_decay=decay)
    optimiser = adam(parameters, lr=training.optimiser["lr"], fused=True)
    rounded = case.dtype == "bfloat16"

    def objective(x: Any, y: Any) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=rounded):
            prediction = model(x)
        return distance(prediction.float(), y)

    if compiled:
        objective = torch.compile(objective)

    def call() -> None:
        for number in range(steps):
            rows = order[number % POOL]
            optimiser.zero_grad(set_to_none=True)
            objective(x[rows], y[rows]).backward()
            if training.clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, training.clip)
            optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return Ready(call, steps, f"{'gpu' if device == 'cuda' else 'cpu'}:1")


def _torch_gauge() -> Callable[[], int | None]:
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return host_gauge()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    return lambda: int(torch.cuda.max_memory_allocated() - before)


def _keras(case: Case, settings: Mapping[str, Any], shape: Shape, training: Training, steps: int) -> Ready:
    """Return `fit` of Keras 3 on the JAX backend, over arrays in memory that lie in the order of the batches."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = importlib.import_module("keras")
    make_keras = importlib.import_module("gym_jax.run.bench_keras").make_keras
    keras.config.set_dtype_policy("mixed_bfloat16" if case.dtype == "bfloat16" else "float32")
    x, y = _examples(case, shape)
    model = make_keras(settings, shape)
    decay = training.optimiser.get("weight_decay", 0.0) if training.optimiser["kind"] == "adamw" else None
    adam = keras.optimizers.Adam if decay is None else functools.partial(keras.optimizers.AdamW, weight_decay=decay)
    names = {"mae": "mean_absolute_error", "mse": "mean_squared_error", "huber": "huber"}
    model.compile(
        optimizer=adam(training.optimiser["lr"], global_clipnorm=training.clip),
        loss=names[training.loss],
        steps_per_execution=POOL // 2,
        jit_compile=True,
    )
    epochs = max(1, round(steps / POOL))

    def call() -> None:
        model.fit(x, y, batch_size=case.batch_size, epochs=epochs, shuffle=False, verbose=0)

    jax = importlib.import_module("jax")
    return Ready(call, epochs * POOL, f"{jax.devices()[0].platform}:1")
