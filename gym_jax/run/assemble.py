"""From the configuration to objects: panel, windows, model, loss, optimiser. The one place where parts meet."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optax

from gym_jax.config.derive import settings
from gym_jax.config.schema import Config
from gym_jax.data.panel import Panel
from gym_jax.data.read import find_files, read
from gym_jax.data.scale import Scaler, fit_scaler
from gym_jax.data.split import Part, Split, origins, refuse_short, split_by_time
from gym_jax.data.synthetic import generate_panel
from gym_jax.data.windows import Windows, make_windows
from gym_jax.errors import ConfigError, DataError
from gym_jax.losses import LOSSES
from gym_jax.models.registry import MODELS
from gym_jax.optim import OPTIMISERS, SCHEDULES, clipped
from gym_jax.types import Loss


class Prepared(NamedTuple):
    """A judged panel with its split and scaler, ready to be cut into windows."""

    panel: Panel
    split: Split
    scaler: Scaler
    season: int


def load_panel(config: Config) -> Panel:
    """Read the configured data, or generate the stand-in."""
    data = config.data
    if data.path is None:
        made, plain = data.synthetic, type(data)()
        if ignored := [key for key in ("past", "layout", "id", "time") if getattr(data, key) != getattr(plain, key)]:
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
        return panel
    return read(
        data.path,
        layout=data.layout,
        id=data.id,
        time=data.time,
        target=data.target,
        past=data.past,
        time_unit=data.time_unit,
    )


def fingerprint(config: Config) -> dict[str, Any]:
    """Return what the data were: every file with its size and sha256, or the settings of the generated panel."""
    if config.data.path is None:
        return {"synthetic": config.data.synthetic.model_dump(mode="json")}
    return {
        "files": [
            {"path": str(f), "bytes": f.stat().st_size, "sha256": _sha256(f)} for f in find_files(config.data.path)
        ]
    }


def same_data(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two fingerprints are of the same bytes, wherever they lie."""
    if "synthetic" in now:
        return was.get("synthetic") == now["synthetic"]
    return [f["sha256"] for f in was.get("files", ())] == [f["sha256"] for f in now["files"]]


def prepare(config: Config, panel: Panel, scaler: Scaler | None = None) -> Prepared:
    """Split the panel and fit the scaler on its train rows, unless one is given. Raises DataError on short series."""
    task, split = config.task, config.data.split
    shares: dict[str, Any] = {"train": split.train, "val": split.val, "gap": split.gap}
    if scaler is None:
        panel = refuse_short(panel, context=task.context, horizon=task.horizon, short=config.data.short, **shares)
    parts = split_by_time(panel, **shares)
    if scaler is None:
        scaler = fit_scaler(panel, parts.train, kind=config.data.scale.kind, scope=config.data.scale.scope)
        panel = _note_blank(panel, parts)
    season = getattr(config.model, "season", None) or config.evaluate.season or panel.season()
    return Prepared(panel, parts, scaler, season)


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
    return origins(
        prepared.panel,
        getattr(prepared.split, part),
        context=config.task.context,
        horizon=config.task.horizon,
        stride=config.data.stride if part == "train" else 1,
        whole=part == "train",
    )


def cut(config: Config, prepared: Prepared, part: Part) -> Windows:
    """Return the windows of one part."""
    return make_windows(
        prepared.panel,
        prepared.scaler,
        *places(config, prepared, part),
        context=config.task.context,
        horizon=config.task.horizon,
        room=prepared.season,
    )


def build_model(config: Config, panel: Panel, season: int) -> Any:
    """Return the configured Flax module for this panel."""
    return model_of(config.model.kind, config, panel, season, settings(config.model))


def model_of(kind: str, config: Config, panel: Panel, season: int, fields: Mapping[str, Any] | None = None) -> Any:
    """Return a module of any kind for the configured task."""
    entry, fields = MODELS[kind], dict(fields or {})
    if "season" in entry.fields:
        fields["season"] = fields.get("season") or season
    return entry.module(horizon=config.task.horizon, targets=panel.targets, **fields)


def reading(model: Any, windows: Windows) -> Windows:
    """Return the windows with the look-back that a model reads: a whole season for the seasonal baseline."""
    return windows.with_context(max(windows.context, getattr(model, "season", None) or 0))


def build_loss(config: Config) -> Loss:
    """Return the configured loss."""
    return functools.partial(LOSSES[config.loss.kind], **settings(config.loss))


def build_optimiser(config: Config, steps_per_epoch: int) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Return the optimiser and its schedule over all optimiser steps of the run."""
    fields = settings(config.optim)
    schedule = SCHEDULES[config.schedule.kind](
        fields.pop("lr"), steps_per_epoch * config.train.epochs, **settings(config.schedule)
    )
    return clipped(OPTIMISERS[config.optim.kind](schedule, **fields), config.train.clip), schedule


def scaler_for(panel: Panel, known: tuple[str, ...], saved: Scaler, fresh: Scaler) -> Scaler:
    """Return the saved scaler's rows for series it knows, and `fresh` rows for those it does not."""
    if saved.shared:
        return saved
    place = {name: i for i, name in enumerate(known)}
    index = np.array([place.get(name, -1) for name in panel.series])
    old = (index >= 0)[:, None]
    return Scaler(
        np.where(old, saved.shift[np.maximum(index, 0)], fresh.shift),
        np.where(old, saved.scale[np.maximum(index, 0)], fresh.scale),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
