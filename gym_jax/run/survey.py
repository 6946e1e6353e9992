"""The first pass over data that do not fit in memory: what they hold, and what their train rows teach.

One piece is in memory at a time. What is kept of it grows with the number of series, never with that of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.ahead import ahead
from gym_jax.data.clip import Bounds
from gym_jax.data.findings import Tally
from gym_jax.data.impute import fill_seasonal
from gym_jax.data.moments import Moments, moments_of
from gym_jax.data.panel import Panel
from gym_jax.data.preprocess import Fitted, fit
from gym_jax.data.scale import Scaler, rows_inside
from gym_jax.data.short import long_enough, refuse_short
from gym_jax.data.split import Split
from gym_jax.data.static import StaticEncoder, fit_static
from gym_jax.data.store import Store, read_pieces
from gym_jax.data.windows import all_observed
from gym_jax.errors import DataError
from gym_jax.run.assemble import Prepared, places, season_of
from gym_jax.run.coming import coming_of
from gym_jax.run.streamed import PARTS, Share, Survey, divide, reach, room_of


@dataclass
class _Learning:
    """What has been learnt from the pieces so far."""

    shares: list[Share] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    scalers: list[Scaler] = field(default_factory=list)
    blank: list[np.ndarray] = field(default_factory=list)
    bounds: list[Bounds] = field(default_factory=list)
    moments: Moments | None = None
    static: list[tuple[Any, Any, np.ndarray]] = field(default_factory=list)
    used_until: list[int] = field(default_factory=list)
    observed: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(PARTS, True))
    filled: bool = False
    rows: int = 0
    dropped: int = 0
    """Series that are too short."""
    short: DataError | None = None
    """What would have been said of the first of them."""
    unscaled: int = 0


def survey_store(config: Config, store: Store, ranks: Mapping[str, int]) -> Survey:
    """Read every piece once; return what they hold and what their train rows teach. Raises DataError."""
    learning = _Learning()
    with ahead(read_pieces(store)) as pieces:
        for _, panel in pieces:
            _learn(config, learning, panel, ranks)
    if not learning.series:
        raise learning.short or DataError(
            "no series holds a window", hint="are they long enough?", code="data.no_windows"
        )
    _refuse_empty(learning)
    if learning.dropped:
        whole = learning.dropped + len(learning.series)
        learning.tally.add([f"{learning.dropped:,} of {whole:,} series are too short: dropped"], ())
    return Survey(
        tuple(learning.shares),
        tuple(learning.series),
        Fitted(_scaler(config, learning), _encoder(learning), _bounds(learning)),
        learning.observed,
        learning.filled,
        learning.used_until,
        learning.rows,
        learning.tally.said,
        tuple(learning.tally.findings.values()),
    )


def _learn(config: Config, learning: _Learning, panel: Panel, ranks: Mapping[str, int]) -> None:
    data, task = config.data, config.task
    learning.tally.add(panel.notes, panel.findings)
    size = {"context": task.context, "horizon": task.horizon}
    whole = divide(config, panel, ranks)
    kept = np.flatnonzero(long_enough(whole, data.split, **size))
    if len(kept) < len(panel.series):
        learning.dropped += len(panel.series) - len(kept)
        try:
            refuse_short(panel, data.split, **size, short="error", split=whole)
        except DataError as error:
            learning.short = learning.short or error
            if data.policy.short == "error":
                raise
    if not len(kept):
        learning.shares.append(Share((), dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)))
        return
    panel = panel.select(kept) if len(kept) < len(panel.series) else panel
    split = divide(config, panel, ranks)
    fitted, channels = fit(panel, split.train, data, horizon=task.horizon)
    _learn_scale(config, learning, channels, split, fitted)
    prepared = Prepared(panel, channels, split, fitted, season_of(config, panel), coming_of(config, panel))
    learning.static.append((panel.static, panel.categories, np.asarray(split.train.lengths > 0)))
    learning.series += panel.series
    learning.used_until += panel.stamps(np.arange(len(panel.series)), split.val.end).tolist()
    learning.rows += len(panel.values)
    if data.impute == "seasonal" and not learning.filled:
        learning.filled = bool(fill_seasonal(channels, prepared.season)[1].any())
    rows: dict[str, int] = {}
    windows: dict[str, int] = {}
    for part in PARTS:
        at, owner = places(config, prepared, part)
        begin, end = reach(prepared, part, owner, room_of(config, prepared))
        rows[part], windows[part] = int((end - begin).sum()), len(at)
        seen = all_observed(channels, at, owner, max(task.context, room_of(config, prepared)), task.horizon)
        learning.observed[part] = learning.observed[part] and seen
    learning.shares.append(Share(tuple(kept.tolist()), rows, windows))


def _learn_scale(config: Config, learning: _Learning, channels: Panel, split: Split, fitted: Fitted) -> None:
    scale = config.data.scale
    inside = rows_inside(split.train, len(channels.values))
    seen = np.add.reduceat((channels.mask & inside[:, None]).astype(np.int64), channels.offsets[:-1], axis=0) > 0
    learning.blank.append(~seen)
    learning.scalers.append(fitted.scaler)
    learning.unscaled = channels.unscaled
    if scale.kind in ("standard", "minmax"):
        moments = moments_of(channels, split.train, log=channels.targets if scale.log1p else 0)
        learning.moments = moments if learning.moments is None else learning.moments.merge(moments)
    if fitted.bounds is not None:
        if not seen.all():
            _refuse_blank(channels, seen, "data.clip.kind=none")
        learning.bounds.append(fitted.bounds)
    if scale.kind == "robust" and not seen.all():
        _refuse_blank(channels, seen, "data.scale.kind=standard")


def _refuse_blank(channels: Panel, seen: np.ndarray, attempt: str) -> None:
    series, channel = (int(place[0]) for place in np.nonzero(~seen))
    raise DataError(
        f"series `{channels.series[series]}` has no value of `{channels.channels[channel]}` in its train rows",
        hint="it would take a quantile of all series together, which is not known of data that are read in portions",
        attempt=f"gymjax train ... {attempt}",
        code="data.stream",
    )


def _scaler(config: Config, learning: _Learning) -> Scaler:
    """Return the scaler of all series; those without a value in a channel take what all have together."""
    scale, first = config.data.scale, learning.scalers[0]
    if len(learning.scalers) == 1:
        return first
    if first.shared:
        if scale.kind == "none" or learning.moments is None:
            return first
        shift, factor = first.shift.copy(), first.scale.copy()
        scaled = shift.shape[1] - learning.unscaled
        shift[0, :scaled], factor[0, :scaled] = (part[:scaled] for part in learning.moments.scale(scale.kind))
        return first._replace(shift=shift, scale=factor)
    shift = np.concatenate([one.shift for one in learning.scalers])
    factor = np.concatenate([one.scale for one in learning.scalers])
    if learning.moments is not None:
        blank = np.concatenate(learning.blank)
        blank[:, shift.shape[1] - learning.unscaled :] = False
        middle, spread = learning.moments.scale(scale.kind)
        shift, factor = np.where(blank, middle, shift), np.where(blank, spread, factor)
    return first._replace(shift=shift, scale=factor)


def _bounds(learning: _Learning) -> Bounds | None:
    return Bounds(*map(np.concatenate, zip(*learning.bounds, strict=True))) if learning.bounds else None


class _Described(NamedTuple):
    static: Any
    categories: Any


def _encoder(learning: _Learning) -> StaticEncoder:
    static, categories, use = zip(*learning.static, strict=True)
    whole = _Described(*(None if part[0] is None else np.concatenate(part) for part in (static, categories)))
    return fit_static(whole, np.concatenate(use))


def _refuse_empty(learning: _Learning) -> None:
    """Raise DataError when there is no train or test window."""
    for part in ("train", "test"):
        if not sum(share.windows[part] for share in learning.shares):
            raise DataError(
                f"no {part} window: nothing was observed in the {part} part",
                hint="look at the gaps, or at the split; a run is scored at its end",
                code="data.no_windows",
            )
