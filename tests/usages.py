"""Workloads for tests of allocation."""

import numpy as np

from gym_jax.allocate.usage import HOUR, Workload

STEP = 300 * 10**9


def workload(usage, *, name="a", step=STEP, first=0, request=None):
    return Workload(name, np.asarray(usage, np.float64), first, step, request)


def daily(days=16, *, seed=0, noise=0.05, height=1.0, name="a"):
    """A working day's hump with noise, in cores, every five minutes from a Monday on."""
    generator = np.random.Generator(np.random.Philox(seed))
    hour = np.arange(days * 288) / 12 % 24
    hump = 0.2 + np.exp(-(((hour - 13) / 3) ** 2))
    usage = height * hump * np.exp(noise * generator.normal(size=len(hour)))
    return workload(usage, name=name, first=4 * 24 * HOUR)
