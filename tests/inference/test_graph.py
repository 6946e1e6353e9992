"""What needs onnx, onnxruntime or flatbuffers."""

import datetime
import json

import numpy as np
import pytest
from made_runs import SETTINGS, trained

from gym_jax.cli import main
from gym_jax.inference import check_golden, load_export
from gym_jax.inference.model import TOLERANCE, apart
from gym_jax.run.describe import describe_run

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("graph"), "run", *SETTINGS["covariates"], model="lstm")


@pytest.fixture(scope="module")
def whole(run):
    folder = run.path.parent / "export"
    assert main(["export", str(run.path), "--out", str(folder), "--onnx", "--jax"]) == 0
    return folder


def test_the_graph_of_a_folder_is_read_by_onnxruntime_alone(run, whole):
    import onnxruntime

    session = onnxruntime.InferenceSession((whole / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    golden = load_export(whole, "numpy").golden
    parts = {part.name: getattr(golden.window, part.name) for part in session.get_inputs()}
    assert set(parts) == {"past", "mask", "future", "static", "categories"}
    assert apart(session.run(["forecast"], parts)[0], golden.outputs) < TOLERANCE
    one = {name: part[:1] for name, part in parts.items()}
    assert apart(session.run(["forecast"], one)[0], golden.outputs[:1]) < TOLERANCE
    manifest = json.loads((whole / "manifest.json").read_text())
    assert set(manifest["tried"]["largest difference"]) == {"numpy", "onnx"}


def test_onnxruntime_answers_where_it_is_installed(whole):
    for backend in ("auto", "onnx"):
        model = load_export(whole, backend)
        assert model.backend == "onnx"
        check_golden(model)


def test_a_blob_says_what_the_network_says_and_until_when_it_is_read(run, whole, capsys):
    import jax
    from jax import export

    found = describe_run(run)
    blob = export.deserialize(bytearray((whole / "model.jaxexport").read_bytes()))
    parts = {name: part for name, part in found.golden.window._asdict().items() if part is not None}
    assert apart(np.asarray(blob.call(parts)), found.golden.outputs) < TOLERANCE
    one = {name: part[:1] for name, part in parts.items()}
    assert apart(np.asarray(blob.call(one)), found.golden.outputs[:1]) < TOLERANCE
    facts = json.loads((whole / "manifest.json").read_text())["jax_export"]
    assert facts["jax"] == jax.__version__
    if facts["built"]:
        span = datetime.date.fromisoformat(facts["until"]) - datetime.date.fromisoformat(facts["built"])
        assert span == datetime.timedelta(days=182)


def test_the_command_says_what_was_written_and_how_it_was_tried(run, tmp_path, capsys):
    assert main(["export", str(run.path), "--out", str(tmp_path / "e"), "--onnx", "--jax"]) == 0
    out = capsys.readouterr().out
    assert "weights.npz, tables.npz, model.onnx, model.jaxexport" in out
    assert "off JAX at most, in scaled units" in out
    assert "and those up to six months newer" in out
