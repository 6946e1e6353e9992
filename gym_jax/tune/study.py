"""Optuna's part: a study in a journal, what a trial is given, when it is given up. The one module that knows Optuna.

What a trial is given is a function of the study's seed, the trial's number and the trials before it, and is written
down together with the trial in one line of the journal: whatever is killed when, the trials are the same.
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.config.plain import inline
from gym_jax.config.sweeps import Choice, Interval, Sweep
from gym_jax.errors import MissingExtra
from gym_jax.locks import claim, release
from gym_jax.tune.journal import JOURNAL, Lock, locked, mend
from gym_jax.tune.space import Space

NAME = "gymjax"
"""Of the one study in a journal."""
SAMPLERS = ("tpe", "random")
"""Tree-structured Parzen estimators (Bergstra et al. 2011), after ten random trials; or random ones alone."""
PRUNERS = ("median", "percentile", "none")
"""A trial is given up whose best epoch so far is behind the median, or a percentile, of the finished trials."""
ENDS = {"complete": "COMPLETE", "pruned": "PRUNED", "diverged": "PRUNED", "failed": "FAIL"}
"""How a trial ends, and what Optuna calls it; a sampler learns from what has diverged, not from what was no setting."""
STARTUP = 5
"""Finished trials before one is given up."""


class Asked(NamedTuple):
    """A trial: its number, what it was given, how far it is."""

    number: int
    values: dict[str, Any]
    """By dotted keys: the settings that are the trial's own."""
    state: str
    """running, or one of ENDS."""
    value: float | None
    course: dict[int, float]
    """The validation loss of every epoch."""
    reason: str | None = None
    """Why it failed, or was given up."""


class _Earlier(NamedTuple):
    """What a pruner sees of a study: the trials below a number, however many others have ended meanwhile."""

    study: Any
    before: int

    @property
    def direction(self) -> Any:
        return self.study.direction

    def get_trials(self, deepcopy: bool = False, states: Any = None) -> list[Any]:
        return [trial for trial in self.study.get_trials(deepcopy, states) if trial.number < self.before]


class Study:
    """A journal of trials in a folder; several processes may hold it open."""

    def __init__(self, folder: Path, space: Space, *, seed: int, sampler: str, pruner: Any, direction: str) -> None:
        optuna = load_optuna()
        self.folder, self.space, self.seed, self.sampler, self.direction = folder, space, seed, sampler, direction
        self.pruner = _pruner(optuna, pruner)
        with self.lock(), quiet(optuna):
            mend(folder / JOURNAL)
            backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL), Lock(folder))
            self._storage = optuna.storages.JournalStorage(backend)
            self.journal = optuna.create_study(
                study_name=NAME, storage=self._storage, direction=direction, load_if_exists=True
            )
        self._claims = (folder / ".claims").open("a+", encoding="utf-8")

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, *_: object) -> None:
        self._claims.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the study against other processes, while trials are asked for and claimed."""
        with locked(self.folder / ".lock"):
            yield

    def trials(self) -> list[Asked]:
        """Return every trial by its number."""
        return [self._asked(trial) for trial in self.journal.get_trials(deepcopy=False)]

    def claim(self, number: int) -> bool:
        """Claim a place for this process as long as it lives; return whether no other process has it."""
        return claim(self._claims, number)

    def release(self, number: int) -> None:
        """Give a place back."""
        release(self._claims, number)

    def ask(self, fit: Callable[[Mapping[str, Any]], dict[str, Any]], first: Mapping[str, Any]) -> Asked:
        """Begin the next trial; the lock must be held.

        `fit` leaves out what does not go with the kinds that were chosen. Trial 0 is given `first`, as far as the space
        holds it.
        """
        optuna = load_optuna()
        before = self.journal.get_trials(deepcopy=False)
        number = len(before)
        values = self._sample(before, fit, first if number == 0 else {})
        distributions = {sweep.key: _distribution(optuna, sweep) for sweep in self.space if sweep.key in values}
        params = {key: _inward(value) for key, value in values.items()}
        self.journal.add_trial(
            optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, params=params, distributions=distributions)
        )
        return self.trials()[number]

    def report(self, number: int, epoch: int, value: float, before: int) -> bool:
        """Note the validation loss of an epoch; return whether the trial is to be given up there.

        It is held against the finished trials whose number is below `before`.
        """
        trial_id = self._id(number)
        trial = self._storage.get_trial(trial_id)
        if epoch not in trial.intermediate_values:
            self._storage.set_trial_intermediate_value(trial_id, epoch, value)
            trial = self._storage.get_trial(trial_id)
        if self.pruner is None:
            return False
        then = copy.copy(trial)  # as it was when the epoch ended, also for a trial that is taken up again
        then.intermediate_values = {step: seen for step, seen in trial.intermediate_values.items() if step <= epoch}
        return bool(self.pruner.prune(_Earlier(self.journal, before), then))

    def tell(self, number: int, state: str, value: float | None, reason: str | None = None) -> None:
        """End a trial, unless it has ended before."""
        optuna = load_optuna()
        trial_id = self._id(number)
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        if reason is not None:
            self._storage.set_trial_user_attr(trial_id, "reason", reason)
        self._storage.set_trial_user_attr(trial_id, "ended", state)
        values = None if value is None or state == "failed" else [value]
        self._storage.set_trial_state_values(trial_id, optuna.trial.TrialState[ENDS[state]], values)

    def best(self) -> Asked | None:
        """Return the best of the complete trials, the first of equals."""
        done = [trial for trial in self.trials() if trial.state == "complete" and trial.value is not None]
        sign = 1 if self.direction == "minimize" else -1
        return min(done, key=lambda trial: sign * (trial.value or 0.0), default=None)

    def _sample(
        self, before: Sequence[Any], fit: Callable[[Mapping[str, Any]], dict[str, Any]], first: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what a trial is given; the sampler lives for this one alone, in a copy of the study in memory."""
        optuna = load_optuna()
        seed = int(np.random.SeedSequence([self.seed, len(before)]).generate_state(1)[0])
        with quiet(optuna):
            shadow = optuna.create_study(direction=self.direction, sampler=_sampler(optuna, self.sampler, seed))
            shadow.add_trials([_plain(optuna, trial) for trial in before])
            trial = shadow.ask()
            values: dict[str, Any] = {}
            # kinds first: they say which other settings there are
            for sweep in sorted(self.space, key=lambda sweep: "." in sweep.key.removesuffix(".kind")):
                if sweep.key in first and _holds(sweep.over, first[sweep.key]):
                    values[sweep.key] = first[sweep.key]
                elif sweep.key in fit({**values, sweep.key: None}):
                    values[sweep.key] = _outward(sweep, _suggest(trial, sweep))
        return fit(values)

    def _asked(self, trial: Any) -> Asked:
        known = [sweep for sweep in self.space if sweep.key in trial.params]
        state = trial.user_attrs.get("ended", trial.state.name.lower()) if trial.state.is_finished() else "running"
        return Asked(
            trial.number,
            {sweep.key: _outward(sweep, trial.params[sweep.key]) for sweep in known},
            state,
            trial.value if trial.state.is_finished() else None,
            dict(trial.intermediate_values),
            trial.user_attrs.get("reason"),
        )

    def _id(self, number: int) -> int:
        study_id = self._storage.get_study_id_from_name(NAME)
        return int(self._storage.get_trial_id_from_study_id_trial_number(study_id, number))


