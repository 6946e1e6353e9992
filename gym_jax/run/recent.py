"""What came since a run was trained: the rows behind its val part, and the windows that begin there."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from gym_jax.config.schema import Config
from gym_jax.data.features import extend
from gym_jax.data.preprocess import make_channels
from gym_jax.data.split import Span, origins
from gym_jax.run.assemble import Prepared
from gym_jax.run.coming import coming_of


def lengthened(config: Config, prepared: Prepared, more: int = 0) -> Prepared:
    """Return the data with a horizon of missing rows behind every series, so that its last row may begin a window.

    `more` rows come behind them.
    """
    horizon = config.task.horizon
    panel = extend(prepared.panel, horizon + more)
    channels = make_channels(panel, config.data, prepared.fitted.bounds, horizon=horizon)
    return prepared._replace(panel=panel, channels=channels, coming=coming_of(config, panel))


def since_training(
    config: Config,
    prepared: Prepared,
    facts: Mapping[str, Any],
    ends: Int[np.ndarray, " series"],
    *,
    most: int | None = None,
) -> tuple[Int[np.ndarray, " windows"], Int[np.ndarray, " windows"]]:
    """Return first rows and series of the windows that begin before `ends` and after what the run was trained on.

    `prepared` is lengthened; `facts` are the run's data.json. A series that the run does not know has all of its rows,
    `most` keeps the last ones.
    """
    panel, task = prepared.panel, config.task
    used = dict(zip(facts["series"], facts["used_until"], strict=True))
    after = np.array([used.get(name, panel.first[i]) for i, name in enumerate(panel.series)])
    begin = panel.offsets[:-1] + np.maximum(after - panel.first, 0) // panel.step
    if most is not None:
        begin = np.maximum(begin, ends - most)
    span = Span(np.clip(begin, panel.offsets[:-1], ends), ends + task.horizon - 1)
    return origins(panel, span, context=task.context, horizon=task.horizon, whole=False)
