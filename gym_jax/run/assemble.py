"""From the configuration to objects: panel, windows, model, loss, optimiser. The one place where parts meet."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from gym_jax.config.derive import settings
from gym_jax.config.schema import Config
from gym_jax.data.keep import read_once
from gym_jax.data.panel import Panel
from gym_jax.data.preprocess import Fitted, fit, make_channels
from gym_jax.data.read import find_files, read
from gym_jax.data.reading import Reading
from gym_jax.data.remote import fingerprints, sha256_of
from gym_jax.data.scale import Scaler
from gym_jax.data.short import refuse_short
from gym_jax.data.split import Part, Span, Split, origins, split_panel
from gym_jax.data.store import read_store
from gym_jax.data.synthetic import generate_panel
from gym_jax.data.windows import Windows, make_windows
from gym_jax.errors import ConfigError, DataError
from gym_jax.losses import form_of, loss_of, outputs_of, point_of, quantiles_of
from gym_jax.models.registry import MODELS
from gym_jax.optim import HOST_SCHEDULES, OPTIMISERS, SCHEDULES, clipped, frozen, matching, rescalable
from gym_jax.run.coming import coming_of
from gym_jax.types import Loss


class Prepared(NamedTuple):
    """A judged panel with its split and what its train rows teach, ready to be cut into windows."""

    panel: Panel
    """As read: what forecasts are held against."""
    channels: Panel
    """The same rows as models see them: outliers clipped, features added."""
    split: Split
    fitted: Fitted
    season: int
    coming: Panel | None = None
    """The panel with a statistic of the coming window as its targets, where that is what is forecast."""

    @property
    def truth(self) -> Panel:
        """What forecasts are held against."""
        return self.panel if self.coming is None else self.coming

    def naive_span(self, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of each series whose naive error is the unit of MASE: a statistic must lie in train whole."""
        train = self.split.train
        return train.begin, train.end if self.coming is None else train.end - horizon + 1

    @property
    def scaler(self) -> Scaler:
        """The scaler of the channels."""
        return self.fitted.scaler

    def of_series(self, number: int) -> "Prepared":
        """Return one series alone, without its split."""
        panel = self.panel.select([number])
        fitted = self.fitted.for_series(panel.series, self.panel.series)
        coming = None if self.coming is None else self.coming.select([number])
        return self._replace(panel=panel, channels=self.channels.select([number]), fitted=fitted, coming=coming)


def load_panel(config: Config, *, every: bool = False) -> Panel:
    """Read and judge the configured data, or generate the stand-in; `every` numeric column when none is named."""
    data = config.data
    if data.path is not None and data.memory is not None:
        return read_store(data.path, data, every=every)
    if data.path is not None:
        path = data.path
        return read_once("panel", path, data, every, lambda: read(path, data, every=every))
    made, plain = data.synthetic, Reading()
    said = [item.name for item in fields(Reading) if getattr(data, item.name) != getattr(plain, item.name)]
    if ignored := [name for name in said if name not in ("target", "time_zone", "policy")]:
        raise ConfigError(
            f"data.{ignored[0]} says how to read a file, but there is no data.path",
            hint="give the data, or leave it out: the generated panel has its own columns",
            attempt="gymjax train --data FILE ...",
        )
    panel = generate_panel(series=made.series, days=made.days, seed=made.seed, gaps=made.gaps)
    if unknown := [name for name in data.target if name not in panel.channels]:
        raise DataError(
            f"no column `{unknown[0]}` in the generated panel",
            hint="it has cpu_cores; give your own data with --data",
            attempt="gymjax train --data FILE --target COLUMN",
            code="data.unknown_column",
        )
    return replace(panel, calendar_zone=data.time_zone)


def fingerprint(config: Config) -> dict[str, Any]:
    """Return what the data were: every file with its size and sha256, or the settings of the generated panel."""
    if config.data.path is None:
        return {"synthetic": config.data.synthetic.model_dump(mode="json")}
    if config.data.memory is not None:
        return {"files": fingerprints(config.data.path)}
    paths = [path for path in (config.data.path, config.data.test_path) if path is not None]
    files = [file for path in paths for file in find_files(path)]
    return {"files": [{"path": str(f), "bytes": f.stat().st_size, "sha256": sha256_of(f)} for f in files]}


