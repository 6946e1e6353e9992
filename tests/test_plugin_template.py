"""The template package: built and installed as a user would, trained, drawn, and missed when it is gone."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from documents import blocks, commands, run_commands
from plugin_site import forget

from gym_jax.cli import main
from gym_jax.errors import MissingExtra
from gym_jax.laws import MODEL_LAWS
from gym_jax.models.registry import MODELS
from gym_jax.run.load import read_config
from gym_jax.run.report import PARTS
from gym_jax.run.report_run import Asked, open_report
from gym_jax.run.runs import open_run

TEMPLATE = ROOT / "experiments" / "plugin_template"
SMALL = [
    *("--epochs=1", "--context=24", "--horizon=4", "--batch-size=32", "data.stride=8", "data.synthetic.series=3"),
    *("data.synthetic.days=3", "evaluate.baselines=[last]", "-q"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where the package is installed: built from a copy, without a network."""
    place = tmp_path_factory.mktemp("template")
    source = shutil.copytree(TEMPLATE, place / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--target", str(place / "site"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return place / "site"


@pytest.fixture
def template(built, tmp_path, monkeypatch):
    """The package can be imported, in an empty folder."""
    monkeypatch.delenv("GYMJAX_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(built)
    monkeypatch.chdir(tmp_path)
    forget()
    yield built
    monkeypatch.undo()
    forget()


def test_it_trains_is_scored_drawn_and_missed_when_it_is_gone(template, monkeypatch, capsys):
    words = ["--model=dlinear", "--loss=expectile", "loss.share=0.6", "model.smooth=5", "evaluate.metrics=[wape]"]
    assert main(["train", *words, "--name=a", *SMALL]) == 0
    (heading,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("model ")]
    assert heading.split() == ["model", "mae", "rmse", "r2", "smape", "mase", "wape"]
    run = open_run("a")
    assert run.read_json("env.json")["plugins"] == [
        {"group": group, "name": name, "package": "gym-jax-template", "version": "0.1.0"}
        for group, name in (("models", "dlinear"), ("losses", "expectile"), ("metrics", "wape"))
    ]
    assert read_config(run).loss.share == 0.6
    (picture,) = PARTS["added"][1](open_report(run, "a", Asked(windows=20, draw=("load_duration",))))
    assert picture.draw(dark=True).axes[0].get_ylabel() == "cpu_cores (cores)"
    assert main(["report", "a", "--draw=load_duratoin", "--html=x.html"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "hint: did you mean `load_duration`?"
    monkeypatch.undo()
    monkeypatch.chdir(run.path.parents[1])
    forget()
    assert main(["evaluate", "a"]) == 8
    assert capsys.readouterr().err.splitlines() == [
        "error: the run was made with `dlinear` (models) of gym-jax-template 0.1.0, which is not there",
        "hint: install that package, if you trust it",
        "try: pip install gym-jax-template==0.1.0",
    ]
    with pytest.raises(MissingExtra):
        read_config(run)


def test_its_data_and_policy_are_known_to_the_commands(template, capsys):
    assert main(["generate", "--kind=spikes", "--out=x.csv", "machines=2", "days=3", "a_day=20"]) == 0
    assert main(["allocate", "simulate", "x.csv", "--policy=deviations:days=1", "--policy=max", "--without-learned",
                 "--val-days=0.5", "--test-days=1", "--json"]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["models", "show", "dlinear"]) == 0
    assert "(of gym-jax-template 0.1.0)" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert [row["kind"] for row in rows] == [*MODELS, "dlinear"]


@pytest.mark.slow
def test_every_command_of_the_document_runs(template, tmp_path, capsys):
    lines = commands((ROOT / "docs" / "plugins.md").read_text())
    assert len(lines) == 6
    run_commands(lines, capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "report.html", "spikes.csv"}
    install, laws = [block for block in blocks("docs/plugins") if block.runs]
    assert [line for line in install.lines if line not in lines] == ["pip install ./experiments/plugin_template"]
    exec(laws.text, names := {})
    for law in MODEL_LAWS:
        names["test_the_model_keeps"](law)


@pytest.mark.slow
def test_its_own_tests_pass(built):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", built]
    done = subprocess.run(
        [*command, TEMPLATE / "tests"], check=False, capture_output=True, text=True, env=_environment(built)
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def _environment(built):
    path = os.pathsep.join([str(built), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
