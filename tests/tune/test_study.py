"""The study: what a trial is given follows from seed, number and the trials before it; when one is given up."""

import json
import subprocess
import sys

import optuna
import pytest

from gym_jax.tune.journal import JOURNAL, mend
from gym_jax.tune.space import split_words
from gym_jax.tune.study import NAME, Study

SPACE = split_words(
    ["optim.lr=tag(log,interval(1e-4,1e-1))", "model=mlp,lstm", "model.layers=range(1,4)", "model.hidden=[8],[16]"]
)[0]
NUMBERS = split_words(["a=interval(0,1)", "b=int(interval(1,9))"])[0]


def open_study(folder, space=NUMBERS, *, seed=0, sampler="tpe", pruner="median", warmup=0, direction="minimize"):
    folder.mkdir(exist_ok=True)
    how = {"kind": pruner, "percentile": 25.0, "warmup": warmup}
    return Study(folder, space, seed=seed, sampler=sampler, pruner=how, direction=direction)


def as_given(values):
    return dict(values)


def objective(values):
    return (values["a"] - 0.3) ** 2 + 0.01 * values["b"]


def fill(study, until):
    while len(study.trials()) < until:
        trial = study.ask(as_given, {"a": 0.5, "b": 4})
        study.tell(trial.number, "complete", objective(trial.values))
    return [trial.values for trial in study.trials()]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_what_a_trial_is_given_follows_from_seed_number_and_those_before(sampler, tmp_path):
    with open_study(tmp_path / "whole", sampler=sampler) as study:
        whole = fill(study, 14)
    for until in (3, 12, 14):  # a new process each time, as far as Optuna knows
        with open_study(tmp_path / "parts", sampler=sampler) as study:
            parts = fill(study, until)
    assert parts == whole
    assert whole[0] == {"a": 0.5, "b": 4}
    with open_study(tmp_path / "other", sampler=sampler, seed=1) as study:
        assert fill(study, 3)[1:] != whole[1:3]


def test_tpe_learns_from_the_trials_before(tmp_path):
    with open_study(tmp_path / "tpe") as study:
        fill(study, 24)
        late = [objective(trial.values) for trial in study.trials()[12:]]
    with open_study(tmp_path / "random", sampler="random") as study:
        fill(study, 24)
        luck = [objective(trial.values) for trial in study.trials()[12:]]
    assert sum(late) < 0.7 * sum(luck)


def test_those_asked_together_differ_and_may_be_asked_in_two_processes(tmp_path):
    found = []
    for name, parts in (("whole", (16,)), ("parts", (13, 16))):
        for until in parts:
            with open_study(tmp_path / name) as study:
                fill(study, 12)
                while len(study.trials()) < until:
                    study.ask(as_given, {})
                found.append([trial.values for trial in study.trials()][12:])
    assert found[0] == found[2]
    assert len({trial["a"] for trial in found[0]}) == 4


def test_a_trial_stands_in_the_journal_whole_or_not_at_all(tmp_path):
    with open_study(tmp_path / "study") as study:
        study.ask(as_given, {})
    lines = [json.loads(line) for line in (tmp_path / "study" / JOURNAL).read_text().splitlines()]
    made = [line for line in lines if line["op_code"] == 4]
    assert len(made) == 1
    assert set(made[0]["params"]) == {"a", "b"}
    assert lines[-1] == made[0]


def test_an_end_cut_short_is_mended(tmp_path):
    with open_study(tmp_path / "study") as study:
        whole = fill(study, 3)
    journal = tmp_path / "study" / JOURNAL
    length = journal.stat().st_size
    with journal.open("a") as file:
        file.write('{"op_code": 4, "worker')
    with open_study(tmp_path / "study") as study:
        assert [trial.values for trial in study.trials()] == whole
        fill(study, 4)
    mend(journal)
    assert journal.stat().st_size > length
    journal.write_bytes(b"{")
    mend(journal)
    assert journal.read_bytes() == b""


