"""What TensorBoard, W&B and MLflow themselves read back is what metrics.jsonl says; runs go on where they were."""

import io
import json
import struct

import numpy as np
import pytest
from ends import StopAt
from small import small_config

from gym_jax.config.document import flat
from gym_jax.errors import Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.train import resume_run, train_run
from gym_jax.track import make_tracker
from gym_jax.track.tensorboard import TensorBoard
from gym_jax.track.tracker import Place

# what these packages warn of while they are imported, in a thread of their own, is theirs
pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore")]
CURVES = ("epoch", "lr", "loss", "grad_norm", "val_loss")
PATIENT = ("track.every=0", "track.patience=120")


def interrupted_and_resumed(root, name, *more):
    """Train, be stopped within the second epoch, go on in another session; return the run and its configuration."""
    config = small_config(root, "mlp", f"track.to=[{name}]", *PATIENT, *more)
    with pytest.raises(Interrupted):
        train_run(config, folder=root / "run", stop=StopAt(5))
    resume_run(RunFolder(root / "run"))
    run = RunFolder(root / "run")
    assert not [line for line in run.read_lines("log.jsonl") if line["event"] == "tracker"]
    return run, config


def lines_of(run, name):
    return [(line["step"], float(line[name])) for line in run.read_lines("metrics.jsonl")]


def picture():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure, out = Figure(figsize=(2, 1), dpi=50), io.BytesIO()
    figure.subplots().plot([1, 2])
    figure.savefig(out, format="png")
    return out.getvalue()


