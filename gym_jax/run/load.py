"""A trained run taken up again from its folder alone: configuration, data, scaler, model, best weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.load import judge
from gym_jax.config.schema import Config, Data
from gym_jax.data.panel import Panel
from gym_jax.data.preprocess import Fitted
from gym_jax.errors import CheckpointError, ConfigError, DataError
from gym_jax.run.assemble import Prepared, build_model, build_optimiser, load_panel, prepare, reading, windows_of
from gym_jax.run.folder import RunFolder
from gym_jax.train.checkpoint import read_metadata, restore_checkpoint, saved_steps
from gym_jax.train.step import init_state


def read_config(run: RunFolder) -> Config:
    """Return the configuration of a run. Raises CheckpointError when it is of another version, damaged or no run."""
    if not (run.path / "data.json").is_file():
        raise CheckpointError(
            f"{run.path} is no run: it has no data.json",
            hint="a run is a folder that gymjax train made",
            code="run.not_found",
        )
    try:
        return judge(run.read_config())
    except ConfigError as error:
        raise CheckpointError(
            f"{run.path / 'config.yaml'}: {error.message}",
            hint="it was changed by hand, or written by another version of gym_jax",
            code="checkpoint.config",
        ) from error


class Trained(NamedTuple):
    """A model with its weights, and the data it was asked about."""

    config: Config
    prepared: Prepared
    model: Any
    variables: Any
    step: int


def load_run(run: RunFolder, data: str | Path | None = None) -> Trained:
    """Return a run's best model and its data, or other `data` with the same columns and time step.

    Series that the run knows keep its scaler; unknown ones are scaled by their own rows of the train share.
    """
    config = read_config(run)
    facts = run.read_json("data.json")
    config = config.model_copy(update={"data": _same_columns(config, facts, data)})
    panel = _same_kind(load_panel(config), facts)
    if data is None:  # the series that the run kept
        kept = set(facts["series"])
        panel = panel.select([i for i, name in enumerate(panel.series) if name in kept])
    prepared = prepare(config, panel, Fitted.from_json(facts), facts["series"])
    model = build_model(config, prepared)
    step = _best_step(run)
    return Trained(config, prepared, model, _variables(run, step, config, prepared, model), step)


def _same_columns(config: Config, facts: dict[str, Any], path: str | Path | None) -> Data:
    """Return how to read the columns that the run was trained on, from its own data or from another `path`."""
    columns = facts["columns"]
    changed: dict[str, Any] = {} if path is None else {"path": str(path)}
    if (config.data.path is None and path is None) or config.data.layout == "wide":
        return replace(config.data, **changed)  # the columns of a wide file are its series: others may come
    channels, known = columns["channels"], len(columns["channels"]) - columns["known"]
    return replace(
        config.data,
        **changed,
        target=tuple(channels[: columns["targets"]]),
        past=tuple(channels[columns["targets"] : known]),
        known=tuple(channels[known:]),
    )


def _variables(run: RunFolder, step: int, config: Config, prepared: Prepared, model: Any) -> Any:
    """Return the weights of a step on this machine, wherever the run was trained."""
    one = prepared.of_first_series()  # any series tells the shapes
    windows = windows_of(config, one, np.zeros(1, np.int64), np.zeros(1, np.int64))
    inputs = reading(model, windows).take(jnp.zeros(1, jnp.int32)).inputs
    like = jax.eval_shape(lambda: init_state(model, build_optimiser(config, 1)[0], jax.random.key(0), inputs))
    return restore_checkpoint(run.checkpoints / str(step), like).variables


def _best_step(run: RunFolder) -> int:
    steps = saved_steps(run.checkpoints)
    if not steps:
        raise CheckpointError(
            f"{run.path} holds no checkpoint",
            hint="it was stopped before the first save",
            attempt=f"gymjax train --resume {run.path}",
            code="checkpoint.none",
        )
    best = read_metadata(run.checkpoints / str(steps[-1]))["stopping"][2]
    return best if best in steps else steps[-1]


def _same_kind(panel: Panel, facts: dict[str, Any]) -> Panel:
    if panel.step != facts["step"] or panel.clock != facts["clock"]:
        raise DataError(
            f"the data have a step of {panel.describe_step()}, the run was trained on another "
            f"({facts['step'] / 1e9:g} s)"
            if facts["clock"] == "ns"
            else "the data and the run count time differently",
            hint="resample the data to the run's step, or train on these data",
            code="data.step",
        )
    return panel
