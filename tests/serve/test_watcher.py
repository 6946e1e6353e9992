"""What is known of a run is what stands in its folder, at every moment of its life."""

import json
import math
import os

import numpy as np
import pytest
from fake_runs import append, chunk, epoch, event, fake_run, trained

from gym_jax.errors import RunInUse
from gym_jax.locks import try_lock
from gym_jax.run import folder
from gym_jax.run.folder import RunFolder
from gym_jax.serve import follow, watcher
from gym_jax.serve.watcher import Watcher


@pytest.fixture
def watched(tmp_path):
    return Watcher(tmp_path, every=0)


def summary(watched, name="run"):
    watched.look()
    return watched.summaries[name]


def test_a_run_from_its_first_epoch_to_its_scores(tmp_path, watched):
    path = fake_run(tmp_path, patience=3)
    with trained(path):
        assert summary(watched)["status"] == "running"
        lines = [epoch(path, 1, 0.9, 0.8), epoch(path, 2, 0.7, 0.5), epoch(path, 3, 0.6, 0.6)]
        found = summary(watched)
        assert {key: found[key] for key in ("epoch", "epochs", "step", "lr", "loss", "val_loss", "grad_norm")} == {
            **{key: lines[-1][key] for key in ("epoch", "step", "lr", "loss", "val_loss", "grad_norm")},
            "epochs": 40,
        }
        assert found["best"] == {"epoch": 2, "step": 20, "val_loss": 0.5}
        assert found["patience_left"] == 2
        assert found["windows_per_second"] == 1003
        # two epochs of 2 s after the first, which compiled: 37 more from the end of the third on
        assert found["ends"] == follow.seconds_of("2026-03-01T00:00:06+00:00") + 2.0 * 37
        curves = watched.curves("run", 100)
        assert curves["metrics"]["curves"]["val_loss"] == {"x": [1, 2, 3], "y": [0.8, 0.5, 0.6]}
        assert curves["metrics"]["rows"] == 3
    assert summary(watched)["status"] == "stopped"
    assert "killed" in summary(watched)["reason"]
    (path / "status.json").write_text(json.dumps({"schema": 2, "status": "failed", "reason": "disk full"}))
    assert (summary(watched)["status"], summary(watched)["reason"]) == ("failed", "disk full")
    (path / "status.json").write_text(json.dumps({"schema": 2, "status": "done"}))
    targets = {"cpu": {"mae": 1.5, "rmse": 2.0}}
    scores = {"schema": 2, "model": {"kind": "mlp", "targets": targets}, "part": "test", "verdict": "good"}
    scores["baselines"] = {"last": {"cpu": {"mae": 2.5, "rmse": math.nan}}}
    (path / "scores.json").write_text(json.dumps(scores))
    assert summary(watched)["scores"]["rows"] == [["mlp", 1.5, 2.0], ["last", 2.5, None]]


def test_chunks_say_where_an_epoch_stands(tmp_path, watched):
    path = fake_run(tmp_path, epochs=2)
    with trained(path):
        chunk(path, 0, 5, at=3.0)
        found = summary(watched)
        assert found["at"] == 0.5
        assert found["windows_per_second"] == 900
        assert found["ends"] == follow.seconds_of("2026-03-01T00:00:12+00:00")  # half an epoch took 3 s
        epoch(path, 1, 0.9, 0.8, at=6.0)
        assert summary(watched)["at"] == 1.0


def test_a_resume_takes_back_what_is_done_anew(tmp_path, watched):
    path = fake_run(tmp_path)
    for number in (1, 2, 3):
        chunk(path, number - 1, 5, at=number)
        epoch(path, number, 1.0 / number, None, at=number)
    watched.look()
    before = watched.curves("run", 100)
    event(path, 10, event="resumed", step=20, epoch=2)
    kept = (path / "metrics.jsonl").read_text().splitlines()[:2]
    RunFolder(path).rewrite_lines("metrics.jsonl", [json.loads(line) for line in kept])
    changes = [facts for name, facts in watched.look() if name == "rows"]
    after = watched.curves("run", 100)
    assert {facts["table"] for facts in changes} == {"metrics", "speed", "chunks"}
    for table in ("metrics", "speed", "chunks"):
        assert (before[table]["rows"], after[table]["rows"]) == (3, 2)
        assert after[table]["cut"] == before[table]["cut"] + 1
    epoch(path, 3, 0.25, None, at=13)
    (change,) = [facts for name, facts in watched.look() if name == "rows" and facts["table"] == "metrics"]
    assert (change["from"], change["rows"][0][:4]) == (2, [3, 30, 1e-3 / 3, 0.25])


