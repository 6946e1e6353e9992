"""How several seeds share the devices: the settled packing, or those that race for it."""

from collections.abc import Mapping
from typing import Any

import jax

from gym_jax.config.schema import Train
from gym_jax.run.placement import LONG
from gym_jax.train.compile import quickest
from gym_jax.train.many import Pack
from gym_jax.train.parallel import cpu_cores, make_layout
from gym_jax.types import Compile


def packs_of(train: Train, whole: int, choices: Mapping[str, Any]) -> tuple[Pack, tuple[Pack, ...]]:
    """Return the pack to begin with, and those to compare before training: none when it is settled.

    `whole` is the operations of the run, all members together. `choices` is what the run has chosen before: it settles
    everything. A run too short for a race takes turns on several devices, all at once on one, compiled safely. A named
    placement trains one member after the other there. Raises ConfigError when devices are missing.
    """
    if "packing" in choices:
        layout = make_layout(choices["placement"], choices["devices"], choices["compile"])
        return Pack(choices["packing"], layout), ()
    short = whole < LONG
    compile = train.compile
    if compile == "auto":
        compile = "safe" if short else quickest()
    if train.placement != "auto":
        devices = None if train.placement == "one" else train.devices
        packs = [Pack("loop", make_layout(train.placement, devices, compile))]
    else:
        one = make_layout("one", compile=compile)
        packs = [*_spread(train, compile), Pack("vmap", one), Pack("loop", one)]
        packs = packs[:1] if short else packs
    settled = len(packs) == 1 and packs[0].layout.compile == "safe"
    return packs[0], () if settled else tuple(packs)


def _spread(train: Train, compile: Compile) -> list[Pack]:
    """Return the packs that give every device members of its own; none where one device is all there is."""
    on_cpu = jax.default_backend() == "cpu"
    found = min(cpu_cores(), len(jax.devices())) if on_cpu else len(jax.devices())
    count = min(train.devices or found, train.seeds)
    if count < 2:
        return []
    layout = make_layout("cores" if on_cpu else "shard", count, compile)
    return [Pack("turns", layout), Pack("cores", layout)] if on_cpu else [Pack("cores", layout)]
