"""Kinds of tasks: what a run does its own way for each, and nothing else of a run asks which it is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError
from gym_jax.run import cases, forecast, stream
from gym_jax.run.assemble import Shape, cut, shape_of
from gym_jax.run.score_cases import score_cases
from gym_jax.run.score_stream import score_stream
from gym_jax.run.scores import GroupScores, score_group
from gym_jax.types import Examples


class Task(NamedTuple):
    """What differs between kinds of tasks. `prepared` is what the first two make, and the others take."""

    prepare: Callable[[Config], Any]
    """Read, judge and divide the data, and learn from train rows. Raises DataError."""
    restore: Callable[..., tuple[Config, Any]]
    """`(config, facts, data)`: the same of a run's own or other data, with what the run has learnt."""
    cut: Callable[..., Examples]
    """`(config, prepared, part)`: the examples of one part."""
    one: Callable[[Config, Any], Examples]
    """A single example, which lends its shapes."""
    shape_of: Callable[[Any], Shape]
    describe: Callable[[Config, Any, dict[str, int]], dict[str, Any]]
    """`(config, prepared, counts)`: the data in numbers, as a plan shows them."""
    facts: Callable[[Any], dict[str, Any]]
    """What a model needs of its data to be used again; `restore` takes it."""
    score: Callable[..., GroupScores]
    """`(config, prepared, model, members, part)`: the scores of a part."""
    locate: Callable[[Config, Any, int, int], str]
    """`(config, prepared, example, step)`: where a step of a train example stands; steps count from its answer."""
    take_up: Callable[[Config, Mapping[str, Any]], Any] | None = None
    """`(config, facts)`: what `prepare` does, for a run that goes on and kept what it had found; None does it anew."""


_OF_CASES = Task(
    cases.prepare_cases,
    cases.restore_cases,
    cases.cut_cases,
    cases.one_case,
    cases.shape_of_cases,
    cases.describe_cases,
    cases.facts_of_cases,
    score_cases,
    cases.locate_case,
)
TASKS: dict[str, Task] = {
    "forecast": Task(
        forecast.prepare_panel,
        forecast.restore_panel,
        cut,
        forecast.one_window,
        shape_of,
        forecast.describe_panel,
        forecast.facts_of_panel,
        score_group,
        forecast.locate_step,
    ),
    "regress": _OF_CASES,
    "classify": _OF_CASES,
}
STREAMED = Task(
    stream.prepare_stream,
    stream.restore_stream,
    stream.cut_stream,
    stream.one_of_stream,
    stream.shape_of_stream,
    stream.describe_stream,
    stream.facts_of_stream,
    score_stream,
    stream.locate_nothing,
    stream.take_up_stream,
)
"""A forecast whose data are read in portions."""


def need_resident(config: Config, what: str) -> None:
    """Raise ConfigError when the data of a run are read in portions."""
    if config.data.memory is not None:
        raise ConfigError(
            f"{what} needs all data in memory, data.memory={config.data.memory} reads them in portions",
            hint="try it on some of the series, or on a machine that holds them all",
            attempt=f"{what} ... data.memory=null",
            code="config.conflict",
        )


def need_forecast(config: Config, command: str) -> None:
    """Raise ConfigError when a run is none of a forecast."""
    if config.task.kind != "forecast":
        raise ConfigError(
            f"`gymjax {command}` is for forecasts, this run was asked to {config.task.kind}",
            hint="its scores are told by evaluate, its answers by predict",
            attempt="gymjax evaluate RUN",
            code="config.task",
        )


def task_of(config: Config) -> Task:
    """Return the kind of task that a configuration asks for."""
    if config.data.memory is not None and config.task.kind == "forecast":
        return STREAMED
    return TASKS[config.task.kind]
