"""Where a run begins: at the weights of another, whole or in parts, or as a child where its parent stood."""

import chex
import jax
import numpy as np
import pandas as pd
import pytest
from small import small_config, small_frame

from gym_jax.config.load import load_config
from gym_jax.errors import CheckpointError, ConfigError, Interrupted
from gym_jax.optim import scale_of
from gym_jax.run.load import load_weights
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.runs import open_run
from gym_jax.run.start import child_of, find_start, settle
from gym_jax.run.train import find_resumable, resume_run, train_run
from gym_jax.train.checkpoint import read_metadata, saved_steps


@pytest.fixture(scope="module")
def donor(tmp_path_factory):
    return open_run(train_run(small_config(tmp_path_factory.mktemp("donor"), "mlp", "train.epochs=2")).folder)


def state_of(*arguments):
    return find_start(plan_run(small_config(*arguments))).state


def equal(left, right):
    return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (left, right)), strict=True))


def test_a_warm_start_takes_every_weight_and_nothing_else(donor, tmp_path):
    state = state_of(tmp_path, "mlp", f"train.init_from={donor.path}", "train.seed=3", "train.ema=0.9")
    chex.assert_trees_all_equal(state.params, load_weights(donor).params)
    chex.assert_trees_all_equal(state.ema, load_weights(donor).params)
    fresh = state_of(tmp_path, "mlp", "train.seed=3", "train.ema=0.9")
    chex.assert_trees_all_equal(state.opt_state, fresh.opt_state)
    assert int(state.step) == 0
    assert (jax.random.key_data(state.key) == jax.random.key_data(fresh.key)).all()


def test_a_warm_start_of_named_parts_leaves_the_rest_fresh(donor, tmp_path):
    """The horizon is another, so the head can not be taken."""
    overrides = (f"train.init_from={donor.path}", "train.init_parts=[layer_0]", "task.horizon=3", "train.seed=3")
    state = state_of(tmp_path, "mlp", *overrides)
    fresh = state_of(tmp_path, "mlp", "task.horizon=3", "train.seed=3")
    assert equal(state.params["layer_0"], load_weights(donor).params["layer_0"])
    assert not equal(state.params["layer_0"], fresh.params["layer_0"])
    assert equal(state.params["head"], fresh.params["head"])


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["task.horizon=3"], r"head/kernel has shape .* instead of .*"),
        (["train.init_parts=[layer_9]"], "no parameter is named `layer_9`"),
        (["train.freeze=[haed]"], "no parameter is named `haed`"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(overrides, match, donor, tmp_path):
    config = small_config(tmp_path, "mlp", f"train.init_from={donor.path}", *overrides)
    with pytest.raises(ConfigError, match=match):
        train_run(config)
    assert not list(tmp_path.iterdir())


def test_a_donor_that_is_none_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"`train.init_from=.*nowhere` is no run"):
        train_run(small_config(tmp_path, "mlp", "train.init_from=nowhere"))


def test_frozen_parts_keep_every_bit_and_the_rest_learns(donor, tmp_path):
    overrides = (f"train.init_from={donor.path}", "train.freeze=[layer_0]", "optim.weight_decay=0.1", "train.ema=0.5")
    config = small_config(tmp_path, "mlp", *overrides, "train.epochs=1")
    params = load_weights(open_run(train_run(config).folder)).params
    assert equal(params["layer_0"], load_weights(donor).params["layer_0"])
    assert not equal(params["head"], load_weights(donor).params["head"])


def of_machines(tmp_path, name, groups):
    """Return the settings of a run on machines of these groups."""
    machine = small_frame(series=("m",))
    frames = [machine.assign(unique_id=f"{group}-{name}", group=group, zone=group) for group in groups]
    pd.concat(frames).to_csv(tmp_path / f"{name}.csv", index=False)
    return (f"data.path={tmp_path / name}.csv", "data.target=cpu", "data.categories=[group,zone]", "train.epochs=1")


