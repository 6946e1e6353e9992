"""Training on data that do not fit in memory: chunk after chunk, the next one made while the device trains on one."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.deal import chunk_order, deal_pieces, steps_of
from gym_jax.data.order import permuted, shuffled, spread
from gym_jax.data.split import Part
from gym_jax.data.store import ROWS, Store, open_store, read_piece
from gym_jax.data.units import size_of
from gym_jax.data.windows import Windows
from gym_jax.errors import ConfigError, DataError
from gym_jax.run.assemble import Prepared, Shape, cut, shape_of
from gym_jax.run.chunk import Chunk, Sizes, make_chunk, sample_windows, sizes_of
from gym_jax.run.forecast import describe_panel, facts_of_panel, one_window, restore_panel
from gym_jax.run.streamed import PARTS, Streamed, Survey, apply, of_rows, ranks_of
from gym_jax.run.survey import survey_store
from gym_jax.train.loop import Portion, Position

PIECES = 6
"""Of the memory for data, the share that is left for the piece that is being read: one of so many parts."""
READ, JUDGED = 48, 48
"""Bytes of a row while it is read and judged: for itself, and for each of its columns."""
INDEXED = 28
"""Bytes of a window in a chunk: its origin, its series, its place in the order while that is drawn."""
LONG = ("values", "mask", "filled", "coming", "whole")
"""Arrays of a chunk with an entry for every row."""


class Stream(NamedTuple):
    """Chunks of every part, and how an epoch goes through those of train."""

    config: Config
    data: Streamed
    chunks: Mapping[Part, list[list[int]]]
    """Part -> the pieces of each chunk of this process."""
    sizes: Mapping[Part, Sizes]
    each: int
    """Steps of a chunk of train."""
    readers: int = 1
    """Processes that read train chunks of their own, each its share of every batch; val and test are read by all."""

    @property
    def width(self) -> int:
        """Windows of a batch that this process gives."""
        return self.config.train.batch_size // self.readers

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch."""
        return self.each * len(self.chunks["train"])

    @property
    def windows(self) -> dict[str, int]:
        """How many windows every part has, over all processes."""
        return {part: sum(share.windows[part] for share in self.data.survey.shares) for part in PARTS}

    @property
    def nbytes(self) -> int:
        """Bytes of a train chunk."""
        sizes = self.sizes["train"]
        return int(sizes.rows * row_bytes(self.config, self.data) + 8 * sizes.windows)

    @property
    def note(self) -> str | None:
        """Say when the data do not go into portions as small as they should be."""
        most, largest = self.data.survey.portion, self.sizes["train"].rows
        if largest <= most:
            return None
        return (
            f"data.memory={self.config.data.memory} has room for portions of {most:,} rows; "
            f"series that lie together take {largest:,}"
        )

    def make(self, part: Part, number: int, *, truth: bool = False) -> Chunk:
        """Read a chunk of a part."""
        return make_chunk(self.config, self.data, part, self.chunks[part][number], self.sizes[part], truth=truth)

    def all_of(self, part: Part, *, truth: bool = False) -> Iterator[Chunk]:
        """Yield the chunks of a part."""
        return (self.make(part, number, truth=truth) for number in range(len(self.chunks[part])))

    def order(self, epoch: int, number: int, count: int) -> np.ndarray:
        """Return the batches of a train chunk with `count` windows in an epoch."""
        seed = self.config.train.seed
        if len(self.chunks["train"]) == 1 and count > (self.each - 1) * self.width:
            return shuffled(seed, epoch, count, self.width)
        return spread(permuted(seed, epoch, count, number), self.each, self.width)

    def portions(self, start: Position, epochs: int) -> Iterator[Portion]:
        """Yield what is left to train on from a position to the end of so many epochs, as it is read."""
        for epoch in range(start.epoch, epochs):
            turns = chunk_order(self.config.train.seed, epoch, len(self.chunks["train"]))
            done = start.batch // self.each if epoch == start.epoch else 0
            for turn in range(done, len(turns)):
                chunk = self.make("train", turns[turn])
                order = self.order(epoch, turns[turn], chunk.count)
                yield Portion(chunk.windows, order, epoch, turn * self.each, self.steps)


