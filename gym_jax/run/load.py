"""A trained run taken up again from its folder alone: configuration, data, scaler, model, best weights."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.load import judge
from gym_jax.config.schema import Config
from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler, fit_scaler
from gym_jax.data.split import Span
from gym_jax.data.windows import make_windows
from gym_jax.errors import CheckpointError, ConfigError, DataError
from gym_jax.run.assemble import Prepared, build_model, build_optimiser, load_panel, prepare, reading, scaler_for
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
    if data is not None:
        replaced: dict[str, Any] = {"path": str(data)}
        if config.data.layout == "long":  # the columns of a wide file are its series: others may come
            replaced["target"] = facts["columns"]["channels"][: facts["columns"]["targets"]]
        config = config.model_copy(update={"data": config.data.model_copy(update=replaced)})
    panel = _same_kind(load_panel(config), facts)
    if data is None:  # the series that the run kept
        kept = set(facts["series"])
        panel = panel.select([i for i, name in enumerate(panel.series) if name in kept])
    saved = Scaler.from_json(facts["scaler"])
    prepared = prepare(config, panel, saved)
    span = Span(panel.offsets[:-1], np.maximum(prepared.split.train.end, panel.offsets[:-1] + 1))
    fresh = fit_scaler(panel, span, kind=config.data.scale.kind, scope=config.data.scale.scope)
    prepared = prepared._replace(scaler=scaler_for(panel, tuple(facts["series"]), saved, fresh))
    model = build_model(config, panel, prepared.season)
    step = _best_step(run)
    return Trained(config, prepared, model, _variables(run, step, config, prepared, model), step)


def _variables(run: RunFolder, step: int, config: Config, prepared: Prepared, model: Any) -> Any:
    """Return the weights of a step on this machine, wherever the run was trained."""
    panel = prepared.panel.select([0])  # any series tells the shapes
    windows = make_windows(
        panel,
        prepared.scaler,
        panel.offsets[1:],
        np.zeros(1, np.int64),
        context=config.task.context,
        horizon=config.task.horizon,
        room=prepared.season,
    )
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