def test_a_warm_start_takes_embeddings_by_their_words(tmp_path):
    donor = train_run(
        small_config(tmp_path, "mlp", *of_machines(tmp_path, "old", ("east", "north", "west"))),
        folder=tmp_path / "donor",
    )
    words = of_machines(tmp_path, "new", ("north", "south", "west"))
    fresh = state_of(tmp_path, "mlp", *words, "train.seed=3").params["side"]["category_0"]
    state = state_of(tmp_path, "mlp", *words, "train.seed=3", f"train.init_from={donor.folder}")
    _, north, west = load_weights(open_run(donor.folder)).params["side"]["category_0"]
    np.testing.assert_array_equal(state.params["side"]["category_0"], [north, fresh[1], west])
    overrides = (*words, f"run.parent={donor.folder}", "train.epochs=2")
    with pytest.raises(CheckpointError, match="knows other words in the column `group`"):
        train_run(small_config(tmp_path, "mlp", *overrides), folder=tmp_path / "child")
    assert not (tmp_path / "child").exists()
    for begun in ("train.init_from", "run.parent"):
        turned = (*words, "data.categories=[zone,group]", f"{begun}={donor.folder}", "train.epochs=2")
        with pytest.raises(ConfigError, match=r"was trained with data.categories=\[group,zone\], in this order"):
            find_start(plan_run(settle(small_config(tmp_path, "mlp", *turned))))


def stop_after(chunks):
    left = iter(range(chunks - 1))
    return lambda: None if next(left, None) is not None else 143


def test_a_child_without_changes_ends_as_its_parent_would(tmp_path):
    config = small_config(tmp_path, "mlp")
    whole = open_run(train_run(config, folder=tmp_path / "whole").folder)
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "parent", stop=stop_after(7))
    parent = tmp_path / "parent"
    before = {path: path.read_bytes() for path in parent.rglob("*") if path.is_file()}
    child = open_run(train_run(small_config(tmp_path, "mlp", f"run.parent={parent}"), folder=tmp_path / "child").folder)
    after = {path: path.read_bytes() for path in parent.rglob("*") if path.is_file()}
    assert after.pop(parent / "pins.jsonl"), "all that is told to a parent is which step to keep"
    assert after == before
    assert (child.path / "metrics.jsonl").read_bytes() == (whole.path / "metrics.jsonl").read_bytes()
    chex.assert_trees_all_equal(load_weights(child).params, load_weights(whole).params)
    assert child.read_config()["run"]["parent"] == str(parent)
    assert child.read_config()["run"]["parent_step"] == max(saved_steps(parent / "checkpoints"))


def test_the_gradient_that_is_logged_is_of_what_is_trained(tmp_path):
    once = ("train.batch_size=100000", "train.epochs=1", "model.dropout=0")
    norms = [
        open_run(train_run(small_config(tmp_path, "mlp", *once, *freeze)).folder).read_lines("metrics.jsonl")[0][
            "grad_norm"
        ]
        for freeze in ([], ["train.freeze=[layer_0]"])
    ]
    assert norms[1] < 0.9 * norms[0]


LOWERED = ("schedule=plateau", "schedule.patience=1", "schedule.threshold=0.9")


def test_a_child_of_a_warm_started_parent_begins_where_that_stood(donor, tmp_path):
    """A child takes over neither the start of its parent nor the length of its schedule: that is no change."""
    begun = small_config(tmp_path, "mlp", *LOWERED, f"train.init_from={donor.path}")
    with pytest.raises(Interrupted):
        train_run(begun, folder=tmp_path / "parent", stop=stop_after(13))
    parent = open_run(tmp_path / "parent")
    files = [parent.path / "config.yaml"]
    start = find_start(plan_run(settle(load_config(files, [], child_of(parent)))))
    assert start.position == (2, 9)
    assert float(scale_of(start.state.opt_state)) == start.plateau.scale == 0.5
    resume_run(parent, config=load_config(files, ["train.epochs=5"]))
    start = find_start(plan_run(settle(load_config(files, ["train.epochs=6"], child_of(parent)))))
    assert start.position == (5, 0)
    assert float(scale_of(start.state.opt_state)) == start.plateau.scale < 0.5


def test_a_child_goes_on_with_other_settings_and_repeats_itself(tmp_path):
    parent = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=2"), folder=tmp_path / "parent").folder)
    step = max(saved_steps(parent.checkpoints))
    overrides = (f"run.parent={parent.path}", "train.epochs=4", "optim.lr=0.01", "data.stride=6", "schedule=constant")
    child = open_run(train_run(small_config(tmp_path, "mlp", *overrides), folder=tmp_path / "child").folder)
    lines = child.read_lines("metrics.jsonl")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[:2] == parent.read_lines("metrics.jsonl")
    assert lines[2]["step"] > step
    assert [line["lr"] for line in lines[2:]] == pytest.approx([0.01, 0.01])
    assert read_metadata(child.checkpoints / str(max(saved_steps(child.checkpoints))))["stopping"][2] > step
    again = open_run(train_run(load_config([child.path / "config.yaml"]), folder=tmp_path / "again").folder)
    assert (again.path / "metrics.jsonl").read_bytes() == (child.path / "metrics.jsonl").read_bytes()


