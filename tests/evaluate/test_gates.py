"""Gates: every one is judged, what is no number does not pass, what can not be asked is said at once."""

import pytest

from gym_jax.errors import ConfigError
from gym_jax.evaluate.gates import failing, judge_gates, parse_gates

SCORES = {
    "model": {
        "targets": {
            "cpu": {"mae": 0.12, "rmse": 0.3, "r2": 0.7, "mase": None, "count": 9},
            "memory": {"mae": 3.0, "rmse": 4.0, "r2": 0.9, "mase": 0.8, "count": 9},
        }
    },
    "baselines": {
        "last": {"cpu": {"mae": 0.16}, "memory": {"mae": 2.0}},
        "linear": {"cpu": {"mae": 0.2}, "memory": {"mae": None}},
    },
    "intervals": {
        "adaptive": {"cpu": [{"level": 0.8, "coverage": 0.74, "width": 1.0, "interval_score": 2.0}], "memory": []}
    },
}


def verdicts(*words, scores=SCORES):
    return {
        (one["target"], one["metric"]): (one["value"], one["passed"]) for one in judge_gates(parse_gates(words), scores)
    }


def test_gates_by_hand():
    assert verdicts("mae=0.12") == {("cpu", "mae"): (0.12, True), ("memory", "mae"): (3.0, False)}
    assert verdicts("cpu:mae=0.1199") == {("cpu", "mae"): (0.12, False)}
    assert verdicts("cpu:mae<0.2") == {("cpu", "mae"): (0.12, False)}
    assert verdicts("cpu:coverage_80<0.75") == {("cpu", "coverage_80"): (0.74, False)}
    assert verdicts("cpu:coverage_80>0.75") == {("cpu", "coverage_80"): (0.74, True)}
    assert verdicts("cpu:width_80 = 1e0") == {("cpu", "width_80"): (1.0, True)}


def test_interval_scores_are_gates_too():
    assert verdicts("cpu:interval_score_80=1.9") == {("cpu", "interval_score_80"): (2.0, False)}


def test_more_is_better_where_it_is():
    assert verdicts("r2=0.8") == {("cpu", "r2"): (0.7, False), ("memory", "r2"): (0.9, True)}
    assert verdicts("cpu:coverage_80=0.7") == {("cpu", "coverage_80"): (0.74, True)}
    skill = verdicts("skill=0")
    assert skill["cpu", "skill"] == (pytest.approx(0.25), True)
    assert skill["memory", "skill"] == (pytest.approx(-0.5), False)


def test_what_is_no_number_does_not_pass():
    assert verdicts("cpu:mase=9") == {("cpu", "mase"): (None, False)}
    broken = {**SCORES, "model": {"targets": {"cpu": {"mae": float("nan"), "rmse": float("inf")}}}}
    assert verdicts("mae=1", "rmse=1", scores=broken) == {
        ("cpu", "mae"): (None, False),
        ("cpu", "rmse"): (None, False),
    }


def test_nothing_is_better_than_a_baseline_without_any_error():
    perfect = {**SCORES, "baselines": {**SCORES["baselines"], "seasonal": {"cpu": {"mae": 0.0}, "memory": {"mae": 1}}}}
    assert verdicts("skill=0", scores=perfect)["cpu", "skill"] == (None, False)


def test_all_failing_ones_are_named():
    found = judge_gates(parse_gates(["mae=0.1", "cpu:mase=1", "memory:r2=0.5"]), SCORES)
    assert failing(found) == (
        "3 of 4 quality gates failed: cpu mae is 0.12 > 0.1; memory mae is 3 > 0.1; cpu mase is no number"
    )
    assert failing(judge_gates(parse_gates(["memory:r2=0.5"]), SCORES)) is None


def test_wrong_words_are_said_at_once():
    with pytest.raises(ConfigError) as refused:
        parse_gates(["maee=0.1", "mae", "coverage_x=1", "mae=lots"])
    assert [problem.message for problem in refused.value.problems] == [
        "no metric `maee`",
        "--fail-over `mae` is no bound on a score",
        "no metric `coverage_x`",
        "--fail-over `mae=lots` is no bound on a score",
    ]
    assert "did you mean `mae`?" in refused.value.hint
    assert refused.value.exit_code == 2


def test_what_the_run_has_not_is_said_with_what_it_has():
    with pytest.raises(ConfigError) as refused:
        judge_gates(parse_gates(["cpy:mae=1", "accuracy=0.5"]), SCORES)
    messages = [problem.message for problem in refused.value.problems]
    assert messages == [
        "no target `cpy` in the run",
        "there is no `accuracy` of `cpu`",
        "there is no `accuracy` of `memory`",
    ]
    assert "did you mean `cpu`?" in refused.value.hint
    plain = {key: value for key, value in SCORES.items() if key != "intervals"}
    with pytest.raises(ConfigError, match="the run has no calibrated intervals") as refused:
        judge_gates(parse_gates(["cpu:coverage_80<0.75"]), plain)
    assert refused.value.attempt == "gymjax calibrate RUN"
