"""A chunk of data that do not fit in memory: the windows of some pieces, in arrays of one size for all chunks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.impute import fill_seasonal
from gym_jax.data.panel import Panel, join_panels
from gym_jax.data.split import Part
from gym_jax.data.statistic import coming_statistic
from gym_jax.data.windows import Windows
from gym_jax.metrics import naive_errors
from gym_jax.run.assemble import Prepared, places
from gym_jax.run.streamed import Streamed, prepare_share, reach, room_of


class Sizes(NamedTuple):
    """What every chunk of a part has room for."""

    rows: int
    windows: int
    series: int


class Chunk(NamedTuple):
    """The windows of one chunk, the first `count` of them real."""

    windows: Windows
    count: int  # type: ignore[assignment]
    truth: Panel | None = None
    """What they are held against, row for row; only where it was asked for."""
    naive: np.ndarray | None = None
    """The naive error of each series, [series, targets]."""


def sizes_of(streamed: Streamed, part: Part, chunks: Sequence[Sequence[int]]) -> Sizes:
    """Return the largest that any of the chunks needs, each a list of pieces."""
    shares = streamed.survey.shares

    def most(of: Any) -> int:
        return max((sum(of(shares[number]) for number in chunk) for chunk in chunks), default=0)

    return Sizes(
        most(lambda share: share.rows[part]),
        most(lambda share: share.windows[part]),
        most(lambda share: len(share.kept)),
    )


def make_chunk(
    config: Config, streamed: Streamed, part: Part, pieces: Sequence[int], sizes: Sizes, *, truth: bool = False
) -> Chunk:
    """Read some pieces and lay their windows out, one piece in memory at a time."""
    builder = _Builder(config, streamed, part, sizes, truth)
    for number in pieces:
        builder.add(prepare_share(config, streamed, number))
    return builder.chunk()


def sample_windows(config: Config, streamed: Streamed, part: Part) -> Windows:
    """Return the windows of one series, laid out as those of every chunk: they lend their shapes."""
    prepared = streamed.sample
    rows, series = places(config, prepared, part)
    begin, end = reach(prepared, part, series, room_of(config, prepared))
    sizes = Sizes(int((end - begin).sum()), max(1, len(rows)), 1)
    builder = _Builder(config, streamed, part, sizes, False)
    builder.add(prepared)
    return jax.tree.map(jnp.asarray, builder.chunk().windows)


class _Builder:
    """Arrays of a chunk while pieces are laid into them."""

    def __init__(self, config: Config, streamed: Streamed, part: Part, sizes: Sizes, truth: bool) -> None:
        self.config, self.part, self.survey = config, part, streamed.survey
        sample = streamed.sample
        channels, targets = len(sample.channels.channels), sample.panel.targets
        self.room, self.season = room_of(config, sample), sample.season
        long = self.room + sizes.rows + config.task.horizon
        masked = not self.survey.observed[part]
        statistic = config.task.statistic != "none"
        self.arrays: dict[str, Any] = {
            "values": np.zeros((long, channels), np.float32),
            "mask": np.zeros((long, channels), bool) if masked else None,
            "filled": np.zeros((long, channels), bool) if masked and self.survey.filled else None,
            "coming": np.zeros((long, targets), np.float32) if statistic else None,
            "whole": np.zeros((long, targets), bool) if statistic else None,
        }
        self.origins = np.full(sizes.windows, self.room, np.int32)
        self.series = np.zeros(sizes.windows, np.int32)
        self.bounds = np.zeros(sizes.series + 1, np.int32)
        static, categories = streamed.survey.fitted.encoder.encode(sample.panel)
        self.static = None if static is None else np.zeros((sizes.series, static.shape[1]), np.float32)
        self.words = None if categories is None else np.zeros((sizes.series, categories.shape[1]), np.int32)
        self.rows = self.windows = self.count = 0
        self.bounds[0] = self.room
        self.truth: list[Panel] | None = [] if truth else None
        self.naive: list[np.ndarray] = []
        self.template = sample

    def add(self, prepared: Prepared) -> None:
        at, owner = places(self.config, prepared, self.part)
        begin, end = reach(prepared, self.part, owner, self.room)
        lengths = end - begin
        total, offsets = int(lengths.sum()), np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(total) + np.repeat(begin - offsets[:-1], lengths)
        into = slice(self.room + self.rows, self.room + self.rows + total)
        self._lay(prepared, index, np.repeat(np.arange(len(lengths)), lengths), into)
        own = slice(self.windows, self.windows + len(at))
        self.origins[own] = at - begin[owner] + offsets[owner] + into.start
        self.series[own] = owner + self.count
        self.bounds[self.count + 1 : self.count + 1 + len(lengths)] = offsets[1:] + into.start
        static, words = prepared.fitted.encoder.encode(prepared.panel)
        for array, part in ((self.static, static), (self.words, words)):
            if array is not None and part is not None:
                array[self.count : self.count + len(lengths)] = part
        if self.truth is not None:
            self._keep_truth(prepared, index, begin, offsets)
        self.rows, self.windows, self.count = self.rows + total, self.windows + len(at), self.count + len(lengths)

    def _lay(self, prepared: Prepared, index: np.ndarray, owner: np.ndarray, into: slice) -> None:
        channels, scaler, data = prepared.channels, prepared.scaler, self.config.data
        values, filled = channels.values, None
        if data.impute == "seasonal":
            values, filled = fill_seasonal(channels, self.season)
        mask = channels.mask[index]
        present = mask if filled is None else mask | filled[index]
        np.copyto(self.arrays["values"][into], scaler.transform(values[index], owner), where=present)
        if self.arrays["mask"] is not None:
            self.arrays["mask"][into] = mask
        if self.arrays["filled"] is not None and filled is not None:
            self.arrays["filled"][into] = filled[index]
        if self.arrays["coming"] is not None:
            kind = self.config.task.statistic
            assert kind != "none"
            found, known = (part[index] for part in coming_statistic(channels, self.config.task.horizon, kind))
            scaled = scaler.rescale(found[:, None, :, None], owner)[:, 0, :, 0]
            self.arrays["coming"][into] = np.where(known, scaled, 0)
            self.arrays["whole"][into] = known

    def _keep_truth(self, prepared: Prepared, index: np.ndarray, begin: np.ndarray, offsets: np.ndarray) -> None:
        """Keep what the windows are held against, of the targets alone."""
        whole, task = prepared.truth, self.config.task
        targets = slice(0, whole.targets)
        assert self.truth is not None
        self.truth.append(
            Panel(
                series=whole.series,
                channels=whole.channels[targets],
                targets=whole.targets,
                values=whole.values[index, targets],
                mask=whole.mask[index, targets],
                offsets=offsets,
                first=whole.stamps(np.arange(len(begin)), begin),
                step=whole.step,
                clock=whole.clock,
            )
        )
        spans = prepared.naive_span(task.horizon)
        self.naive.append(naive_errors(whole.values[:, targets], whole.mask[:, targets], *spans, self.season))

    def chunk(self) -> Chunk:
        self.bounds[self.count + 1 :] = self.bounds[self.count]
        task, panel = self.config.task, self.template.channels
        self.arrays |= {"bounds": self.bounds, "origins": self.origins, "series": self.series}
        self.arrays |= {"static": self.static, "categories": self.words}
        windows = Windows(
            **self.arrays,
            context=task.context,
            horizon=task.horizon,
            targets=panel.targets,
            room=self.room,
            known=panel.known,
            impute=self.config.data.impute,
        )
        truth = naive = None
        if self.truth is not None:
            truth, naive = join_panels(self.truth), np.concatenate(self.naive)
        return Chunk(windows, self.windows, truth, naive)
