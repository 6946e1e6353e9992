"""Shell completion: right words, no heavy import, and a shipped list that is the schema's."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from gym_jax.cli import main
from gym_jax.cli.candidates import KEYS, load_keys
from gym_jax.cli.complete import find_keys, keys_text
from gym_jax.config.compose import parse_override, shipped_names
from gym_jax.config.load import load_config

HEAVY = ("jax", "flax", "hydra", "omegaconf", "pydantic", "numpy", "pandas", "pyarrow", "yaml")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two runs and some files."""
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").write_text("")
    (tmp_path / "mine.yaml").write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complete(monkeypatch, capsys, line, shell="bash"):
    """What a shell is told about a line with the cursor at its end; bash breaks words at `=`."""
    if shell == "bash":
        words = line.replace("=", " = ").split() + ([""] if line.endswith(" ") else [])
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_GYMJAX_COMPLETE", f"complete_{shell}")
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.split("\n")[:-1]


def test_the_shipped_list_is_what_the_schema_says():
    assert KEYS.read_text() == keys_text(), "the configuration has changed; run: python -m gym_jax.cli.complete"


def test_every_word_of_the_list_is_taken():
    keys = load_keys()
    assert len(keys) > 60
    assert keys == find_keys()
    for key, words in keys.items():
        for word in words:
            parse_override(f"{key}={word}")
    for section in ("model", "loss", "optim", "schedule"):
        for kind in keys[section]:
            needed = {"schedule_free": ["schedule=constant"], "cross_entropy": ["task.kind=classify"]}
            load_config([], [*needed.get(kind, []), f"{section}={kind}"])
    for key in ("data.impute", "train.placement", "data.policy.gaps", "data.scale.kind"):
        for word in keys[key]:
            load_config([], [f"{key}={word}"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gymjax pre", ["predict"]),
        ("gymjax train optim.l", ["optim.lr=", "optim.lr=..."]),
        ("gymjax train ~optim.l", ["~optim.lr"]),
        ("gymjax train ++optim.l", ["++optim.lr=", "++optim.lr=..."]),
        ("gymjax train loss=h", ["huber"]),
        ("gymjax train model=ls", ["lstm"]),
        ("gymjax train --model ls", ["lstm"]),
        ("gymjax train --model=ls", ["lstm"]),
        ("gymjax train -m ls", ["lstm"]),
        ("gymjax train seed=1 --seed 3 model.bidirectional=", ["true", "false"]),
        ("gymjax train data.impute=f", ["forward"]),
        ("gymjax train data.path=", [""]),
        ("gymjax train --config m", ["mine.yaml"]),
        ("gymjax train --config sub/", ["sub/other.yaml"]),
        ("gymjax train --resume ", ["auto", "latest", "first", "second"]),
        ("gymjax evaluate s", ["second"]),
        ("gymjax predict l", ["latest"]),
        ("gymjax runs show ", ["latest", "first", "second"]),
        ("gymjax runs show --root nowhere ", [""]),
        ("gymjax runs list --sort te", ["test_mae"]),
        ("gymjax models show tr", ["transformer"]),
        ("gymjax data check cpu.csv data.resample.st", ["data.resample.step=", "data.resample.step=..."]),
        ("gymjax train -q --log-format json -m ls", ["lstm"]),
        ("gymjax train --log-format ", ["text", "json"]),
        ("gymjax train --log-l", ["--log-level"]),
    ],
)
def test_bash_is_told_what_may_follow(here, monkeypatch, capsys, line, expected):
    assert complete(monkeypatch, capsys, line) == expected


def test_runs_are_those_of_the_root_in_the_environment(here, monkeypatch, capsys):
    monkeypatch.setenv("GYMJAX_RUN_ROOT", "runs")
    monkeypatch.chdir(here / "sub")
    assert complete(monkeypatch, capsys, "gymjax runs show ") == [""]
    monkeypatch.setenv("GYMJAX_RUN_ROOT", "../runs")
    assert complete(monkeypatch, capsys, "gymjax runs show ") == ["latest", "first", "second"]