def load_optuna() -> Any:
    """Return Optuna. Raises MissingExtra where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")  # in a notebook, of a bar that is never shown
            import optuna
    except ImportError as error:
        raise MissingExtra(
            "tuning needs Optuna, which is not installed",
            hint="it comes with the extra `tune`",
            attempt="pip install 'gym-jax[tune]'",
        ) from error
    return optuna


def _sampler(optuna: Any, kind: str, seed: int) -> Any:
    """Return a sampler; trials that still run count as bad ones, so that others look elsewhere (constant liar)."""
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _pruner(optuna: Any, pruner: Mapping[str, Any]) -> Any:
    """Return a pruner, None of `none`; epochs count from 1."""
    if pruner["kind"] == "none":
        return None
    percentile = 50.0 if pruner["kind"] == "median" else pruner["percentile"]
    return optuna.pruners.PercentilePruner(percentile, STARTUP, pruner["warmup"] + 1)


def _distribution(optuna: Any, sweep: Sweep) -> Any:
    """Return a key's range in Optuna's terms."""
    kinds, over = optuna.distributions, sweep.over
    if isinstance(over, Choice):
        return kinds.CategoricalDistribution([_inward(value) for value in over.values])
    if over.whole and isinstance(over.step, int | None):
        return kinds.IntDistribution(over.low, over.high, log=over.log, step=over.step or 1)
    return kinds.FloatDistribution(over.low, over.high, log=over.log, step=over.step)


def _suggest(trial: Any, sweep: Sweep) -> Any:
    """Return what the sampler gives a trial for a key."""
    over = sweep.over
    if isinstance(over, Choice):
        return trial.suggest_categorical(sweep.key, [_inward(value) for value in over.values])
    if over.whole and isinstance(over.step, int | None):
        return trial.suggest_int(sweep.key, over.low, over.high, step=over.step or 1, log=over.log)
    return trial.suggest_float(sweep.key, over.low, over.high, step=over.step, log=over.log)


def _inward(value: Any) -> Any:
    """Return a value as Optuna keeps it: a list or mapping as text."""
    return inline(value) if isinstance(value, list | dict) else value


def _outward(sweep: Sweep, value: Any) -> Any:
    """Return a value as it stands in a configuration."""
    if not isinstance(sweep.over, Choice):
        return value
    same = (known for known in sweep.over.values if type(_inward(known)) is type(value))
    return next((known for known in same if _inward(known) == value), value)


def _holds(over: Choice | Interval, value: Any) -> bool:
    """Return whether a value is one of those that a key may be."""
    if isinstance(over, Choice):
        return any(type(known) is type(value) and known == value for known in over.values)
    low, high, step = over.low, over.high, over.step or (1 if over.whole else None)
    if isinstance(value, bool) or not isinstance(value, int if over.whole else int | float) or not low <= value <= high:
        return False
    return step is None or math.isclose((value - low) / step, round((value - low) / step), abs_tol=1e-9)


def _plain(optuna: Any, trial: Any) -> Any:
    """Return a trial for the copy in memory; one that still runs is there with what it was given."""
    return optuna.trial.create_trial(
        state=trial.state,
        value=trial.value if trial.state.is_finished() else None,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
    )


@contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Have Optuna say nothing: neither that a study was made nor that parts of it may change."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
