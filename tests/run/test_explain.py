"""A run explained on data whose truth is known: what matters is found, what does not is not, errors are evaluate's."""

import numpy as np
import pandas as pd
import pytest
from small import small_config

from gym_jax.errors import ConfigError
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.explain import explain_run
from gym_jax.run.train import train_run


def jobs_frame(rows=300, series=6):
    """CPU that follows jobs announced ahead, up or down by the tier of the machine; `noise` means nothing."""
    generator = np.random.default_rng(0)
    frames = []
    for number in range(series):
        job, tier = (generator.random(rows) < 0.3).astype(float), ("web", "batch")[number % 2]
        cpu = 20 + 3 * job * (1 if tier == "web" else -1) + 0.1 * generator.normal(size=rows)
        facts = {"noise": generator.normal(size=rows), "job": job, "size": float(number), "tier": tier}
        times = pd.date_range("2026-03-01", periods=rows, freq="5min")
        frames.append(pd.DataFrame({"unique_id": f"m{number}", "ds": times, "cpu": cpu, **facts}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A group of two that has learnt the jobs; trained once."""
    root = tmp_path_factory.mktemp("explain")
    jobs_frame().to_parquet(root / "jobs.parquet", index=False)
    words = [
        *(f"data.path={root}/jobs.parquet", "data.target=cpu", "data.past=[noise]", "data.known=[job]"),
        *("data.static=[size]", "data.categories=[tier]", "data.scale.scope=global", "task.context=3"),
        *("data.stride=1", "model.dropout=0", "optim.lr=0.01", "train.epochs=6", "train.seeds=2"),
    ]
    train_run(small_config(root, "mlp", *words), folder=root / "run")
    return root / "run"


def test_what_matters_is_found_and_what_does_not_is_not(run):
    found = explain_run(run, windows=200)
    importance = {row["name"]: row for row in found["importance"]["inputs"]}
    assert {row["kind"] for row in importance.values()} == {"target", "past", "known", "static", "category"}
    assert found["importance"]["inputs"][0]["name"] in ("job", "tier")
    for name in ("job", "tier"):
        assert importance[name]["share"] > 1
        assert importance[name]["increase"] > 4 * importance[name]["sd"] > 0
    for name in ("noise", "size"):
        assert importance[name]["increase"] < 0.1 * importance["job"]["increase"]
        assert abs(importance[name]["share"]) < 0.5
    assert [row["name"] for row in found["importance"]["lags"]] == ["1", "2", "3"]
    attribution = {row["name"]: row for row in found["attribution"]["inputs"]}
    assert set(attribution) == {"cpu", "noise", "job", "size"}, "words have no gradient"
    assert sum(row["share"] for row in attribution.values()) == pytest.approx(1)
    assert found["attribution"]["inputs"][0]["name"] == "job"
    assert found["attribution"]["gap"] < 0.02
    assert np.shape(found["attribution"]["lags"]["size"]) == (3, 3)


def test_errors_are_those_of_evaluate(run):
    found, scores = explain_run(run, windows=10**6, repeats=1), evaluate_run(run)
    wanted = scores["model"]["targets"]["cpu"]
    assert found["windows"] == found["chosen"] == scores["windows"]
    assert found["importance"]["base"] == pytest.approx(wanted["mae"])
    for name, key in (("by_horizon", "per_horizon"), ("by_series", "per_series")):
        for metric in ("mae", "rmse", "r2"):
            assert found[name][metric] == pytest.approx(wanted[key][metric]), (name, metric)
    hours = found["by_hour"]
    known = [(count, mae) for count, mae in zip(hours["count"], hours["mae"], strict=True) if count]
    assert sum(count * mae for count, mae in known) / sum(count for count, _ in known) == pytest.approx(wanted["mae"])
    assert found["importance"]["inputs"][0]["sd"] is None, "one exchange has no deviation"


def test_the_seed_decides_and_a_step_is_explained_alone(run):
    one, two, three = (explain_run(run, windows=50, repeats=2, seed=seed, step=2) for seed in (0, 0, 1))
    assert one == two
    assert one["importance"] != three["importance"]
    assert one["by_series"] == three["by_series"]
    assert one["attribution"]["of"] == "step 2"
    whole = explain_run(run, windows=50, repeats=2)
    assert whole["importance"] == one["importance"]
    assert whole["attribution"]["inputs"] != one["attribution"]["inputs"]


def test_a_member_alone_is_explained_too(run):
    member = explain_run(run / "members" / "1", windows=20, repeats=1)
    best = explain_run(run, windows=20, repeats=1, members="best")
    mean = explain_run(run, windows=20, repeats=1)
    assert member["step"] is not None
    assert mean["step"] is None
    assert best["by_horizon"] != mean["by_horizon"]


def test_wrong_words_are_named_at_once(run):
    with pytest.raises(ConfigError) as caught:
        explain_run(run, metric="maee", step=9, windows=1, repeats=0)
    assert caught.value.message == (
        "`maee` is no metric to explain by; the run forecasts no step 9; --windows 1 is too few; --repeats 0 is too few"
    )
    assert "did you mean `mae`?" in caught.value.hint
    with pytest.raises(ConfigError, match="does not forecast `cpuu`"):
        explain_run(run, target="cpuu")