def test_optuna_itself_reads_the_journal(tmp_path):
    with open_study(tmp_path / "study", SPACE) as study:
        study.ask(as_given, {"optim.lr": 1e-3, "model": "mlp", "model.layers": 1, "model.hidden": [16]})
        study.tell(0, "complete", 0.25)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "study" / JOURNAL))
    )
    found = optuna.load_study(study_name=NAME, storage=storage)
    assert found.best_value == 0.25
    assert found.best_params == {"optim.lr": 1e-3, "model": "mlp", "model.layers": 1, "model.hidden": "[16]"}
    with open_study(tmp_path / "study", SPACE) as study:
        assert study.trials()[0].values["model.hidden"] == [16]


def test_kinds_are_drawn_first_and_what_they_lack_is_left_out(tmp_path):
    def fit(values):
        return {k: v for k, v in values.items() if k != "model.layers" or values.get("model") == "lstm"}

    with open_study(tmp_path / "study", SPACE) as study:
        for _ in range(12):
            trial = study.ask(fit, {})
            assert ("model.layers" in trial.values) == (trial.values["model"] == "lstm")
            assert trial.values["model.hidden"] in ([8], [16])
            study.tell(trial.number, "complete", trial.values["optim.lr"])


COURSES = [[9, 8, 7], [9, 6, 5], [9, 4, 3], [9, 3, 2], [9, 2, 1]]


def with_courses(study, courses):
    for course in courses:
        trial = study.ask(as_given, {})
        assert not any(study.report(trial.number, n, value, trial.number) for n, value in enumerate(course, 1))
        study.tell(trial.number, "complete", min(course))


@pytest.mark.parametrize(
    ("pruner", "given_up", "goes_on"), [("median", 4.1, 4.0), ("percentile", 3.1, 3.0), ("none", None, 99.0)]
)
def test_a_trial_is_given_up_behind_the_median_or_a_percentile(pruner, given_up, goes_on, tmp_path):
    with open_study(tmp_path / "study", pruner=pruner) as study:
        with_courses(study, COURSES)
        one, other = (study.ask(as_given, {}).number for _ in range(2))
        assert not study.report(other, 2, goes_on, 5)
        assert given_up is None or study.report(one, 2, given_up, 5)


def test_nobody_is_given_up_before_five_have_ended_nor_in_the_warmup(tmp_path):
    with open_study(tmp_path / "few") as study:
        with_courses(study, COURSES[:4])
        assert not study.report(study.ask(as_given, {}).number, 2, 99.0, 4)
    with open_study(tmp_path / "early", warmup=2) as study:
        with_courses(study, COURSES)
        number = study.ask(as_given, {}).number
        assert [study.report(number, epoch, 99.0, 5) for epoch in (1, 2, 3)] == [False, False, True]


def test_only_those_before_count_and_a_judgement_repeats(tmp_path):
    with open_study(tmp_path / "study") as study:
        with_courses(study, COURSES)
        trial = study.ask(as_given, {})
        assert not study.report(trial.number, 2, 99.0, 4), "the fifth is none of those before"
        study.report(trial.number, 3, 0.1, 5)
        assert study.report(trial.number, 2, 99.0, 5), "as it was when that epoch ended"


def test_a_trial_ends_once(tmp_path):
    with open_study(tmp_path / "study") as study:
        trial = study.ask(as_given, {})
        study.tell(trial.number, "diverged", None, "the loss is not finite")
        study.tell(trial.number, "complete", 1.0)
        assert (study.trials()[0].state, study.trials()[0].reason) == ("diverged", "the loss is not finite")
        assert study.best() is None
        assert study.journal.trials[0].state.name == "PRUNED", "the sampler learns from it"
        study.tell(study.ask(as_given, {}).number, "failed", None, "no such combination")
        assert [trial.state for trial in study.trials()] == ["diverged", "failed"]


def test_the_best_is_the_highest_where_more_is_better(tmp_path):
    for direction, best in (("minimize", 1), ("maximize", 0)):
        with open_study(tmp_path / direction, direction=direction) as study:
            for value in (2.0, 1.0, 1.0):
                study.tell(study.ask(as_given, {}).number, "complete", value)
            assert study.best().number == best


def test_a_place_is_claimed_by_one_process(tmp_path):
    with open_study(tmp_path / "study") as study:
        assert study.claim(3)
        place = str(tmp_path / "study" / ".claims")
        words = f"from gym_jax.locks import claim; print(claim(open({place!r}, 'a+'), 3))"
        ask = [sys.executable, "-c", words]
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "False\n"
        study.release(3)
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "True\n"