def test_changes_are_told_once_and_only_changes(tmp_path, watched):
    path = fake_run(tmp_path)
    epoch(path, 1, 0.9, 0.8)
    assert [name for name, _ in watched.look()] == ["run", "system"]
    assert [name for name, _ in watched.look()] == ["system"]
    epoch(path, 2, 0.9, 0.8)
    assert [name for name, _ in watched.look()] == ["run", "rows", "rows", "system"]
    (path / "config.yaml").unlink()
    assert next((name, facts.get("id")) for name, facts in watched.look()) == ("gone", "run")
    assert watched.snapshot()["runs"] == []


def test_members_stand_behind_their_group(tmp_path, watched):
    fake_run(tmp_path, "a-old")
    group = fake_run(tmp_path, "b-group", train={"seeds": 2})
    for seed in (1, 0):
        fake_run(group / "members", str(seed), train={"seed": seed})
    watched.look()
    runs = watched.snapshot()["runs"]
    assert [run["id"] for run in runs] == ["b-group", "b-group/0", "b-group/1", "a-old"]
    assert [run["group"] for run in runs] == [None, "b-group", "b-group", None]
    assert runs[0]["patience_left"] is None  # each member has its own


def test_a_look_that_fails_is_made_good_by_the_next(tmp_path, watched, monkeypatch):
    gone, group = fake_run(tmp_path, "gone"), fake_run(tmp_path, "group", train={"seeds": 1})
    fake_run(group / "members", "0", train={"seed": 0})
    watched.look()
    (gone / "config.yaml").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(watcher, "summarise", refused)
        with pytest.raises(PermissionError):
            watched.look()
    assert ("gone", {"id": "gone"}) in watched.look()
    monkeypatch.setattr(watcher, "members_of", refused)
    assert ("gone", {"id": "group/0"}) in watched.look()
    assert [run["id"] for run in watched.snapshot()["runs"]] == ["group"]


def refused(*_):
    raise PermissionError(13, "Permission denied")


def test_many_runs_are_cut_to_the_newest(tmp_path, watched, monkeypatch):
    monkeypatch.setattr(watcher, "RUNS", 3)
    for number in range(5):
        fake_run(tmp_path, f"run-{number}")
    watched.look()
    assert list(watched.runs) == ["run-2", "run-3", "run-4"]
    assert watched.snapshot()["left_out"] == 2


@pytest.mark.posix
def test_damaged_and_hostile_folders_are_said_to_be_so(tmp_path, watched):
    fine = fake_run(tmp_path, "fine")
    epoch(fine, 1, math.inf, 0.5)
    append(fine / "metrics.jsonl", {"epoch": 10**400, "loss": True})
    append(fine / "metrics.jsonl", {"epoch": 2, "step": "x", "loss": [1], "val_loss": -math.inf})
    (fake_run(tmp_path, "torn") / "status.json").write_text("{")
    (fake_run(tmp_path, "later") / "status.json").write_text('{"schema": 99}')
    (fake_run(tmp_path, "list") / "config.yaml").write_text("[1, 2]")
    (fake_run(tmp_path, "deep") / "scores.json").write_text("[" * 100_000)
    (fake_run(tmp_path, "odd") / "config.yaml").write_text("train: 3\nmodel: {kind: {a: 1}}\n")
    pipe = fake_run(tmp_path, "pipe")
    (pipe / "status.json").unlink()
    os.mkfifo(pipe / "status.json")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff<script>")
    (tmp_path / os.fsdecode(b"\xff<script>") / "config.yaml").write_text("{}")
    watched.look()
    found = {one["id"]: one["status"] for one in watched.snapshot()["runs"]}
    assert found == {
        "fine": "stopped",
        "torn": "damaged",
        "later": "damaged",
        "list": "damaged",
        "deep": "damaged",
        "odd": "stopped",
        "pipe": "unknown",
        "?<script>": "unknown",
    }
    json.dumps(watched.snapshot(), allow_nan=False).encode()
    json.dumps(watched.curves("fine", 100), allow_nan=False)
    assert watched.summaries["fine"]["best"]["val_loss"] == 0.5


def test_nothing_is_written_and_who_trains_is_never_refused(tmp_path, watched):
    path = fake_run(tmp_path)
    epoch(path, 1, 0.9, 0.8)
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.iterdir()}
    for _ in range(3):
        watched.look()
    assert {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.iterdir()} == before
    looks = iter([True])  # a look holds the lock for a moment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "try_lock", lambda file: not next(looks, False) and try_lock(file))
        with RunFolder(path).lock():
            pass
    with trained(path), pytest.raises(RunInUse), RunFolder(path).lock():
        pass


def test_many_epochs_are_no_more_to_send(tmp_path, watched):
    path = fake_run(tmp_path)
    values = np.random.default_rng(0).random(20_000)
    lines = (f'{{"epoch": {i + 1}, "step": {i}, "loss": {value}}}\n' for i, value in enumerate(values))
    (path / "metrics.jsonl").write_text("".join(lines))
    watched.look()
    loss = watched.curves("run", 500)["metrics"]["curves"]["loss"]
    assert len(loss["x"]) <= 502
    assert (min(loss["y"]), max(loss["y"])) == (values.min(), values.max())
