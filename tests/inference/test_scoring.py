"""Very many series into a folder of parts: the answers of the whole, whatever happens on the way."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_runs import HORIZON, shared, write_frame

from gym_jax.cli import main
from gym_jax.cli.parts import is_folder
from gym_jax.data import parts
from gym_jax.data.parts import JOB, MANIFEST, open_parts
from gym_jax.errors import ConfigError, DataError, Interrupted, RunInUse, StorageError
from gym_jax.evaluate.conformal import Calibration
from gym_jax.inference import Series, load_export, scoring
from gym_jax.inference.frame import predict_file, score_file
from gym_jax.inference.window import fitted_for
from gym_jax.run.describe import open_model
from gym_jax.run.folder import RunFolder

SERIES, FILE = 23, 9


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of three files; four of the series were trained on. Row groups end within series."""
    folder = tmp_path_factory.mktemp("scoring")
    frame = pd.read_csv(write_frame(folder / "all.csv", series=SERIES), parse_dates=["ds"])
    names = frame["unique_id"].unique()
    (folder / "data").mkdir()
    for number in range(0, SERIES, FILE):
        part = pa.Table.from_pandas(frame[frame["unique_id"].isin(names[number : number + FILE])], preserve_index=False)
        part = part.set_column(0, "unique_id", part["unique_id"].cast(pa.string()))  # read with a row group's words
        pq.write_table(part, folder / "data" / f"{number:03d}.parquet", row_group_size=500)
    return folder / "data"


@pytest.fixture(scope="module")
def model():
    return load_export(shared() / "export", "numpy")


@pytest.fixture
def small_pieces(monkeypatch):
    """Room for about three series a piece, as if each took very much."""
    monkeypatch.setattr(scoring, "VALUE", 64 * 10**6 // (7 * 320 * 7 // 2))


def answers(folder):
    parts = sorted(folder.glob("part-*.parquet"))
    frames = [pq.read_table(part).to_pandas() for part in parts]
    return pd.concat(frames, ignore_index=True)


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in folder.rglob("part-*")}


def same(found, wanted):
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-6, atol=1e-9)


def score(model, data, out, **how):
    return score_file(model, data, out, "model", memory=128 * 10**6, **how)


@pytest.mark.parametrize("way", ["export", "run"])
def test_the_answers_are_those_of_the_whole(way, model, data, tmp_path, small_pieces):
    model = model if way == "export" else open_model(RunFolder(shared() / "run"))
    manifest = score(model, data, tmp_path / "out")
    same(answers(tmp_path / "out"), predict_file(model, data))
    assert len(manifest["parts"]) == 8  # three series each, of one file
    assert manifest["rows"] == sum(part["rows"] for part in manifest["parts"]) == SERIES * HORIZON
    assert manifest["unanswered"] == 0
    assert not (tmp_path / "out" / "_unanswered").exists()
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["rows"] == manifest["rows"]
    every = pd.read_parquet(tmp_path / "out")  # what begins with an underscore is no part
    assert len(every) == manifest["rows"]


def test_any_memory_gives_the_same_answers(model, data, tmp_path, small_pieces):
    score(model, data, tmp_path / "few")
    score_file(model, data, tmp_path / "many", "model", memory=10**9)
    assert len(list((tmp_path / "few").glob("part-*"))) > len(list((tmp_path / "many").glob("part-*"))) == 3
    same(answers(tmp_path / "few"), answers(tmp_path / "many"))


def test_the_network_is_asked_in_one_size(model, data, tmp_path, small_pieces):
    sizes = []
    watched = replace(model, run=lambda window: sizes.append(window.size) or model.run(window))
    score(watched, data, tmp_path / "out")
    assert sizes == [3] * 8  # also the piece of two series


def test_what_is_to_be_said_of_the_answers_stands_in_the_manifest(model, data, tmp_path):
    none, zero = np.zeros((0, 1, 4, 1)), np.zeros((1, 4, 1))
    calibration = Calibration("adaptive", (0.8,), (), zero, none, zero, none, np.array([9]))
    spec = replace(model.spec, notes=("a note",), calibration=calibration, floor=(None,))
    manifest = score(replace(model, spec=spec), data, tmp_path / "out")
    assert manifest["notes"] == ["a note", "adaptive intervals stand as they did at the end of the calibration"]
    assert {"cpu_lo80", "cpu_hi80"} <= set(answers(tmp_path / "out"))


def stopping(after):
    """Return what asks to stop once so many parts were begun."""
    asked = []

    def stop():
        asked.append(None)
        return 143 if len(asked) > after else None

    return stop


