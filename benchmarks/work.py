"""The work that all arms do: the same windows in the same order, without any framework."""

from collections.abc import Iterator

import numpy as np
from scenarios import HORIZON, SEED, Scenario

AGAIN = 0.8
"""Share of the window's end in what comes after it; the rest is noise, so that there is something to learn."""


def examples(scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Return windows [windows, context, features] and targets [windows, horizon] in float32."""
    random = np.random.default_rng(SEED)
    x = random.standard_normal((scenario.windows, scenario.context, scenario.features), np.float32)
    noise = random.standard_normal((scenario.windows, HORIZON), np.float32)
    return x, np.float32(AGAIN) * x[:, -HORIZON:, 0] + np.float32(1 - AGAIN) * noise


def epoch(windows: int, batch: int, number: int, seed: int = SEED) -> np.ndarray:
    """Return the shuffled indices of one epoch, [steps, batch]; a ragged last batch is dropped."""
    order = np.random.default_rng([seed, number]).permutation(windows).astype(np.int32)
    return order[: windows // batch * batch].reshape(-1, batch)


def chunks(scenario: Scenario, seed: int = SEED) -> Iterator[np.ndarray]:
    """Yield the order of repetition after repetition: consecutive steps through epoch after epoch."""
    number, left = 0, np.zeros((0, scenario.batch), np.int32)
    while True:
        while len(left) < scenario.steps:
            left = np.concatenate([left, epoch(scenario.windows, scenario.batch, number, seed)])
            number += 1
        yield left[: scenario.steps]
        left = left[scenario.steps :]


def folds(windows: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield train and validation indices of each fold; every window validates once."""
    parts = np.array_split(np.arange(windows, dtype=np.int32), count)
    for held in range(count):
        yield np.concatenate([part for i, part in enumerate(parts) if i != held]), parts[held]
