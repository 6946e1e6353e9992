"""A run as a model that answers: its specification, its weights, and its forward pass in JAX."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.derive import settings
from gym_jax.config.schema import Config
from gym_jax.data.learn import Learnt
from gym_jax.data.preprocess import Fitted, Preprocessing
from gym_jax.data.reading import Reading
from gym_jax.errors import ConfigError
from gym_jax.inference.artefact import Golden, digest_of
from gym_jax.inference.model import Model
from gym_jax.inference.spec import Spec
from gym_jax.inference.window import Window
from gym_jax.losses import quantiles_of
from gym_jax.run.assemble import Shape, build_model, reading
from gym_jax.run.calibrate import read_calibration
from gym_jax.run.cases import with_columns
from gym_jax.run.environment import PACKAGES, package_version
from gym_jax.run.folder import RunFolder
from gym_jax.run.forecast import same_columns
from gym_jax.run.group import Members, best_member, is_group, members_of
from gym_jax.run.load import load_run, load_weights, read_config, read_shape
from gym_jax.run.task import task_of
from gym_jax.train.parallel import cpu_devices
from gym_jax.types import Inputs

NOT_SETTINGS = ("name", "parent", "kernel", "dtype")
"""Fields of a module that say how it computes, or whose it is."""
GOLDEN = 4
"""Windows that are kept with what came out of them."""
MISSING = 0.05
"""Share of a made-up window that is missing."""


class Described(NamedTuple):
    """A run as a model that answers."""

    spec: Spec
    weights: dict[str, np.ndarray]
    golden: Golden
    """Made-up windows, and what the run's own network gives for them."""
    forward: Callable[[Window], np.ndarray]
    """That network: float32, on the CPU, compiled once for each size of a batch."""
    module: Any
    params: Any
    """What `module.apply({"params": params}, inputs)` computes."""
    source: RunFolder
    """The run whose weights these are: of several seeds, the best member."""


def describe_run(folder: RunFolder) -> Described:
    """Return what a run's best weights are asked and answer.

    Its data are not read, but for runs of schema version 1, which do not say what their windows look like. A model that
    computes in bfloat16 answers in float32 here. Raises CheckpointError when the run holds no weights.
    """
    source = best_member(folder) if is_group(folder) else folder
    config, facts, saved = read_config(source), source.read_json("data.json"), load_weights(source)
    shape, sizes = _shapes(source, facts)
    module = build_model(config, shape)
    module = module.clone(dtype="float32") if hasattr(module, "dtype") else module
    weights = {
        jax.tree_util.keystr(place, simple=True, separator="/"): np.asarray(leaf)
        for place, leaf in jax.tree_util.tree_leaves_with_path(saved.params)
    }
    common = _common(folder, config, facts, module, shape)
    common |= {
        "weights": saved.weights,
        "trained_step": saved.step,
        "weights_digest": digest_of(weights),
        "look_back": sizes["past"][0],
    }
    own = _of_forecast(folder, config, facts) if config.task.kind == "forecast" else _of_cases(facts)
    if config.train.compute_dtype != "float32":
        own["notes"] = (*own["notes"], f"trained with products in {config.train.compute_dtype}, answers in float32")
    spec = Spec(**{**common, **own})
    forward = _forward(module, saved.params)
    window = _made_up(sizes, shape)
    return Described(spec, weights, Golden(window, forward(window)), forward, module, saved.params, source)


def open_model(folder: RunFolder) -> Model:
    """Return a run as a model that answers with JAX: one compiled program for each size of a batch that is asked."""
    found = describe_run(folder)
    return Model(found.spec, found.forward, found.source.path, "jax", found.golden)


def open_single(folder: RunFolder, members: Members = "mean") -> Model:
    """Return `open_model` of a run whose answers are those of one network.

    Adaptive intervals stand as they did at the end of the calibration. Raises ConfigError when the mean of several
    members is wanted.
    """
    if is_group(folder) and members == "mean":
        raise ConfigError(
            f"{folder.path.name} answers with the mean of its members, which is not asked a portion at a time",
            hint="one member, the best, can be; or write to a file",
            attempt=f"gymjax predict {folder.path} --members best --data FOLDER --out FOLDER",
            code="usage",
        )
    return open_model(folder)


def window_of(inputs: Inputs) -> Window:
    """Return what a model looks at as NumPy arrays, with a mask always."""
    past = np.asarray(inputs.past)
    mask = np.ones(past.shape, bool) if inputs.mask is None else np.asarray(inputs.mask)
    rest = (inputs.future, inputs.static, inputs.categories)
    return Window(past, mask, *(None if part is None else np.asarray(part) for part in rest))


