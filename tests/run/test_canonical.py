"""A run of canonical shards has the same bits on any number of devices, from beginning to end and changed between."""

import pytest
from ends import StopAt, final, same
from small import small_config

from gym_jax.config.load import load_config
from gym_jax.errors import ConfigError, Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import read_config
from gym_jax.run.train import find_resumable, resume_run, train_run

KINDS = ("mlp", "lstm", "transformer")


def on(tmp_path, kind, devices, *overrides):
    where = ("train.placement=one",) if devices is None else ("train.placement=cores", f"train.devices={devices}")
    return small_config(tmp_path, kind, "train.shards=4", *where, *overrides)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_run_on_any_number_of_devices_and_moved_between(kind, tmp_path):
    runs = {}
    for devices in (None, 2, 4):
        config = on(tmp_path, kind, devices)
        runs[devices] = RunFolder(train_run(config, folder=tmp_path / f"on-{devices}").folder)
    moved = RunFolder(tmp_path / "moved")
    with pytest.raises(Interrupted):
        train_run(on(tmp_path, kind, 4), folder=moved.path, stop=StopAt(5))
    kept = read_config(moved)
    here = kept.model_copy(update={"train": kept.train.model_copy(update={"placement": "one", "devices": None})})
    with pytest.raises(Interrupted):
        resume_run(moved, config=here, stop=StopAt(4))
    resume_run(moved)
    one = final(runs[None])
    for run in (runs[2], runs[4], moved):
        same(final(run), one)


def test_a_run_is_found_again_wherever_it_is_to_go_on(tmp_path):
    with pytest.raises(Interrupted):
        train_run(on(tmp_path, "mlp", 4), folder=tmp_path / "run", stop=StopAt(2))
    assert find_resumable(on(tmp_path, "mlp", 2), tmp_path / "run") is not None
    assert find_resumable(on(tmp_path, "mlp", 4, "train.shards=8"), tmp_path / "run") is None
    assert find_resumable(small_config(tmp_path, "mlp"), tmp_path / "run") is None


def test_without_shards_a_run_stays_on_its_devices(tmp_path):
    config = small_config(tmp_path, "mlp", "train.placement=cores", "train.devices=2")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(2))
    elsewhere = config.model_copy(update={"train": config.train.model_copy(update={"devices": 4})})
    with pytest.raises(ConfigError, match=r"`train\.devices` would change the program"):
        resume_run(RunFolder(tmp_path / "run"), config=elsewhere)


def test_as_many_devices_as_share_the_shards(tmp_path, monkeypatch):
    """Three cores can not share four shards evenly: two take them."""
    monkeypatch.setattr("gym_jax.run.placement.cpu_cores", lambda: 3)
    config = small_config(tmp_path, "mlp", "train.shards=4", "train.placement=cores", "train.epochs=1")
    run = RunFolder(train_run(config, folder=tmp_path / "run").folder)
    assert run.read_json("choices.json")["devices"] == 2


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.batch_size=18", "train.shards=4 does not go with train.batch_size=18"),
        ("train.placement=shard", "train.shards=4 does not go with train.placement=shard"),
        ("train.devices=3", "train.shards=4 does not go with train.devices=3"),
        ("train.accumulate=2", "train.shards=4 does not go with train.accumulate=2"),
    ],
)
def test_what_does_not_go_with_shards_is_refused(override, told):
    with pytest.raises(ConfigError, match=told) as caught:
        load_config([], ["model=mlp", "train.shards=4", override])
    fix = caught.value.attempt.removeprefix("gymjax train ... ")
    load_config([], ["model=mlp", "train.shards=4", override, fix])
