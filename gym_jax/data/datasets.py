"""Generated data by name, for trying things and for tests with a known truth."""

from collections.abc import Callable

import pandas as pd

from gym_jax.data.synthetic import generate_frame
from gym_jax.data.tabular import generate_table

DATASETS: dict[str, Callable[..., pd.DataFrame]] = {"panel": generate_frame, "table": generate_table}
