"""Trackers and runs: what they get is metrics.jsonl, once and in order; whatever becomes of them changes no bit."""

import json
import logging
import statistics
import threading
from datetime import datetime

import pytest
from ends import StopAt, final, same
from small import small_config

from gym_jax.config.document import flat
from gym_jax.config.load import load_config
from gym_jax.errors import Interrupted, MissingExtra
from gym_jax.run import tracking
from gym_jax.run.folder import RunFolder
from gym_jax.run.train import resume_run, train_run
from gym_jax.track import TRACKERS, events
from gym_jax.track import tensorboard as board

TO = "track.to=[tensorboard]"
CURVES = ("lr", "loss", "grad_norm", "val_loss")


class Memory:
    """A tracker that remembers what it gets; `held` stands for the service that outlives a run."""

    def __init__(self, place, state, held, fault=lambda call: None):
        self.place, self.given, self.held, self.fault = place, state, held, fault

    def start(self):
        self.fault("start")
        self.id = self.given.get("id", f"id-{len(self.held) + 1}")
        self.held.setdefault(self.id, {"points": []})
        return max((point.step for point in self.held[self.id]["points"]), default=-1)

    def hparams(self, settings):
        self.fault("hparams")
        self.held[self.id]["settings"] = settings

    def log(self, points):
        self.fault("log")
        self.held[self.id]["points"] += points

    def text(self, step, name, markdown):
        self.held[self.id][name] = markdown

    def image(self, step, name, png):
        self.held[self.id][name] = png

    def finish(self, ending, step, scores):
        self.fault("finish")
        self.held[self.id]["end"] = (ending, step, dict(scores))

    def state(self):
        return {"id": self.id}


