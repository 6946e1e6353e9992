"""The learning-rate range test of a configured run; nothing is written."""

import functools

from gym_jax.config.schema import Config
from gym_jax.data.order import shuffled
from gym_jax.errors import ConfigError
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import build_loss, optimiser_of, step_settings
from gym_jax.run.plan import plan_run
from gym_jax.run.start import find_start, settle
from gym_jax.run.task import need_resident
from gym_jax.train.find_rate import Trial, find_rate
from gym_jax.train.step import make_train_step


def find_rate_run(config: Config, *, steps: int = 200) -> Trial:
    """Return the range test of the run that `config` describes: its model, data, loss, optimiser, start and batches.

    One program of `steps` optimiser steps on one device. Raises ConfigError where no gradient trains the model.
    """
    if MODELS[config.model.kind].solve is not None:
        raise ConfigError(
            f"model={config.model.kind} has no learning rate",
            hint="it is not trained by gradient",
            attempt="gymjax train --find-lr --model lstm",
        )
    if config.train.seeds > 1:
        raise ConfigError(
            f"train.seeds={config.train.seeds} does not go with --find-lr",
            hint="a range test tries one model",
            attempt="gymjax train --find-lr --seeds 1",
        )
    need_resident(config, "gymjax train --find-lr")
    config = config.model_copy(
        update={"train": config.train.model_copy(update={"placement": "one", "devices": None, "compile": "safe"})}
    )
    plan = plan_run(settle(config))
    loss, options = build_loss(config), step_settings(config)
    order = shuffled(config.train.seed, 0, len(plan.train), config.train.batch_size)
    make_tx = functools.partial(optimiser_of, config)
    state = find_start(plan).state
    return find_rate(
        lambda tx: make_train_step(plan.model, loss, tx, **options), make_tx, state, plan.train, order, steps=steps
    )
