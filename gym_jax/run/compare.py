"""Finished runs, and baselines beside them, compared on the windows that all of them forecast."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.split import Part
from gym_jax.errors import CheckpointError, ConfigError, did_you_mean, gathered
from gym_jax.evaluate.compare import compare
from gym_jax.evaluate.origins import ERRORS
from gym_jax.evaluate.spread import spread
from gym_jax.models.registry import MODELS
from gym_jax.run.contenders import Contender, align, judge_run
from gym_jax.run.evaluate import refuse_changed
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import group_of
from gym_jax.run.load import read_config
from gym_jax.run.ranking import READING
from gym_jax.run.runs import open_run
from gym_jax.run.task import need_forecast

BASELINES = tuple(kind for kind, entry in MODELS.items() if entry.solve is not None)


def compare_runs(
    runs: Sequence[str | Path | RunFolder],
    *,
    data: str | Path | None = None,
    part: Part = "test",
    metric: str = "mae",
    target: str | None = None,
    baselines: Sequence[str] = (),
    root: str | Path | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the leaderboard of runs and baselines, the test of every pair, and what else is to be known.

    All are judged in the windows that all of them forecast; runs may differ in context and stride. A group answers with
    the mean of its members. Baselines are made with the settings of the first run. `seed` is of the resampling. Raises
    CheckpointError, DataError, and ConfigError that names everything in which the runs differ.
    """
    folders = open_runs(runs, root)
    _refuse_words(folders, metric, baselines)
    configs = [read_config(folder) for folder in folders]
    for config in configs:
        need_forecast(config, "compare")
    names = name_runs(folders)
    target = _refuse_different(folders, names, configs, data, target)
    for folder in folders:
        refuse_changed(folder, data)
    contenders: list[Contender] = []
    others: list[Contender] = []
    notes: list[str] = []
    for folder, name in zip(folders, names, strict=True):
        own = baselines if not contenders else ()
        judged, said = judge_run(folder, name, data, part, metric, target, own, names)
        contenders.append(judged[0])
        others += judged[1:]
        notes += [f"{name}: {note}" if len(folders) > 1 else note for note in said]
    contenders += others
    field, members, more = align(contenders, metric)
    found = compare(field, metric, horizon=configs[0].task.horizon, seed=seed)
    by_name = {contender.name: contender for contender in contenders}
    for row in found["leaderboard"]:
        contender = by_name[row["name"]]
        row |= contender.facts
        if contender.seeds:
            row["members"] = {"seeds": list(contender.seeds), **spread(members[contender.name])}
    first = contenders[0]
    return {
        "part": part,
        "metric": metric,
        "target": target,
        "horizon": configs[0].task.horizon,
        "step": first.span,
        "windows": len(field.owner),
        "origins": len(np.unique(field.place)),
        "series": len(field.series),
        **found,
        "notes": notes + more,
    }


def open_runs(runs: Sequence[str | Path | RunFolder], root: str | Path | None) -> list[RunFolder]:
    """Return the runs; all that are not there are named at once."""
    folders, problems = [], []
    for run in runs:
        try:
            folders.append(run if isinstance(run, RunFolder) else open_run(run, root))
        except CheckpointError as error:
            problems.append(error)
    if problems:
        raise gathered(problems, code="run.not_found")
    return folders


def _refuse_words(folders: Sequence[RunFolder], metric: str, baselines: Sequence[str]) -> None:
    problems = []
    if metric not in ERRORS:
        hint = "on the same windows r2 ranks as rmse does" if metric == "r2" else did_you_mean(metric, ERRORS)
        problems.append(
            ConfigError(f"`{metric}` is no metric to compare by", hint=hint, attempt="gymjax compare ... --metric rmse")
        )
    problems += [
        ConfigError(
            f"there is no baseline `{kind}`",
            hint=did_you_mean(kind, BASELINES),
            attempt="gymjax compare ... --baseline last",
        )
        for kind in baselines
        if kind not in BASELINES
    ]
    paths = [folder.path.resolve() for folder in folders]
    if twice := [str(path) for path in dict.fromkeys(paths) if paths.count(path) > 1]:
        problems.append(
            ConfigError(f"{', '.join(twice)} is named twice", hint="name each run once", attempt="gymjax runs list")
        )
    elif len(folders) + len(baselines) < 2:
        problems.append(
            ConfigError(
                "there is nothing to compare with",
                hint="name another run, or a baseline",
                attempt=f"gymjax compare {folders[0].path if folders else 'RUN'} --baseline last",
            )
        )
    if problems:
        raise gathered(problems, code="usage")


def name_runs(folders: Sequence[RunFolder]) -> list[str]:
    """Return a name for each run: that of its folder, for a member with its group's; a path where names are alike."""
    short = []
    for folder in folders:
        group = group_of(folder)
        short.append(folder.path.name if group is None else f"{group.path.name}/members/{folder.path.name}")
    return [str(folder.path) if short.count(name) > 1 else name for folder, name in zip(folders, short, strict=True)]


def _refuse_different(
    folders: Sequence[RunFolder],
    names: Sequence[str],
    configs: Sequence[Config],
    data: str | Path | None,
    target: str | None,
) -> str:
    """Return the target to judge by; raise ConfigError with everything that makes the runs' windows different."""
    all_facts = [folder.read_json("data.json") for folder in folders]
    columns = [facts["columns"] for facts in all_facts]
    targets = [tuple(one["channels"][: one["targets"]]) for one in columns]
    shown: dict[str, list[Any]] = {
        "targets": [", ".join(one) for one in targets],
        "horizon": [config.task.horizon for config in configs],
        "statistic": [config.task.statistic for config in configs],
        "time step": [f"{facts['step'] / 1e9:g} s" if facts["clock"] == "ns" else "counts" for facts in all_facts],
    }
    hidden: dict[str, list[Any]] = {f"data.{name}": [getattr(one.data, name) for one in configs] for name in READING}
    if data is None:
        hidden["data"] = [_bytes(facts) for facts in all_facts]
    problems = []
    for what, values in (shown | hidden).items():
        if others := [place for place in range(1, len(values)) if values[place] != values[0]]:
            said = [f"{names[place]} has {values[place]}" for place in (0, *others)] if what in shown else []
            who = ", ".join(said) if said else f"between {names[0]} and {', '.join(names[place] for place in others)}"
            problems.append(
                ConfigError(
                    f"{what} differ{'' if what in ('targets', 'data') else 's'}{':' if said else ''} {who}",
                    hint="--data FILE judges all of them on the same data"
                    if what == "data"
                    else "runs are compared in the same windows; runs that can be stand together in `runs best`",
                    attempt="gymjax compare RUN RUN --data FILE" if what == "data" else "gymjax runs best",
                )
            )
    if target is not None and target not in targets[0]:
        problems.append(
            ConfigError(
                f"no run forecasts `{target}`",
                hint=did_you_mean(target, targets[0]),
                attempt=f"gymjax compare ... --target {targets[0][0]}",
            )
        )
    if problems:
        raise gathered(problems, code="compare.differ")
    return target or targets[0][0]


def _bytes(facts: Mapping[str, Any]) -> Any:
    """Return what names the data of a run, wherever they lie."""
    return facts.get("synthetic") or [file["sha256"] for file in facts.get("files", ())]
