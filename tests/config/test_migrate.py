"""Configurations of older versions are brought to the present one a step at a time; newer ones are refused."""

import pytest
import yaml
from conftest import ROOT

from gym_jax.config import migrate as module
from gym_jax.config.judge import judge
from gym_jax.config.load import load, load_config
from gym_jax.config.migrate import SCHEMA_VERSION, STEPS, migrate, readable
from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError


def test_there_is_a_step_from_every_version():
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_version_loads(tmp_path, version):
    path = tmp_path / "old.yaml"
    path.write_text(f"schema_version: {version}\ntrain: {{epochs: 3}}\n")
    config = load_config([path])
    assert (config.schema_version, config.train.epochs) == (SCHEMA_VERSION, 3)
    assert judge({"schema_version": version}) == Config()


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("tests/run/older/*/*/config.yaml")), ids=lambda path: path.parent.name
)
def test_every_older_run_loads(path):
    tree = yaml.safe_load(path.read_text())
    assert tree["schema_version"] < SCHEMA_VERSION
    config = load_config([path])
    assert config.train.epochs == tree["train"]["epochs"]
    assert judge(tree).model == config.model


def test_steps_are_applied_in_order(monkeypatch, tmp_path):
    def rename(tree):
        """1: `steps` was called `rounds`."""
        return {**tree, "train": {"rounds": tree["train"]["epochs"]}}

    def double(tree):
        """2: a round is two epochs."""
        return {**tree, "train": {"epochs": tree["train"]["rounds"] * 2}}

    monkeypatch.setattr(module, "STEPS", {1: rename, 2: double})
    monkeypatch.setattr(module, "SCHEMA_VERSION", 3)
    tree = {"schema_version": 1, "train": {"epochs": 5}}
    assert migrate(tree) == {"schema_version": 3, "train": {"epochs": 10}}
    assert tree == {"schema_version": 1, "train": {"epochs": 5}}, "nothing is changed in place"
    assert migrate({"schema_version": 2, "train": {"rounds": 5}})["train"] == {"epochs": 10}
    assert migrate({"schema_version": 3, "train": {"epochs": 5}})["train"] == {"epochs": 5}
    assert migrate({"train": {"epochs": 5}})["train"] == {"epochs": 5}, "without a version it is of the present one"


def test_every_file_is_brought_up_by_itself(tmp_path):
    for name, version in (("old", 1), ("new", SCHEMA_VERSION)):
        (tmp_path / f"{name}.yaml").write_text(f"schema_version: {version}\nrun: {{name: {name}}}\n")
    for names in (("old", "new"), ("new", "old")):
        loaded = load([tmp_path / f"{name}.yaml" for name in names])
        assert (loaded.config.run.name, loaded.config.schema_version) == (names[1], SCHEMA_VERSION)


def test_a_newer_version_is_refused_and_nothing_else_is_said_of_its_keys():
    with pytest.raises(ConfigError) as caught:
        judge({"schema_version": SCHEMA_VERSION + 1, "tomorrow": {"train": 0}})
    assert caught.value.code == "config.newer"
    assert "tomorrow" not in caught.value.message


@pytest.mark.parametrize("version", [True, "2", 2.0, 0, -1, None, [2]])
def test_what_is_no_version_is_refused_beside_what_else_is_wrong(version):
    assert not readable(version)
    with pytest.raises(ConfigError) as caught:
        judge({"schema_version": version, "train": {"epoch": 1}})
    assert [problem.code for problem in caught.value.problems] == ["config.invalid", "config.unknown_key"]