def test_a_child_that_was_interrupted_goes_on(tmp_path):
    parent = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=1"), folder=tmp_path / "parent").folder)
    config = small_config(tmp_path, "mlp", f"run.parent={parent.path}", "train.epochs=3", "optim.lr=0.01")
    whole = open_run(train_run(config, folder=tmp_path / "whole").folder)
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "child", stop=stop_after(3))
    child = open_run(resume_run(open_run(tmp_path / "child")).folder)
    assert (child.path / "metrics.jsonl").read_bytes() == (whole.path / "metrics.jsonl").read_bytes()
    chex.assert_trees_all_equal(load_weights(child).params, load_weights(whole).params)


def test_a_child_with_other_settings_begins_with_the_whole_rate(tmp_path):
    """The parent's rate was lowered on a plateau; the child's is what its settings say, in the log and in the state."""
    parent = open_run(
        train_run(small_config(tmp_path, "mlp", *LOWERED, "train.epochs=3"), folder=tmp_path / "p").folder
    )
    assert parent.read_lines("metrics.jsonl")[-1]["lr"] < 1e-3
    overrides = (f"run.parent={parent.path}", "train.epochs=4", "data.stride=7", "schedule=plateau")
    plan = plan_run(settle(small_config(tmp_path, "mlp", *overrides)))
    assert float(scale_of(find_start(plan).state.opt_state)) == 1
    child = open_run(train_run(plan.config, folder=tmp_path / "child").folder)
    assert child.read_lines("metrics.jsonl")[-1]["lr"] == pytest.approx(1e-3)


def test_a_child_needs_room_and_the_same_state(tmp_path):
    parent = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=1"), folder=tmp_path / "parent").folder)
    with pytest.raises(ConfigError, match=r"has trained 1 epochs, train.epochs=1 leaves none"):
        train_run(small_config(tmp_path, "mlp", f"run.parent={parent.path}", "train.epochs=1"), folder=tmp_path / "a")
    with pytest.raises(CheckpointError, match="holds another state") as caught:
        train_run(small_config(tmp_path, "mlp", f"run.parent={parent.path}", "optim=sgd"), folder=tmp_path / "b")
    assert "--init-from" in caught.value.hint
    overrides = (f"run.parent={parent.path}", "run.parent_step=999")
    with pytest.raises(CheckpointError, match="step 999 of the parent"):
        train_run(small_config(tmp_path, "mlp", *overrides), folder=tmp_path / "c")
    assert {path.name for path in tmp_path.iterdir()} == {"parent"}


def test_a_run_can_be_made_longer_and_its_settings_then_repeat_it(tmp_path):
    short = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=2"), folder=tmp_path / "run").folder)
    config = load_config([short.path / "config.yaml"], ["train.epochs=4", "train.patience=9"])
    result = resume_run(short, config=config)
    assert (result.status, result.epochs) == ("done", 4)
    settings = short.read_config()
    assert settings["schedule"]["steps"] == 2 * plan_run(config).steps
    again = open_run(train_run(load_config([short.path / "config.yaml"]), folder=tmp_path / "again").folder)
    assert (again.path / "metrics.jsonl").read_bytes() == (short.path / "metrics.jsonl").read_bytes()
    assert again.read_json("scores.json") == short.read_json("scores.json")


def test_a_run_does_not_go_on_with_another_program_or_other_data(tmp_path):
    run = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=1"), folder=tmp_path / "run").folder)
    before = (run.path / "config.yaml").read_text()
    changed = ["optim.lr=0.1", "data.stride=9", "evaluate.season=7", "train.epochs=2"]
    config = load_config([run.path / "config.yaml"], changed)
    with pytest.raises(ConfigError) as caught:
        resume_run(run, config=config)
    assert {problem.message.split("`")[1] for problem in caught.value.problems} == {
        "optim.lr",
        "data.stride",
        "evaluate.season",  # it may fill gaps
    }
    words = "--fork data.stride=9 optim.lr=0.1 evaluate.season=7"  # exactly what was asked for
    assert caught.value.attempt == f"gymjax train --resume {run.path} {words}"
    assert (run.path / "config.yaml").read_text() == before


