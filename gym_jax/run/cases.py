"""Tables and sequences from the configuration to samples: what a run of cases does where a forecast has a panel."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.cases import CONSTANT, Cases, join_cases
from gym_jax.data.divide import Parts, divide, divide_apart
from gym_jax.data.formats.arrow import open_frame
from gym_jax.data.keep import read_once
from gym_jax.data.learn import Learnt, learn
from gym_jax.data.read_cases import Answer, Asked, cases_of_tables, read_cases
from gym_jax.data.samples import Samples, make_samples
from gym_jax.data.split import Part
from gym_jax.data.tabular import generate_table
from gym_jax.errors import ConfigError, DataError
from gym_jax.run.assemble import Shape

STAND_IN = "cpu_share"
"""The target of the generated table."""


class PreparedCases(NamedTuple):
    """Judged cases with their parts and what the train part teaches, ready to be samples."""

    cases: Cases
    parts: Parts
    learnt: Learnt


def load_cases(config: Config, path: str | None = None, *, needed: bool = True, exact: bool = False) -> Cases:
    """Read and judge the configured data, or `path`, or generate the stand-in.

    `needed` asks for their answers, `exact` makes features of no other columns than those that are named. Raises
    DataError, and ConfigError when there is nothing to read.
    """
    data, answer = config.data, _answer(config)
    kind = "cases" if path is None else "cases apart"
    path = path or data.path
    asked = Asked(answer, data.ignore, needed, exact)
    if path is not None:
        return read_once(kind, path, data, asked, lambda: read_cases(path, data, asked))
    if answer == "classify":
        raise ConfigError(
            "there is nothing to classify: data.path is not given",
            hint="sequences with their labels, such as a .ts file, or a table with a column of them",
            attempt="gymjax train --data FILE --target COLUMN task.kind=classify",
        )
    table = open_frame(generate_table(seed=data.synthetic.seed))
    reading = replace(data, target=data.target or (STAND_IN,))
    return cases_of_tables({"the generated table": table}, reading, asked)


def _answer(config: Config) -> Answer:
    return "classify" if config.task.kind == "classify" else "regress"


def prepare_cases(config: Config) -> PreparedCases:
    """Read, judge and divide the cases, and learn from the train part. Raises DataError when a part has none."""
    cases = _answered(load_cases(config))
    if config.data.test_path is None:
        parts, apart = divide(len(cases), config.data.split, cases.labels), None
    else:
        own = with_columns(config, _columns(cases))
        apart = _answered(load_cases(own, config.data.test_path, exact=True))
        parts = divide_apart(len(cases), len(apart), config.data.split, cases.labels)
    for part in ("train", "test"):
        if not len(getattr(parts, part)):
            raise DataError(
                f"no case is left for the {part} part: there are {len(cases):,}",
                hint="it takes more cases, or other shares",
                attempt="gymjax train ... data.split.train=0.7 data.split.val=0.1",
                code="data.no_cases",
            )
    scale = config.data.scale
    learnt = learn(cases.select(parts.train), kind=scale.kind, log1p=scale.log1p, alone=scale.scope == "series")
    if apart is not None:
        cases = join_cases(cases, apart)
    if cases.labels is not None:
        learnt.codes(cases)  # a class that no train case has is refused before anything is written
    return PreparedCases(_noting_length(cases, learnt), parts, learnt)


def restore_cases(config: Config, facts: Mapping[str, Any], data: str | Path | None) -> tuple[Config, PreparedCases]:
    """Return a run's own cases and parts, or other `data` of the same columns, all of them to be scored or answered.

    What the run learnt is kept. Of other data the answers may be missing.
    """
    learnt = Learnt.from_json(facts["learnt"])
    if data is None:
        prepared = prepare_cases(config)
        return config, prepared._replace(learnt=learnt)
    config = with_columns(config, facts["columns"])
    config = _with_data(config, {"path": str(data), "test_path": None})
    cases = _noting_length(load_cases(config, needed=False, exact=True), learnt)
    nothing = np.zeros(0, np.int64)
    return config, PreparedCases(cases, Parts(nothing, nothing, np.arange(len(cases))), learnt)


def cut_cases(config: Config, prepared: PreparedCases, part: Part) -> Samples:
    """Return the samples of one part."""
    return make_samples(prepared.cases.select(getattr(prepared.parts, part)), prepared.learnt)


def one_case(config: Config, prepared: PreparedCases) -> Samples:
    """Return a single sample, which lends its shapes."""
    return make_samples(prepared.cases.select(np.zeros(1, np.int64)), prepared.learnt)


def shape_of_cases(prepared: PreparedCases) -> Shape:
    """Return what a model must know of these data."""
    learnt = prepared.learnt
    return Shape(len(learnt.target.scale[0]), learnt.encoder.sizes, 1, len(learnt.classes))


def describe_cases(config: Config, prepared: PreparedCases, counts: dict[str, int]) -> dict[str, Any]:
    """Return the cases in numbers, as a plan shows them, with how many each part has."""
    cases, learnt = prepared.cases, prepared.learnt
    kinds = {
        "channels" if cases.sequences else "numbers": cases.channels,
        "static": cases.static_names,
        "categories": cases.category_names,
        "classes": learnt.classes,
    }
    return {
        "data": config.data.path or "generated table of workloads (no --data given)",
        "cases": {**counts, "test": len(prepared.parts.test)},
        **({"steps": learnt.steps} if cases.sequences else {}),
        "targets": list(cases.target_names),
        **{kind: list(names) for kind, names in kinds.items() if names},
        "notes": list(cases.notes),
    }


def locate_case(config: Config, prepared: PreparedCases, example: int, step: int) -> str:
    """Return which case a train sample is."""
    place = int(prepared.parts.train[example])
    names = prepared.cases.names
    return f"case {place + 1:,} of the data" if names is None else f"case `{names[place]}`"


def facts_of_cases(prepared: PreparedCases) -> dict[str, Any]:
    """Return what a model needs of its data to be used again."""
    return {
        "columns": _columns(prepared.cases),
        "learnt": prepared.learnt.to_json(),
        "encoder": prepared.learnt.encoder.to_json(),
        "notes": list(prepared.cases.notes),
    }


def _columns(cases: Cases) -> dict[str, Any]:
    return {
        "channels": list(cases.channels),
        "targets": list(cases.target_names),
        "static": list(cases.static_names),
        "categories": list(cases.category_names),
        "sequences": cases.sequences,
    }


def with_columns(config: Config, columns: Mapping[str, Any]) -> Config:
    """Return the configuration that reads these very columns."""
    channels = tuple(columns["channels"])
    if columns["sequences"]:
        own: dict[str, Any] = {"past": channels, "static": tuple(columns["static"])}
    else:
        own = {"static": () if channels == (CONSTANT,) else channels}
    return _with_data(config, {**own, "target": tuple(columns["targets"]), "categories": tuple(columns["categories"])})


def _with_data(config: Config, changes: Mapping[str, Any]) -> Config:
    return config.model_copy(update={"data": replace(config.data, **changes)})


def _answered(cases: Cases) -> Cases:
    """Return the cases whose answer is known; the others teach nothing and can not be scored."""
    known = cases.answered
    if known.all():
        return cases
    asked = " and ".join(f"`{name}`" for name in cases.target_names)
    note = f"{int((~known).sum()):,} of {len(known):,} cases have no {asked}: left aside"
    return cases.select(np.flatnonzero(known)).with_notes([note])


def _noting_length(cases: Cases, learnt: Learnt) -> Cases:
    """Return the cases with a note when some are longer than those of the train part."""
    longer = int(cases.mask[:, : max(cases.values.shape[1] - learnt.steps, 0)].any(axis=(1, 2)).sum())
    note = f"{longer:,} sequences are longer than the {learnt.steps:,} steps of the train part: their first are cut off"
    return cases.with_notes([note]) if longer else cases
