"""A run in several processes: how it joins them, and what they can not train together."""

import os

import jax

from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError
from gym_jax.train.parallel import request_cpu_devices
from gym_jax.train.processes import PROCESSES, Group, group, join


def join_group(config: Config) -> Group:
    """Join the processes that train this run, if there are others, and return the group.

    Raises ConfigError for what several can not train together, and what `join` raises.
    """
    train = config.train
    joined = join(train.processes, join_seconds=train.join_seconds, peer_seconds=train.peer_seconds)
    if joined.count > 1 and train.seeds > 1:
        raise ConfigError(
            f"train.seeds={train.seeds} does not go with {joined.count} processes: these train one model together",
            hint="train the seeds in one process, or each as a run of its own",
            attempt="gymjax train ... train.seeds=1",
            code="config.processes",
        )
    if joined.count > 1:  # devices open on all processes together: one that failed before would have the others wait
        request_cpu_devices(train.placement, train.devices)
        jax.devices()
    return joined


def refuse_several(what: str, hint: str) -> None:
    """Raise ConfigError where this is one of several processes that were started to train as one."""
    count = max(group().count, int(said) if (said := os.environ.get(PROCESSES, "")).isdecimal() else 1)
    if count > 1:
        raise ConfigError(
            f"{what} is not shared by {count} processes",
            hint=hint,
            attempt=f"unset {PROCESSES}",
            code="config.processes",
        )