def test_interrupted_it_goes_on_behind_the_last_whole_part(model, data, tmp_path, small_pieces):
    score(model, data, tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(Interrupted, match="4 of 8 parts") as caught:
        score(model, data, out, stop=stopping(4))
    assert caught.value.exit_code == 143
    assert not (out / MANIFEST).exists()
    (out / ".part-00004.parquet.tmp").write_bytes(b"PAR1")  # killed while it wrote
    before = {file.name: file.stat().st_mtime_ns for file in out.glob("part-*")}
    seen = []
    score(model, data, out, watch=seen.append)
    assert [one.parts for one in seen] == [5, 6, 7, 8]
    assert seen[-1].series == seen[-1].of_series == SERIES
    assert before == {name: (out / name).stat().st_mtime_ns for name in before}
    assert bytes_of(out) == bytes_of(tmp_path / "whole")
    assert not list(out.glob(".*.tmp"))
    score(model, data, out, stop=stopping(0))  # nothing is left to do, nothing to be stopped


def test_only_the_same_job_goes_on(model, data, tmp_path):
    out = tmp_path / "out"
    score(model, data, out)
    with pytest.raises(ConfigError, match="begun with another: backend"):
        score(replace(model, backend="onnx"), data, out)
    with pytest.raises(ConfigError, match="memory"):
        score_file(model, data, out, "model", memory=10**9)
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    with pytest.raises(ConfigError, match="files"):
        score(model, copy, out)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no answers"):
        score(model, data, other)
    with pytest.raises(ConfigError, match="holds no answers"):
        score(model, data, other / "letter.txt")
    assert (other / "letter.txt").read_text() == "mine"
    (out / JOB).write_text("{")
    with pytest.raises(ConfigError, match="can not be read"):
        score(model, data, out)


def test_one_writes_at_a_time(tmp_path):
    with open_parts(tmp_path / "out", 1, {}), pytest.raises(RunInUse), open_parts(tmp_path / "out", 1, {}):
        pass
    with open_parts(tmp_path / "out", 1, {}):
        pass


def test_a_job_that_another_began_while_this_one_waited_for_the_lock_is_not_overwritten(tmp_path, monkeypatch):
    hold, told = parts._hold, []

    def late(lock, folder):
        if not told:
            told.append((folder / JOB).write_text(json.dumps({"schema": parts.SCHEMA, "parts": 2})))
        hold(lock, folder)

    monkeypatch.setattr(parts, "_hold", late)
    with pytest.raises(ConfigError, match="was begun with another: parts"), open_parts(tmp_path / "out", 1, {}):
        pass
    assert json.loads((tmp_path / "out" / JOB).read_text())["parts"] == 2


def test_a_disk_that_refuses_leaves_no_half_part(model, data, tmp_path, small_pieces, monkeypatch):
    def full(table, path, **options):
        path.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(StorageError, match="No space left"):
            score(model, data, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*part-*"))
    score(model, data, tmp_path / "out")
    same(answers(tmp_path / "out"), predict_file(model, data))


def spoilt(data, out):
    """Write the data with three series spoilt: a time twice, an infinite value, no announcement of what comes."""
    out.mkdir()
    for file in sorted(data.iterdir()):
        frame = pd.read_parquet(file)
        twice = frame.index[frame["unique_id"] == "m2"][4:6]
        frame.loc[twice, "ds"] = frame.loc[twice, "ds"].min()
        frame.loc[frame.index[frame["unique_id"] == "m11"][:1], "cpu"] = np.inf
        frame.loc[frame.index[frame["unique_id"] == "m13"][-2:], "job"] = np.nan
        frame.to_parquet(out / file.name, index=False, row_group_size=500)
    return out


def test_what_can_not_be_answered_is_put_aside(model, data, tmp_path, small_pieces):
    bad = spoilt(data, tmp_path / "bad")
    with pytest.raises(DataError):
        predict_file(model, bad)
    manifest = score(model, bad, tmp_path / "out")
    assert manifest["codes"] == {"data.duplicates": 1, "data.infinite": 1, "data.no_future": 1}
    lines = [
        json.loads(line)
        for file in sorted((tmp_path / "out" / "_unanswered").iterdir())
        for line in file.read_text().splitlines()
    ]
    assert [one["series"] for one in lines] == ["m2", "m11", "m13"]
    assert all(one["message"] for one in lines)
    wanted = predict_file(model, data)
    wanted = wanted[~wanted["unique_id"].isin(["m2", "m11", "m13"])].reset_index(drop=True)
    same(answers(tmp_path / "out"), wanted)
    with pytest.raises(DataError, match="`m2` can not be answered") as caught:
        score(model, bad, tmp_path / "strict", on_error="stop")
    assert caught.value.code == "data.duplicates"
    assert not list((tmp_path / "strict").glob("part-*"))


def test_a_job_without_any_answer_is_an_error(model, data, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    frame = pd.read_parquet(data / "000.parquet")
    frame["cpu"] = np.inf
    frame.to_parquet(folder / "a.parquet")
    with pytest.raises(DataError, match="infinite") as caught:
        score(model, folder, tmp_path / "out")
    assert "none of the first 9 series can be read" in caught.value.hint
    assert not (tmp_path / "out").exists()
    frame["cpu"], frame["job"] = 1.0, np.where(frame.groupby("unique_id").cumcount() > 300, np.nan, frame["job"])
    frame.loc[frame.groupby("unique_id").cumcount() > 315, "cpu"] = np.nan
    frame.to_parquet(folder / "a.parquet")
    with pytest.raises(DataError, match="none of 9 series could be answered") as caught:
        score(model, folder, tmp_path / "out")
    assert caught.value.code == "data.no_future"


def test_data_of_another_step_are_refused_before_anything_is_written(model, data, tmp_path):
    frame = pd.read_parquet(data / "000.parquet")
    frame = frame[frame.groupby("unique_id").cumcount() % 2 == 0]
    frame.to_parquet(tmp_path / "slow.parquet", index=False)
    with pytest.raises(DataError, match="a step of 10min"):
        score(model, tmp_path / "slow.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["standard", "robust"])
def test_new_series_teach_by_themselves_alone_also_together(kind, model, data):
    own = model.spec.preprocessing
    spec = replace(model.spec, preprocessing=replace(own, scale=replace(own.scale, kind=kind)))
    draw = np.random.default_rng(0)
    series = [Series(f"new-{k}", draw.normal(10, 3, (40 + k, 3)), np.datetime64("2026-03-01")) for k in range(6)]
    series[2].values[:30, 0] = np.nan  # nothing in its train share
    series[4].values[:, 1] = np.nan  # nothing at all of a further column
    series[5].values[:30, 1] = np.nan  # nothing of it in the train share
    together = fitted_for(spec, series).scaler
    if kind == "standard":  # of all rows, where the train share holds nothing; of that share elsewhere
        assert together.shift[2, 0] == pytest.approx(np.nanmean(series[2].values[:, 0]))
        assert together.shift[1, 0] == pytest.approx(series[1].values[:28, 0].mean())
    for place, one in enumerate(series):
        alone = fitted_for(spec, [one]).scaler
        np.testing.assert_array_equal(together.shift[place], alone.shift[0])
        np.testing.assert_array_equal(together.scale[place], alone.scale[0])


def test_the_command_answers_into_a_folder(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["predict", str(shared() / "export"), "--data", str(spoilt(data, tmp_path / "bad")), "--out", "out"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "20 of 23 series answered: 80 rows in 3 parts" in said.out
    assert "1 data.duplicates, 1 data.infinite, 1 data.no_future" in said.out
    assert "answering" in said.err
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["parts"], document["unanswered"], document["series_per_second"]) == (3, 3, None)
    for more, reason in (
        (["--memory", "1MB"], "1 MB are too little"),
        (["--memory", "much"], "is no size"),
        (["--on-error", "stop", "--out", "strict"], "`m2` can not be answered"),
        (["--memory", "256MB", "--out", "one.parquet"], "--memory is for answers into a folder"),
        (["--data", str(tmp_path / "nothing")], "no Parquet file in"),
    ):
        assert main([*words, *more]) != 0
        assert reason in capsys.readouterr().err
    assert main(["predict", str(shared() / "run"), "--out", "again"]) == 2
    assert "need --data" in capsys.readouterr().err


def test_a_name_without_an_ending_is_a_folder(tmp_path):
    (tmp_path / "a.b").mkdir()
    assert [name for name in ("out", "out.d/", str(tmp_path / "a.b"), "out.parquet", None) if is_folder(name)] == [
        "out",
        "out.d/",
        str(tmp_path / "a.b"),
    ]


def test_a_run_answers_into_a_folder_on_the_cpu(data, tmp_path, capsys):
    words = ["predict", str(shared() / "run"), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main([*words, "--platform", "gpu"]) == 2
    assert "the CPU answers here" in capsys.readouterr().err
    assert main([*words, "--platform", "cpu", "-q"]) == 0
    said = capsys.readouterr()
    assert "23 of 23 series answered" in said.out
    assert said.err == ""
