"""Which layouts a run may train with: the settled one, or those that race for it."""

from collections.abc import Mapping
from typing import Any

import jax

from gym_jax.config.schema import Config, Train
from gym_jax.train.compile import quickest
from gym_jax.train.parallel import Layout, cpu_cores, make_layout

LONG = 1e12
"""Operations of a whole run from which a race pays: some ten seconds on two cores."""
SHARED = 2e7
"""Operations of a step from which several devices may win: a sum over CPU devices takes about 60 microseconds."""


def layouts_of(train: Train, step: int, whole: int, choices: Mapping[str, Any]) -> tuple[Layout, tuple[Layout, ...]]:
    """Return the layout to begin with, and those to compare before training: none when it is settled.

    `step` and `whole` are the operations of a step and of the run. `choices` is what the run has chosen before: it
    settles everything, but of canonical shards the devices, which may be others. A run too short for a race takes one
    device, or the named placement, compiled safely.
    Raises ConfigError when devices are missing.
    """
    if "placement" in choices and train.shards is None:
        return make_layout(choices["placement"], choices["devices"], choices["compile"]), ()
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


def with_layout(config: Config, layout: Layout) -> Config:
    """Return the configuration with the layout named, so that it repeats the run to the bit wherever it is fastest."""
    free = layout.placement == "one" or config.train.shards is not None  # their bits are the same on others
    devices = None if free else len(layout.devices)
    named = {"placement": layout.placement, "devices": devices, "compile": layout.compile}
    return config.model_copy(update={"train": config.train.model_copy(update=named)})


def _layout(train: Train, placement: Any, devices: int | None, compile: Any) -> Layout:
    """Return the layout; of canonical shards on as many devices as share them evenly, unless their number is said."""
    if train.shards is not None and devices is None and placement != "one":
        there = len(jax.devices("cpu" if placement == "cores" else None))
        most = min(there, cpu_cores()) if placement == "cores" else there
        devices = max(count for count in range(1, most + 1) if train.shards % count == 0)
    return make_layout(placement, devices, compile)


def _several(train: Train) -> list[Any]:
    """Return the placements that use several devices, where there are several."""
    if jax.default_backend() != "cpu":
        return ["shard" if train.shards is None else "pmap"] if len(jax.devices()) > 1 else []
    return ["cores"] if 1 < cpu_cores() <= len(jax.devices("cpu")) else []
