"""A configuration with other values of some keys, judged like one that was loaded."""

from collections.abc import Mapping
from typing import Any

from gym_jax.config.judge import judge
from gym_jax.config.keys import find_key, keys_of_plugins
from gym_jax.config.load import merge
from gym_jax.config.schema import CHOICES, Config


def vary(config: Config, values: Mapping[str, Any], origin: str) -> Config:
    """Return the configuration with values of dotted keys; `model` chooses a kind, whose other settings start anew.

    Raises ConfigError that names every wrong key, value and combination, and says that they come from `origin`.
    """
    layer: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    for key, value in values.items():
        path = tuple(key.split("."))
        if is_choice(key) and isinstance(value, str):
            path = (*path, "kind")
        part = layer
        for name in path[:-1]:
            part = part.setdefault(name, {})
        part[path[-1]] = value
        origins[path] = origin
    return judge(merge(config.document(), layer), origins)


def is_choice(key: str) -> bool:
    """Return whether a key names a section that chooses a kind: `model`, or `model.kind`."""
    return key.removesuffix(".kind") in CHOICES


def belongs(key: str, kinds: Mapping[str, str]) -> bool:
    """Return whether a setting is one of the kinds that its section has; a key that nobody has belongs everywhere."""
    section = key.split(".")[0]
    if section not in kinds or find_key(key, kinds[section]) is not None:
        return True
    return find_key(key) is None and key not in keys_of_plugins(section)


def kinds_of(config: Config, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of every section that chooses one, with values of the keys that choose on top."""
    chosen = {key.removesuffix(".kind"): value for key, value in values.items() if is_choice(key)}
    return {name: getattr(config, name).kind for name in CHOICES} | chosen
