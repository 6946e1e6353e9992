"""What the documents promise runs: every command of the quick start, every shipped configuration, the exit codes."""

import doctest
import json
import re
import shlex
from typing import NamedTuple

import jax
import pytest
import yaml
from conftest import ROOT
from documents import commands, run_commands

import gym_jax
from gym_jax.cli import main
from gym_jax.config.compose import shipped, shipped_names
from gym_jax.config.judge import judge
from gym_jax.config.load import load_config
from gym_jax.data.read import find_files
from gym_jax.errors import EXIT_CODES
from gym_jax.run.assemble import build_columns, build_point
from gym_jax.run.plan import plan_run


class Document(NamedTuple):
    """How many commands and examples a document has, and what they leave in an empty folder."""

    commands: int
    leaves: set[str]
    examples: int = 0
    within: str = "."
    """Where that is left."""


DOCUMENTS = {
    "QUICKSTART": Document(16, {"cpu.parquet", "forecast.parquet", "runs"}),
    "docs/training": Document(20, {"first-model", "gymjax.schema.json", "mine.yaml", "runs", "train.log"}),
    "docs/allocate": Document(6, {"frontier.png", "recommendations.yaml", "runs", "usage.csv"}, 8),
    "docs/speed": Document(1, {"runs"}, 4),
    "docs/tune": Document(6, {"search", "best", "grid"}, within="runs"),
    "docs/compare": Document(6, {"runs", "compared.json"}),
    "docs/explain": Document(3, {"runs", "explained.png", "explained.json"}),
    "docs/report": Document(6, {"runs", "a.html", "both.html", "why.html", "figures"}, 6),
    "docs/intervals": Document(8, {"runs", "surprises.csv"}),
    "docs/tutorials/first-hour": Document(10, {"usage.csv", "gymjax.yaml", "allocation.yaml", "first.html", "runs"}),
    "docs/tutorials/research": Document(0, set(), 40),
    "docs/migrating": Document(2, {"usage.csv"}),
    "docs/batch": Document(6, {"usage.parquet", "usage", "runs", "model", "forecasts"}),
    "docs/tasks": Document(7, {"table.csv", "answered.csv", "runs"}, 14),
}
QUICK = ("docs/speed",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in DOCUMENTS]
)
def test_every_command_and_example_of_a_document_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    document, text = DOCUMENTS[name], (ROOT / f"{name}.md").read_text()
    lines = commands(text)
    assert len(lines) == document.commands
    run_commands(lines, capsys)
    assert {path.name for path in (tmp_path / document.within).iterdir()} == document.leaves
    if document.examples:
        tests = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
        assert len(tests.examples) == document.examples
        assert doctest.DocTestRunner().run(tests).failed == 0


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of the trackers' packages
def test_every_command_about_tracking_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    lines = commands((ROOT / "docs" / "tracking.md").read_text())
    assert len(lines) == 4
    assert not [said for said in run_commands(lines, capsys, "track.patience=120") if " is off" in said]
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    assert {path.parent.name for path in tmp_path.glob("runs/*/events.*")} == {"a", "b", "c"}


def test_every_command_about_data_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [line for line in commands((ROOT / "docs" / "data.md").read_text()) if "DATA" not in line]
    assert len(lines) == 4
    run_commands(["gymjax generate --out cpu.parquet --series 3 --days 3", *lines], capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"cpu.parquet", "cpu.csv.gz", "quarter.parquet"}


def test_every_command_about_data_larger_than_memory_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, _, text = (ROOT / "docs" / "scaling.md").read_text().partition("## Larger than memory")
    first, second, train = commands(text.partition("\n## ")[0])
    run_commands(["gymjax generate --out usage.csv.gz --series 3 --days 3", first, second], capsys)
    small = ["--model=mlp", "model.hidden=[4]", "--epochs=1", "data.stride=9", "evaluate.baselines=[]"]
    run_commands([train], capsys, *small, "train.placement=one", "--run-dir=run")
    assert {path.name for path in tmp_path.iterdir()} == {"usage.csv.gz", "usage", "run"}
    assert (tmp_path / "run" / "survey.json").exists()


def test_every_public_trace_is_described_by_its_documented_command(real_data, capsys):
    lines = [line for line in commands((ROOT / "docs" / "data.md").read_text()) if "DATA" in line]
    read = set()
    for line in lines:
        words = shlex.split(line)
        assert main([*(word.replace("DATA", str(real_data)) for word in words[1:]), "--json"]) == 0, line
        facts = json.loads(capsys.readouterr().out)
        assert all(channel["missing"] < 0.1 for channel in facts["channels"]), line
        read |= set(find_files(words[3].replace("DATA", str(real_data))))
    assert read == set(data_files(real_data))


def data_files(folder):
    """Every file of the folder that holds data, whatever its format."""
    return [path for path in folder.rglob("*") if path.is_file() and not re.match("README|LICENSE", path.name)]


def test_the_page_of_features_lists_every_exit_code():
    text = (ROOT / "docs" / "features.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in text


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_configuration_loads_builds_and_opens_with_its_command(name, tmp_path):
    text = (shipped() / f"{name}.yaml").read_text()
    assert re.match(rf"# .*\n# gymjax train --config {name}\n(# .*\n)*# .* test MAE of \d\.\d+ cores", text)
    plan = plan_run(load_config([name], ["data.stride=50", "data.synthetic.days=4"]))
    point, (endings, columns) = build_point(plan.config), build_columns(plan.config)
    inputs = plan.train.take(jax.numpy.zeros(2, int)).inputs
    answer = jax.eval_shape(lambda: plan.model.init_with_output(jax.random.key(0), inputs)[0])
    assert jax.eval_shape(point, answer).shape == (2, plan.config.task.horizon, 1)
    assert jax.eval_shape(columns, answer).shape == (2, plan.config.task.horizon, 1, len(endings))


def test_a_resolved_configuration_is_its_own_source(tmp_path):
    config = load_config(
        ["cpu_allocation"], ["model=transformer", "optim.lr=3e-5", "data.target=[a,b]", "run.name=x.y-z_1"]
    )
    path = tmp_path / "resolved.yaml"
    path.write_text(yaml.safe_dump(config.document()))
    assert load_config([path]) == config
    assert judge(config.document()) == config


def test_the_version_stands_in_one_place(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gymjax {gym_jax.__version__}\n"
    assert "version = " not in (ROOT / "pyproject.toml").read_text().split("[tool.")[0].replace("requires-python", "")
