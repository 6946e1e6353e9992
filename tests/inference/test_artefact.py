"""An export folder: what it holds, who reads it, and that one which is not whole is refused in words."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from made_runs import shared

from gym_jax.cli import main
from gym_jax.errors import CheckpointError, ConfigError, GateFailed
from gym_jax.inference import Series, Spec, check_golden, load_export
from gym_jax.inference import npz as npz_module
from gym_jax.inference.artefact import digest_of, seal_of
from gym_jax.inference.npz import pack, read_arrays, unpack, write_arrays
from gym_jax.run import export as export_module
from gym_jax.run.describe import describe_run
from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder

OLD = ROOT / "tests" / "inference" / "artefacts"
REFUSED = ("jax", "jaxlib", "flax", "orbax", "optax", "pandas", "pyarrow", "onnx", "onnxruntime")


@pytest.fixture(scope="module")
def run():
    return RunFolder(shared() / "run")


@pytest.fixture(scope="module")
def whole():
    return shared() / "export"


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def test_a_manifest_says_what_a_model_is_and_how_it_was_tried(run, whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    assert (manifest["kind"], manifest["schema"], manifest["run"]) == ("gym_jax export", 1, "run")
    assert manifest["config"] == run.read_config()
    assert (manifest["tried"]["of"], manifest["tried"]["windows"]) == ("test and train part", 347)
    assert manifest["tried"]["largest difference"]["numpy"] < 1e-5
    for name, facts in manifest["files"].items():
        content = (whole / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (facts["bytes"], facts["sha256"])
    assert {*os.listdir(whole)} == {"manifest.json", *manifest["files"]}
    model = load_export(whole, "numpy")
    check_golden(model)
    assert model.spec.digest == manifest["model"] == describe_run(run).spec.digest
    assert Spec.from_json(json.loads(json.dumps(model.spec.to_json()))).digest == manifest["model"]
    assert (model.spec.known, model.spec.static, model.spec.categories) == (("job",), ("size",), ("tier",))


def test_the_same_run_makes_the_same_files(run, whole, tmp_path):
    export_run(run, tmp_path / "again", onnx=False)
    for name in ("weights.npz", "tables.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (whole / name).read_bytes()


def test_windows_are_made_up_where_the_data_are_gone(run, tmp_path):
    moved = RunFolder(shutil.copytree(run.path, tmp_path / "moved"))
    text = (moved.path / "config.yaml").read_text()
    (moved.path / "config.yaml").write_text(text.replace("cpu.csv", "gone.csv"))
    manifest = export_run(moved, tmp_path / "export", onnx=False)
    assert (manifest["tried"]["windows"], manifest["tried"]["of"]) == (1000, "made-up windows")


def test_what_differs_from_jax_is_not_written(run, tmp_path, monkeypatch):
    def wrong(settings, weights):
        right = run_of_numpy(settings, weights)
        return lambda window: right(window) + np.float32(1e-4)

    run_of_numpy = export_module.run_of_numpy
    monkeypatch.setattr(export_module, "run_of_numpy", wrong)
    with pytest.raises(GateFailed, match=r"numpy differs from JAX by 1\.0e-04"):
        export_run(run, tmp_path / "export", onnx=False)
    assert not list(tmp_path.iterdir())


def test_the_model_of_a_plugin_is_told(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "NETWORKS", {})
    with pytest.raises(ConfigError, match="has no network without JAX") as caught:
        export_run(run, tmp_path / "export", onnx=False)
    assert caught.value.facts()["try"].startswith("gymjax serve ")
    assert not list(tmp_path.iterdir())


def without(modules, code, *words):
    """Run Python whose imports refuse some modules."""
    block = (
        "import sys\nclass Refuse:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {modules!r}: raise ImportError('refused: ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", block + code, *words], capture_output=True, text=True, check=False, env=environment
    )


ASK = """
import numpy as np
from gym_jax.inference import Series, check_golden, load_export
model = load_export(sys.argv[1])
assert model.backend == "numpy"
check_golden(model)
spec = model.spec
one = Series(None, np.ones((20, len(spec.channels))), np.datetime64("2026-04-01T00:05"),
             np.ones((spec.horizon, len(spec.known))), {"size": 1.0, "tier": "web"} if spec.static else {})
