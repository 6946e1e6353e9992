"""A search over a space: trials asked for, run, judged while they train, told; the best settings at any time."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from gym_jax.config.document import flat
from gym_jax.config.rules import validates
from gym_jax.config.schema import Config
from gym_jax.config.vary import vary
from gym_jax.data.keep import keep_data
from gym_jax.errors import ConfigError, Interrupted, did_you_mean, gathered
from gym_jax.evaluate.labels import LABEL_METRICS
from gym_jax.metrics import HIGHER, METRICS
from gym_jax.models.registry import MODELS
from gym_jax.run.fit import Event
from gym_jax.tune.folder import Search, begin_search, lengthen
from gym_jax.tune.many import run_trials
from gym_jax.tune.report import write_report
from gym_jax.tune.space import Space, applicable, judge_space
from gym_jax.tune.study import Asked, Study, load_optuna
from gym_jax.tune.trial import LOSS, Outcome, Way

OTHER_LOSS = ("loss", "data.scale", "data.clip")
"""Settings that change the unit of the validation loss."""
OTHER_TASK = (
    *("data.path", "data.test_path", "data.target", "data.policy", "data.resample", "data.units", "data.split"),
    *("data.synthetic", "data.time", "task.horizon", "task.kind", "task.statistic"),
)
"""Settings that change what is asked, or of which data."""


def begin_tune(
    config: Config,
    space: Space,
    *,
    trials: int = 50,
    seed: int = 0,
    sampler: str = "tpe",
    pruner: str = "median",
    percentile: float = 25.0,
    warmup: int = 1,
    metric: str = LOSS,
    direction: str | None = None,
    batch: int = 1,
) -> tuple[Search, bool]:
    """Return the folder of a search, judged before it is made, and whether it was there already.

    `metric` is the validation loss or a score on the val part, which the test part has no share in. Only the loss
    prunes. Raises ConfigError that names all that is wrong, MissingExtra without Optuna.
    """
    load_optuna()
    judge_space(config, space)
    _refuse_metric(config, space, metric)
    asked = {
        "trials": trials,
        "seed": seed,
        "sampler": sampler,
        "pruner": {"kind": pruner if metric == LOSS else "none", "percentile": percentile, "warmup": warmup},
        "metric": metric,
        "direction": direction or ("maximize" if metric in HIGHER else "minimize"),
        "batch": batch,
    }
    return begin_search("tune", config, space, asked)


def tune(
    search: Search,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], int | None] | None = None,
) -> dict[str, Any]:
    """Run trials until there are as many as asked, and return what came of them.

    It goes on where it was left, within a trial too. Several processes may work on one folder; the last to end tells
    of all. `seconds` ends it earlier, with the trial saved. Raises Interrupted when a signal came, after that too.
    """
    search = lengthen(search, trials=trials)
    options = {name: search.asked[name] for name in ("seed", "sampler", "pruner", "direction")}
    with keep_data(), Study(search.path, search.space, **options) as study:
        over = _work(study, search, seconds, tell, stop)
        _keep_best(study, search)  # a kill may have come between a trial and its file
        found = write_report(study, search)
    return {**found, "run_status": ("shared" if "running" in found["counts"] else "done") if over else "stopped"}


def _work(
    study: Study,
    search: Search,
    seconds: float | None,
    tell: Callable[[Event], None],
    stop: Callable[[], int | None] | None,
) -> bool:
    """Run trials until there are as many as asked; return False when the time was up before."""
    metric = search.asked["metric"]
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    way = Way(tell, stop, deadline, None if metric == LOSS else "val", metric)
    tell(Event("search", {"folder": str(search.path), "done": _done(study), **search.asked}))
    while time.monotonic() < deadline:
        if stop and (code := stop()):
            raise interrupted(search, code)
        if (unit := _next(study, search)) is None:
            return True
        place, group = unit
        try:
            outcomes = _run(study, search, group, place * search.asked["batch"], way)
        except Interrupted as error:
            raise interrupted(search, error.exit_code) from error
        for number, outcome in outcomes.items():
            if outcome.state != "stopped":
                study.tell(number, outcome.state, outcome.value, outcome.reason)
        study.release(place)
        _tell(study, search, group, outcomes, tell)
        if any(outcome.state == "stopped" for outcome in outcomes.values()):
            return False
    return False


def _next(study: Study, search: Search) -> tuple[int, list[Asked]] | None:
    """Return the next place and its trials, claimed by this process: what a killed one has left first.

    A place holds as many trials as are trained together; they are asked for at once, and told at once. Where fewer were
    asked of the search, those that are asked later are trained by themselves.
    """
    size, wanted = search.asked["batch"], search.asked["trials"]
    with study.lock():
        known = study.trials()
        left = sorted({trial.number // size for trial in known if trial.state == "running"})
        fresh = [len(known) // size] if len(known) < wanted else []
        for place in (*left, *fresh):
            if not study.claim(place):
                continue
            begun = any((search.trial(trial.number) / "config.yaml").is_file() for trial in _left(known, place, size))
            while not begun and len(known) < min((place + 1) * size, wanted):
                known.append(study.ask(lambda values: applicable(search.config, search.space, values), _first(search)))
            return place, _left(known, place, size)
    return None


def _left(trials: list[Asked], place: int, size: int) -> list[Asked]:
    """Return the trials of a place that have not ended."""
    return [trial for trial in trials if trial.number // size == place and trial.state == "running"]


def _run(study: Study, search: Search, group: list[Asked], before: int, way: Way) -> dict[int, Outcome]:
    """Run trials of a place and return how they ended; what is no configuration fails before it trains.

    They are held against the finished trials below the number `before`.
    """
    outcomes: dict[int, Outcome] = {}
    configs: dict[int, Config] = {}
    for trial in group:
        try:
            configs[trial.number] = vary(search.config, trial.values, f"trial {trial.number}")
        except ConfigError as error:
            outcomes[trial.number] = Outcome("failed", reason=error.message)

    def judge(number: int, epoch: int, value: float) -> bool:
        return study.report(number, epoch, value, before)

    for number, outcome in run_trials(search, configs, way, judge).items():
        nothing = outcome.state == "complete" and outcome.value is None
        outcomes[number] = outcome._replace(state="failed", reason=f"it has no {way.metric}") if nothing else outcome
    if 0 in outcomes and outcomes[0].state == "failed":
        raise ConfigError(
            f"the first trial failed: {outcomes[0].reason}",
            hint="it has the settings that everything else is varied from",
            attempt=f"gymjax train --config {search.path / 'base.yaml'} --dry-run",
            code="config.trial",
        )
    return dict(sorted(outcomes.items()))


def _tell(
    study: Study, search: Search, group: list[Asked], outcomes: Mapping[int, Outcome], tell: Callable[[Event], None]
) -> None:
    """Say how trials ended, and keep the best settings."""
    best = study.best()
    if best is not None and best.number in outcomes:
        _keep_best(study, search)
    for trial in group:
        outcome = outcomes[trial.number]
        if outcome.state == "stopped":
            continue
        facts = {"trial": trial.number, "trials": search.asked["trials"], "values": trial.values}
        facts |= {"leader": best and best.number, "leading": best and best.value, "metric": search.asked["metric"]}
        tell(Event("trial", {**facts, **outcome._asdict(), "best_epoch": outcome.best.get("epoch")}))


def _keep_best(study: Study, search: Search) -> None:
    """Write the settings of the best trial so far, if one has ended."""
    if (best := study.best()) is not None:
        config = vary(search.config, best.values, "the best trial")
        heading = f"trial {best.number} of {search.path.name}, {search.asked['metric']} {best.value!r} on the val part"
        search.write_best(config, heading)


def _first(search: Search) -> dict[str, Any]:
    """Return what trial 0 is given: the settings that everything is varied from."""
    base = flat(search.config.document())
    keys = [(sweep.key, sweep.key if sweep.key in base else f"{sweep.key}.kind") for sweep in search.space]
    return {key: base[path] for key, path in keys if path in base}


def _done(study: Study) -> int:
    return sum(trial.state != "running" for trial in study.trials())


def interrupted(search: Search, code: int) -> Interrupted:
    """Return the error that a search leaves with after a signal: what was training is saved."""
    return Interrupted(
        f"stopped by {'Ctrl-C' if code == 130 else 'SIGTERM'}; what was training is saved",
        exit_code=code,
        hint=f"the search is in {search.path}",
        attempt=f"gymjax {search.asked['search']} --resume {search.path}",
    )


def _refuse_metric(config: Config, space: Space, metric: str) -> None:
    """Raise ConfigError that names all that keeps trials from being compared by a metric."""
    problems: list[ConfigError] = []

    def refuse(message: str, hint: str, attempt: str) -> None:
        problems.append(ConfigError(message, hint=hint, attempt=f"gymjax {attempt}", code="config.metric"))

    known = [LOSS, *(LABEL_METRICS if config.task.kind == "classify" else METRICS)]
    if metric not in known:
        refuse(f"--metric {metric} is not known", did_you_mean(metric, known), "tune ... --metric mae")
    if not validates(config):
        refuse("there is no val part", "trials are judged by it, never by the test part", "tune ... data.split.val=0.1")
    for sweep in space:
        key = sweep.key
        if key.startswith(OTHER_LOSS) and metric == LOSS:
            said = f"`{key}` changes the unit of the validation loss, so trials could not be compared by it"
            refuse(said, "a score is in the units of the data", f"tune ... '{key}={sweep.text}' --metric mae")
        elif key.startswith(OTHER_TASK):
            said = f"`{key}` changes what is asked, so trials could not be compared"
            refuse(said, "tune one task on one data set", f"sweep ... '{key}={sweep.text}'")
    kinds = [config.model.kind, *(v for s in space if s.key in ("model", "model.kind") for v in s.over.ends)]
    if metric == LOSS and (solved := [kind for kind in kinds if MODELS[kind].solve is not None]):
        said = f"model={solved[0]} is solved at once and has no validation loss"
        refuse(said, "a score it has", "tune ... --metric mae")
    if problems:
        raise gathered(problems, code="config.problems")
