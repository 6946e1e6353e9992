"""Bad steps in a run: stopped with the series and the time, skipped, rolled back; to a limit, and to the bit."""

import math

import jax
import numpy as np
import pytest
from ends import StopAt, final, same
from small import small_config, small_frame

from gym_jax.config.load import load_config
from gym_jax.errors import Diverged, Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import member_run
from gym_jax.run.load import read_config
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.train import resume_run, train_run
from gym_jax.run.trouble import FEWEST, Trouble
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps
from gym_jax.types import Mean

POLICIES = ("skip", "rollback")
POISON = 150
"""The row of series b that holds it: inside its train part."""


@pytest.fixture
def poisoned(tmp_path):
    """Return a file of two series; one value of b is beyond what a square can hold."""
    frame = small_frame().reset_index(drop=True)
    place = frame.index[frame["unique_id"] == "b"][POISON]
    frame.loc[place, "cpu"] = 1e30
    frame.to_csv(tmp_path / "poisoned.csv", index=False)
    return tmp_path / "poisoned.csv", str(frame.loc[place, "ds"])


def settings(tmp_path, path, *overrides):
    return small_config(
        tmp_path,
        "mlp",
        "train.batch_size=4",
        f"data.path={path}",
        "data.target=[cpu]",
        "data.scale.kind=robust",
        "loss=mse",
        "train.clip=null",
        *overrides,
    )


def tell(config, folder, **more):
    """Train, and return the events of trouble."""
    told = []
    result = train_run(config, folder=folder, watch=told.append, **more)
    return result, [event.facts for event in told if event.kind == "left_out"]


def all_finite(folder, config):
    """Return whether every parameter of every checkpoint of a run is finite."""
    checkpoints, like = RunFolder(folder).checkpoints, fresh_state(plan_run(config))
    states = [restore_checkpoint(checkpoints / str(step), like) for step in saved_steps(checkpoints)]
    return all(np.isfinite(leaf).all() for state in states for leaf in jax.tree.leaves(state.params))


def test_a_run_that_stops_names_step_series_and_time(tmp_path, poisoned):
    path, time = poisoned
    with pytest.raises(Diverged) as caught:
        train_run(settings(tmp_path, path), folder=tmp_path / "run")
    message = caught.value.message
    assert message.startswith("the loss is not finite at step ")
    assert "(epoch 1); its largest value is " in message
    assert f"times its scale, series `b` at {time.replace(' ', 'T')}" in message
    assert saved_steps(tmp_path / "run" / "checkpoints") == []


def test_a_rate_that_is_too_high_is_told_from_bad_data(tmp_path):
    config = small_config(tmp_path, "mlp", "optim.kind=sgd", "optim.lr=1e30", "loss.kind=mse", "train.clip=null")
    with pytest.raises(Diverged, match=r"no value of the batch is large: at most [0-9.]+ times its scale, series `"):
        train_run(config, folder=tmp_path / "run")


