"""Amounts as Kubernetes writes them: whole millicores, whole MiB, never below a minimum."""

import math

from gym_jax.allocate.policies import MIB, MILLI
from gym_jax.allocate.usage import Resource

LEAST: dict[Resource, float] = {"cpu": 0.010, "memory": 100 * MIB, "disk": 1024 * MIB}
"""Cores, bytes: below it a container hardly starts (krr's minima; a GiB of disk)."""


def rounded(value: float, resource: Resource, least: float | None = None) -> float:
    """Return an amount rounded up to whole millicores or MiB, at least the minimum; in cores or bytes."""
    unit = 1 / MILLI if resource == "cpu" else MIB
    steps = math.ceil(round(max(value, LEAST[resource] if least is None else least) / unit, 9))
    return steps / MILLI if resource == "cpu" else steps * MIB


def quantity(value: float, resource: Resource) -> str:
    """Return a rounded amount in Kubernetes' words, such as 250m or 512Mi."""
    return f"{round(value * MILLI)}m" if resource == "cpu" else f"{round(value / MIB)}Mi"
