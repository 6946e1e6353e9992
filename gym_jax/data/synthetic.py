"""A generated CPU-allocation panel, for a first run without data and for tests with known truth."""

import numpy as np
import pandas as pd

from gym_jax.data.panel import Panel
from gym_jax.data.read import read_frame

STEP = pd.Timedelta(minutes=5)
DAY = 288


def generate_frame(*, series: int = 16, days: float = 14, seed: int = 0, gaps: float = 0.01) -> pd.DataFrame:
    """Return rows `unique_id, ds, cpu_cores, cpu_capacity_cores` of machines at 5-minute steps.

    Daily and weekly cycles, bursts, level changes, saturation at capacity, idle machines and noise that grows
    with load; a share `gaps` of the rows is missing in runs.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    steps = int(days * DAY)
    times = pd.date_range("2026-01-05", periods=steps, freq=STEP, unit="ns")
    frames = []
    for number in range(series):
        capacity = float(generator.choice([2, 4, 8, 16, 32]))
        usage = capacity * _load(generator, steps)
        keep = np.ones(steps, bool)
        for start in generator.integers(0, steps, int(np.ceil(steps * gaps / 12)) if gaps else 0):
            keep[start : start + 12] = False
        keep[0] = True
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": f"vm-{number:03d}",
                    "ds": times[keep],
                    "cpu_cores": np.round(np.clip(usage, 0, capacity), 4)[keep],
                    "cpu_capacity_cores": capacity,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def generate_panel(*, series: int = 16, days: float = 14, seed: int = 0, gaps: float = 0.01) -> Panel:
    """Return `generate_frame` as a Panel with the target `cpu_cores`."""
    return read_frame(generate_frame(series=series, days=days, seed=seed, gaps=gaps), target=["cpu_cores"])


def _load(generator: np.random.Generator, steps: int) -> np.ndarray:
    """Return the load of one machine as a share of its capacity; it may exceed 1 before it is clipped."""
    clock = np.arange(steps)
    idle = generator.random() < 0.2
    base, swing = generator.uniform(0.05, 0.35), 0.0 if idle else generator.uniform(0.1, 0.35)
    peak = generator.uniform(8, 20) / 24
    day = np.exp(3 * (np.cos(2 * np.pi * (clock / DAY - peak)) - 1))
    weekend = np.where((clock // DAY) % 7 >= 5, generator.uniform(0.2, 0.9), 1.0)
    load = base + swing * day * weekend
    if idle:
        load *= 0.1
    if generator.random() < 0.4:
        load = load * np.where(clock > generator.integers(steps // 4, steps), generator.uniform(0.5, 1.8), 1.0)
    shock = np.zeros(steps)
    for start in np.flatnonzero(generator.random(steps) < generator.uniform(0, 2) / DAY):
        length = int(generator.integers(2, 18))
        shock[start : start + length] += generator.uniform(0.1, 0.5) * (0.1 if idle else 1.0)
    noise = np.zeros(steps)
    draws = generator.normal(size=steps)
    for i in range(1, steps):
        noise[i] = 0.9 * noise[i - 1] + draws[i]
    return load * (1 + 0.06 * noise) + shock
