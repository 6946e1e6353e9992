"""One series of a run, cut out and lengthened so that it can be forecast from any of its origins."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.data.windows import Windows
from gym_jax.errors import DataError
from gym_jax.run.assemble import Prepared, reading, windows_of
from gym_jax.run.calibrate import source_of
from gym_jax.run.intervals import Source
from gym_jax.run.load import Trained
from gym_jax.run.recent import lengthened


class Origins(NamedTuple):
    """The rows of a series that a forecast may begin with."""

    first: int
    last: int
    """The row after the end, where nothing must be known ahead of time."""


@dataclass
class Strand:
    """One series of a run, ready to be forecast from any of its origins."""

    prepared: Prepared
    source: Source
    windows: Windows
    origins: Origins
    length: int
    """Rows that were read."""
    blocks: dict[int, Float[np.ndarray, "block steps targets outputs"]] = field(default_factory=dict)
    offsets: tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n levels steps targets"]] | None = None
    """Rows of windows and by how much their intervals are moved; the last is the one after them all."""


def origins_of(trained: Trained, number: int) -> Origins:
    """Return from where a series may be forecast: behind a whole look-back, or behind one row of a shorter series."""
    panel, task = trained.prepared.panel, trained.config.task
    length = int(panel.lengths[number])
    return Origins(min(task.context, max(1, length - 1)), length - (task.horizon if panel.known else 0))


def make_strand(trained: Trained, number: int) -> Strand:
    """Return a series alone, lengthened so that few lengths differ: each of them is compiled. Raises DataError."""
    config, origins = trained.config, origins_of(trained, number)
    alone = trained.prepared.of_series(number)
    length = len(alone.panel.values)
    alone = lengthened(config, alone, rounded(length + config.task.horizon) - length - config.task.horizon)
    rows = np.arange(origins.first, origins.last + 1)
    if not len(rows):
        raise DataError(f"series `{alone.panel.series[0]}` is too short to be forecast", code="data.no_windows")
    rows = np.append(rows, np.full(rounded(len(rows)) - len(rows), rows[-1]))
    windows = windows_of(config, alone, rows, np.zeros(len(rows), np.int64))
    source = source_of(trained._replace(prepared=alone))
    return Strand(alone, source, reading(trained.model, windows), origins, length)


def time_of(strand: Strand, row: int) -> float | int:
    """Return when a row is: seconds since 1970, or a count."""
    panel = strand.prepared.panel
    stamp = int(panel.first[0]) + row * panel.step
    return stamp / 1e9 if panel.clock == "ns" else stamp


def observed(strand: Strand, channel: int, begin: int, end: int) -> Float[np.ndarray, " rows"]:
    """Return what was observed, NaN where nothing was; rows may lie past the end."""
    panel = strand.prepared.panel
    rows = np.arange(begin, end)
    return np.where(panel.mask[rows, channel], panel.values[rows, channel], np.nan)


def rounded(count: int) -> int:
    """Return the next of sizes that are an eighth apart: padding costs little, and few sizes are compiled."""
    step = max(64, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step
