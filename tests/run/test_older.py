"""Runs of older schema versions, as they were written then: they load, score, forecast and go on."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT
from tolerances import FLOAT32

from gym_jax.config.migrate import SCHEMA_VERSION, STEPS
from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.inference import check_golden, load_export
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.export import export_run
from gym_jax.run.load import load_weights, read_config
from gym_jax.run.predict import predict_run
from gym_jax.run.runs import open_run
from gym_jax.run.train import resume_run

OLDER = ROOT / "tests" / "run" / "older"


@pytest.fixture(params=sorted(STEPS))
def older(request, tmp_path):
    """A copy of what that version wrote: a finished run, a stopped one, and what they led to then."""
    shutil.copytree(OLDER / str(request.param), tmp_path / "old")
    return tmp_path / "old"


def test_there_is_a_run_of_every_older_version():
    assert {int(path.name) for path in OLDER.iterdir()} == set(STEPS) == set(range(1, SCHEMA_VERSION))


def test_a_finished_run_is_exported_and_answers_its_golden_windows(older):
    manifest = export_run(older / "done", older / "export", onnx=False)
    assert manifest["tried"]["of"] == "test and train part"
    check_golden(load_export(older / "export", "numpy"))


def test_a_finished_run_scores_and_forecasts_as_then(older):
    run = open_run(older / "done")
    assert read_config(run).schema_version == SCHEMA_VERSION
    then, now = run.read_json("scores.json"), evaluate_run(run)
    for key in ("mae", "rmse", "r2"):
        assert now["model"]["targets"]["cpu_cores"][key] == pytest.approx(
            then["model"]["targets"]["cpu_cores"][key], rel=1e-5
        )
    frame = predict_run(run)
    forecast = json.loads((older / "forecast.json").read_text())["forecast"]
    expected = np.array([row["cpu_cores"] for row in forecast])
    np.testing.assert_allclose(frame["cpu_cores"], expected, rtol=10 * FLOAT32)
    assert load_weights(run).params.keys() == {"layer_0", "head"}


@pytest.mark.parametrize(("stopped", "metrics"), [("stopped", "metrics.jsonl"), ("stopped_sgd", "metrics_sgd.jsonl")])
def test_a_stopped_run_goes_on_to_the_end_it_had_then(stopped, metrics, older):
    """An MLP under AdamW, and an LSTM under SGD with momentum."""
    run = open_run(older / stopped)
    assert resume_run(run).status == "done"
    then = [json.loads(line) for line in (older / metrics).read_text().splitlines()]
    now = run.read_lines("metrics.jsonl")
    assert [line.keys() for line in now] == [line.keys() for line in then]
    for key in ("step", "lr", "loss", "val_loss", "grad_norm"):
        np.testing.assert_allclose([line[key] for line in now], [line[key] for line in then], rtol=1e-5)


@pytest.mark.parametrize("name", ["config.yaml", "data.json"])
def test_a_run_of_a_newer_version_is_refused_in_words(name, older):
    path = older / "done" / name
    text = path.read_text().replace("schema_version: 1", "schema_version: 99").replace('"schema": 1', '"schema": 99')
    path.write_text(text)
    with pytest.raises((CheckpointError, ConfigError), match="99") as caught:
        evaluate_run(older / "done")
    assert caught.value.exit_code == 4
    assert caught.value.attempt == "pip install --upgrade gym-jax"