def test_a_table_names_its_case(tmp_path):
    lines = ["x,y", *(f"{i % 7},{1e30 if i == 11 else i % 7}" for i in range(60))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    asked = ["model=mlp", f"data.path={tmp_path / 'table.csv'}", "data.target=[y]", "task.kind=regress"]
    config = load_config([], [*asked, "data.scale.kind=robust", "loss=mse", "train.clip=null"])
    with pytest.raises(Diverged, match=r"its largest value is 1?\S* times its scale, case 12 of the data"):
        train_run(config, folder=tmp_path / "run")


@pytest.mark.parametrize("policy", POLICIES)
def test_bad_batches_are_left_out_and_the_rest_is_learnt(policy, tmp_path, poisoned):
    config = settings(tmp_path, poisoned[0], f"train.on_nan={policy}", "train.nan_limit=20", "run.save_seconds=0")
    result, told = tell(config, tmp_path / "run")
    assert result.status == "done"
    assert all_finite(tmp_path / "run", config)
    lines = RunFolder(tmp_path / "run").read_lines("metrics.jsonl")
    assert len(lines) == 4
    assert all(math.isfinite(line["loss"]) for line in lines)
    assert lines[-1]["val_loss"] < lines[0]["val_loss"], "it went on learning"
    assert {facts["epoch"] for facts in told} == {1, 2, 3, 4}, "the value comes round in every epoch"
    assert all("series `b` at" in facts["reason"] for facts in told)
    assert {facts["left_out"] for facts in told} <= {1, 2, 3}, "a chunk has three steps"
    logged = [line for line in RunFolder(tmp_path / "run").read_lines("log.jsonl") if line["event"] == "left_out"]
    assert [line["step"] for line in logged] == [facts["step"] for facts in told]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("chunks", [1, 4, 7])
def test_left_out_and_interrupted_ends_with_the_same_bits(policy, chunks, tmp_path, poisoned):
    overrides = (f"train.on_nan={policy}", "train.nan_limit=20", "train.loss_jump=1e6" if policy == "rollback" else "")
    config = settings(tmp_path, poisoned[0], *filter(None, overrides))
    whole, _ = tell(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "parted", stop=StopAt(chunks))
    resume_run(RunFolder(tmp_path / "parted"))
    same(final(RunFolder(tmp_path / "parted"), config), final(RunFolder(whole.folder), config))


@pytest.mark.parametrize("policy", POLICIES)
def test_beyond_the_limit_it_stops_and_nothing_bad_was_saved(policy, tmp_path, poisoned):
    config = settings(tmp_path, poisoned[0], f"train.on_nan={policy}", "train.nan_limit=1", "run.save_seconds=0")
    with pytest.raises(Diverged, match=r"\d+ (steps|chunks) of this epoch are lost, train\.nan_limit=1") as caught:
        train_run(config, folder=tmp_path / "run")
    assert caught.value.exit_code == 5
    assert all_finite(tmp_path / "run", config)


@pytest.mark.parametrize("policy", POLICIES)
def test_members_of_a_group_leave_their_own_steps_out(policy, tmp_path, poisoned):
    options = (f"train.on_nan={policy}", "train.nan_limit=20")
    config = settings(tmp_path, poisoned[0], *options, "train.seeds=2")
    result, told = tell(config, tmp_path / "group")
    assert {facts["seed"] for facts in told} == {0, 1}
    for seed in (0, 1):
        folder, own = member_run(RunFolder(result.folder), seed), (*options, f"train.seed={seed}")
        alone, _ = tell(settings(tmp_path, poisoned[0], *own), tmp_path / f"alone-{seed}")
        assert all_finite(folder.path, read_config(RunFolder(alone.folder)))
        own = RunFolder(alone.folder).read_lines("metrics.jsonl")
        for line, other in zip(folder.read_lines("metrics.jsonl"), own, strict=True):
            assert line["val_loss"] == pytest.approx(other["val_loss"], rel=1e-4)


def metrics_of(*losses):
    loss = np.array(losses)
    return {name: Mean(values, np.ones(len(loss))) for name, values in {"loss": loss, "grad_norm": loss}.items()}


def test_a_jump_by_hand():
    """Losses of 1 and 3 in turn: median 2, spread 1.4826 * 1; ten spreads above are 16.826."""
    trouble = Trouble(jump=10)
    assert trouble.find(metrics_of(*[1.0, 3.0] * (FEWEST // 2))) is None
    assert trouble.find(metrics_of(16.8)) is None
    fault = trouble.find(metrics_of(2.0, 17.5, 2.0))
    assert (fault.first, fault.words.partition(",")[0]) == (1, "the loss jumped to 17.5")
    assert 17.5 not in trouble.losses, "a jump is no measure of the next"


def test_what_is_not_finite_is_never_a_measure():
    trouble = Trouble(jump=10)
    assert trouble.find(metrics_of(1.0, math.nan)).words == "the loss is not finite"
    assert list(trouble.losses) == [], "nothing of a chunk that is rolled back"
    assert trouble.find(metrics_of(*[1.0, 3.0] * FEWEST)) is None
    assert trouble.find(metrics_of(2.5)) is None, "good steps go on"


def test_no_jump_before_there_is_a_measure():
    assert Trouble(jump=1).find(metrics_of(1.0, 1e9)) is None


def test_a_jump_stops_a_run_or_is_rolled_back(tmp_path):
    """A rate that rises until the loss does."""
    rising = ("optim=sgd", "optim.lr=2", "schedule=warmup_constant", "schedule.warmup=0.99", "loss=mse")
    base = (*rising, "train.clip=null", "train.epochs=6", "train.loss_jump=8")
    with pytest.raises(Diverged, match=r"the loss jumped to \S+, \S+ spreads above the median \S+ at step \d+"):
        train_run(small_config(tmp_path, "mlp", *base), folder=tmp_path / "stop")
    config = small_config(tmp_path, "mlp", *base, "train.on_nan=rollback", "train.nan_limit=0")
    with pytest.raises(Diverged, match=r"1 chunks of this epoch are lost, train\.nan_limit=0"):
        train_run(config, folder=tmp_path / "rollback")
