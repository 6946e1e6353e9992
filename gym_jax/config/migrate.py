"""Configurations of older schema versions, brought to the present one step at a time."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gym_jax.errors import ConfigError

SCHEMA_VERSION = 2
"""Of configurations and run folders. 1: the first. 2: accumulation, averages, precision, parts, `track`, parents."""


def _from_1(tree: dict[str, Any]) -> dict[str, Any]:
    """Every key of version 1 means in version 2 what it meant; the new ones have defaults that do what it did."""
    return tree


STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def migrate(tree: Mapping[str, Any], origin: str = "") -> dict[str, Any]:
    """Return the tree in the present schema. Raises ConfigError when it was written by a newer gym_jax, or by none.

    `origin` says in an error where the tree is from.
    """
    if "schema_version" not in tree:
        return dict(tree)
    version = tree["schema_version"]
    if not readable(version):
        raise ConfigError(
            f"`schema_version={json.dumps(version, default=str)}`{origin} is no version",
            hint=f"this gym_jax writes {SCHEMA_VERSION} and reads {min(STEPS)} to {SCHEMA_VERSION}",
            attempt="gymjax config show schema_version",
        )
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"schema_version {version}{origin} is newer than this gym_jax, which reads up to {SCHEMA_VERSION}",
            hint="it was written by a later version",
            attempt="pip install --upgrade gym-jax",
            code="config.newer",
        )
    out = dict(tree)
    while version < SCHEMA_VERSION:
        out = STEPS[version](out)
        version += 1
    return {**out, "schema_version": SCHEMA_VERSION}


def readable(version: Any) -> bool:
    """Return whether this is a version that ever was or may come."""
    return isinstance(version, int) and not isinstance(version, bool) and version >= min(STEPS)