def plan_stream(config: Config, data: Streamed, *, rank: int = 0, count: int = 1) -> Stream:
    """Return how the data are dealt to chunks, for the process `rank` of `count` that read train apart.

    All processes have as many chunks, and every chunk as many steps: those of the largest one. Raises ConfigError for
    batches that they can not share evenly.
    """
    most, size = data.survey.portion, config.train.batch_size
    if size % count:
        raise ConfigError(
            f"train.batch_size={size} is not shared evenly by {count} processes",
            hint="each reads portions of its own and gives its share of every batch",
            attempt=f"gymjax train ... train.batch_size={-(-size // count) * count}",
            code="config.processes",
        )
    chunks: dict[Part, list[list[int]]] = {}
    sizes: dict[Part, Sizes] = {}
    each = 0
    for part in PARTS:
        shares = data.survey.shares
        apart = count if part == "train" else 1
        dealt = deal_pieces([share.rows[part] for share in shares], most, config.train.seed, count=apart)
        chunks[part] = [chunk[rank if apart > 1 else 0] for chunk in dealt]
        sizes[part] = sizes_of(data, part, [own for chunk in dealt for own in chunk])
        if part == "train":
            windows = [[sum(shares[n].windows[part] for n in own) for own in chunk] for chunk in dealt]
            each = steps_of(windows, size // count)
    return Stream(config, data, chunks, sizes, each, count)


def chunk_rows(config: Config, data: Streamed) -> int:
    """Return the rows of a chunk for which `data.memory` has room.

    One is trained on, one waits for it, one validates or is on its way to the devices, and one is being made.
    """
    assert config.data.memory is not None
    here = jax.local_device_count() if jax.default_backend() == "cpu" else 1
    memory = size_of(config.data.memory) * (PIECES - 1) / PIECES
    return max(1, int(memory / ((3 * here + 1) * (row_bytes(config, data) + INDEXED))))


def row_bytes(config: Config, data: Streamed) -> float:
    """Return the bytes of a row in the arrays of a train chunk."""
    one = sample_windows(config, data, "train")
    arrays = [getattr(one, name) for name in LONG]
    return sum(array.nbytes / len(array) for array in arrays if array is not None)


def open_streamed(config: Config, *, every: bool = False) -> Store:
    """Open the configured store, with pieces that are small beside `data.memory`. Raises DataError, ConfigError."""
    data = config.data
    assert data.memory is not None
    if data.path is None:
        raise ConfigError(
            "data.memory says how much of a file is read at once, but there is no data.path",
            hint="the generated panel is made in memory",
            attempt="gymjax train --data FOLDER data.memory=512MB",
        )
    named = (*data.target, *data.past, *data.known, *data.static, *data.categories)
    bytes_per_row = READ + JUDGED * max(1, len(named))
    rows = int(size_of(data.memory) / PIECES / bytes_per_row)
    return open_store(data.path, data, rows=int(np.clip(rows, 1, ROWS)), every=every)


def prepare_stream(config: Config, *, every: bool = False) -> Streamed:
    """Read everything once, piece by piece, and learn from train rows. Raises DataError."""
    store = open_streamed(config, every=every)
    ranks = ranks_of(config, store)
    return _with_sample(config, store, ranks, survey_store(config, store, ranks))


def take_up_stream(config: Config, known: Mapping[str, Any]) -> Streamed:
    """Return the same with what a run kept of its first pass; nothing but a piece is read. Raises DataError."""
    store = open_streamed(config)
    survey = Survey.from_json(known["survey"], known)
    if len(survey.shares) != len(store.pieces):
        raise DataError(
            f"the store has {len(store.pieces):,} pieces, the run began with {len(survey.shares):,}",
            hint="a run goes on only with the very data, and the memory, that it began with",
            code="data.changed",
        )
    return _with_sample(config, store, ranks_of(config, store), survey)


def _with_sample(config: Config, store: Store, ranks: Mapping[str, int], survey: Survey) -> Streamed:
    number = next(number for number, share in enumerate(survey.shares) if share.windows["train"])
    panel = read_piece(store, store.pieces[number])
    kept = survey.shares[number].kept
    begin = sum(len(share.kept) for share in survey.shares[:number])
    first = panel.select([kept[0]])
    sample = apply(config, first, ranks, of_rows(survey.fitted, slice(begin, begin + 1)))
    data = Streamed(store, ranks, survey, sample)
    return data if survey.portion else data._replace(survey=survey._replace(portion=chunk_rows(config, data)))


def restore_stream(config: Config, facts: Mapping[str, Any], data: str | Path | None) -> tuple[Config, Prepared]:
    """Return what `restore_panel` does: a model is asked about data that fit in memory."""
    if data is not None:
        config = config.model_copy(update={"data": replace(config.data, memory=None)})
    return restore_panel(config, facts, data)


def cut_stream(config: Config, prepared: Streamed | Prepared, part: Part) -> Windows:
    """Return the windows of one series of a part, none where the part has none; of a panel, all of them."""
    if isinstance(prepared, Prepared):
        return cut(config, prepared, part)
    windows = sample_windows(config, prepared, part)
    some = any(share.windows[part] for share in prepared.survey.shares)
    return windows if some else replace(windows, origins=windows.origins[:0], series=windows.series[:0])


def one_of_stream(config: Config, prepared: Streamed | Prepared) -> Windows:
    """Return a single window, which lends its shapes."""
    return one_window(config, prepared if isinstance(prepared, Prepared) else prepared.sample)


def shape_of_stream(prepared: Streamed | Prepared) -> Shape:
    """Return what a model must know of the data."""
    return shape_of(prepared if isinstance(prepared, Prepared) else prepared.sample)


def describe_stream(config: Config, prepared: Streamed | Prepared, counts: dict[str, int]) -> dict[str, Any]:
    """Return the data in numbers, as a plan shows them."""
    if isinstance(prepared, Prepared):
        return describe_panel(config, prepared, counts)
    survey = prepared.survey
    whole = {"series": len(survey.series), "rows": survey.rows, "notes": list(survey.notes)}
    return {**describe_panel(config, prepared.sample, counts), **whole}


def facts_of_stream(prepared: Streamed | Prepared) -> dict[str, Any]:
    """Return what a model needs of its data to be used again, and what a resume does of the first pass."""
    if isinstance(prepared, Prepared):
        return facts_of_panel(prepared)
    survey = prepared.survey
    whole = {"series": list(survey.series), "used_until": survey.used_until, "notes": list(survey.notes)}
    return {**facts_of_panel(prepared.sample), **survey.fitted.to_json(), **whole}


def locate_nothing(config: Config, prepared: Any, example: int, step: int) -> str:
    """Say nothing of where a step stands: its chunk is gone by the time it is asked for."""
    return ""
