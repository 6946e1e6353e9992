"""Numbers and classes of tables and sequences, asked of an export."""

import numpy as np
import pandas as pd
import pytest
from made_runs import PLAIN

from gym_jax.config.load import load_config
from gym_jax.data import generate_table
from gym_jax.inference import Series, load_export
from gym_jax.inference.frame import predict_file
from gym_jax.run.describe import open_model
from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.predict import predict_run
from gym_jax.run.train import train_run

QUICK = [*PLAIN, "model=mlp", "model.hidden=[8]", "train.epochs=1", "train.batch_size=32", "evaluate.baselines=[]"]
TASKS = {
    "number": ["task.kind=regress", "data.target=[cpu_share,memory_share]"],
    "quantiles": ["task.kind=regress", "data.target=cpu_share", "loss=quantiles", "data.scale.log1p=true"],
    "class": ["task.kind=classify", "data.target=big", "data.categories=[zone]"],
    "words alone": ["task.kind=classify", "data.target=big", "data.categories=[zone]", "data.ignore=[cpu_load]"],
    "sequences": ["task.kind=classify", "data.target=big"],
}


@pytest.mark.parametrize(
    "name", ["number", *(pytest.param(name, marks=pytest.mark.slow) for name in TASKS if name != "number")]
)
def test_cases_are_answered_as_predict_run_answers_them(name, tmp_path):
    path, frame = tmp_path / "t.csv", generate_table(rows=120, seed=3)
    frame["memory_share"] = 1 - frame["cpu_share"]
    frame["zone"] = np.array(["east", "west", "north"])[np.arange(len(frame)) % 3]
    frame["big"] = np.where(frame["cpu_share"] > 0.3, "yes", "no")
    if name == "words alone":
        frame = frame[["zone", "big"]].assign(cpu_load=1.0)
    elif name == "class":
        frame.loc[5, "cpu_load"] = np.nan
    elif name != "sequences":
        frame = frame.drop(columns=["big"])
    frame.to_csv(path, index=False)
    settings = [*QUICK, *TASKS[name]]
    if name == "sequences":
        path = tmp_path / "s.ts"
        write_sequences(path)
        settings = [*QUICK, "task.kind=classify"]
    run = RunFolder(train_run(load_config([], settings, {"data.path": str(path)}), folder=tmp_path / "run").folder)
    export_run(run, tmp_path / "export", onnx=False)
    wanted = predict_run(run, data=path)
    answers = [column for column in wanted if column.startswith(("predicted", "probability"))]
    for model in (load_export(tmp_path / "export", "numpy"), open_model(run)):
        found = predict_file(model, path)
        assert [column for column in found if column.startswith(("predicted", "probability"))] == answers
        pd.testing.assert_frame_equal(found[answers], wanted[answers], check_dtype=False, rtol=2e-5, atol=1e-6)
    [one] = model.predict([Series(None, np.zeros((1, len(model.spec.channels))))])
    if model.spec.classes:
        assert one.label in model.spec.classes
        assert one.probabilities.sum() == pytest.approx(1)


def write_sequences(path):
    """Write slow waves and fast ones, of unequal length."""
    draw = np.random.default_rng(0)
    lines = ["@problemName waves", "@timeStamps false", "@univariate true", "@classLabel true slow fast", "@data"]
    for number in range(60):
        steps, pace = 12 + number % 4, (0.3, 1.5)[number % 2]
        values = np.sin(pace * np.arange(steps) + draw.normal()) + 0.1 * draw.normal(size=steps)
        lines.append(",".join(f"{value:.4f}" for value in values) + ":" + ("slow", "fast")[number % 2])
    path.write_text("\n".join(lines) + "\n")
