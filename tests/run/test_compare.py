"""Finished runs on their common windows: against what evaluate says of each, and what is refused."""

import shutil

import numpy as np
import pytest
from small import small_config, small_csv

from gym_jax.errors import CheckpointError, ConfigError, DataError
from gym_jax.run.compare import compare_runs
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.train import train_run

SHORT = ["train.epochs=1", "model.hidden=[4]", "data.synthetic.series=5", "data.synthetic.gaps=0", "data.stride=16"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs that can be compared (`a`, another context, a group of two) and one that can not; trained once."""
    root = tmp_path_factory.mktemp("runs")
    many = ["train.seeds=2", "train.epochs=2"]
    for name, more in {"a": [], "b": ["task.context=8"], "many": many, "far": ["task.horizon=5"]}.items():
        train_run(small_config(root, "mlp", *SHORT, *more, "evaluate.season=50"), folder=root / name)
    return root


def board(found, metric="mae"):
    return {row["name"]: row[metric] for row in found["leaderboard"]}


@pytest.mark.parametrize("metric", ["mae", "rmse", "smape", "mase"])
def test_every_method_scores_what_evaluate_says(runs, metric):
    found = compare_runs([runs / "a", runs / "many"], metric=metric, baselines=["last"])
    alone = {name: evaluate_run(runs / name) for name in ("a", "many")}
    wanted = {name: scores["model"]["targets"]["cpu_cores"][metric] for name, scores in alone.items()}
    wanted["last"] = alone["a"]["baselines"]["last"]["cpu_cores"][metric]
    assert board(found, metric) == pytest.approx(wanted)
    assert found["windows"] == alone["a"]["windows"]
    row = next(row for row in found["leaderboard"] if row["name"] == "many")
    spread = alone["many"]["members"]["targets"]["cpu_cores"][metric]
    assert row["members"]["seeds"] == [0, 1]
    assert row["members"]["values"] == pytest.approx(spread["values"])
    assert (row["members"]["low"], row["members"]["high"]) == pytest.approx((spread["low"], spread["high"]))
    assert [row["rank"] for row in found["leaderboard"]] == [1, 2, 3]
    assert found["friedman"]["series"] == 5
    per_series = next(p for p in found["pairs"] if (p["first"], p["second"]) == ("a", "last"))["per_series"]
    if metric == "mae":
        own, other = (
            np.array(scores["cpu_cores"]["per_series"]["mae"])
            for scores in (alone["a"]["model"]["targets"], alone["a"]["baselines"]["last"])
        )
        assert per_series["difference"] == pytest.approx(own - other)


def test_another_context_is_compared_in_the_common_windows(runs):
    whole = compare_runs([runs / "a", runs / "b"])
    assert whole["notes"] == []
    assert whole["windows"] == evaluate_run(runs / "a")["windows"]
    one, other = (
        compare_runs([runs / name for name in names], part="train", baselines=["last"]) for names in ("ab", "ba")
    )
    assert one["windows"] < evaluate_run(runs / "b", part="train")["windows"]
    assert board(one) == pytest.approx(board(other)), "each loss belongs to its window, whoever comes first"
    assert [note.split(":")[0] for note in one["notes"]] == ["b"]
    assert one["notes"][0].endswith(" windows are left out: others do not have them")


def test_a_member_is_a_run_like_any_other_and_equals_itself(runs):
    found = compare_runs([runs / "many", runs / "many" / "members" / "0"])
    values = next(row for row in found["leaderboard"] if row["name"] == "many")["members"]["values"]
    assert board(found)["many/members/0"] == pytest.approx(values[0])
    shutil.copytree(runs / "a", runs / "elsewhere" / "a")
    (pair,) = compare_runs([runs / "a", runs / "elsewhere" / "a"])["pairs"]
    assert pair["first"] == str(runs / "a"), "names that are alike become paths"
    assert pair["sentence"].endswith("they cost the same.")


def test_the_seed_of_the_resampling_moves_intervals_only(runs):
    one, two, three = (compare_runs([runs / "a", runs / "b"], seed=seed) for seed in (0, 0, 1))
    assert one == two
    assert board(one) == board(three)
    assert one["pairs"][0]["diebold_mariano"] == three["pairs"][0]["diebold_mariano"]
    assert one["pairs"][0]["low"] != three["pairs"][0]["low"]


def refused(*arguments, **keywords):
    with pytest.raises((CheckpointError, ConfigError, DataError)) as caught:
        compare_runs(*arguments, **keywords)
    return caught.value


def test_everything_that_differs_is_named_at_once(runs, tmp_path):
    other = ["task.horizon=5", "data.synthetic.seed=3", "data.split.train=0.6"]
    train_run(small_config(tmp_path, "mlp", *SHORT, *other), folder=tmp_path / "c")
    error = refused([runs / "a", tmp_path / "c"], target="cpu")
    assert (type(error), error.code, len(error.problems)) == (ConfigError, "compare.differ", 4)
    assert error.message == (
        "horizon differs: a has 4, c has 5; data.split differs between a and c; "
        "data differ between a and c; no run forecasts `cpu`"
    )
    assert "did you mean" in error.hint or "choose from cpu_cores" in error.hint
    assert refused([runs / "a", runs / "far"]).message == "horizon differs: a has 4, far has 5"
    shutil.copytree(runs / "a", tmp_path / "peak")
    text = (tmp_path / "peak/config.yaml").read_text()
    assert "statistic: none" in text
    (tmp_path / "peak/config.yaml").write_text(text.replace("statistic: none", "statistic: max"))
    assert refused([runs / "a", tmp_path / "peak"]).message == "statistic differs: a has none, peak has max"


def test_wrong_words_are_refused_before_anything_is_read(runs):
    error = refused([runs / "a"], metric="r2", baselines=["lst"])
    assert error.message == "`r2` is no metric to compare by; there is no baseline `lst`"
    assert "r2 ranks as rmse" in error.hint
    assert refused([runs / "a"]).message == "there is nothing to compare with"
    assert refused([runs / "a", runs / "a"]).message.endswith("is named twice")
    missing = refused([runs / "a", "x", "y"])
    assert missing.message == "no run at `x`; no run at `y`"
    assert missing.exit_code == 4


def test_other_data_are_judged_with_a_note_and_changed_data_are_refused(tmp_path):
    path = small_csv(tmp_path / "cpu.csv")
    words = [f"data.path={path}", "data.target=cpu", *SHORT[:2], "data.stride=16"]
    for name, seed in (("a", 0), ("b", 1)):
        train_run(small_config(tmp_path, "mlp", *words, f"train.seed={seed}"), folder=tmp_path / name)
    small_csv(tmp_path / "new.csv", rows=380)
    found = compare_runs([tmp_path / "a", tmp_path / "b"], data=tmp_path / "new.csv")
    assert [note.split(":")[0] for note in found["notes"]] == ["a", "b"]
    assert all("windows begin before the end of what the run was trained on" in note for note in found["notes"])
    assert found["series"] == 2
    assert found["friedman"] is None
    small_csv(path, rows=500)
    assert refused([tmp_path / "a", tmp_path / "b"]).code == "data.changed"
