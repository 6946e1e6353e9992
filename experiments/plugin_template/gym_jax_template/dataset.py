"""Generated data are a function of keywords that returns a frame: `gymjax generate --kind spikes machines=3`."""

from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge, Gt

STEP = pd.Timedelta(minutes=5)
DAY = 288


def generate_spikes(
    *,
    machines: Annotated[int, Gt(0)] = 8,
    days: Annotated[float, Gt(0)] = 7.0,
    a_day: Annotated[float, Ge(0)] = 4.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return machines by `unique_id` and `ds` that idle at 0.1 cores and, some times `a_day`, spike to 1 to 4 cores."""
    generator = np.random.Generator(np.random.Philox(seed))
    steps = max(1, round(days * DAY))
    spikes = generator.random((machines, steps)) < a_day / DAY
    cpu = 0.1 + spikes * generator.uniform(1, 4, (machines, steps)) + 0.01 * generator.random((machines, steps))
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"m{number:03d}" for number in range(machines)], steps),
            "ds": np.tile(pd.date_range("2026-01-05", periods=steps, freq=STEP), machines),
            "cpu": np.round(cpu.ravel(), 4),
        }
    )
