"""What a window is held against: every step of it, or its statistic, and when that is known."""

import numpy as np
from jaxtyping import Int

from gym_jax.config.schema import Config
from gym_jax.data.panel import Panel
from gym_jax.data.statistic import statistic_panel


def coming_of(config: Config, panel: Panel) -> Panel | None:
    """Return the panel whose targets are the configured statistic of the coming window, None when every step is."""
    task = config.task
    return None if task.statistic == "none" else statistic_panel(panel, task.horizon, task.statistic)


def delays_of(config: Config) -> Int[np.ndarray, " steps"]:
    """Return how many rows after the first of a window each value is known; a statistic is at its end."""
    horizon = config.task.horizon
    return np.arange(horizon) if config.task.statistic == "none" else np.array([horizon - 1])
