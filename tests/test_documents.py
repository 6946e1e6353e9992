"""What the documents promise runs: every command of the quick start, every shipped configuration, the exit codes."""

import doctest
import json
import re
import shlex

import jax
import pytest
import yaml
from conftest import ROOT

import gym_jax
from gym_jax.cli import main
from gym_jax.config.compose import shipped, shipped_names
from gym_jax.config.judge import judge
from gym_jax.config.load import load_config
from gym_jax.data.read import find_files
from gym_jax.errors import EXIT_CODES
from gym_jax.run.assemble import build_columns, build_point
from gym_jax.run.plan import plan_run


def commands(text):
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("gymjax ")]


def test_every_command_of_the_quick_start_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "QUICKSTART.md").read_text())
    assert len(lines) >= 12
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"cpu.parquet", "forecast.parquet", "runs"}


def test_every_command_about_training_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "docs" / "training.md").read_text())
    assert len(lines) >= 14
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {
        "first-weights",
        "gymjax.schema.json",
        "mine.yaml",
        "runs",
        "train.log",
    }


def test_every_command_about_allocations_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "docs" / "allocate.md").read_text())
    assert len(lines) == 6
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"frontier.png", "recommendations.yaml", "runs", "usage.csv"}
    result = doctest.testfile(str(ROOT / "docs" / "allocate.md"), module_relative=False)
    assert (result.attempted, result.failed) == (8, 0)


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of the trackers' packages
def test_every_command_about_tracking_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    lines = commands((ROOT / "docs" / "tracking.md").read_text())
    assert len(lines) == 4
    for line in lines:
        assert main([*shlex.split(line, comments=True)[1:], "track.patience=120"]) == 0, (line, capsys.readouterr().err)
        assert " is off" not in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    assert {path.parent.name for path in tmp_path.glob("runs/*/events.*")} == {"a", "b", "c"}


@pytest.mark.slow
def test_every_command_about_searching_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "docs" / "tune.md").read_text())
    assert len(lines) == 6
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"search", "best", "grid"}


@pytest.mark.slow
def test_every_command_about_comparing_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "docs" / "compare.md").read_text())
    assert len(lines) == 6
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "compared.json"}


@pytest.mark.slow
def test_every_command_about_explaining_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "docs" / "explain.md").read_text())
    assert len(lines) == 3
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "explained.png", "explained.json"}


@pytest.mark.slow
def test_every_command_and_example_about_reports_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "report.md").read_text()
    lines = commands(text)
    assert len(lines) == 6
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "a.html", "both.html", "why.html", "figures"}
    tests = doctest.DocTestParser().get_doctest(text, {}, "report.md", None, 0)
    assert len(tests.examples) == 6
    assert doctest.DocTestRunner().run(tests).failed == 0


def test_every_command_and_example_about_speed_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "speed.md").read_text()
    lines = commands(text)
    assert lines
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    tests = doctest.DocTestParser().get_doctest(text, {}, "speed.md", None, 0)
    assert len(tests.examples) == 4
    assert doctest.DocTestRunner().run(tests).failed == 0


@pytest.mark.slow
def test_every_command_about_intervals_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = commands((ROOT / "docs" / "intervals.md").read_text())
    assert len(lines) >= 8
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "surprises.csv"}


def test_every_command_about_data_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [line for line in commands((ROOT / "docs" / "data.md").read_text()) if "DATA" not in line]
    assert len(lines) == 4
    assert main(["generate", "--out", "cpu.parquet", "--series", "3", "--days", "3"]) == 0
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"cpu.parquet", "cpu.csv.gz", "quarter.parquet"}


@pytest.mark.slow
def test_every_command_and_example_about_tasks_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tasks.md").read_text()
    lines = commands(text)
    assert len(lines) == 7
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "answered.csv", "runs"}
    tests = doctest.DocTestParser().get_doctest(text, {}, "tasks.md", None, 0)
    assert doctest.DocTestRunner().run(tests).failed == 0


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


def test_readme_lists_every_exit_code():
    text = (ROOT / "README.md").read_text()
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
