"""Generated data by name, for trying things and for tests with a known truth."""

from collections.abc import Callable

import pandas as pd

from gym_jax.data.synthetic import generate_frame
from gym_jax.data.tabular import generate_table
from gym_jax.plugins import Registry, function

DATASETS: Registry[Callable[..., pd.DataFrame]] = Registry(
    "datasets", {"panel": generate_frame, "table": generate_table}, function
)
"""Functions of keywords, `seed` among them, that return a frame."""
