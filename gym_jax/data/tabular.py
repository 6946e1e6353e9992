"""A generated table of CPU allocations: one row per workload, no order in time, with known truth."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from gym_jax.data.synthetic import refuse_below


def generate_table(*, rows: int = 5000, seed: int = 0, truth: bool = False) -> pd.DataFrame:
    """Return workloads with the share of a machine's CPU that each should get, `cpu_share` in [0, 1].

    `cpu_load` and `memory_share` are shares; `disk_io_mbps` and `network_io_mbps` are MB/s, skewed; `process_count`
    counts; `priority` is 1 (may wait) to 5 (must run); `hour` is 0-23 and `weekday` 0-6 from Monday. The features
    depend on each other: a hidden size and the working hours drive most of them. With ::

        urgency = (priority - 1) / 4
        work    = exp(-((hour - 13) / 4)**2) * (1 on weekdays 0-4, 0.3 on weekends)
        mean    = cpu_load * (0.25 + 0.55 * urgency) + 0.15 * memory_share**2 + 0.1 * tanh(disk_io_mbps / 60)
                  + 0.2 * work * tanh(network_io_mbps / 30) + 0.03 * log10(process_count)
                  - 0.15 * work * (1 - urgency)
        sd      = 0.02 + 0.07 * max(mean, 0)

    `cpu_share` is `mean + sd * noise` with standard normal noise, independent between rows, clipped to [0, 1] and
    rounded to 1e-4. With `truth`, `cpu_share_mean` and `cpu_share_sd` are added; `quantile_truth` gives the exact
    quantiles. Raises ConfigError on fewer than one row.

    >>> generate_table(rows=3)[["cpu_load", "priority", "cpu_share"]].shape
    (3, 3)
    """
    refuse_below(rows=(rows, 1), seed=(seed, 0))
    generator = np.random.Generator(np.random.Philox(seed))
    hour, weekday = generator.integers(0, 24, rows), generator.integers(0, 7, rows)
    work = _work(hour, weekday)
    size, *own = generator.normal(size=(6, rows))
    load = np.round(_logistic(-1.2 + 1.2 * work + 0.9 * size + 0.5 * own[0]), 4)
    columns: dict[str, np.ndarray] = {
        "cpu_load": load,
        "memory_share": np.round(_logistic(-0.3 + 0.6 * size + 0.8 * own[1]), 4),
        "disk_io_mbps": np.round(np.exp(2.5 + 0.5 * size + 0.9 * own[2]), 3),
        "network_io_mbps": np.round(np.exp(1.8 + 0.9 * work + 0.6 * size + 0.4 * own[2] + 0.7 * own[3]), 3),
        "process_count": 1 + generator.poisson(15 + 200 * load * np.exp(0.5 * own[4])),
        "priority": generator.choice(np.arange(1, 6), rows, p=[0.1, 0.2, 0.4, 0.2, 0.1]),
        "hour": hour,
        "weekday": weekday,
    }
    mean, sd = _moments(columns)
    columns["cpu_share"] = np.round(np.clip(mean + sd * generator.normal(size=rows), 0, 1), 4)
    return pd.DataFrame({**columns, **({"cpu_share_mean": mean, "cpu_share_sd": sd} if truth else {})})


def _moments(columns: dict[str, np.ndarray]) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Return mean and sd of the demand, out of the columns as they are written."""
    urgency = (columns["priority"] - 1) / 4
    work = _work(columns["hour"], columns["weekday"])
    mean = (
        columns["cpu_load"] * (0.25 + 0.55 * urgency)
        + 0.15 * columns["memory_share"] ** 2
        + 0.1 * np.tanh(columns["disk_io_mbps"] / 60)
        + 0.2 * work * np.tanh(columns["network_io_mbps"] / 30)
        + 0.03 * np.log10(columns["process_count"])
        - 0.15 * work * (1 - urgency)
    )
    return mean, 0.02 + 0.07 * np.maximum(mean, 0)


def _work(hour: Int[np.ndarray, " rows"], weekday: Int[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """Return how much of the working day's business there is, from 0 to 1."""
    return np.exp(-(((hour - 13) / 4) ** 2)) * np.where(weekday < 5, 1.0, 0.3)


def _logistic(value: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    return 1 / (1 + np.exp(-value))