def _shapes(source: RunFolder, facts: Mapping[str, Any]) -> tuple[Shape, Mapping[str, list[int]]]:
    """Return what the model knows of its data, and the shape of each part of a window without the batch."""
    if "inputs" in facts:
        return read_shape(facts), facts["inputs"]
    trained = load_run(source)
    task = task_of(trained.config)
    one = reading(trained.model, task.one(trained.config, trained.prepared)).take(jnp.zeros(1, jnp.int32)).inputs
    sizes = {name: list(part.shape[1:]) for name, part in one._asdict().items() if part is not None}
    return task.shape_of(trained.prepared), sizes


def _common(folder: RunFolder, config: Config, facts: Mapping[str, Any], module: Any, shape: Shape) -> dict[str, Any]:
    task, data = config.task, config.data
    kind, own = config.loss.kind, settings(config.loss)
    levels, _ = quantiles_of(kind, own)
    model = {item.name: getattr(module, item.name) for item in fields(module) if item.name not in NOT_SETTINGS}
    return {
        "name": folder.path.name,
        "task": task.kind,
        "context": task.context,
        "horizon": task.horizon,
        "statistic": task.statistic,
        "season": shape.season,
        "preprocessing": Preprocessing(**{item.name: getattr(data, item.name) for item in fields(Preprocessing)}),
        "split": data.split,
        "reading": reading_of(config, facts),
        "model": {"kind": config.model.kind, **model},
        "loss": {"kind": kind, **own, **({"levels": levels} if levels else {})},
        "seed": config.train.seed,
        "versions": {name: package_version(name) for name in ("gym-jax", *PACKAGES)},
        "calendar_zone": data.time_zone,
    }


def _of_forecast(folder: RunFolder, config: Config, facts: Mapping[str, Any]) -> dict[str, Any]:
    columns, channels = facts["columns"], tuple(facts["columns"]["channels"])
    known = len(channels) - columns["known"]
    calibrated, notes = (None, []) if is_group(folder) else read_calibration(folder)
    if is_group(folder):
        notes = [f"the best of {len(members_of(folder))} members, seed {config.train.seed}"]
        if folder.read_json("calibration.json"):
            notes.append("the intervals of the group are of the mean of its members: left out")
    return {
        "targets": channels[: columns["targets"]],
        "past": channels[columns["targets"] : known],
        "known": channels[known:],
        "static": tuple(columns.get("static", ())),
        "categories": tuple(columns.get("categories", ())),
        "id_name": columns["id"],
        "time_name": columns["time"],
        "step": facts["step"],
        "clock": facts["clock"],
        "series": tuple(facts["series"]),
        "fitted": Fitted.from_json(dict(facts)),
        "learnt": None,
        "calibration": None if calibrated is None else calibrated.calibration,
        "floor": () if calibrated is None else calibrated.floor,
        "notes": tuple(notes),
    }


def _of_cases(facts: Mapping[str, Any]) -> dict[str, Any]:
    columns, learnt = facts["columns"], Learnt.from_json(facts["learnt"])
    return {
        "context": learnt.steps,
        "targets": tuple(columns["targets"]),
        "past": tuple(columns["channels"]),
        "known": (),
        "static": tuple(columns["static"]),
        "categories": tuple(columns["categories"]),
        "id_name": "case",
        "time_name": "",
        "step": 0,
        "clock": "step",
        "series": (),
        "fitted": None,
        "learnt": learnt,
        "calibration": None,
        "floor": (),
        "notes": (),
    }


def reading_of(config: Config, facts: Mapping[str, Any]) -> Reading:
    """Return how other data of the very columns of a run are read."""
    if config.task.kind == "forecast":
        data = same_columns(config, facts, "")
    else:
        data = with_columns(config, facts["columns"]).data
    return Reading(**{item.name: getattr(data, item.name) for item in fields(Reading)})


def _forward(module: Any, params: Any) -> Callable[[Window], np.ndarray]:
    """Return the compiled network; where there is one, the CPU answers, as it does where an export is served."""
    device = (cpu_devices(local=True) or jax.local_devices())[0]
    variables = jax.device_put({"params": params}, device)
    compiled = jax.jit(lambda variables, inputs: module.apply(variables, inputs))

    def forward(window: Window) -> np.ndarray:
        with jax.default_device(device):
            parts = {name: None if part is None else jnp.asarray(part) for name, part in window._asdict().items()}
            return np.asarray(compiled(variables, Inputs(**parts)))

    return forward


def _made_up(sizes: Mapping[str, list[int]], shape: Shape) -> Window:
    """Return windows of the right shapes that hold random numbers, some of them missing."""
    draw = np.random.default_rng(0)

    def numbers(name: str) -> np.ndarray | None:
        return draw.normal(size=(GOLDEN, *sizes[name])).astype(np.float32) if name in sizes else None

    past = numbers("past")
    assert past is not None
    mask = draw.random(past.shape) >= MISSING
    categories = None
    if "categories" in sizes:
        words = [draw.integers(0, count + 1, GOLDEN) for count in shape.categories]
        categories = np.stack(words, axis=1).astype(np.int32)
    return Window(np.where(mask, past, np.float32(0)), mask, numbers("future"), numbers("static"), categories)
