"""A comparison of speeds as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gym_jax.report.picture import save_figure
from gym_jax.report.speed import Speed, speeds
from gym_jax.run.bench_rows import OWN, Row


def way_of(row: Row) -> str:
    """Return how a row was trained, in words: placement and compilation of ours, the name of a peer."""
    return f"{row.placement}, {row.compile}" if row.by == OWN else row.by


def draw_chart(rows: Sequence[Row], path: str | Path) -> Path:
    """Draw windows per second into a file in the format of its ending; a file that is there is replaced.

    A case without a number has a cross on the axis. Raises StorageError when the file can not be written.
    """
    return save_figure(make_figure(rows), path)


def make_figure(rows: Sequence[Row]) -> Any:
    """Return the figure: a panel for each model, a group of bars for each batch, a colour for each way."""
    several = len({row.dtype for row in rows if row.model is not None}) > 1
    return speeds(
        [
            Speed(
                row.model,
                f"batch {row.batch_size}" + (f"\n{row.dtype}" if several else ""),
                way_of(row),
                row.windows_per_second,
            )
            for row in rows
            if row.model is not None
        ]
    )