def test_tensorboard_reads_back_what_was_logged(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    run, config = interrupted_and_resumed(tmp_path, "tensorboard")
    read = EventAccumulator(str(run.path)).Reload()
    for name in CURVES:
        found = [(event.step, event.value) for event in read.Scalars(name)]
        assert found == [(step, float(np.float32(value))) for step, value in lines_of(run, name)], name
    running = [event.step for event in read.Scalars("running/loss")]
    assert running == sorted(set(running))
    assert len(running) == 16, "four chunks before the end of each of four epochs"
    own = run.read_json("scores.json")["model"]["targets"]["cpu_cores"]
    (mae,) = read.Scalars("test/cpu_cores/mae")
    assert mae.value == float(np.float32(own["mae"]))
    (table,) = read.Tensors("test/scores")
    assert "| last |" in table.tensor_proto.string_val[0].decode()
    assert read.SummaryMetadata("test/scores").plugin_data.plugin_name == "text"
    begun = read.SummaryMetadata("_hparams_/session_start_info").plugin_data
    session = metadata.parse_session_start_info_plugin_data(begun.content)
    settings = {key: value for key, value in flat(config.document()).items() if value is not None}
    assert set(session.hparams) == set(settings)
    assert session.hparams["optim.lr"].number_value == config.optim.lr
    assert session.hparams["model.kind"].string_value == "mlp"
    assert session.hparams["model.hidden"].string_value == "[16]"
    assert session.hparams["run.save_behind"].bool_value is True
    ended = read.SummaryMetadata("_hparams_/session_end_info").plugin_data
    assert metadata.parse_session_end_info_plugin_data(ended.content).status == 1


def test_tensorboard_reads_a_picture_and_checks_every_frame(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    png = picture()
    board = TensorBoard(Place(tmp_path, "p"), {})
    board.start()
    board.image(3, "curves", png)
    board.text(4, "notes", "x" * 100_000)
    board.finish("done", 4, {})
    (event,) = EventAccumulator(str(tmp_path)).Reload().Images("curves")
    assert (event.step, event.encoded_image_string) == (3, png)
    assert (event.width, event.height) == (100, 50)
    reader = PyRecordReader_New(str(board.path))
    for _ in range(4):
        reader.GetNext()  # raises where a checksum is wrong


def records_of(path):
    """Yield the records of a W&B file: a header, then LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    assert data[:4] == b":W&B"
    block, place, parts = 32768, 7, b""
    while place + 7 <= len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def name_of(item):
    return item.key or "/".join(item.nested_key)


def test_wandb_reads_back_what_was_logged(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("WANDB_CACHE_DIR", "WANDB_MODE", "WANDB_DIR", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    run, config = interrupted_and_resumed(tmp_path, "wandb", "track.project=crane")
    files = sorted(run.path.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2, "two sessions"
    records = [record for path in files for record in records_of(path)]
    runs = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert {(one.run_id, one.project, one.display_name) for one in runs} == {
        (run.read_json("track.json")["wandb"]["id"], "crane", "run")
    }
    history = [
        (record.history.step.num, {name_of(item): json.loads(item.value_json) for item in record.history.item})
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    for name in CURVES:
        assert [(step, row[name]) for step, row in history if name in row] == lines_of(run, name), name
    steps = [step for step, _ in history]
    assert steps == sorted(set(steps)), "the second session goes on behind the first"
    summary, settings = {}, {}
    for record in records:
        summary |= {name_of(item): json.loads(item.value_json) for item in record.summary.update}
        settings |= {name_of(item): json.loads(item.value_json) for item in record.run.config.update}
        settings |= {name_of(item): json.loads(item.value_json) for item in record.config.update}
    own = run.read_json("scores.json")["model"]["targets"]["cpu_cores"]
    assert summary["test/cpu_cores/mae"] == own["mae"]
    assert "| last |" in summary["test/scores"]
    assert settings["optim.lr"] == config.optim.lr
    assert settings["model.hidden"] == [16]
    assert not list(home.rglob("*")), "nothing outside the run folder"


def test_mlflow_reads_back_what_was_logged(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    run, config = interrupted_and_resumed(tmp_path, "mlflow", "track.project=crane")
    assert capfd.readouterr() == ("", "")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("crane")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_id == run.read_json("track.json")["mlflow"]["id"]
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    for name in CURVES:
        history = [(metric.step, metric.value) for metric in client.get_metric_history(found.info.run_id, name)]
        assert history == lines_of(run, name), name
    own = run.read_json("scores.json")["model"]["targets"]["cpu_cores"]
    assert found.data.metrics["test/cpu_cores/mae"] == own["mae"]
    assert found.data.params == {key: str(value) for key, value in flat(config.document()).items()}
    (table,) = [path.read_text() for path in tmp_path.glob("mlflow-files/*/artifacts/test/scores.md")]
    assert "| last |" in table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow-files", "mlflow.db", "run"]
    resume_run(run, config=small_config(tmp_path, "mlp", "track.to=[mlflow]", *PATIENT, "train.epochs=5"))
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.data.params["train.epochs"], found.data.tags["changed.train.epochs"]) == ("4", "5")
    assert [metric.step for metric in client.get_metric_history(found.info.run_id, "loss")][-1] == 5 * 14


def test_mlflow_and_wandb_take_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    png = picture()
    for name in ("mlflow", "wandb"):
        tracker = make_tracker(name, Place(tmp_path / "run", "p"), {})
        tracker.start()
        tracker.hparams({})
        tracker.image(3, "figures/curves", png)
        tracker.finish("done", 3, {})
    for glob in ("mlflow-files/*/artifacts/figures/curves.png", "run/wandb/offline-run-*/files/media/images/**/*.png"):
        (path,) = tmp_path.glob(glob)
        assert path.read_bytes() == png


def test_mlflow_takes_another_store_and_wandb_asks_for_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("nobody is there to answer"))
    (tmp_path / "run").mkdir()
    store = f"sqlite:///{tmp_path / 'other.db'}"
    mlflow = make_tracker("mlflow", Place(tmp_path / "run", "p", mlflow_uri=store), {"id": "of a store that is gone"})
    assert mlflow.start() == -1
    mlflow.finish("stopped", 0, {})
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(RuntimeError, match="WANDB_API_KEY"):
        make_tracker("wandb", Place(tmp_path / "run", "p", wandb_mode="online"), {}).start()
