"""Scores on data that do not fit in memory: chunk after chunk, added up."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.ahead import ahead
from gym_jax.data.order import sequential
from gym_jax.data.split import Part
from gym_jax.errors import DataError
from gym_jax.evaluate.score import Forecast, Target, forecasters, report, score_members
from gym_jax.metrics import Totals
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import Prepared, build_point, model_of, reading, shape_of
from gym_jax.run.chunk import Chunk
from gym_jax.run.scores import SOLVE_BATCH, GroupScores, arranged, refuse_empty, score_group
from gym_jax.run.stream import Stream, plan_stream
from gym_jax.run.streamed import Streamed


def score_stream(
    config: Config, prepared: Streamed | Prepared, model: Any, members: Mapping[int, Any], part: Part = "test"
) -> GroupScores:
    """Return what `score_group` does, with a chunk in memory at a time; of a panel, the very same."""
    if isinstance(prepared, Prepared):
        return score_group(config, prepared, model, members, part)
    stream = plan_stream(config, prepared)
    refuse_empty(part, stream.windows[part])
    asked: list[tuple[Any, tuple[Forecast, ...]]] = [
        (model, forecasters(model, list(members.values()), build_point(config)))
    ]
    kinds: list[str] = []
    notes: list[str] = []
    for kind in config.evaluate.baselines:
        if kind != config.model.kind:
            module = model_of(kind, config, shape_of(prepared.sample))
            try:
                asked.append((module, forecasters(module, [{"params": solve_stream(stream, kind, module)}])))
                kinds.append(kind)
            except DataError as error:
                notes.append(f"baseline `{kind}` is left out: {error.message}")
    totals, naive = _add_up(stream, part, asked)
    panel = replace(prepared.sample.truth, series=prepared.survey.series)
    reports = [[report(own, panel, naive, config.evaluate.metrics) for own in one] for one in totals]
    others = {kind: own[0] for kind, own in zip(kinds, reports[1:], strict=True)}
    facts: dict[str, Any] = {"part": part, "windows": stream.windows[part], "season": prepared.season}
    return arranged(config, list(members), reports[0], others, notes, **facts)


def solve_stream(stream: Stream, kind: str, module: Any) -> Any:
    """Return the parameters of a kind that is not trained by gradient, out of one chunk of train after the other."""
    solver = MODELS[kind].solve_of
    assert solver is not None
    with ahead(stream.all_of("train")) as chunks:
        return solver(
            module,
            ((jax.device_put(reading(module, one.windows)), sequential(one.count, SOLVE_BATCH)) for one in chunks),
        )


def _add_up(
    stream: Stream, part: Part, asked: list[tuple[Any, tuple[Forecast, ...]]]
) -> tuple[list[list[tuple[Target, ...]]], np.ndarray]:
    """Return the totals of every forecast, for each of several modules, and the naive error of every series."""
    size, count = stream.config.evaluate.batch_size, len(stream.data.survey.series)
    naive = np.full((count, stream.data.sample.truth.targets), np.nan)
    sums: list[list[tuple[Target, ...]]] = []
    with ahead(stream.all_of(part, truth=True)) as chunks:
        for number, chunk in enumerate(chunks):
            own = _places(stream, part, number)
            naive[own] = chunk.naive
            found = [_score(stream, module, members, chunk, own, size) for module, members in asked]
            found = [[tuple(_among(all_, own, count) for all_ in one) for one in several] for several in found]
            sums = found if not sums else [_merged(*pair) for pair in zip(sums, found, strict=True)]
    return sums, naive


def _places(stream: Stream, part: Part, number: int) -> np.ndarray:
    """Return where the series of a chunk are among all."""
    slices = [stream.data.own(piece) for piece in stream.chunks[part][number]]
    return np.concatenate([np.arange(own.start, own.stop) for own in slices])


def _score(
    stream: Stream, module: Any, members: tuple[Forecast, ...], chunk: Chunk, own: np.ndarray, size: int
) -> list[tuple[Target, ...]]:
    assert chunk.truth is not None
    assert chunk.naive is not None
    seen = jax.device_put(reading(module, chunk.windows))
    scaler = stream.data.survey.fitted.scaler.select(own)
    return score_members(members, seen, chunk.truth, scaler, chunk.naive, batch_size=size, count=chunk.count)


def _among(target: Target, own: np.ndarray, count: int) -> Target:
    """Return totals with those of the chunk's series at their places among all."""
    whole = Totals.zero(count)
    for into, part in zip(whole, target.series, strict=True):
        into[own] = part
    return target._replace(series=whole)


def _merged(old: list[tuple[Target, ...]], new: list[tuple[Target, ...]]) -> list[tuple[Target, ...]]:
    def both(one: Target, other: Target) -> Target:
        return Target(*(before.merge(now) for before, now in zip(one, other, strict=True)))

    return [tuple(map(both, *pair)) for pair in zip(old, new, strict=True)]
