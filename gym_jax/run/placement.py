"""Which layouts a run may train with: the settled one, or those that race for it."""

from collections.abc import Mapping
from typing import Any

import jax

from gym_jax.config.schema import Config, Train
from gym_jax.errors import ConfigError
from gym_jax.train.compile import quickest
from gym_jax.train.parallel import Layout, cpu_cores, cpu_devices, make_layout
from gym_jax.train.processes import Group, group

LONG = 1e12
"""Operations of a whole run from which a race pays: some ten seconds on two cores."""
SHARED = 2e7
"""Operations of a step from which several devices may win: a sum over CPU devices takes about 60 microseconds."""


def layouts_of(train: Train, step: int, whole: int, choices: Mapping[str, Any]) -> tuple[Layout, tuple[Layout, ...]]:
    """Return the layout to begin with, and those to compare before training: none when it is settled.

    `step` and `whole` are the operations of a step and of the run. `choices` is what the run has chosen before: it
    settles everything, but of canonical shards the devices, which may be others; so may those of a run in several
    processes or with its parameters in parts. A run too short for a race takes one device, or the named placement,
    compiled safely; several processes hold no race.
    Raises ConfigError when devices are missing.
    """
    if "placement" in choices and not may_move(train, choices):
        return make_layout(choices["placement"], choices["devices"], choices["compile"]), ()
    if group().count > 1 or train.parameters == "shard":
        return _layout(train, _spread(train), train.devices, _settled(train, choices)), ()
    if "placement" in choices:
        placement = choices["placement"] if train.placement == "auto" else train.placement
        return _layout(train, placement, train.devices, choices["compile"]), ()
    short = whole < LONG
    compile = train.compile
    if compile == "auto":
        compile = "safe" if short else quickest()
    if train.placement != "auto":
        names = [train.placement]
    elif train.devices not in (None, 1):
        names = ["cores" if jax.default_backend() == "cpu" else "shard" if train.shards is None else "pmap"]
    else:
        names = ["one"] if short or step < SHARED or train.batch_size < 2 else ["one", *_several(train)]
    layouts = [_layout(train, name, train.devices if name != "one" else None, compile) for name in names]
    settled = len(layouts) == 1 and layouts[0].compile == "safe"
    return layouts[0], () if settled else tuple(layouts)


def may_move(train: Train, choices: Mapping[str, Any]) -> bool:
    """Return whether a run that has chosen may go on, on other devices: to the bit with canonical shards only."""
    return (
        train.shards is not None or train.parameters == "shard" or max(choices.get("processes", 1), group().count) > 1
    )


def with_layout(config: Config, layout: Layout) -> Config:
    """Return the configuration with the layout named, so that it repeats the run to the bit wherever it is fastest."""
    free = layout.placement == "one" or config.train.shards is not None  # their bits are the same on others
    devices = None if free else len(layout.devices)
    named = {"placement": layout.placement, "devices": devices, "compile": layout.compile}
    return config.model_copy(update={"train": config.train.model_copy(update=named)})


def _layout(train: Train, placement: Any, devices: int | None, compile: Any) -> Layout:
    """Return the layout; of canonical shards on as many devices as share them evenly, unless their number is said."""
    if train.shards is not None and devices is None and placement != "one":
        there, several = len(cpu_devices() if placement == "cores" else jax.devices()), group().count
        most = min(there, cpu_cores()) if placement == "cores" and several == 1 else there
        fitting = [count for count in range(several, most + 1, several) if train.shards % count == 0]
        if not fitting:
            raise ConfigError(
                f"train.shards={train.shards} are not shared evenly by {several} processes",
                hint="every process takes as many",
                attempt=f"gymjax train ... train.shards={several}",
                code="config.devices",
            )
        devices = max(fitting)
    return make_layout(placement, devices, compile, train.parameters)


def readers_of(train: Train, choices: Mapping[str, Any]) -> Group:
    """Return which of the processes that read portions of their own this is: of all, where each has its own program.

    Raises ConfigError where a run that has begun dealt its portions to another number of them.
    """
    found = group() if _spread(train) == "cores" else Group()
    before = choices.get("readers", 1)
    if choices and found.count != before:
        raise ConfigError(
            f"the run deals its portions to {before} processes, here are {found.count}",
            hint="what is larger than memory goes on in as many processes as it began in",
            attempt=f"gymjax launch -n {before} -- train --resume RUN",
            code="config.processes",
        )
    return found


def _spread(train: Train) -> Any:
    """Return the placement over several processes, or with parameters in parts: the named one, or what suits."""
    if train.placement != "auto":
        return train.placement
    on_cpu = jax.default_backend() == "cpu"
    return "cores" if on_cpu and train.parameters == "replicate" else "shard"


def _settled(train: Train, choices: Mapping[str, Any]) -> Any:
    """Return how such a layout is compiled: safely, for without a race nobody has compared."""
    return choices.get("compile", "safe" if train.compile == "auto" else train.compile)


def _several(train: Train) -> list[Any]:
    """Return the placements that use several devices, where there are several."""
    if jax.default_backend() != "cpu":
        return ["shard" if train.shards is None else "pmap"] if len(jax.devices()) > 1 else []
    return ["cores"] if 1 < cpu_cores() <= len(jax.devices()) else []
