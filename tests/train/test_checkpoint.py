"""Checkpoints: the same bits back, refusals in words, and Orbax opens them by itself."""

import errno

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from orbax.checkpoint import v1 as ocp
from small import MODELS, small_windows

from gym_jax.errors import CheckpointError, StorageError
from gym_jax.train import checkpoint as module
from gym_jax.train.checkpoint import read_metadata, restore_checkpoint, retain, save_checkpoint, saved_steps
from gym_jax.train.step import init_state


def a_state(model=MODELS["mlp"], tx=None, seed=3):
    return init_state(model, tx or optax.adamw(1e-3), jax.random.key(seed), small_windows().take(jnp.arange(2)).inputs)


def test_every_leaf_comes_back_with_its_bits(tmp_path):
    state = a_state()
    path = save_checkpoint(tmp_path, 7, state, {"position": [1, 2], "value": 0.1})
    back = restore_checkpoint(path, a_state(seed=4))
    chex.assert_trees_all_equal(back, state)
    assert back.key.dtype == state.key.dtype
    assert read_metadata(path) == {"position": [1, 2], "value": 0.1}


@pytest.mark.filterwarnings("ignore:Sharding info not provided")  # Orbax says so of every load without shapes
def test_orbax_itself_opens_it(tmp_path):
    state = a_state()
    path = save_checkpoint(tmp_path, 1, state)
    tree = ocp.load_checkpointables(path)["state"]
    chex.assert_trees_all_equal(tree["params"], state.params)


def test_shapes_are_enough_to_restore(tmp_path):
    state = a_state()
    path = save_checkpoint(tmp_path, 1, state)
    chex.assert_trees_all_equal(restore_checkpoint(path, jax.eval_shape(a_state)), state)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: a_state(model=MODELS["mlp"].clone(hidden=(17,))), "saved (24, 16) -> now (24, 17)"),
        (lambda: a_state(model=MODELS["lstm"]), "params/layer_0/cell/input_kernel: not in the checkpoint"),
        (lambda: a_state(tx=optax.sgd(1.0)), "opt_state/0/count: only in the checkpoint"),
        (
            lambda: a_state()._replace(params=jax.tree.map(lambda x: x.astype(jnp.bfloat16), a_state().params)),
            "saved float32 -> now bfloat16",
        ),
    ],
)
def test_another_state_is_refused_leaf_by_leaf(tmp_path, other, words):
    path = save_checkpoint(tmp_path, 1, a_state())
    with pytest.raises(CheckpointError) as caught:
        restore_checkpoint(path, other())
    assert words in caught.value.message
    assert caught.value.exit_code == 4


def test_missing_and_damaged_are_checkpoint_errors(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        restore_checkpoint(tmp_path / "3", a_state())
    path = save_checkpoint(tmp_path, 3, a_state())
    for file in path.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="can not be read"):
        restore_checkpoint(path, a_state())


def test_only_whole_steps_are_listed_and_retention_touches_nothing_else(tmp_path):
    for step in (1, 5, 20):
        save_checkpoint(tmp_path, step, {"x": jnp.ones(2)})
    for stray in ("20.orbax-checkpoint-tmp", "notes", "30", "-1", "1e3", "007"):
        (tmp_path / stray).mkdir()
    assert saved_steps(tmp_path) == [1, 5, 20]
    retain(tmp_path, [20])
    assert saved_steps(tmp_path) == [20]
    assert (tmp_path / "notes").is_dir()
    assert (tmp_path / "30").is_dir()


def test_a_disk_that_refuses_is_said_where_several_processes_write_too(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "is_apart", lambda state: True)
    monkeypatch.setattr(module.ocp, "save_checkpointables", full)
    with pytest.raises(StorageError, match=r"can not be written: OSError: .*No space left on device"):
        save_checkpoint(tmp_path, 1, a_state())