[answer] = model.predict([one])
assert answer.values.shape == (spec.steps, len(spec.targets)) and np.isfinite(answer.values).all()
print(str(answer.times[0])[:19], "pandas" in sys.modules, "jax" in sys.modules)
"""


def test_numpy_alone_answers(whole):
    done = without(REFUSED, ASK, str(whole))
    assert done.stdout.strip() == "2026-04-01T00:10:00 False False", done.stderr[-2000:]


@pytest.mark.parametrize("name", sorted(path.name for path in OLD.glob("v*") if path.is_dir()))
def test_artefacts_of_every_schema_load_and_answer_as_they_did(name):
    model = load_export(OLD / name, "numpy")
    check_golden(model)
    said = json.loads((OLD / f"{name}.json").read_text())
    asked = [
        Series(
            one["id"],
            np.array(one["values"], float),
            np.datetime64(one["last"]),
            np.array(one["future"]),
            one["static"],
        )
        for one in said["asked"]
    ]
    for answer, wanted in zip(model.predict(asked), said["answers"], strict=True):
        np.testing.assert_allclose(answer.values, wanted["values"], rtol=1e-5)
        np.testing.assert_allclose(answer.quantiles, wanted["quantiles"], rtol=1e-5)
        np.testing.assert_allclose(answer.intervals, wanted["intervals"], rtol=1e-5)
        assert [str(time) for time in answer.times] == wanted["times"]


def test_an_export_of_before_says_what_to_do(tmp_path, capsys):
    """Weights and configuration alone do not say what a window looks like."""
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 1, "arrays": {}, "config": {}, "sha256": ""}))
    (tmp_path / "weights.npz").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        load_export(tmp_path)
    lines = caught.value.lines()
    assert len(lines) == 3
    assert "exported by an earlier version" in lines[0]
    assert lines[2] == f"try: gymjax export RUN --out {tmp_path}-2"


def rewritten(folder, change):
    """Change the manifest, and make digests and seal anew: what a hostile hand would do."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    with contextlib.suppress(Exception):  # where there is nothing left to be digested
        manifest["spec"]["weights_digest"] = digest_of(read_arrays((folder / "weights.npz").read_bytes()))
    with contextlib.suppress(Exception):
        tables = read_arrays((folder / "tables.npz").read_bytes())
        manifest["model"] = Spec.from_json(unpack(manifest["spec"], tables)).digest
    for name in manifest["files"]:
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["seal"] = seal_of(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def member(shape, descr="<f4", data=b"\0" * 16):
    """Return an archive with one array that says of itself what it likes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": shape, "fortran_order": False, "descr": descr})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("head/kernel.npy", header.getvalue() + data)
    return buffer.getvalue()


def packed(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("head/kernel.npy", content)
    return buffer.getvalue()


def odd_name(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"")
    return buffer.getvalue()


def weights_as(content):
    def change(folder):
        (folder / "weights.npz").write_bytes(content)
        rewritten(folder, lambda manifest: None)

    return change


def with_weights(change):
    def changed(folder):
        arrays = read_arrays((folder / "weights.npz").read_bytes())
        change(arrays)
        (folder / "weights.npz").write_bytes(write_arrays(arrays))
        rewritten(folder, lambda manifest: None)

    return changed


def manifest_as(text):
    return lambda folder: (folder / "manifest.json").write_text(text)


def said(*path, value):
    """Say something else in the manifest, under a right seal."""

    def change(manifest):
        *inner, last = path
        for word in inner:
            manifest = manifest[word]
        manifest[last] = value

    return lambda folder: rewritten(folder, change)


def swapped(folder, words, others):
    """Say something else in the manifest, under the seal of before."""
    text = (folder / "manifest.json").read_text()
    assert words in text
    (folder / "manifest.json").write_text(text.replace(words, others))


def nan(arrays):
    arrays["head/bias"][0] = np.nan


HOSTILE = {
    "cut short": lambda folder: (folder / "weights.npz").write_bytes((folder / "weights.npz").read_bytes()[:-7]),
    "emptied": lambda folder: (folder / "tables.npz").write_bytes(b""),
    "a file gone": lambda folder: (folder / "tables.npz").unlink(),
    "a file more": lambda folder: (folder / "notes.txt").write_text("hello"),
    "a folder more": lambda folder: (folder / "model.onnx").mkdir(),
    "a pipe": lambda folder: ((folder / "weights.npz").unlink(), os.mkfifo(folder / "weights.npz")),
    "a device": lambda folder: ((folder / "weights.npz").unlink(), (folder / "weights.npz").symlink_to("/dev/zero")),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "no JSON": manifest_as("{"),
    "deep JSON": manifest_as("[" * 100_000),
    "a list": manifest_as("[]"),
    "NaN in JSON": manifest_as('{"kind": NaN}'),
    "a long number": manifest_as('{"kind": ' + "9" * 10_000 + "}"),
    "no UTF-8": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe{"),
    "a long manifest": manifest_as(" " * (1 << 23) + "{}"),
    "another name": lambda folder: swapped(folder, '"name": "run"', '"name": "fun"'),
    "a later schema": said("schema", value=99),
    "a name with ..": said("files", "../weights.npz", value={"bytes": 3, "sha256": ""}),
    "an absolute name": said("files", "/etc/passwd", value={"bytes": 3, "sha256": ""}),
    "a file of its own": lambda folder: (
        (folder / "notes.txt").write_text("hello"),
        rewritten(folder, lambda manifest: manifest["files"].update({"notes.txt": {}})),
    ),
    "no spec": said("spec", value=None),
    "a field of its own": said("spec", "unknown", value=1),
    "an unknown network": said("spec", "model", "kind", value="__import__"),
    "a million layers": said(
        "spec", "model", value={"kind": "mlp", "horizon": 4, "targets": 1, "hidden": [4] * 99_999, "normalise": "last"}
    ),
    "10^12 steps": said("spec", "horizon", value=10**12),
    "10^12 rows": said("spec", "look_back", value=10**12),
    "10^12 lags": said("spec", "preprocessing", "lags", value=[10**12]),
    "a table that is not there": said("spec", "fitted", "scaler", "shift", value={"table": "nowhere"}),
    "another seed": lambda folder: swapped(folder, '"seed": 0', '"seed": 9'),
    "NaN weights": with_weights(nan),
    "weights of another shape": with_weights(lambda arrays: arrays.update({"head/bias": np.zeros(7, np.float32)})),
    "weights of another type": with_weights(lambda arrays: arrays.update({"head/bias": np.zeros(4)})),
    "no archive": weights_as(b"hello"),
    "shape 10^12": weights_as(member((10**12,))),
    "shape 10^12 of nothing": weights_as(member((10**12, 0), data=b"")),
    "shapes that overflow": weights_as(member((2**40, 2**40))),
    "pickled": weights_as(member((1,), "|O", b"cos\nsystem\n(S'touch executed'\ntR.")),
    "text": weights_as(member((2,), "<U2")),
    "packed": weights_as(packed(b"\0" * 10_000_000)),
    "an array named ..": weights_as(odd_name("../../executed.npy")),
    "an array of another kind": weights_as(odd_name("head/kernel.py")),
    "no header": weights_as(odd_name("head/kernel.npy")),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.posix) if name in ("a pipe", "a device") else name for name in HOSTILE],
)
def test_what_is_not_whole_is_refused_in_words(name, copy):
    HOSTILE[name](copy)
    with pytest.raises(CheckpointError) as caught:
        load_export(copy, "numpy")
    lines = caught.value.lines()
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) < 600 for line in lines), lines


def test_one_bit_anywhere_is_noticed(copy):
    draw = np.random.default_rng(0)
    for name in ("manifest.json", "weights.npz", "tables.npz"):
        whole = (copy / name).read_bytes()
        for place in draw.integers(0, len(whole), 40):
            changed = bytearray(whole)
            changed[place] ^= 1 << draw.integers(0, 8)
            (copy / name).write_bytes(changed)
            if name == "manifest.json" and same_document(bytes(changed), whole):
                continue  # blanks between words
            with pytest.raises(CheckpointError):
                load_export(copy, "numpy")
        (copy / name).write_bytes(whole)
    load_export(copy, "numpy")


def same_document(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def test_a_network_that_answers_otherwise_is_refused(copy):
    def change(arrays):
        arrays["golden/outputs"] += np.float32(1e-3)

    arrays = read_arrays((copy / "tables.npz").read_bytes())
    change(arrays)
    (copy / "tables.npz").write_bytes(write_arrays(arrays))
    rewritten(copy, lambda manifest: None)
    with pytest.raises(CheckpointError, match="off what it answered when it was exported"):
        load_export(copy, "numpy")


def test_arrays_beyond_the_file_are_not_believed(monkeypatch):
    """Two entries over the same bytes would be twice as large as the file."""
    content = write_arrays({"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)})
    assert {name: array.tolist() for name, array in read_arrays(content).items()} == {
        "a": [0, 1, 2],
        "b": [[1, 1], [1, 1]],
    }
    monkeypatch.setattr(npz_module.zipfile.ZipFile, "infolist", lambda self: 9 * [self.filelist[0]])
    with pytest.raises(ValueError, match="larger than the file"):
        read_arrays(content[: len(content)])


def test_long_lists_are_tables_and_come_back():
    tree = {"short": [1, 2], "long": list(range(300)), "words": ["a"] * 300, "inner": {"more": [[0.5] * 200] * 2}}
    small, arrays = pack(tree)
    assert set(arrays) == {"long", "inner/more"}
    assert json.loads(json.dumps(small)) == small
    back = unpack(small, arrays)
    assert back["long"].tolist() == tree["long"]
    assert back["inner"]["more"].tolist() == tree["inner"]["more"]
    assert (back["short"], back["words"]) == (tree["short"], tree["words"])


def test_a_backend_that_is_none_is_refused(whole):
    with pytest.raises(ConfigError, match="unknown backend `onix`"):
        load_export(whole, "onix")


def test_predict_takes_an_export_in_place_of_a_run(run, whole, capsys):
    data = str(run.path.parent / "cpu.csv")
    assert main(["predict", str(whole), "--data", data, "--json"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert main(["predict", str(run.path), "--json"]) == 0
    own = json.loads(capsys.readouterr().out)
    assert exported["step"] == own["step"]
    assert [row["cpu"] for row in exported["forecast"]] == pytest.approx([row["cpu"] for row in own["forecast"]], 1e-4)
    assert main(["predict", str(whole)]) == 2
    assert "--data" in capsys.readouterr().err