def test_configurations_are_the_shipped_ones_and_the_files_here(here, monkeypatch, capsys):
    shipped = shipped_names()
    assert "cpu_allocation" in shipped
    assert complete(monkeypatch, capsys, "gymjax train -c ") == [*shipped, "mine.yaml", "sub/other.yaml"]


def test_bash_that_does_not_break_words_gets_whole_ones(here, monkeypatch, capsys):
    monkeypatch.setenv("COMP_WORDS", "gymjax\ntrain\nmodel=ls")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_GYMJAX_COMPLETE", "complete_bash")
    assert main([]) == 0
    assert capsys.readouterr().out == "model=lstm\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gymjax train optim.l", "compadd -S '' -- optim.lr="),
        ("gymjax train model=ls", """_arguments '*: :(("model=lstm"))'"""),
        ("gymjax train --model=ls", """_arguments '*: :(("--model=lstm"))'"""),
        ("gymjax train data.path=c", "compset -P '*='; _files"),
        ("gymjax evaluate nothing", "_files"),
    ],
)
def test_zsh_is_told_in_its_own_words(here, monkeypatch, capsys, line, expected):
    assert complete(monkeypatch, capsys, line, "zsh") == [expected]


def test_fish_gets_the_help_too(here, monkeypatch, capsys):
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert complete(monkeypatch, capsys, "gymjax train optim.l", "fish") == ["optim.lr="]
    (line,) = complete(monkeypatch, capsys, "gymjax docto", "fish")
    assert line.startswith("doctor\tCheck this installation")


def typed_in_bash(home, lines):
    """The words of each line after a TAB at its end, in a bash at a terminal that has only its .bashrc."""
    import pty

    terminal, inner = pty.openpty()
    environ = {**os.environ, "HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}", "TERM": "dumb"}
    environ |= {"INPUTRC": "/dev/null", "HISTFILE": ""}
    shell = ["bash", "--noprofile", "--rcfile", str(home / ".bashrc"), "-i"]
    bash = subprocess.Popen(shell, stdin=inner, stdout=inner, stderr=inner, env=environ, start_new_session=True)
    os.close(inner)
    said, found, ends = "", [], time.monotonic() + 60
    try:
        for count, line in enumerate(lines, 1):
            # the cursor goes to the beginning, and the words that stand there are printed instead of run
            os.write(terminal, f"{line}\t\x01printf '<%s>' \r".encode())
            while len(found := re.findall(r"(?:<[^<>%]+>)+", said)) < count:
                assert select.select([terminal], [], [], max(0.0, ends - time.monotonic()))[0], said
                said += os.read(terminal, 4096).decode()
    finally:
        bash.kill()
        bash.wait()
        os.close(terminal)
    return [re.findall("<([^<>]+)>", words) for words in found]


@pytest.mark.posix
def test_bash_completes_what_is_typed_once_completion_is_installed(here):
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    (here / "gymjax").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gym_jax "$@"\n')
    (here / "gymjax").chmod(0o755)
    environ = {**os.environ, "HOME": str(here), "PATH": f"{here}:{os.environ['PATH']}"}
    install = ["bash", "--norc", "-c", "gymjax --install-completion; :"]  # with one command bash would be replaced
    subprocess.run(install, check=True, env=environ, timeout=60, capture_output=True)
    completed = {
        "gymjax sw": "sweep",
        "gymjax train --model ls": "lstm",
        "gymjax train loss=hu": "loss=huber",
        "gymjax train optim.l": "optim.lr=",
        "gymjax evaluate sec": "second",
        "gymjax explain data.gap": "data.gaps",
    }
    expected = [[*line.split()[:-1], word] for line, word in completed.items()]
    assert typed_in_bash(here, list(completed)) == expected


def test_a_request_loads_nothing_heavy():
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr))\n"
        "from gym_jax.cli import app\napp()"
    )
    for line in ("train\nmodel\n=\nls", "evaluate\n", "train\noptim."):
        words = f"gymjax\n{line}"
        request = {
            "_GYMJAX_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count("\n")),
        }
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **request}
        )
        assert done.stderr.strip() == "[]"


def test_the_list_is_shipped():
    import tomllib

    from conftest import ROOT

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["package-data"]["gym_jax.cli"] == ["keys.json", "explanations/*.toml"]
    assert json.loads(KEYS.read_text())