@pytest.fixture
def held(monkeypatch):
    """The runs in a tracker that stands in for TensorBoard."""
    found = {}
    monkeypatch.setattr(tracking, "make_tracker", lambda name, place, state: Memory(place, state, found))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without trackers."""
    root = tmp_path_factory.mktemp("whole")
    return RunFolder(train_run(small_config(root), folder=root / "run").folder)


def watched(events=None, failing_at=None):
    def watch(event):
        if events is not None:
            events.append(event)
        if event.kind == "epoch" and event.facts["epoch"] == failing_at:
            raise RuntimeError("the process is gone")

    return watch


def curve(points, name):
    return [(point.step, point.numbers[name]) for point in points if name in point.numbers]


def lines_of(run, name):
    return [(line["step"], line[name]) for line in run.read_lines("metrics.jsonl")]


def in_events(run):
    """Return the steps of the records of an event file that hold the validation loss."""
    data = (run.path / board.FILE).read_bytes()
    found = list(events.frames(data))
    assert found[-1][0] == len(data)
    return [events.step_of(body) for _, body in found if b"val_loss" in body]


def test_a_tracker_gets_metrics_settings_and_scores(whole, held, tmp_path):
    config = small_config(tmp_path, "mlp", TO, "track.every=0")
    run = RunFolder(train_run(config, folder=tmp_path / "run").folder)
    same(final(whole), final(run))
    (got,) = held.values()
    for name in CURVES:
        assert curve(got["points"], name) == lines_of(run, name), name
    steps = [point.step for point in got["points"]]
    assert steps == sorted(set(steps)), "each step once, in order"
    assert [step for step, _ in curve(got["points"], "running/loss")][:5] == [3, 6, 9, 12, 17], "chunks of three steps"
    assert all("speed/windows_per_second" in point.numbers for point in got["points"])
    assert got["settings"] == flat(config.document())
    ending, step, scores = got["end"]
    mae = run.read_json("scores.json")["model"]["targets"]["cpu_cores"]["mae"]
    assert (ending, step, scores["test/cpu_cores/mae"]) == ("done", steps[-1], mae)
    assert "test/cpu_cores/count" not in scores
    assert all(f"| {kind} | " in got["test/scores"] for kind in ("mlp", "last"))
    assert run.read_json("track.json")["tensorboard"] == {"id": "id-1", "done": True}


def test_by_default_nothing_is_tracked(whole):
    assert not (whole.path / "track.json").exists()
    assert not list(whole.path.glob("*tfevents*"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tracker ")]


def test_chunks_are_sent_no_more_often_than_asked(held, tmp_path):
    train_run(small_config(tmp_path, "mlp", TO, "track.every=1000"), folder=tmp_path / "run")
    (got,) = held.values()
    assert [point.numbers["epoch"] for point in got["points"]] == [1, 2, 3, 4]


def test_a_stopped_run_goes_on_in_the_same_place(whole, held, tmp_path):
    config = small_config(tmp_path, "mlp", TO, "track.every=0")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(9))
    run = RunFolder(tmp_path / "run")
    assert held["id-1"]["end"][0] == "stopped"
    resume_run(run)
    assert list(held) == ["id-1"]
    got = held["id-1"]
    assert curve(got["points"], "val_loss") == lines_of(whole, "val_loss")
    steps = [point.step for point in got["points"]]
    assert steps == sorted(set(steps))
    assert got["end"][0] == "done"
    same(final(whole), final(run))


def test_an_event_file_has_each_step_once_although_the_run_went_back(whole, tmp_path):
    config = small_config(tmp_path, "mlp", TO, "run.save_seconds=1000")
    with pytest.raises(RuntimeError, match="is gone"):
        train_run(config, folder=tmp_path / "run", watch=watched(failing_at=3))
    run = RunFolder(tmp_path / "run")
    assert len(in_events(run)) == 2, "nothing was saved: the run begins anew, its curves do not"
    with (run.path / board.FILE).open("ab") as file:
        file.write(events.framed(events.text_event(0.0, 999, "val_loss", "x" * 50_000))[:-3])  # killed while it wrote
    resume_run(run)
    assert in_events(run) == [line["step"] for line in whole.read_lines("metrics.jsonl")]
    assert (run.path / "metrics.jsonl").read_bytes() == (whole.path / "metrics.jsonl").read_bytes()


def test_a_tracker_may_join_later_and_gets_everything(whole, held, tmp_path):
    with pytest.raises(Interrupted):
        train_run(small_config(tmp_path), folder=tmp_path / "run", stop=StopAt(9))
    run, told = RunFolder(tmp_path / "run"), []
    config = small_config(tmp_path, "mlp", TO)
    resume_run(run, config=config)
    assert curve(held["id-1"]["points"], "loss") == lines_of(whole, "loss")
    assert run.read_config()["track"]["to"] == ["tensorboard"], "it is one of the run's settings from now on"
    assert resume_run(run, watch=told.append).status == "complete"
    assert (len(held), told) == (1, []), "it has all of it"
    assert resume_run(whole, config=config, watch=told.append).status == "complete"
    assert curve(held["id-2"]["points"], "loss") == lines_of(whole, "loss")
    assert held["id-2"]["end"][0] == "done"
    assert "test/cpu_cores/mae" in held["id-2"]["end"][2]
    assert [event.kind for event in told] == ["sent"]
    was = [line["time"] for line in whole.read_lines("log.jsonl") if line["event"] == "epoch"]
    times = [point.time for point in held["id-2"]["points"]]
    assert times == [datetime.fromisoformat(time).timestamp() for time in was], "the time at which it was"
    (whole.path / "track.json").unlink()


def test_a_child_is_a_run_of_its_own_with_the_curves_of_its_parent(held, tmp_path):
    config = small_config(tmp_path, "mlp", TO, "train.epochs=2")
    parent = train_run(config, folder=tmp_path / "parent")
    more = small_config(tmp_path, "mlp", TO, f"run.parent={parent.folder}", "train.epochs=3", "optim.lr=1e-4")
    child = RunFolder(train_run(more, folder=tmp_path / "child").folder)
    assert len(held) == 2
    assert curve(held["id-2"]["points"], "val_loss") == lines_of(child, "val_loss")


def test_a_group_sends_means_spread_and_every_member(held, tmp_path):
    config = small_config(tmp_path, "mlp", TO, "train.seeds=2", "train.epochs=2")
    run = RunFolder(train_run(config, folder=tmp_path / "group").folder)
    (got,) = held.values()
    assert curve(got["points"], "val_loss") == lines_of(run, "val_loss")
    members = [lines_of(RunFolder(run.path / "members" / str(seed)), "val_loss") for seed in range(2)]
    for seed, member in enumerate(members):
        assert curve(got["points"], f"val_loss/seed_{seed}") == member
    spread = [(rows[0][0], statistics.stdev(value for _, value in rows)) for rows in zip(*members, strict=True)]
    assert curve(got["points"], "val_loss/std") == spread
    sent = [{**point.numbers} for point in tracking.history(run)]
    live = [
        {name: value for name, value in point.numbers.items() if not name.startswith("speed/")}
        for point in got["points"]
        if "epoch" in point.numbers
    ]
    assert sent == live, "one that joins later gets the same"


def raises(call):
    if call == "log":
        raise ConnectionError("no route to the tracker")


def test_one_that_raises_is_told_of_once_and_changes_nothing(whole, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tracking, "make_tracker", lambda name, place, state: Memory(place, state, {}, raises))
    told = []
    with caplog.at_level(logging.WARNING, "gym_jax"):
        config = small_config(tmp_path, "mlp", TO, "track.every=0")
        run = RunFolder(train_run(config, folder=tmp_path / "run", watch=told.append).folder)
    same(final(whole), final(run))
    (facts,) = [event.facts for event in told if event.kind == "tracker"]
    assert (facts["tracker"], facts["reason"]) == ("tensorboard", "ConnectionError: no route to the tracker")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("gym_jax.run.tracking", "WARNING")
    assert record.getMessage().startswith("tracker tensorboard is off: ConnectionError")
    assert [line["reason"] for line in run.read_lines("log.jsonl") if line["event"] == "tracker"] == [facts["reason"]]


@pytest.mark.parametrize("call", ["start", "log", "finish"])
def test_one_that_blocks_for_a_minute_changes_nothing_and_is_left_behind(call, whole, tmp_path, monkeypatch):
    free, held, told = threading.Event(), {}, []

    def blocks(name):
        if name == call:
            free.wait(60)

    def make(name, place, state):
        return Memory(place, state, held, blocks) if name == "wandb" else Memory(place, state, held)

    monkeypatch.setattr(tracking, "make_tracker", make)
    monkeypatch.setitem(TRACKERS, "wandb", TRACKERS["tensorboard"])  # which is always installed
    config = small_config(tmp_path, "mlp", "track.to=[wandb, tensorboard]", "track.patience=0.3")
    run = RunFolder(train_run(config, folder=tmp_path / "run", watch=told.append).folder)
    stuck = [thread for thread in threading.enumerate() if thread.name == "tracker wandb"]
    assert stuck, "the run is over, the tracker is still blocked"
    same(final(whole), final(run))
    (facts,) = [event.facts for event in told if event.kind == "tracker"]
    assert facts["tracker"] == "wandb"
    assert facts["reason"] == "it was still busy when the run ended, and was waited for"
    assert facts["unsent"] == (0 if call == "finish" else 4)
    assert "done" in run.read_json("track.json")["tensorboard"], "it does not wait for its neighbour"
    before = {path: path.read_bytes() for path in run.path.glob("*.json*")}
    free.set()
    stuck[0].join(60)
    assert {path: path.read_bytes() for path in run.path.glob("*.json*")} == before


@pytest.mark.posix
def test_one_that_loses_its_disk_is_off_and_changes_nothing(whole, tmp_path, monkeypatch):
    told, start = [], board.TensorBoard.start

    def start_on_a_full_disk(self):
        last = start(self)
        self.file.close()
        self.file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - the tracker closes it
        return last

    def log_and_close(self, points):
        try:
            log(self, points)
        except OSError:
            self.file.close()
            raise

    log = board.TensorBoard.log
    monkeypatch.setattr(board.TensorBoard, "start", start_on_a_full_disk)
    monkeypatch.setattr(board.TensorBoard, "hparams", lambda self, settings: None)
    monkeypatch.setattr(board.TensorBoard, "log", log_and_close)
    run = RunFolder(train_run(small_config(tmp_path, "mlp", TO), folder=tmp_path / "run", watch=told.append).folder)
    same(final(whole), final(run))
    (facts,) = [event.facts for event in told if event.kind == "tracker"]
    assert "No space left on device" in facts["reason"]


def test_a_damaged_note_of_ids_is_no_reason_to_stop(held, tmp_path):
    config = small_config(tmp_path, "mlp", TO)
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(9))
    (tmp_path / "run" / "track.json").write_text('{"tensorboard": ')
    resume_run(RunFolder(tmp_path / "run"))
    assert len(held) == 2
    assert held["id-2"]["end"][0] == "done"


def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(TRACKERS, "wandb", TRACKERS["wandb"]._replace(needs=("no_such_package",)))
    with pytest.raises(MissingExtra) as caught:
        train_run(small_config(tmp_path, "mlp", "track.to=[wandb]"))
    assert caught.value.exit_code == 8
    assert "no_such_package" in caught.value.message
    assert caught.value.attempt == "pip install 'gym-jax[wandb]'"
    assert list(tmp_path.iterdir()) == []


def test_labels_and_a_model_that_is_solved_are_tracked_too(held, tmp_path):
    path = tmp_path / "rows.csv"
    rows = "".join(f"{n % 7},{n % 5},{'ab'[n % 2]}\n" for n in range(60))
    path.write_text(f"x,y,word\n{rows}")
    more = ["task.kind=classify", "model=mlp", "model.hidden=[4]", f"data.path={path}", "data.target=word"]
    train_run(load_config([], [*more, TO, "train.epochs=2"], {"run.root": str(tmp_path)}), folder=tmp_path / "words")
    train_run(small_config(tmp_path, "linear", TO), folder=tmp_path / "solved")
    words, solved = held.values()
    assert 0 <= words["end"][2]["test/word/accuracy"] <= 1
    assert "| majority | " in words["test/scores"]
    assert (solved["points"], solved["end"][0]) == ([], "done")
    assert "test/cpu_cores/mae" in solved["end"][2]


def test_numbers_that_are_not_finite_are_left_out():
    line = json.loads('{"epoch": 1, "step": 7, "loss": 0.5, "grad_norm": null, "members": 2}')
    assert tracking.numbers_of(line) == {"epoch": 1.0, "loss": 0.5, "members": 2.0}
    assert tracking.spread_of({0: {"loss": 1.0}, 1: {"loss": None}}) == {"loss/seed_0": 1.0}


def test_trackers_of_a_run_that_is_not_scored_end_as_done_without_scores(held, tmp_path):
    result = train_run(small_config(tmp_path, "mlp", TO, "train.epochs=1"), folder=tmp_path / "run", part=None)
    assert result.scores == {}
    (got,) = held.values()
    assert got["end"] == ("done", result.steps, {})
    assert "test/scores" not in got
    (tmp_path / "run/track.json").unlink()
    assert resume_run(RunFolder(tmp_path / "run")).status == "complete"
    assert [run["end"][0] for run in held.values()] == ["done", "done"], "it is sent once more, to a new place"
