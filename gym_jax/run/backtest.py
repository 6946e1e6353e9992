"""Rolling origins: the test part in consecutive blocks, each forecast by a model that has seen what lies before it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.folds import split_before, split_blocks
from gym_jax.data.panel import Panel
from gym_jax.data.split import Span, Split, split_panel
from gym_jax.errors import ConfigError
from gym_jax.evaluate.conformal import LEVELS
from gym_jax.evaluate.coverage import summarise
from gym_jax.run.assemble import Prepared, load_panel, places
from gym_jax.run.calibrate import Calibrated, fit_calibration, source_of
from gym_jax.run.cross_validate import slim, spread_over
from gym_jax.run.folder import RunFolder
from gym_jax.run.folds import Fold, make_fold, train_folds
from gym_jax.run.group import is_group, members_of
from gym_jax.run.intervals import Source, coverage_of
from gym_jax.run.load import load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.scores import score_run
from gym_jax.run.task import need_forecast, need_resident
from gym_jax.train.parallel import request_cpu_devices

Grow = Literal["expanding", "sliding"]


class Answer(NamedTuple):
    """Who answers from an origin on."""

    source: Source
    fitted: Calibrated | None
    """None where nothing was held out to calibrate on."""
    train_windows: int
    best_epoch: int


def backtest(
    run: str | Path | RunFolder | None = None,
    *,
    config: Config | None = None,
    origins: int = 5,
    every: int | None = None,
    refit: int | None = None,
    grow: Grow = "expanding",
    levels: Sequence[float] = LEVELS,
    tell: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> dict[str, Any]:
    """Return errors and interval coverage over consecutive blocks of the test part, and their spread.

    There are `origins` blocks of equal length, or one for `every` so many rows. The first is forecast by a finished
    `run`, or by a model of `config` that is trained on the train part. `refit` trains anew before every so many blocks
    on all rows before it (`grow="expanding"`) or on the last ones, as many as at first (`sliding`); None never does.
    Intervals are adaptive, calibrated on the val rows of whoever answers. Nothing is written. Raises ConfigError or
    DataError.
    """
    folder = open_run(run) if isinstance(run, str | Path) else run
    if (folder is None) == (config is None):
        raise ConfigError("a backtest is of a run or of a configuration", attempt="gymjax backtest RUN")
    base = config or read_config(folder)  # type: ignore[arg-type]
    need_forecast(base, "backtest")
    _refuse(base, origins, every, refit)
    request_cpu_devices("auto", base.train.devices)
    own = None if folder is None else _source(folder)
    if own is not None:
        prepared = own.prepared
    else:
        need_resident(base, "gymjax backtest")
        panel = load_panel(base)
        prepared = make_fold(base, panel, split_panel(panel, base.data.split), "the first origin").prepared
    split = prepared.split
    longest = int(split.test.lengths.max(initial=0))
    count = origins if every is None else max(1, round(longest / every))
    if longest < count * base.task.horizon:
        raise ConfigError(
            f"{count} origins in a test part of {longest:,} rows",
            hint=f"each block needs the horizon of {base.task.horizon} rows",
            attempt=f"gymjax backtest ... --origins {max(1, longest // base.task.horizon)}",
        )
    blocks = split_blocks(split.test, count)
    fits = [0] if refit is None else list(range(0, count, refit))
    answers = _answers(base, prepared, own, [blocks[number] for number in fits], grow, levels, tell)
    found = []
    for number, block in enumerate(blocks):
        place = max(i for i, first in enumerate(fits) if first <= number)
        found.append({"refit": number in fits and (place > 0 or own is None), **_judge(answers[place], block)})
    return {
        "model": base.model.kind,
        "run": None if folder is None else str(folder.path),
        "refit": refit,
        "grow": grow,
        "folds": found,
        **spread_over(found),
    }


def _source(folder: RunFolder) -> Source:
    """Return what answers for a run. Raises ConfigError when several do."""
    if is_group(folder):
        raise ConfigError(
            f"{folder.path} is a group",
            hint="one model at a time is tested: name a member",
            attempt=f"gymjax backtest {folder.path}/members/{min(members_of(folder), default=0)}",
        )
    return source_of(load_run(folder))


def _answers(
    config: Config,
    prepared: Prepared,
    own: Source | None,
    blocks: Sequence[Span],
    grow: Grow,
    levels: Sequence[float],
    tell: Callable[[dict[str, Any]], None],
) -> list[Answer]:
    """Return who answers from the beginning of each block on: the run itself from the first, if there is one."""
    out = [_answer(own, levels, len(places(config, prepared, "train")[0]), 0)] if own is not None else []
    folds = [_fold(config, prepared, block, grow) for block in blocks[len(out) :]]
    for fold, fitted in zip(folds, train_folds(config, folds, tell) if folds else (), strict=True):
        source = Source(config, fold.prepared, fitted.model, (fitted.variables,))
        out.append(_answer(source, levels, len(fold.train), fitted.best_epoch))
    return out


def _fold(config: Config, prepared: Prepared, block: Span, grow: Grow) -> Fold:
    """Return the fold that trains and validates on the rows before a block, in the same proportion as the first."""
    split = prepared.split
    if (block.begin == split.test.begin).all():
        return make_fold(config, prepared.panel, split, "the first origin")
    before = split.test.begin - split.train.begin
    begin = split.train.begin if grow == "expanding" else np.maximum(block.begin - before, split.train.begin)
    val = float(split.val.lengths.sum() / max(1, split.val.lengths.sum() + split.train.lengths.sum()))
    own = split_before(begin, block.begin, block.end, val=val, gap=config.data.split.gap)
    return make_fold(config, prepared.panel, own, "an origin")


def _answer(source: Source, levels: Sequence[float], train_windows: int, best_epoch: int) -> Answer:
    held_out = len(places(source.config, source.prepared, "val")[0])
    fitted = fit_calibration(source, "adaptive", levels, "val") if held_out else None
    return Answer(source, fitted, train_windows, best_epoch)


def _judge(answer: Answer, block: Span) -> dict[str, Any]:
    """Return how an answer does in a block; its intervals follow what came since its own val rows."""
    source, prepared = answer.source, answer.source.prepared
    split = prepared.split
    here = prepared._replace(split=Split(split.train, split.val, block))
    scores = score_run(source.config, here, source.model, source.members[0])
    facts = {"from": _first(prepared.panel, block), "train_windows": answer.train_windows}
    facts |= {"test_windows": scores["windows"], "best_epoch": answer.best_epoch, **slim(scores)}
    if answer.fitted is None:
        return facts
    begun = np.minimum(np.maximum(split.val.end, split.train.end), block.begin)
    until = prepared._replace(split=Split(split.train, split.val, Span(begun, block.end)))
    rows, series = places(source.config, until, "test")
    calibration, panel = answer.fitted.calibration, prepared.panel
    total = coverage_of(source, calibration, answer.fitted.floor, rows, series, block.begin)
    held = summarise(total, calibration.levels, panel.series, panel.channels[: panel.targets])
    short = {
        name: [{key: value for key, value in level.items() if not key.startswith("per_")} for level in blocks]
        for name, blocks in held.items()
    }
    return {**facts, "intervals": short}


def _first(panel: Panel, block: Span) -> str | int:
    """Return the first time of a block in any series."""
    own = np.flatnonzero(block.lengths > 0)
    time = panel.times(own, block.begin[own]).min()
    return str(time)[:19] if panel.clock == "ns" else int(time)


def _refuse(config: Config, origins: int, every: int | None, refit: int | None) -> None:
    wrong = {"origins": origins, "every": every, "refit": refit}
    for name, value in wrong.items():
        if value is not None and value < 1:
            raise ConfigError(f"--{name} {value}", hint="it counts from 1", attempt="gymjax backtest RUN --origins 5")
    if config.data.split.kind == "series":
        raise ConfigError(
            "data.split.kind=series has no later rows to go on to",
            hint="origins follow one another in time; folds by series are those of cv",
            attempt="gymjax cv ... --kind series",
        )