def test_the_state_at_the_start_is_fresh_without_another_run(tmp_path):
    plan = plan_run(small_config(tmp_path, "mlp"))
    chex.assert_trees_all_equal(
        *(jax.device_get(s._replace(key=0)) for s in (find_start(plan).state, fresh_state(plan)))
    )


def test_a_run_is_not_made_shorter_than_it_is(tmp_path):
    run = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=3"), folder=tmp_path / "run").folder)
    for override, words in (("train.epochs=2", "less than the 3"), ("train.patience=1", "might have stopped")):
        with pytest.raises(ConfigError, match=words):
            resume_run(run, config=load_config([run.path / "config.yaml"], [override]))


def test_a_child_repeats_itself_although_its_parent_went_on(tmp_path):
    parent = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=1"), folder=tmp_path / "parent").folder)
    step = max(saved_steps(parent.checkpoints))
    config = small_config(tmp_path, "mlp", "train.epochs=2", f"run.parent={parent.path}")
    child = open_run(train_run(config, folder=tmp_path / "child").folder)
    more = ["train.epochs=5", "run.save_seconds=0"]
    resume_run(parent, config=load_config([parent.path / "config.yaml"], more))
    assert step in saved_steps(parent.checkpoints)
    again = open_run(train_run(load_config([child.path / "config.yaml"]), folder=tmp_path / "again").folder)
    assert (again.path / "metrics.jsonl").read_bytes() == (child.path / "metrics.jsonl").read_bytes()
    assert [line["by"] for line in parent.read_lines("pins.jsonl")] == [str(child.path)], "noted once"


def test_weights_of_a_run_that_went_on_are_refused_or_the_same(tmp_path):
    """The step of the donor is written down, so that the settings repeat the run or say why they can not."""
    donor = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=1"), folder=tmp_path / "donor").folder)
    config = small_config(tmp_path, "mlp", "train.epochs=1", f"train.init_from={donor.path}")
    child = open_run(train_run(config, folder=tmp_path / "child").folder)
    step = child.read_config()["train"]["init_step"]
    assert step in saved_steps(donor.checkpoints)
    assert 0 in saved_steps(child.checkpoints), "the start is saved at once: the donor may go"
    resume_run(donor, config=load_config([donor.path / "config.yaml"], ["train.epochs=6"]))
    again = load_config([child.path / "config.yaml"])
    if step in saved_steps(donor.checkpoints):
        train_run(again, folder=tmp_path / "again")
        assert (tmp_path / "again" / "metrics.jsonl").read_bytes() == (child.path / "metrics.jsonl").read_bytes()
    else:
        with pytest.raises(CheckpointError, match=f"step {step} of .* is gone"):
            train_run(again, folder=tmp_path / "again")


def test_an_unfinished_child_is_found_by_its_settings(tmp_path):
    parent = open_run(train_run(small_config(tmp_path, "mlp", "train.epochs=1"), folder=tmp_path / "parent").folder)
    config = small_config(tmp_path / "runs", "mlp", f"run.parent={parent.path}", "train.epochs=3")
    with pytest.raises(Interrupted):
        train_run(config, stop=stop_after(2))
    assert find_resumable(config) is not None
    assert find_resumable(small_config(tmp_path / "runs", "mlp", "train.epochs=3")) is None


def test_a_run_of_defaults_is_found_by_its_settings(tmp_path):
    config = load_config([], ["model=mlp", "data.synthetic.days=2", "data.stride=50"], {"run.root": str(tmp_path)})
    train_run(config, max_seconds=0)
    assert find_resumable(config) is not None


@pytest.mark.parametrize("average", [["train.ema=0.9"], ["optim=schedule_free", "schedule=constant"]])
def test_a_solved_model_has_no_average_but_its_solution(average, tmp_path):
    plain = train_run(small_config(tmp_path, "linear", "model.ridge=1"), folder=tmp_path / "plain")
    other = train_run(small_config(tmp_path, "linear", "model.ridge=1", *average), folder=tmp_path / "average")
    assert other.scores["model"]["targets"]["cpu_cores"]["mae"] == pytest.approx(
        plain.scores["model"]["targets"]["cpu_cores"]["mae"], rel=1e-5
    )


def test_a_solved_model_has_no_children(tmp_path):
    """A child saves its start at once; a solution at the same step would not be written over it."""
    with pytest.raises(ConfigError, match=r"run\.parent means nothing to model=linear"):
        small_config(tmp_path, "linear", "model.ridge=1", f"run.parent={tmp_path}")
