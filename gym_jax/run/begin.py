"""A configuration to begin with, out of a look at the data: every choice with its reason, none hidden."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gym_jax.allocate.usage import DAY, HOUR, WEEK
from gym_jax.config.load import load_config, read_override
from gym_jax.config.schema import Config
from gym_jax.data.columns import usage_of
from gym_jax.data.describe import season_of
from gym_jax.data.panel import Panel
from gym_jax.errors import DataError
from gym_jax.run.assemble import load_panel, places, prepare

LONGEST = 168
"""Steps that are looked back on at most where seasons are short; such seasons are taken whole."""
SHARE = 20
"""A series is as many times as long as what is looked back on, at least."""
MANY = 200_000
"""Windows of an epoch beyond which not every one is taken."""
ALIKE = 0.2
"""Autocorrelation at a season from which the calendar is read."""
PAST = 8
"""Further columns that are read at most."""


class Beginning(NamedTuple):
    """Settings to begin with."""

    config: Config
    reasons: dict[str, str]
    """Of every setting that was chosen, why."""
    notes: tuple[str, ...]
    """What reading repaired or assumed."""


def look_and_choose(path: str, target: Sequence[str] = (), overrides: Sequence[str] = ()) -> Beginning:
    """Return settings for the data at `path`, chosen by what they are; what `overrides` say stays as it is.

    Raises DataError where the data can not be trained on as they are, with what would do.
    """
    said = {".".join(read_override(text).path) for text in overrides}
    options: dict[str, Any] = {"data.path": path, **({"data.target": list(target)} if target else {})}
    said |= options.keys()
    first = load_config([], overrides, options)
    chosen = {key: found for key, found in _choices(load_panel(first, every=True), first).items() if key not in said}
    config = load_config([], overrides, options | _values(chosen))
    panel = load_panel(config)
    if "data.calendar" not in said and (found := _calendar(panel)):
        chosen["data.calendar"] = found
        config = load_config([], overrides, options | _values(chosen))
    while True:
        try:
            prepared = prepare(config, panel)
            break
        except DataError as error:
            context, horizon = config.task.context, config.task.horizon
            if error.code != "data.short" or context + horizon <= 3 or {"task.context", "task.horizon"} & said:
                raise
            why = f"less than usual: the shortest series has {panel.lengths.min():,} rows"
            chosen |= {"task.context": (max(2, context // 2), why), "task.horizon": (max(1, horizon // 2), why)}
            config = load_config([], overrides, options | _values(chosen))
    windows = len(places(config, prepared, "train")[0])
    if windows > MANY and "data.stride" not in said:
        stride = -(-windows // MANY)
        chosen["data.stride"] = (stride, f"of {windows:,} windows, nearly alike, one in {stride} is enough to begin")
        config = load_config([], overrides, options | _values(chosen))
    return Beginning(config, {key: why for key, (_, why) in chosen.items()}, tuple(prepared.channels.notes))


def _values(chosen: Mapping[str, tuple[Any, str]]) -> dict[str, Any]:
    return {key: value for key, (value, _) in chosen.items()}


def _choices(panel: Panel, config: Config) -> dict[str, tuple[Any, str]]:
    """Return settings and why; every numeric column of the panel is a target where none was named."""
    out: dict[str, tuple[Any, str]] = {}
    if not config.data.target:
        still = [place for place in range(panel.targets) if _is_still(panel, place)]
        columns = [panel.channels[place] for place in range(panel.targets) if place not in still]
        usage = usage_of(columns, config.data)
        if not columns:
            columns, still = list(panel.channels[: panel.targets]), []
        target = usage[0] if usage else columns[0]
        out["data.target"] = (
            [target],
            "its name says that it is usage" if usage else "the first that changes with time",
        )
        if others := [name for name in columns if name != target]:
            out["data.past"] = (others[:PAST], "numbers whose past is known too")
        if still:
            out["data.static"] = ([panel.channels[place] for place in still], "never changes within a series")
    season, rows = panel.season(), float(np.median(panel.lengths))
    horizon = _horizon(panel)
    out["task.horizon"] = (horizon, f"{_span(panel, horizon)}: long enough to act, short enough to know")
    context = LONGEST // season * season if 1 < season <= LONGEST else 8 * horizon
    context = max(2, horizon, min(context, int(rows / SHARE)) // horizon * horizon)
    out["task.context"] = (context, f"{_span(panel, context)} of the past")
    return out


def _is_still(panel: Panel, channel: int) -> bool:
    """Return whether a column has one value in each series."""
    values, seen = panel.values[:, channel], panel.mask[:, channel]
    low = np.minimum.reduceat(np.where(seen, values, np.inf), panel.offsets[:-1])
    high = np.maximum.reduceat(np.where(seen, values, -np.inf), panel.offsets[:-1])
    return bool((low >= high).all())


def _horizon(panel: Panel) -> int:
    """Return an hour of steps below an hour, a day of steps below a day, a week of days, else 8 steps."""
    if panel.clock == "step":
        return 8
    for span in (HOUR, DAY, WEEK):
        if panel.step < span:
            return max(1, span // panel.step)
    return 8


def _span(panel: Panel, steps: int) -> str:
    return f"{steps} steps of {panel.describe_step()}" if panel.clock == "ns" else f"{steps} steps"


def _calendar(panel: Panel) -> tuple[list[str], str] | None:
    """Return the cycles of the calendar and why, where the target resembles itself a season before.

    The data must hold three of each.
    """
    season, span = season_of(panel), float(np.median(panel.lengths)) * panel.step
    cycles = [name for name, length in (("day", DAY), ("week", WEEK)) if panel.step < length and span >= 3 * length]
    if season is None or not cycles or season["median_autocorrelation"] < ALIKE:
        return None
    return cycles, f"it resembles itself a season before: autocorrelation {season['median_autocorrelation']:.2f}"
