"""What runs and baselines cost in each window, and the windows that all of them have."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.data.panel import Panel
from gym_jax.data.split import Part
from gym_jax.errors import ConfigError, DataError
from gym_jax.evaluate.compare import Field, overall
from gym_jax.evaluate.origins import origin_losses, origins_of
from gym_jax.evaluate.score import Forecast, forecasters
from gym_jax.metrics import naive_errors
from gym_jax.run.assemble import Prepared, build_point, cut, model_of, reading, shape_of
from gym_jax.run.evaluate import notes_of
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run
from gym_jax.run.scores import solve


class Contender(NamedTuple):
    """What a method cost in the windows of its own run; of a group, each member and last their mean."""

    name: str
    facts: dict[str, Any]
    series: tuple[str, ...]
    owner: np.ndarray
    times: np.ndarray
    counts: np.ndarray
    losses: np.ndarray
    truths: Mapping[str, str]
    """A digest of what was observed of each series: what forecasts are held against."""
    naive: np.ndarray
    season: int
    step: int
    span: str
    """The step in words."""
    seeds: tuple[int, ...] = ()


def judge_run(
    folder: RunFolder,
    name: str,
    data: str | Path | None,
    part: Part,
    metric: str,
    target: str,
    baselines: Sequence[str],
    taken: Sequence[str],
) -> tuple[list[Contender], list[str]]:
    """Return what a run cost, and baselines in its windows, with the notes about it."""
    trained = load_run(folder, data)
    config, prepared = trained.config, trained.prepared
    panel, channel = prepared.truth, prepared.truth.channels.index(target)
    windows = cut(config, prepared, part)
    if not len(windows):
        raise DataError(
            f"the {part} part holds no window of {name}",
            hint="its share of the rows is 0, or nothing in it was observed",
            attempt="gymjax compare RUN RUN --part val",
            code="data.no_windows",
        )
    owner, times = origins_of(windows, panel)
    naive, truths = _naive(prepared, channel, config.task.horizon), _truths(panel, channel)

    def contender(called: str, facts: dict[str, Any], model: Any, members: Sequence[Forecast]) -> Contender:
        cost = origin_losses(
            members,
            reading(model, windows),
            panel,
            prepared.scaler,
            metric=metric,
            channel=channel,
            batch_size=config.evaluate.batch_size,
        )
        about = (truths, naive, prepared.season, panel.step, panel.describe_step())
        return Contender(called, facts, panel.series, owner, times, cost.counts, cost.losses, *about)

    facts = {"kind": config.model.kind, "run": str(folder.path), "step": trained.step, "weights": trained.weights}
    members = forecasters(trained.model, trained.members, build_point(config))
    found = [contender(name, facts, trained.model, members)._replace(seeds=trained.seeds)]
    notes = notes_of(folder, trained, data, part)
    train = cut(config, prepared, "train") if baselines else windows
    for kind in dict.fromkeys(baselines):
        module = model_of(kind, config, shape_of(prepared))
        try:
            solved = forecasters(module, [{"params": solve(kind, module, train)}])
        except DataError as error:
            notes.append(f"baseline `{kind}` is left out: {error.message}")
            continue
        called = f"baseline {kind}" if kind in taken else kind
        found.append(contender(called, {"kind": kind}, module, solved))
    return found, notes


def _naive(prepared: Prepared, channel: int, horizon: int) -> np.ndarray:
    panel, rows = prepared.truth, slice(channel, channel + 1)
    begin, end = prepared.naive_span(horizon)
    return naive_errors(panel.values[:, rows], panel.mask[:, rows], begin, end, prepared.season)[:, 0]


def _truths(panel: Panel, channel: int) -> dict[str, str]:
    """Return a digest of what was observed of each series, and when."""
    out = {}
    for place, name in enumerate(panel.series):
        rows = slice(panel.offsets[place], panel.offsets[place + 1])
        seen = panel.mask[rows, channel]
        found = hashlib.sha256(f"{panel.first[place]} {panel.step}".encode())
        found.update(seen.tobytes())
        found.update(panel.values[rows, channel][seen].tobytes())
        out[name] = found.hexdigest()
    return out


def align(contenders: Sequence[Contender], metric: str) -> tuple[Field, dict[str, list[float]], list[str]]:
    """Return the field over the windows that all have, the metric of every member of a group, and notes."""
    first = contenders[0]
    if metric == "mase" and len({contender.season for contender in contenders}) > 1:
        raise ConfigError(
            "the season differs: " + ", ".join(f"{contender.name} has {contender.season}" for contender in contenders),
            hint="MASE counts in seasonal naive errors; compare by mae, or set evaluate.season alike",
            attempt="gymjax compare ... --metric mae",
            code="compare.differ",
        )
    common = [name for name in first.series if all(name in contender.truths for contender in contenders)]
    wrong = [name for name in common if len({contender.truths[name] for contender in contenders}) > 1]
    if wrong:
        raise DataError(
            f"{len(wrong):,} of {len(common):,} series hold different values for different runs: `{wrong[0]}`",
            hint="the runs read the data differently; `gymjax config diff` shows in what",
            attempt="gymjax config diff RUN RUN",
            code="compare.differ",
        )
    place = {name: number for number, name in enumerate(common)}
    begin = min(int(contender.times.min()) for contender in contenders)
    width = max(int(contender.times.max()) - begin for contender in contenders) // first.step + 1
    keys = []
    for contender in contenders:
        numbers = np.array([place.get(name, -1) for name in contender.series])[contender.owner]
        keys.append(np.where(numbers < 0, -1, numbers * width + (contender.times - begin) // first.step))
    shared = functools.reduce(np.intersect1d, keys)
    shared = shared[shared >= 0]
    if not len(shared):
        raise DataError(
            "the runs have no window in common",
            hint="their parts lie at different times, their strides never meet, or they hold different series",
            attempt="gymjax runs best",
            code="compare.differ",
        )
    losses, members, notes = [], {}, []
    owner, places = shared // width, shared % width
    used, owner = np.unique(owner, return_inverse=True)
    naive = dict(zip(first.series, first.naive, strict=True))
    names = tuple(common[number] for number in used)
    unit = np.array([naive[name] for name in names])
    empty = Field((), names, owner, places - places.min(), np.zeros(0), np.zeros((0, len(shared))))
    for contender, own in zip(contenders, keys, strict=True):
        order = np.argsort(own, kind="stable")
        index = order[np.searchsorted(own, shared, sorter=order)]
        losses.append(contender.losses[-1, index])
        alone = empty._replace(counts=contender.counts[index], losses=contender.losses[:, index])
        if contender.seeds:
            scored = overall(alone.scaled(unit) if metric == "mase" else alone, metric)
            members[contender.name] = scored[: len(contender.seeds)].tolist()
        if left := len(own) - len(shared):
            notes.append(f"{contender.name}: {left:,} of {len(own):,} windows are left out: others do not have them")
    field = alone._replace(names=tuple(contender.name for contender in contenders), losses=np.stack(losses))
    return (field.scaled(unit) if metric == "mase" else field), members, notes
