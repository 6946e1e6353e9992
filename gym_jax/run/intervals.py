"""The intervals of a run: its forecasts with their bands, scored, moved by the calibration, in the data's units."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from gym_jax.config.derive import settings
from gym_jax.config.schema import Config
from gym_jax.data.columns import usage_of
from gym_jax.data.panel import Panel
from gym_jax.data.windows import Windows
from gym_jax.evaluate.conformal import Calibration, conformity, track, widen
from gym_jax.evaluate.coverage import Coverage, cover
from gym_jax.evaluate.score import forecasters, forecasts
from gym_jax.evaluate.surprise import surprise_of
from gym_jax.losses import bands_of, point_of
from gym_jax.run.assemble import Prepared, reading, windows_of
from gym_jax.run.coming import delays_of

AT_ONCE = 1 << 17
"""Windows, or rows times series, that are looked at together; bounds the memory, not the result."""


class Source(NamedTuple):
    """What forecasts: a model, the variables of those that answer together, and the data."""

    config: Config
    prepared: Prepared
    model: Any
    members: Sequence[Any]
    trained: bool = True
    """Whether it answers as the configured loss wants; a baseline answers with a point."""


class Piece(NamedTuple):
    """The windows of some series, whole series at a time."""

    rows: Int[np.ndarray, " n"]
    """First target row of each."""
    owner: Int[np.ndarray, " n"]
    point: Float[np.ndarray, "n horizon targets"]
    """In the data's units."""
    bands: Float[np.ndarray, "n horizon targets levels 2"]
    """In scaled units."""


def pieces(source: Source, rows: np.ndarray, series: np.ndarray, levels: Sequence[float]) -> Iterator[Piece]:
    """Yield the forecasts of windows, whose `series` do not fall, with their own bands."""
    windows = reading(source.model, windows_of(source.config, source.prepared, rows, series))
    kept: list[tuple[np.ndarray, ...]] = []
    first = np.flatnonzero(np.diff(series, prepend=-1))
    ends = _groups(rows, series, first)
    begin = 0
    for index, values in _answers(source, windows, levels):
        kept.append((index, values))
        while ends and index[-1] + 1 >= ends[0]:
            whole = np.concatenate([part for _, part in kept])
            end = ends.pop(0)
            yield piece_of(source, rows[begin:end], series[begin:end], whole[: end - begin])
            kept, begin = [(index, whole[end - begin :])], end


