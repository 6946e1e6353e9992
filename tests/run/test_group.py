"""A group of seeds: each member is its single run, all go on to the bit, and the scores are those of their mean."""

import shutil
from types import SimpleNamespace

import chex
import numpy as np
import pytest
from ends import StopAt
from small import small_config

from gym_jax.errors import CheckpointError, ConfigError, Diverged, Interrupted
from gym_jax.evaluate.score import forecasters, forecasts
from gym_jax.run import fit, packing
from gym_jax.run.assemble import cut, reading
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import best_member, is_lost, members_of
from gym_jax.run.load import load_run
from gym_jax.run.members import Member
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.predict import predict_run
from gym_jax.run.prune import choose_runs
from gym_jax.run.ranking import read_entry
from gym_jax.run.seats import seat
from gym_jax.run.session import Session
from gym_jax.run.train import find_resumable, resume_run, train_run
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps
from gym_jax.train.loop import Position
from gym_jax.train.many import Pack
from gym_jax.train.parallel import make_layout

SEEDS = (0, 1, 2)
STEADY = ("model.dropout=0", "optim=sgd", "optim.lr=0.3", "train.patience=2", "train.epochs=8")
LOWERED = ("schedule=plateau", "schedule.patience=1", "schedule.threshold=0.05")
CHUNKS = 2
"""Of an epoch: fourteen steps, seven at a time."""