def same_data(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two fingerprints are of the same bytes, wherever they lie."""
    if "synthetic" in now:
        return was.get("synthetic") == now["synthetic"]
    return [f["sha256"] for f in was.get("files", ())] == [f["sha256"] for f in now["files"]]


def prepare(
    config: Config,
    panel: Panel,
    saved: Fitted | None = None,
    known: Sequence[str] = (),
    *,
    split: Split | None = None,
) -> Prepared:
    """Split the panel and learn from its train rows; series among `known` keep what `saved` says of them.

    A `split` that is given takes the place of the configured one. Raises DataError on short series, unless there is
    something saved or a split.
    """
    task, data = config.task, config.data
    if saved is None and split is None:
        panel = refuse_short(panel, data.split, context=task.context, horizon=task.horizon, short=data.policy.short)
    if split is None:
        split = split_panel(panel, data.split, empty="error" if saved is None else "keep")
    if saved is None:
        panel = _note_blank(panel, split)
        fitted, channels = fit(panel, split.train, data, horizon=task.horizon)
    else:
        new = set(panel.series) - set(known)
        fitted = saved.for_series(panel.series, known, _fresh(config, panel, split) if new else None)
        channels = make_channels(panel, data, fitted.bounds, horizon=task.horizon)
    return Prepared(panel, channels, split, fitted, season_of(config, panel), coming_of(config, panel))


def season_of(config: Config, panel: Panel) -> int:
    """Return the steps of a season: the model's, the configured ones, or the panel's own."""
    return getattr(config.model, "season", None) or config.evaluate.season or panel.season()


def _fresh(config: Config, panel: Panel, split: Split) -> Fitted:
    """Return what new series teach: each by its own train share, at least by its first row."""
    span = Span(panel.offsets[:-1], np.maximum(split.train.end, panel.offsets[:-1] + 1))
    return fit(panel, span, config.data, horizon=config.task.horizon)[0]


def _note_blank(panel: Panel, split: Split) -> Panel:
    """Return the panel with a note on series that the scaler knows nothing of."""
    seen = panel.seen()
    blank = int((seen[split.train.end] == seen[split.train.begin]).sum())
    if not blank:
        return panel
    return panel.with_note(f"{blank:,} series have no value in their train rows: scaled like all series together")


def places(config: Config, prepared: Prepared, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return the first target row and the series of every window of one part.

    Train windows have a whole context, others may mask what is missing.
    """
    rows, series = origins(
        prepared.panel,
        getattr(prepared.split, part),
        context=config.task.context,
        horizon=config.task.horizon,
        stride=config.data.stride if part == "train" else 1,
        whole=part == "train",
    )
    if prepared.coming is None:
        return rows, series
    known = prepared.coming.mask[rows, : prepared.coming.targets].any(axis=1)
    return rows[known], series[known]


def cut(config: Config, prepared: Prepared, part: Part) -> Windows:
    """Return the windows of one part."""
    return windows_of(config, prepared, *places(config, prepared, part))


def windows_of(config: Config, prepared: Prepared, rows: np.ndarray, series: np.ndarray) -> Windows:
    """Return the windows with these first target rows."""
    static, categories = prepared.fitted.encoder.encode(prepared.panel)
    return make_windows(
        prepared.channels,
        prepared.scaler,
        rows,
        series,
        context=config.task.context,
        horizon=config.task.horizon,
        room=max(prepared.season, 0 if prepared.coming is None else config.task.horizon),
        impute=config.data.impute,
        season=prepared.season,
        static=static,
        categories=categories,
        statistic=config.task.statistic,
    )


class Shape(NamedTuple):
    """What a model must know of the data it is for; saved with a run, so that weights can be read without its data."""

    targets: int
    categories: tuple[int, ...]
    """Known words of each kind."""
    season: int
    classes: int = 0
    """How many there are to tell apart; 0 where numbers are asked."""


def shape_of(prepared: Prepared) -> Shape:
    """Return what a model must know of these data."""
    return Shape(prepared.panel.targets, prepared.fitted.encoder.sizes, prepared.season)


def build_model(config: Config, shape: Shape) -> Any:
    """Return the configured Flax module: with the outputs of its loss, in the type to compute in."""
    kind, loss = config.loss.kind, settings(config.loss)
    head = {"outputs": outputs_of(kind, loss, classes=shape.classes), "form": form_of(kind, loss)}
    own: dict[str, Any] = {**head, "dtype": config.train.compute_dtype}
    given = {name: value for name, value in own.items() if name in MODELS[config.model.kind].fields}
    return model_of(config.model.kind, config, shape, {**settings(config.model), **given})


def model_of(kind: str, config: Config, shape: Shape, given: Mapping[str, Any] | None = None) -> Any:
    """Return a module of any kind for the configured task."""
    entry, options = MODELS[kind], dict(given or {})
    if "season" in entry.fields:
        options["season"] = options.get("season") or shape.season
    if "categories" in entry.fields:
        options["categories"] = shape.categories
    if "statistic" in entry.fields:
        options |= {"statistic": config.task.statistic, "window": config.task.horizon}
    return entry.module(horizon=config.task.steps, targets=shape.targets, **options)


def reading(model: Any, examples: Any) -> Any:
    """Return the examples with the look-back that a model reads: a whole season for the seasonal baseline.

    A statistic is compared with that of a whole window before.
    """
    season = getattr(model, "season", None) or 0
    window = 0 if getattr(model, "statistic", "none") == "none" else model.window
    return examples.with_context(max(examples.context, season, window)) if season or window else examples


def build_loss(config: Config) -> Loss:
    """Return the configured loss."""
    return functools.partial(loss_of(config.loss.kind), **settings(config.loss))


def build_point(config: Config) -> Callable[[Any], Any]:
    """Return what makes a point forecast of the model's answer: the median of quantiles, the mean of a likelihood."""
    return point_of(config.loss.kind, settings(config.loss))


def build_columns(config: Config) -> tuple[tuple[str, ...], Callable[[Any], Any]]:
    """Return the endings of a target's columns in a forecast, and what makes them of an answer: point, quantiles."""
    kind, fields = config.loss.kind, settings(config.loss)
    point, (levels, view) = point_of(kind, fields), quantiles_of(kind, fields)
    endings = ("", *(f"_q{level!r}" for level in levels))
    return endings, lambda answer: jnp.concatenate([point(answer)[..., None], view(answer)], axis=-1)


def build_optimiser(config: Config, steps_per_epoch: int) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Return the optimiser and its schedule, which spans all optimiser steps of the run unless it says otherwise."""
    course = settings(config.schedule)
    steps = course.pop("steps") or steps_per_epoch * config.train.epochs
    schedule = (SCHEDULES | HOST_SCHEDULES)[config.schedule.kind](config.optim.lr, steps, **course)
    return optimiser_of(config, schedule), schedule


def optimiser_of(config: Config, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Return the configured optimiser at any rate: clipping before it, frozen parts around both."""
    fields = {name: value for name, value in settings(config.optim).items() if name != "lr"}
    tx = OPTIMISERS[config.optim.kind](schedule, **fields)
    if config.schedule.kind in HOST_SCHEDULES:
        tx = rescalable(tx)
    return frozen(clipped(tx, config.train.clip), config.train.freeze)


def host_course(config: Config) -> dict[str, Any] | None:
    """Return the settings by which the host lowers the rate between epochs, None when the schedule is the program's."""
    if config.schedule.kind not in HOST_SCHEDULES:
        return None
    return {name: value for name, value in settings(config.schedule).items() if name != "steps"}


def step_settings(config: Config) -> dict[str, Any]:
    """Return what the training step is told beside model, loss and optimiser."""
    train = config.train
    freeze = functools.partial(matching, patterns=train.freeze) if train.freeze else None
    return {"accumulate": train.accumulate, "ema": train.ema, "freeze": freeze, "shards": train.shards}