def _answers(source: Source, windows: Windows, levels: Sequence[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions, and in the data's units the point and the two ends of each band: the mean over members."""
    kind, fields = (source.config.loss.kind, settings(source.config.loss)) if source.trained else ("mae", {})
    point, bands = point_of(kind, fields), bands_of(kind, fields, levels)

    def view(answer: Any) -> Any:
        ends = bands(answer)
        return jnp.concatenate([point(answer)[..., None], ends.reshape(*ends.shape[:-2], -1)], axis=-1)

    size = min(source.config.evaluate.batch_size, max(1, len(windows)))
    parts = [
        forecasts(forecast, windows, source.prepared.scaler, batch_size=size)
        for forecast in forecasters(source.model, source.members, view)
    ]
    for several in zip(*parts, strict=True):
        yield several[0][0], np.mean([values for _, values in several], axis=0)


def _groups(rows: np.ndarray, series: np.ndarray, first: np.ndarray) -> list[int]:
    """Return where to cut between series, so that neither windows nor rows times series are too many."""
    if not len(rows):
        return []
    lasts = [*first[1:].tolist(), len(rows)]
    ends: list[int] = []
    begin = count = longest = 0
    for start, end in zip(first.tolist(), lasts, strict=True):
        span = int(rows[end - 1] - rows[start]) + 1
        if count and (end - begin > AT_ONCE or max(longest, span) * (count + 1) > AT_ONCE):
            ends.append(start)
            begin, count, longest = start, 0, 0
        count, longest = count + 1, max(longest, span)
    return [*ends, len(rows)]


def piece_of(source: Source, rows: np.ndarray, owner: np.ndarray, values: np.ndarray) -> Piece:
    """Return windows with their forecasts: `values` are the point and both ends of each band in the data's units."""
    scaler = source.prepared.scaler
    ends = scaler.rescale(values[..., 1:], owner)
    return Piece(rows, owner, values[..., 0], ends.reshape(*ends.shape[:-1], -1, 2))


def truth(panel: Panel, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    """Return what came in each window and step, and whether it was observed. Rows past the end were not."""
    rows = piece.rows[:, None] + np.arange(piece.point.shape[1])
    return panel.values[rows, : panel.targets], panel.mask[rows, : panel.targets]


def scores_of(source: Source, panel: Panel, piece: Piece) -> Float[np.ndarray, "n levels horizon targets"]:
    """Return how far what came lies outside the bands, NaN where nothing was observed."""
    values, seen = truth(panel, piece)
    scaled = source.prepared.scaler.rescale(values[..., None], piece.owner)[..., 0]
    return conformity(piece.bands, np.where(seen, scaled, np.nan))


class Moved(NamedTuple):
    """By how much the bands of windows are moved."""

    offsets: Float[np.ndarray, "n levels horizon targets"]
    sizes: Float[np.ndarray, "n levels horizon targets"]
    """The mean absolute score of each window's series."""
    last: Float[np.ndarray, "series levels horizon targets"]
    """By how much those of the next window of each series of the piece would be moved."""


def offsets_of(source: Source, calibration: Calibration, piece: Piece, scores: np.ndarray) -> Moved:
    """Return by how much the bands of each window are moved, and those of the next window of its series.

    Adaptive ones follow the scores that are known before the window; others do not change. `scores` may be those of the
    first steps alone.
    """
    horizon = scores.shape[2]
    own, place = np.unique(piece.owner, return_inverse=True)
    start = calibration.start([source.prepared.panel.series[number] for number in own])
    first_steps = start[0][:, :, :horizon], start[1][:, :, :horizon]
    if calibration.method != "adaptive":
        return Moved(first_steps[0][place], first_steps[1][place], first_steps[0])
    first = np.full(len(own), np.iinfo(np.int64).max)
    np.minimum.at(first, place, piece.rows)
    since = piece.rows - first[place]
    delays = delays_of(source.config)[:horizon]
    rows = int(since.max()) + 1 + int(delays.max())  # the scores of the last windows have their say too
    table = np.full((rows, len(own), *scores.shape[1:]), np.nan)
    table[since, place] = scores
    tracked = track(table, first_steps, calibration.levels, delays)
    return Moved(tracked.offsets[since, place], tracked.sizes[since, place], tracked.last)


def surprises_of(
    source: Source, calibration: Calibration, piece: Piece, scores: Float[np.ndarray, "n levels 1 targets"]
) -> Float[np.ndarray, "n targets"]:
    """Return how far the first step of each window lies beyond its widest interval, in mean scores of its series.

    The series of the piece are few enough at a time.
    """
    out = np.empty((len(scores), scores.shape[3]))
    begin = 0
    for end in _groups(piece.rows, piece.owner, np.flatnonzero(np.diff(piece.owner, prepend=-1))):
        part = slice(begin, end)
        moved = offsets_of(source, calibration, Piece(*(column[part] for column in piece)), scores[part])
        out[part] = surprise_of(*(table[:, -1, 0] for table in (scores[part], moved.offsets, moved.sizes)))
        begin = end
    return out


def restored(source: Source, piece: Piece, offsets: np.ndarray, floor: Sequence[float | None]) -> np.ndarray:
    """Return the moved bands in the data's units, not below `floor`: what a target has never been below."""
    ends = source.prepared.scaler.restore(widen(piece.bands, offsets), piece.owner)
    for target, least in enumerate(floor):
        if least is not None:
            ends[:, :, target] = np.maximum(ends[:, :, target], least)
    return ends


def floor_of(config: Config, panel: Panel, rows: np.ndarray) -> list[float | None]:
    """Return 0 for targets that count usage and were never negative in `rows`, None for others."""
    names = panel.channels[: panel.targets]
    usage = usage_of(names, config.data)
    return [
        0.0 if name in usage and not (panel.mask[rows, t] & (panel.values[rows, t] < 0)).any() else None
        for t, name in enumerate(names)
    ]


def coverage_of(
    source: Source,
    calibration: Calibration,
    floor: Sequence[float | None],
    rows: np.ndarray,
    series: np.ndarray,
    since: Int[np.ndarray, " series"] | None = None,
) -> Coverage:
    """Return how the calibrated intervals of windows did; those that begin before `since` only teach adaptive ones."""
    panel = source.prepared.truth
    shape = len(panel.series), len(delays_of(source.config)), panel.targets, len(calibration.levels)
    total = Coverage.zero(*shape)
    for piece in pieces(source, rows, series, calibration.levels):
        scores = scores_of(source, panel, piece)
        offsets = offsets_of(source, calibration, piece, scores).offsets
        values, seen = truth(panel, piece)
        bands = restored(source, piece, offsets, floor)
        if since is not None:
            seen = seen & (piece.rows >= since[piece.owner])[:, None, None]
        total += cover(bands, values, seen, piece.owner, shape[0], calibration.levels)
    return total
