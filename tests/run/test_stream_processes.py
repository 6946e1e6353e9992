"""Several processes that read portions of their own: together every window once, stopped and gone on to the bit."""

import math

import pytest
from ends import final, same
from run.test_stream import config_of
from train.test_processes import alone, work

from gym_jax.config.load import load_config
from gym_jax.data import generate_frame
from gym_jax.data.convert import convert
from gym_jax.errors import ConfigError
from gym_jax.run.folder import RunFolder
from gym_jax.run.placement import readers_of
from gym_jax.run.stream import plan_stream, prepare_stream


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    generate_frame(series=8, days=1.2, gaps=0.03).to_parquet(folder / "cpu.parquet", index=False)
    convert(folder / "cpu.parquet", folder / "many", group_rows=300, file_rows=1000, target=("cpu_cores",))
    return folder / "many"


def words(store, *more):
    out = [f"data.path={store}", "data.target=[cpu_cores]", "data.memory=50kB", "train.epochs=2", "data.stride=4"]
    return [*out, "train.chunk=3", "evaluate.baselines=[last]", "model.hidden=[8]", "model.dropout=0", *more]


def test_batches_that_are_not_shared_evenly_and_other_counts_are_refused(store, tmp_path):
    config = config_of(store, tmp_path, "data.memory=50kB", "train.batch_size=15")
    with pytest.raises(ConfigError, match="not shared evenly by 2 processes"):
        plan_stream(config, prepare_stream(config), count=2)
    train = load_config([], ["train.placement=cores"]).train
    with pytest.raises(ConfigError, match="deals its portions to 2 processes, here are 1"):
        readers_of(train, {"chunk": 3, "readers": 2})
    assert readers_of(train, {"chunk": 3}).count == 1


@pytest.mark.slow
def test_together_they_see_every_window_once(store, tmp_path):
    still = words(store, "optim=sgd", "optim.lr=1e-30", "schedule=constant")  # the loss is that of the first weights
    one = RunFolder(alone(tmp_path, "mlp", *still).path)
    (tmp_path / "two").mkdir()
    ended = work(2, tmp_path / "two", devices=1, model="mlp", overrides=[*still, "train.placement=cores"])
    two = RunFolder(tmp_path / "two" / "run")
    assert {end["status"] for end in ended} == {"done"}
    assert two.read_json("choices.json")["readers"] == 2
    for mine, theirs in zip(one.read_lines("metrics.jsonl"), two.read_lines("metrics.jsonl"), strict=True):
        assert math.isclose(mine["loss"], theirs["loss"], rel_tol=1e-5)
        assert math.isclose(mine["val_loss"], theirs["val_loss"], rel_tol=1e-5)
    scores = [run.read_json("scores.json")["model"]["targets"]["cpu_cores"]["mae"] for run in (one, two)]
    assert math.isclose(*scores, rel_tol=1e-5)


@pytest.mark.slow
def test_stopped_and_gone_on_to_the_bit(store, tmp_path):
    runs = []
    for name, stop in (("whole", None), ("cut", 3)):
        (tmp_path / name).mkdir()
        spec = {"devices": 1, "model": "mlp", "overrides": words(store, "train.placement=cores")}
        ended = work(2, tmp_path / name, **spec, **({"stop": stop} if stop else {}))
        if stop:
            assert {end["status"] for end in ended} == {"stopped"}
            work(2, tmp_path / name, **spec, resume=True)
        runs.append(RunFolder(tmp_path / name / "run"))
    config = config_of(store, tmp_path, *words(store))
    ends = [final(run, config) for run in runs]
    same(*ends)
