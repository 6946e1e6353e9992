"""A user's type checker sees the types of the package: `py.typed` is shipped, and names are exported."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

RIGHT = """
from typing import assert_type

import gym_jax
import jax
import numpy as np
import optax  # type: ignore[import-untyped]
from gym_jax import LSTM, Panel, TrainState, Windows, init_state, make_train_step
from gym_jax.allocate import Recommendation, Workload, figures, make_policy
from gym_jax.data import fit_scaler, generate_panel, make_windows, origins, split_by_time
from gym_jax.errors import DataError
from gym_jax.inference import Answer, Series, load_export
from gym_jax.report.labels import confusion_matrix

panel = generate_panel(series=2, days=1)
assert_type(panel, Panel)
rows = split_by_time(panel).train
places, series = origins(panel, rows, context=12, horizon=3)
windows = make_windows(panel, fit_scaler(panel, rows), places, series, context=12, horizon=3)
assert_type(windows, Windows)
model, tx = LSTM(horizon=3, hidden=8), optax.adamw(1e-3)
state = init_state(model, tx, jax.random.key(0), windows.take(jax.numpy.arange(4)).inputs)
assert_type(state, TrainState)
state, metrics = make_train_step(model, gym_jax.losses.mae, tx)(state, windows.take(jax.numpy.arange(4)))
print(metrics["loss"].value, make_policy("max"), figures([]).violation)
assert_type(load_export("exports/cpu").predict([Series("a", np.zeros((3, 1)))]), list[Answer])
confusion_matrix(["no", "yes"], [[3, 1], [0, 2]]).savefig("confusion.png")
try:
    print(Recommendation("web", 1.0, None, 0.5, {}).request, Workload("web", np.zeros(3), 0, 300).per_hour)
except DataError as error:
    print(error.hint)
"""
WRONG = {
    'make_layout("shards")': "arg-type",
    "gym_jax.train_runs()": "attr-defined",
    "gym_jax.data.generate_panels()": "attr-defined",
    'gym_jax.data.generate_panel(series="2")': "arg-type",
    "gym_jax.LSTM(horizon=3, hiden=8)": "call-arg",
    'gym_jax.data.Policy(gaps="keep")': "arg-type",
}
ENVIRONMENT = {**os.environ, "MYPYPATH": str(ROOT)}


@pytest.mark.slow
def test_a_script_is_checked_against_the_package(tmp_path):
    """It needs mypy, of the extra `dev`."""
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(
        "\n".join(["import gym_jax; from gym_jax.train.parallel import make_layout", *WRONG])
    )
    asked = [
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--config-file=",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    found = subprocess.run(
        [sys.executable, *asked, "right.py", "wrong.py"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    said = [line for line in found.stdout.splitlines() if ": error: " in line]
    assert [line for line in said if line.startswith("right.py")] == []
    expected = [(f"wrong.py:{number}", kind) for number, kind in enumerate(WRONG.values(), 2)]
    assert [(line.partition(": error")[0], line.rpartition("[")[2].rstrip("]")) for line in said] == expected


def test_types_are_shipped():
    assert (ROOT / "gym_jax" / "py.typed").is_file()
    assert 'gym_jax = ["py.typed"]' in (ROOT / "pyproject.toml").read_text()
