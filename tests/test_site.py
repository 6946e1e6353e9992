"""The site of the documents: what is made of the code says all of it, and errors look as they are said to look."""

import importlib.util
import re
import shlex
import tomllib

import pandas as pd
import pytest
from conftest import ROOT

from gym_jax.cli import main
from gym_jax.cli.codes import load_explanations
from gym_jax.config.keys import all_keys
from gym_jax.errors import EXIT_CODES


def module_of_docs(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made():
    return module_of_docs("made")


def test_every_setting_command_exit_code_and_error_is_listed(made):
    settings, commands, errors = made.settings(), made.commands(), made.errors()
    assert re.findall(r"\n### `(.*)`", errors) == list(load_explanations())
    assert not [key for key in all_keys() if f"| `{key}` |" not in settings]
    assert {f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()} <= set(made.exit_codes().splitlines())
    assert "| `--model`, `-m` |" in commands
    assert "## `gymjax allocate recommend`" in commands
    promised = tomllib.loads((ROOT / "tests" / "promises.toml").read_text())["command"]
    assert sorted(re.findall(r"\n## `gymjax ([\w -]+)`", commands)) == sorted(promised)


def test_every_public_name_has_a_docstring_and_a_place(made):
    for package in made.PACKAGES:
        names = made.public_names(package)
        page = made.api(package, "")
        assert names, package
        assert not [path for path, thing in names if not (thing.__doc__ or "").strip()], package
        assert not [path for path, _ in names if f":: {path}\n" not in page], package


def test_pages_that_are_as_they_should_be_are_left_alone(made, tmp_path):
    made.write_pages(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")}
    assert len(before) == 5 + len(made.PACKAGES)
    (tmp_path / "settings.md").write_text("old")
    made.write_pages(tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")}
    assert {path.name for path in before if before[path] != after[path]} == {"settings.md"}


@pytest.mark.parametrize(
    ("page", "link", "shown"),
    [
        ("tutorials/resume", "[how](../training.md)", "[how](../training.md)"),
        ("tutorials/resume", "[how](../serve.md#tls)", "[how](../serve.md#tls)"),
        ("reference/api/index", "[codes](../exit-codes.md)", "[codes](../exit-codes.md)"),
        ("tutorials/resume", "[rules](../../CONTRIBUTING.md)", "rules (`CONTRIBUTING.md` in the project)"),
        ("speed", "[all](../benchmarks/README.md#s1)", "all (`benchmarks/README.md` in the project)"),
    ],
)
def test_links_to_pages_stay_and_others_become_paths(page, link, shown):
    assert module_of_docs("links").name_files(link, page) == shown


def test_every_page_is_in_a_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = set(re.findall(r"^([\w/-]+)$", index, re.M))
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not page.startswith(("reference/", "_build/"))} - {"index"} <= listed


def test_errors_are_what_the_page_about_them_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "--out", "usage.csv", "--series", "3", "--days", "3"]) == 0
    rows = pd.read_csv("usage.csv")
    pd.concat([rows[:199], rows[148:159]]).to_csv("twice.csv", index=False)
    rows.rename(columns={"ds": "moment_of"}).to_csv("notime.csv", index=False)
    rows[:19].to_csv("short.csv", index=False)
    quick = ["train", "-m", "mlp", "--epochs=1", "data.synthetic.days=3", "data.synthetic.series=2", "data.stride=40"]
    assert main([*quick, "--name=first"]) == 0
    text = (ROOT / "docs" / "faq.md").read_text()
    blocks = re.findall(r"```sh\n(gymjax .*)\n```\n\n```text\n(error: .*)\n```", text)
    assert len(blocks) == text.count("```sh") == 10
    for command, said in blocks:
        capsys.readouterr()
        assert main(shlex.split(command)[1:]) != 0, command
        assert said in capsys.readouterr().err, command
