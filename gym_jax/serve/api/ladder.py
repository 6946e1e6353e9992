"""A model that is only ever asked in a few sizes: each is compiled before the first request, and no other ever is."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gym_jax.errors import CheckpointError
from gym_jax.inference import Model, Window, check_golden, join, pad
from gym_jax.inference.window import chosen

RUNGS = (8, 32, 128)
"""Windows of one call. A single one is padded to the first: XLA gives a row alone other bits than one in a batch."""
ROOM = 4 / 3
"""Times the windows that are left: how large a size may be. Padding costs as much as windows do; another call less."""


def on_ladder(model: Model, rungs: Sequence[int] = RUNGS) -> tuple[Model, tuple[int, ...]]:
    """Return the model asked in these sizes alone, and those of them that may be used.

    Every size is run once. One that gives a window other bits than the first size does is left out, so that an answer
    never depends on what else was asked. Raises CheckpointError when the golden windows are not answered as they were.
    """
    first, *others = rungs
    check_golden(replace(model, run=_climbing(model.run, (first,))))
    sample = _varied(model.golden.window, max(rungs))
    truth = _climbing(model.run, (first,))(sample)
    if not np.isfinite(truth).all():
        raise CheckpointError(f"{model.path} answers with numbers that are not finite", hint="its weights are damaged")
    used = [first]
    for rung in others:
        found = model.run(_part(sample, 0, rung))
        if np.array_equal(found, truth[:rung]):
            used.append(rung)
    return replace(model, run=_climbing(model.run, tuple(used))), tuple(used)


def _climbing(run: Callable[[Window], np.ndarray], rungs: tuple[int, ...]) -> Callable[[Window], np.ndarray]:
    def climb(window: Window) -> np.ndarray:
        parts, begin = [], 0
        while begin < window.size:
            left = window.size - begin
            rung = max((rung for rung in rungs if rung <= ROOM * left), default=rungs[0])
            part = _part(window, begin, begin + rung)
            parts.append(run(pad(part, rung))[: part.size])
            begin += part.size
        return np.concatenate(parts)

    return climb


def _part(window: Window, begin: int, end: int) -> Window:
    return chosen(window, np.arange(begin, min(end, window.size)))


def _varied(window: Window, size: int) -> Window:
    """Return so many windows, no two the same, in the range of the given ones."""
    whole = _part(join([window] * -(-size // window.size)), 0, size)
    share = np.linspace(0.5, 1.0, size, dtype=np.float32)
    return whole._replace(past=whole.past * share[:, None, None])