def settings(root, *overrides, seeds=3):
    return small_config(root, "mlp", *STEADY, *LOWERED, f"train.seeds={seeds}", "train.chunk=7", *overrides)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A group of three that was never interrupted; its third member stops an epoch before the others."""
    root = tmp_path_factory.mktemp("whole")
    return RunFolder(train_run(settings(root), folder=root / "group").folder)


@pytest.fixture(scope="module")
def likeness(tmp_path_factory):
    return fresh_state(plan_run(settings(tmp_path_factory.mktemp("like"))))


def end(run, like):
    """Return everything of one run that must not depend on interruptions."""
    last = restore_checkpoint(run.checkpoints / str(max(saved_steps(run.checkpoints))), like)
    return (run.path / "metrics.jsonl").read_bytes(), run.read_json("scores.json"), last._replace(key=None)


def same(run, other, like):
    assert (run.path / "metrics.jsonl").read_bytes() == (other.path / "metrics.jsonl").read_bytes()
    assert run.read_json("scores.json") == other.read_json("scores.json")
    for seed, member in members_of(run).items():
        if not is_lost(member):
            mine, theirs = end(member, like), end(members_of(other)[seed], like)
            chex.assert_trees_all_equal(mine[2], theirs[2])
            assert mine[:2] == theirs[:2]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_member_is_its_single_run(seed, whole, likeness, tmp_path):
    config = settings(tmp_path, f"train.seed={seed}", seeds=1)
    alone = RunFolder(train_run(config, folder=tmp_path / "alone").folder)
    member = members_of(whole)[seed]
    assert member.read_config() | {"run": None} == alone.read_config() | {"run": None}, "it is repeated by itself"
    assert member.read_json("status.json")["epochs"] == alone.read_json("status.json")["epochs"] == (7, 7, 6)[seed]
    lines, own = alone.read_lines("metrics.jsonl"), member.read_lines("metrics.jsonl")
    assert [line["lr"] for line in own] == [line["lr"] for line in lines]
    assert len({line["lr"] for line in own}) > 3, "the rate was lowered"
    for name in ("loss", "grad_norm", "val_loss"):
        np.testing.assert_allclose([line[name] for line in own], [line[name] for line in lines], rtol=1e-4)
    mine, theirs = end(member, likeness)[2], end(alone, likeness)[2]
    chex.assert_trees_all_close(mine.params, theirs.params, atol=1e-5, rtol=0)
    scores = [run.read_json("scores.json") for run in (member, alone)]
    assert scores[0]["step"] == scores[1]["step"], "the best step"
    assert scores[0]["baselines"] == scores[1]["baselines"]
    mae = [score["model"]["targets"]["cpu_cores"]["mae"] for score in scores]
    assert mae[0] == pytest.approx(mae[1], rel=1e-5)


def test_a_line_of_the_group_is_the_mean_of_its_members_lines(whole):
    lines = {seed: member.read_lines("metrics.jsonl") for seed, member in members_of(whole).items()}
    found = whole.read_lines("metrics.jsonl")
    assert [line["members"] for line in found] == [3, 3, 3, 3, 3, 3, 2]
    for number, line in enumerate(found):
        there = [own[number] for own in lines.values() if number < len(own)]
        assert line["step"] == there[0]["step"] == 14 * (number + 1)
        for name in ("lr", "loss", "grad_norm", "val_loss"):
            assert line[name] == pytest.approx(np.mean([own[name] for own in there]), rel=1e-12)


PLACES = {"mid-epoch": 1, "at the end of an epoch": 2 * CHUNKS, "after one has left": 6 * CHUNKS + 1}


STOPS = [
    pytest.param(chunks, id=place, marks=[pytest.mark.slow] * ("end" in place)) for place, chunks in PLACES.items()
]


@pytest.mark.parametrize("chunks", STOPS)
def test_stopped_and_resumed_to_the_bit(chunks, whole, likeness, tmp_path):
    with pytest.raises(Interrupted) as caught:
        train_run(settings(tmp_path), folder=tmp_path / "group", stop=StopAt(chunks))
    assert caught.value.exit_code == 143
    run = RunFolder(tmp_path / "group")
    assert run.read_json("status.json")["status"] == "stopped"
    assert {member.read_json("status.json")["status"] for member in members_of(run).values()} == {"stopped"}
    assert find_resumable(settings(tmp_path)).path == run.path
    assert resume_run(run).status == "done"
    same(run, whole, likeness)
    assert resume_run(run).status == "complete"


@pytest.mark.parametrize("number", [2, 35], ids=["in the first save", "when one leaves"])
def test_killed_between_the_saves_of_two_members(number, whole, likeness, tmp_path, monkeypatch):
    """The save that is cut short has reached some members only: all go back to the one before, or to the start."""
    seen, write = 0, Session.write

    def die(session):
        nonlocal seen
        seen += 1
        if seen == number:
            raise KeyboardInterrupt
        write(session)

    monkeypatch.setattr(Session, "write", die)
    with pytest.raises(KeyboardInterrupt):
        train_run(settings(tmp_path, "run.save_seconds=0"), folder=tmp_path / "group")
    monkeypatch.undo()
    run = RunFolder(tmp_path / "group")
    newest = [max(saved_steps(member.checkpoints), default=0) for member in members_of(run).values()]
    assert len(set(newest)) > 1, "they stand at different steps"
    assert resume_run(run, config=settings(tmp_path)).status == "done"
    same(run, whole, likeness)


def test_nothing_is_dropped_before_all_members_are_saved(whole, likeness, tmp_path, monkeypatch):
    """A save may write two steps, the best and the newest: the one that the others still stand at must stay."""
    run = RunFolder(tmp_path / "group")
    with pytest.raises(Interrupted):
        train_run(settings(tmp_path), folder=run.path, stop=StopAt(1))
    write = Session.write

    def die(session):
        if session.folder.path.name == "1":
            raise KeyboardInterrupt
        write(session)

    monkeypatch.setattr(Session, "write", die)
    with pytest.raises(KeyboardInterrupt):
        resume_run(run, stop=StopAt(2))
    monkeypatch.undo()
    assert [saved_steps(member.checkpoints) for member in members_of(run).values()] == [[7, 14, 21], [7], [7]]
    assert resume_run(run).status == "done"
    same(run, whole, likeness)


def poison(monkeypatch, *seeds, step=14):
    """Let members diverge in the first chunk of the second epoch."""
    advance = Session.advance

    def poisoned(session, progress):
        if session.folder.path.name in map(str, seeds) and session.step >= step:
            raise session._diverged("poisoned")
        advance(session, progress)

    monkeypatch.setattr(Session, "advance", poisoned)


def test_one_diverges_and_the_others_go_on(whole, likeness, tmp_path, monkeypatch):
    poison(monkeypatch, 1)
    told = []
    # all at once: the width of the program may change its bits
    config = settings(tmp_path, "train.devices=1", "train.epochs=3", "train.patience=null")
    lost = train_run(config, folder=tmp_path / "lost", watch=told.append)
    run = RunFolder(lost.folder)
    assert run.read_json("choices.json")["packing"] == "vmap"
    status = members_of(run)[1].read_json("status.json")
    assert (status["status"], status["exit_code"], status["reason"]) == ("failed", 5, "poisoned")
    assert status["left"] == 2, "it keeps its column until the epoch ends in which it diverged"
    assert next(event.facts for event in told if event.kind == "member") == {"seed": 1, "reason": "poisoned"}
    assert [line["members"] for line in run.read_lines("metrics.jsonl")] == [3, 2, 2]
    assert lost.status == run.read_json("status.json")["status"] == "done"
    assert lost.scores["members"]["seeds"] == [0, 2]
    assert lost.scores["notes"] == ["1 of 3 members diverged and are left out: seed 1"]
    assert evaluate_run(run)["model"] == lost.scores["model"]
    assert load_run(run).seeds == (0, 2)
    for seed in (0, 2):
        theirs, own = (members_of(one)[seed].read_lines("metrics.jsonl") for one in (whole, run))
        assert [line["val_loss"] for line in own] == pytest.approx([line["val_loss"] for line in theirs[:3]], rel=1e-4)
    # interrupted in the very epoch in which it is lost
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "cut", stop=StopAt(CHUNKS + 1))
    cut = RunFolder(tmp_path / "cut")
    assert is_lost(members_of(cut)[1])
    resume_run(cut)
    same(cut, run, likeness)


SEATS = {
    "as many columns as the next power of two": ((None, None, None, 2, 1), [0, 1, 2, 0], {0: 0, 1: 1, 2: 2}),
    "never more than members": ((None, None, None, None, None), [0, 1, 2, 3, 4], {n: n for n in range(5)}),
    "a copy where one was lost in this epoch": ((None, 4, None, 3, 1), [0, 0, 2, 0], {0: 0, 2: 2}),
    "a copy of the first that trains": ((4, None, 3, 2, 1), [1, 1], {1: 1}),
    "one alone": ((3, 3, None, 3, 3), [2], {0: 2}),
}


@pytest.mark.parametrize("case", SEATS)
def test_the_columns_of_an_epoch_by_hand(case):
    left, filled, owners = SEATS[case]
    session = SimpleNamespace(position=Position(3, 7))
    configs = [SimpleNamespace(train=SimpleNamespace(seed=seed)) for seed in range(len(left))]
    members = [Member(("seed", seed), configs[seed], session, epochs) for seed, epochs in enumerate(left)]
    seats = seat(members, Pack("vmap", make_layout("one")))
    assert [member.seed for member in seats.filled] == filled
    assert {column: member.seed for column, member in seats.owners.items()} == owners
    loop = seat(members, Pack("loop", make_layout("one")))
    assert [member.seed for member in loop.filled] == [member.seed for member in members if member.left is None]


def test_when_all_diverge_the_group_fails(tmp_path, monkeypatch):
    poison(monkeypatch, *SEEDS, step=0)
    with pytest.raises(Diverged, match="all 3 members diverged, of the last poisoned") as caught:
        train_run(settings(tmp_path), folder=tmp_path / "group")
    assert caught.value.exit_code == 5
    run = RunFolder(tmp_path / "group")
    assert run.read_json("status.json")["status"] == "failed"
    with pytest.raises(CheckpointError, match="every member of"):
        predict_run(run)
    with pytest.raises(Diverged):
        resume_run(run)


def test_the_scores_are_those_of_the_mean_and_of_each(whole):
    scores, trained = whole.read_json("scores.json"), load_run(whole)
    windows = reading(trained.model, cut(trained.config, trained.prepared, "test"))
    panel = trained.prepared.panel
    answers = [
        np.concatenate([part for _, part in forecasts(one, windows, trained.prepared.scaler, batch_size=64)])
        for one in forecasters(trained.model, trained.variables)
    ]
    rows = (np.asarray(windows.origins) - windows.room)[:, None] + np.arange(windows.horizon)
    truth, seen = panel.values[rows, 0], panel.mask[rows, 0]

    def mae(answer):
        return np.abs(answer[..., 0] - truth)[seen].mean()

    assert scores["model"]["targets"]["cpu_cores"]["mae"] == pytest.approx(mae(np.mean(answers, axis=0)), rel=1e-9)
    assert scores["members"]["seeds"] == list(SEEDS)
    alone = scores["members"]["targets"]["cpu_cores"]["mae"]
    assert alone["values"] == pytest.approx([mae(answer) for answer in answers], rel=1e-9)
    for seed, value in zip(SEEDS, alone["values"], strict=True):
        assert members_of(whole)[seed].read_json("scores.json")["model"]["targets"]["cpu_cores"]["mae"] == value
    half = 4.302652729911275 * np.std(alone["values"], ddof=1) / np.sqrt(3)
    assert (alone["low"], alone["high"]) == pytest.approx((alone["mean"] - half, alone["mean"] + half), rel=1e-9)
    found = evaluate_run(whole)
    assert {key: found[key] for key in ("model", "members", "baselines", "verdict")} == {
        key: scores[key] for key in ("model", "members", "baselines", "verdict")
    }


def test_the_forecast_is_the_mean_of_the_members_with_their_spread(whole):
    members = [predict_run(member) for member in members_of(whole).values()]
    frame = predict_run(whole)
    values = np.stack([member["cpu_cores"] for member in members])
    np.testing.assert_allclose(frame["cpu_cores"], values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(frame["cpu_cores_spread"], values.std(axis=0, ddof=1), rtol=1e-9)
    assert frame.attrs == {"notes": [], "step": None, "weights": "trained", "seeds": [0, 1, 2]}


def test_the_best_member_answers_alone_and_is_exported(whole, tmp_path):
    losses = [member.read_json("status.json")["best"]["val_loss"] for member in members_of(whole).values()]
    seed = int(np.argmin(losses))
    member = members_of(whole)[seed]
    assert best_member(whole).path == member.path
    status = whole.read_json("status.json")["best"]
    assert (status["seed"], status["val_loss"]) == (seed, losses[seed])
    assert read_entry(whole).val_loss == status["mean_val_loss"] == pytest.approx(np.mean(losses))
    frame = predict_run(whole, members="best")
    assert frame.attrs["seeds"] == [seed]
    np.testing.assert_array_equal(frame["cpu_cores"], predict_run(member)["cpu_cores"])
    scores = evaluate_run(whole, members="best")
    assert scores["seed"] == seed
    assert scores["model"] == member.read_json("scores.json")["model"]
    manifest = export_run(whole, tmp_path / "weights")
    assert (manifest["run"], manifest["seed"], manifest["step"]) == ("group", seed, status["step"])
    assert manifest["notes"][0] == f"the best of {len(losses)} members, seed {seed}"


def test_a_group_that_was_never_validated_has_no_best(tmp_path):
    config = settings(tmp_path, "data.split.val=0", "schedule=constant", "train.epochs=1", seeds=2)
    run = RunFolder(train_run(config, folder=tmp_path / "group").folder)
    assert "val_loss" not in run.read_lines("metrics.jsonl")[0]
    with pytest.raises(CheckpointError, match="was validated, so none is the best"):
        predict_run(run, members="best")
    assert len(predict_run(run)) == 12
    again = settings(tmp_path, "data.split.val=0", "schedule=constant", "train.epochs=2", seeds=2)
    assert resume_run(run, config=again).epochs == 2, "it is made longer"
    for folder in (run, members_of(run)[1]):
        assert [line["step"] for line in folder.read_lines("metrics.jsonl")] == [14, 28]


def test_a_group_is_made_longer_but_waits_as_long_as_it_did(whole, tmp_path):
    copied = RunFolder(shutil.copytree(whole.path, tmp_path / "group"))
    with pytest.raises(ConfigError, match=r"`train\.patience` has said when each member"):
        resume_run(copied, config=settings(whole.path.parent, "train.patience=3"))
    with pytest.raises(ConfigError, match=r"`train\.seeds` would change the program"):
        resume_run(copied, config=settings(whole.path.parent, seeds=4))
    longer = resume_run(copied, config=settings(whole.path.parent, "train.epochs=9"))
    assert (longer.status, longer.epochs) == ("done", 7), "all had stopped early, and stay stopped"
    assert longer.scores["model"] == whole.read_json("scores.json")["model"]


def test_a_run_begins_from_a_member_and_not_from_a_group(whole, tmp_path):
    root = whole.path.parent
    with pytest.raises(CheckpointError, match="is a group of 3 models") as caught:
        train_run(settings(tmp_path, f"train.init_from={whole.path}", seeds=1))
    assert caught.value.attempt.endswith(f"train.init_from={whole.path}/members/0")
    member = members_of(whole)[1]
    start = f"train.init_from={member.path}"
    child = train_run(settings(root, start, "train.epochs=1", seeds=2), folder=root / "child")
    assert RunFolder(child.folder).read_config()["train"]["init_step"] == member.read_json("scores.json")["step"]
    chosen, kept = choose_runs(root, keep=0, best_too=True)
    assert {(item.entry.name, item.why) for item in kept} == {("group", "the start of child")}
    assert [item.entry.name for item in chosen] == ["child"]
    shutil.rmtree(child.folder)


@pytest.fixture
def long(monkeypatch):
    """Every run is long enough for a race, which is a short one."""
    monkeypatch.setattr(packing, "LONG", 0)
    monkeypatch.setattr(packing, "quickest", lambda: "fast")
    monkeypatch.setattr(packing, "_spread", lambda *args: [])
    raced = fit.race
    monkeypatch.setattr(fit, "race", lambda *args, **kwargs: raced(*args, seconds=0.01, **kwargs))


@pytest.mark.usefixtures("long")
def test_the_packing_that_won_is_kept_told_and_used_again(tmp_path):
    told = []
    with pytest.raises(Interrupted):
        train_run(settings(tmp_path, "train.epochs=2"), folder=tmp_path / "run", watch=told.append, stop=StopAt(2))
    run = RunFolder(tmp_path / "run")
    choices = run.read_json("choices.json")
    assert {"vmap", "loop"} == {lane["packing"] for lane in choices["race"]}
    assert all(lane["ms_per_step"] > 0 and lane["fault"] is None for lane in choices["race"])
    names = ("packing", "placement", "devices", "compile")
    assert [choices[name] for name in names] == [choices["race"][0][name] for name in names]
    assert [event.facts["packing"] for event in told if event.kind == "placement"] == [choices["packing"]]
    told.clear()
    assert resume_run(run, watch=told.append).status == "done"
    assert not [event for event in told if event.kind == "placement"]
    assert run.read_json("choices.json") == choices


def test_a_named_placement_trains_one_member_after_the_other(whole, tmp_path):
    run = RunFolder(train_run(settings(tmp_path, "train.placement=one"), folder=tmp_path / "run").folder)
    assert run.read_json("choices.json")["packing"] == "loop"
    for seed, member in members_of(run).items():
        mine, theirs = (one.read_json("scores.json") for one in (member, members_of(whole)[seed]))
        assert mine["step"] == theirs["step"]
        assert mine["model"]["targets"]["cpu_cores"]["mae"] == pytest.approx(
            theirs["model"]["targets"]["cpu_cores"]["mae"], rel=1e-5
        )
