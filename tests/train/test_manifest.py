"""The manifest of a checkpoint: what was saved is what is read, or it is not read at all."""

import errno
import json
import os
import random
import shutil

import chex
import jax.numpy as jnp
import pytest

from gym_jax.errors import CheckpointError, StorageError
from gym_jax.train import checkpoint, manifest
from gym_jax.train.checkpoint import (
    find_damage,
    quarantine,
    restore_checkpoint,
    retain,
    save_checkpoint,
    saved_steps,
    tidy,
)
from gym_jax.train.manifest import MANIFEST

STATE = {"params": {"kernel": jnp.arange(12.0).reshape(3, 4), "bias": jnp.ones(4)}, "step": jnp.int32(7)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("saved"), 7, STATE, {"position": [1, 2]})


@pytest.fixture
def step(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints" / "7")


def files_of(step):
    return sorted(path for path in step.rglob("*") if path.is_file() and path.stat().st_size)


def test_every_file_is_named_with_its_size_and_digest(step):
    document = json.loads((step / MANIFEST).read_text())
    written = {path.relative_to(step).as_posix() for path in step.rglob("*") if path.is_file()} - {MANIFEST}
    assert set(document["files"]) == written
    assert "state/manifest.ocdbt" in written
    assert document["facts"]["step"] == 7
    assert find_damage(step) is None


@pytest.mark.parametrize("seed", range(60))
def test_no_flipped_bit_is_read(step, seed):
    random.seed(seed)
    paths = files_of(step)
    path = random.choices(paths, [path.stat().st_size for path in paths])[0]
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        restore_checkpoint(step, STATE)
    assert caught.value.code == "checkpoint.damaged"


@pytest.mark.posix
@pytest.mark.parametrize("harm", ["emptied", "cut", "gone", "zeroed", "linked"])
def test_no_harmed_file_is_read(step, tmp_path, harm):
    for path in files_of(step):
        content = path.read_bytes()
        if harm == "emptied":
            path.write_bytes(b"")
        elif harm == "cut":
            path.write_bytes(content[:-1])
        elif harm == "zeroed":
            path.write_bytes(bytes(len(content)))
        else:
            path.unlink()
        if harm == "linked":
            (tmp_path / "elsewhere").write_bytes(content)
            path.symlink_to(tmp_path / "elsewhere")
        assert find_damage(step) is not None, path
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert find_damage(step) is None


def test_a_manifest_can_not_point_outside(step, tmp_path):
    (tmp_path / "outside").write_text("x")
    document = json.loads((step / MANIFEST).read_text())
    document.pop("seal")
    document["files"]["../../outside"] = [1, manifest._digest(tmp_path / "outside")]
    (step / MANIFEST).write_text(json.dumps({**document, "seal": manifest._seal(document)}))
    assert find_damage(step) == "its file ../../outside is gone"


def test_a_step_without_its_manifest_is_unfinished_and_cleared_away(step):
    (step / MANIFEST).unlink()
    assert saved_steps(step.parent) == []
    with pytest.raises(CheckpointError, match=r"its manifest .* is gone"):
        restore_checkpoint(step, STATE)
    tidy(step.parent)
    assert list(step.parent.iterdir()) == []


def test_a_step_of_plain_orbax_has_nothing_to_compare_and_counts(step):
    (step / MANIFEST).unlink()
    mark = json.loads((step / checkpoint.MARK).read_text())
    del mark["custom_metadata"][checkpoint.SEALED]
    (step / checkpoint.MARK).write_text(json.dumps(mark))
    assert saved_steps(step.parent) == [7]
    chex.assert_trees_all_equal(restore_checkpoint(step, STATE), STATE)
    tidy(step.parent)
    assert step.is_dir()


@pytest.mark.posix
def test_leftovers_go_and_strangers_stay(step):
    folder = step.parent
    for stray in ("8.orbax-checkpoint-tmp-3", "6.deleted", "notes", "5.bad-1", "x.deleted", "30"):
        (folder / stray).mkdir()
    (folder / "9").symlink_to(step)
    tidy(folder)
    assert {path.name for path in folder.iterdir()} == {"7", "notes", "5.bad-1", "x.deleted", "30", "9"}
    assert saved_steps(folder) == [7]


def test_what_is_damaged_is_kept_under_another_name(step):
    shutil.copytree(step, step.with_name("7.bad-1"))
    assert quarantine(step).name == "7.bad-2"
    assert saved_steps(step.parent) == []


def test_a_damaged_step_is_written_anew(step):
    (step / "state" / "manifest.ocdbt").write_bytes(b"")
    save_checkpoint(step.parent, 7, STATE, {})
    chex.assert_trees_all_equal(restore_checkpoint(step, STATE), STATE)


def test_a_folder_in_the_way_is_not_taken_for_the_step(tmp_path):
    (tmp_path / "7" / "state").mkdir(parents=True)
    chex.assert_trees_all_equal(restore_checkpoint(save_checkpoint(tmp_path, 7, STATE), STATE), STATE)


@pytest.mark.posix
def test_a_link_is_no_step_and_nothing_behind_it_is_deleted(step, tmp_path):
    shutil.move(step, tmp_path / "precious")
    step.symlink_to(tmp_path / "precious")
    retain(step.parent, [])
    tidy(step.parent)
    assert find_damage(tmp_path / "precious") is None


@pytest.mark.posix
def test_everything_is_synced_before_the_manifest_and_the_manifest_before_the_end(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def note(number):
        synced.append(os.path.realpath(f"/proc/self/fd/{number}"))
        fsync(number)

    monkeypatch.setattr(os, "fsync", note)
    path = save_checkpoint(tmp_path, 1, STATE)
    last = next(i for i, name in enumerate(synced) if f".{MANIFEST}" in name)
    before = set(synced[:last])
    for part in (path, *path.rglob("*")):
        assert str(part) in before or part in (path / MANIFEST, path)
    assert synced[last + 1 :] == [str(path), str(tmp_path)]


@pytest.mark.parametrize("number", [errno.EIO, errno.EAGAIN])
def test_what_passes_is_tried_again(tmp_path, monkeypatch, number):
    calls = []

    def refuse(*args):
        calls.append(args)
        if len(calls) < 3:
            raise OSError(number, os.strerror(number))
        manifest.write_manifest(*args)

    monkeypatch.setattr(checkpoint, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(checkpoint, "write_manifest", refuse)
    assert find_damage(save_checkpoint(tmp_path, 1, STATE)) is None
    assert len(calls) == 3


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_stays_is_a_storage_error_and_leaves_nothing(tmp_path, monkeypatch, number):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(checkpoint, "PAUSES", (0,))
    save_checkpoint(tmp_path, 1, STATE)
    monkeypatch.setattr(checkpoint, "write_manifest", refuse)
    with pytest.raises(StorageError) as caught:
        save_checkpoint(tmp_path, 2, STATE)
    assert caught.value.exit_code == 6
    assert os.strerror(number) in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_what_orbax_had_begun_does_not_keep_a_full_disk_full(tmp_path, monkeypatch):
    def refuse(path, *args, **options):
        (path.parent / f"{path.name}.orbax-checkpoint-tmp").mkdir()
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device")

    monkeypatch.setattr(checkpoint.ocp, "save_checkpointables", refuse)
    with pytest.raises(StorageError, match="No space left"):
        save_checkpoint(tmp_path, 2, STATE)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(100, 90, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match=r"needs 1,048,\d+ bytes, 10 are free"):
        save_checkpoint(tmp_path, 1, STATE)
    assert list(tmp_path.iterdir()) == []
