"""What is to be pulled: queries by the columns that they become, over which time, at which step."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gym_jax.errors import ConfigError, did_you_mean, gathered
from gym_jax.pull.presets import PRESETS, preset_query

ID, TIME = "unique_id", "ds"
NAMED = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=(?![=~])\s*(.+)", re.DOTALL)
METRIC = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(\{[^{}]*\})?\s*")
OF_RANGE = re.compile(r"@\s*(start|end)\s*\(")
SHORTEST = 1000
"""Milliseconds of a step."""
MOST = 1_000_000
"""Points of a series."""
LATEST = 32_503_680_000
"""The year 3000: milliseconds taken for seconds are beyond it."""
AHEAD = 60
"""Seconds by which a time may be ahead of this machine's clock."""


class Request(NamedTuple):
    """What is to be pulled. Times are milliseconds since 1970; the first point is a step after `begin`."""

    queries: dict[str, str]
    """Column -> PromQL."""
    end: int
    span: int
    step: int

    @property
    def points(self) -> int:
        """How many points a series may have."""
        return self.span // self.step

    @property
    def first(self) -> int:
        """The time of the first point."""
        return self.end - (self.points - 1) * self.step


def make_request(
    queries: Sequence[str], presets: Sequence[str], *, span: float, step: float, end: float, now: float
) -> Request:
    """Return what is to be pulled; `span`, `step`, `end` and `now` are seconds. Raises ConfigError, all at once.

    The end is moved back to a multiple of the step, so that files pulled at different times have the same grid.
    """
    problems: list[ConfigError] = []
    wide, narrow = round(span * 1000), round(step * 1000)
    if narrow < SHORTEST:
        problems.append(
            _wrong(f"--step {step:g}s is too small", "Prometheus samples every 15 s or so; 5m suits forecasts")
        )
        narrow = SHORTEST
    elif wide < 2 * narrow:
        problems.append(_wrong(f"--range {span:g}s holds no two steps of {step:g} s", "a range such as 14d"))
    elif wide // narrow > MOST:
        problems.append(
            _wrong(
                f"--step {step:g}s is too small for --range {span:g}s: {wide // narrow:,} points a series",
                f"at most {MOST:,}; 5m suits forecasts",
            )
        )
    if end > now + AHEAD:
        moment = datetime.fromtimestamp(end, UTC).isoformat(timespec="seconds")
        problems.append(_wrong(f"--end {moment} lies in the future", "nothing was measured then; is this clock right?"))
    named: dict[str, str] = {}
    for word in presets:
        if word not in PRESETS:
            problems.append(_wrong(f"no preset `{word}`", did_you_mean(word, PRESETS)))
            continue
        _add(named, PRESETS[word].column, preset_query(PRESETS[word], narrow), problems)
    for word in queries:
        if (found := NAMED.fullmatch(word)) is not None:
            _add(named, found[1], found[2].strip(), problems)
        else:
            metric = METRIC.fullmatch(word)
            _add(named, metric[1] if metric else "value", word.strip(), problems)
    if not named and not problems:
        problems.append(_wrong("nothing is asked for", "a --preset such as cpu, or a --query"))
    if problems:
        raise gathered(problems, code="usage")
    return Request(named, int(end * 1000) // narrow * narrow, wide, narrow)


def _add(named: dict[str, str], column: str, query: str, problems: list[ConfigError]) -> None:
    if column in (ID, TIME):
        problems.append(_wrong(f"a column can not be called `{column}`", "the file has one of that name"))
    elif column in named:
        problems.append(_wrong(f"two queries are to be column `{column}`", "name them: --query NAME=PROMQL"))
    elif not query:
        problems.append(_wrong("a --query is empty", "such as --query cpu_cores='rate(...[5m])'"))
    elif OF_RANGE.search(query):
        problems.append(
            _wrong(
                "start() and end() in a query mean those of a page here, not of the range",
                "name the time: @ 1767225600",
            )
        )
    named.setdefault(column, query)


def parse_time(text: str) -> float:
    """Return seconds since 1970 of an ISO 8601 time (UTC where it names no zone) or of such seconds.

    Raises ConfigError.
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = -1.0
    if not 0 <= seconds < LATEST:
        raise _wrong(f"--end {text} is no time", "such as 2026-03-01, 2026-03-01T12:00Z or 1772366400")
    return seconds


def _wrong(message: str, hint: str) -> ConfigError:
    attempt: Any = "gymjax data pull --prometheus http://HOST:9090 --preset cpu --range 14d --step 5m --out cpu.parquet"
    return ConfigError(message, hint=hint, attempt=attempt, code="usage")
