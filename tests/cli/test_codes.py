"""`gymjax explain CODE`: every code that is raised is explained, with commands that can be typed, and no other."""

import ast
import json
import re
import shlex
from functools import cache

import pytest
from conftest import ROOT
from typer.main import get_command

from gym_jax import errors
from gym_jax.cli import app, main
from gym_jax.cli.candidates import ANYWHERE, load_keys
from gym_jax.cli.codes import FOLDER, load_explanations
from gym_jax.config.keys import all_keys
from gym_jax.config.load import parse_override
from gym_jax.errors import EXIT_CODES, GymJaxError

CODE = re.compile(r"[a-z]+\.[a-z_\d]+|usage")
SOURCES = sorted((ROOT / "gym_jax").rglob("*.py"))
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, GymJaxError)}
ANY = "ANY"
"""Stands for what a text leaves open."""


@cache
def nodes():
    """What is called or defined as a class in the library, with the file that it stands in."""
    texts = {path: path.read_text() for path in SOURCES}
    trees = {path: ast.parse(text) for path, text in texts.items() if re.search(r"code\b|attempt=|Problem\(", text)}
    return [(path, n) for path, tree in trees.items() for n in ast.walk(tree) if isinstance(n, ast.Call | ast.ClassDef)]


def calls():
    """Every call with its keywords by name."""
    return [(path, n, {k.arg: k.value for k in n.keywords}) for path, n in nodes() if isinstance(n, ast.Call)]


@cache
def door():
    return get_command(app)


@cache
def explained():
    return load_explanations()


def constants(node):
    """The words that an expression can be: `a if b else c` is two."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def raised():
    """Every code in the source, with the exit codes of the errors that it is raised with, as far as they show."""
    found = {}
    for line in (line for _, node in nodes() if isinstance(node, ast.ClassDef) for line in node.body):
        if isinstance(line, ast.Assign) and re.search(r"\bcode\b", ast.unparse(line.targets[0])):
            found |= {code: set() for code in filter(CODE.fullmatch, constants(line.value))}
    for path, node, keywords in calls():
        name, told = ast.unparse(node.func), keywords.get("code")
        if name == "Problem":
            told = node.args[0]
        elif name == "error" and path.parts[-2:] == ("config", "judge.py") and len(node.args) == 3:
            told = node.args[2]
        for code in filter(CODE.fullmatch, constants(told) if told is not None else ()):
            exits = found.setdefault(code, set())
            if name in KINDS and isinstance(KINDS[name].exit_code, int):
                exits.add(KINDS[name].exit_code)
    for node in ast.walk(ast.parse((ROOT / "gym_jax/inference/faults.py").read_text())):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            found.setdefault(f"data.{node.value.elts[2].value}", set()).add(3)
    return found


def test_every_code_that_is_raised_is_explained_and_no_other():
    codes = raised()
    assert len(codes) > 150
    assert set(explained()) == set(codes)
    for code, exits in codes.items():
        assert exits <= set(explained()[code].exit_codes), code
        assert set(explained()[code].exit_codes) <= set(EXIT_CODES), code
    for kind in KINDS.values():
        assert "exit_code" not in vars(kind) or kind.exit_code in explained()[kind.code].exit_codes, kind


def test_codes_that_are_passed_on_are_those_of_others():
    """A code that is put together where it is raised would not be found by the test above."""
    put_together = {
        f"{path.relative_to(ROOT)}: {ast.unparse(keywords['code'])}"
        for path, _, keywords in calls()
        if isinstance(keywords.get("code"), ast.JoinedStr)
    }
    assert put_together == {
        "gym_jax/inference/faults.py: f'data.{code}'",
        "gym_jax/inference/frame.py: f'data.{fault[2]}'",
    }


def test_an_explanation_is_short_and_says_what_to_do():
    for one in explained().values():
        assert len(one.what) <= 120, one.code
        assert not one.what.endswith("."), one.code
        assert one.why.endswith("."), one.code
        assert one.ways, one.code
        assert all(way.how and not way.how.endswith(".") for way in one.ways), one.code
    for path in FOLDER.glob("*.toml"):
        lines = path.read_text().splitlines()
        assert lines[0].startswith("# "), path.name
        assert max(map(len, lines)) < 260, path.name


def options_of(command):
    return {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}


def faults_of(text):
    """What is wrong with a command that a user is told to type: its name, its options, its settings."""
    words = shlex.split(text)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if not words or words.pop(0) != "gymjax" or (words and words[0] in ("...", ANY)):
        return
    command = door()
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            yield f"no command {name}"
            return
        command = command.commands[name]
    arguments = [one.name for one in command.params if one.param_type_name == "argument"]
    options = options_of(command)
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        if word == "--":
            yield from faults_of(shlex.join(["gymjax", *words]))
            return
        if name.startswith("-") and name != "-":
            if name in ("--help", *ANYWHERE):
                words = words[1:] if name.startswith("--log") and not equals else words
            elif ANY in name:
                words = words[1:]
            elif name not in options:
                yield f"no option {name}"
            elif not equals and not getattr(options[name], "is_flag", False):
                if not words:
                    yield f"{name} has no value"
                words = words[1:]
        elif "overrides" in arguments and equals and ANY not in name:
            yield from faults_of_setting(word, swept=command.name in ("tune", "sweep"))
        elif not arguments and ANY not in word and word != "...":
            yield f"{command.name} takes no {word}"


def faults_of_setting(text, swept):
    key, _, value = text.lstrip("+~").partition("=")
    known = load_keys()
    if key not in known and key not in all_keys():
        yield f"no setting {key}"
    elif not swept:
        parse_override(text)
        words = known.get(key, [])
        if words and re.fullmatch(r"[a-z_]+", value) and value not in words:
            yield f"{key} is never {value}"


def test_every_command_of_an_explanation_can_be_typed():
    texts = [way.attempt for one in explained().values() for way in one.ways if way.attempt]
    texts += [
        text
        for one in explained().values()
        for words in (one.what, one.why, *(way.how for way in one.ways))
        for text in re.findall(r"`(gymjax [^`]+)`", words)
    ]
    assert sum(text.startswith("gymjax") for text in texts) > 200
    assert {text: wrong for text in texts if (wrong := [*faults_of(text)])} == {}


def test_every_setting_that_an_explanation_names_exists():
    known = {*all_keys(), *load_keys()}
    sections = {key.partition(".")[0] for key in known} - {"run"}
    for one in explained().values():
        for words in (one.what, one.why, *(way.how for way in one.ways)):
            for key in re.findall(rf"\b((?:{'|'.join(sections)})\.[a-z_.\d]*[a-z])(?![\w/]|\.[a-z])", words):
                prefix = any(name.startswith(f"{key}.") for name in known)
                assert key in known or prefix or key.endswith((".yaml", ".jsonl")), (one.code, key)


def test_every_command_that_an_error_tells_to_try_exists():
    wrong = {}
    for path, node, keywords in calls():
        for text in attempts(keywords.get("attempt")):
            if found := [*faults_of(text)]:
                wrong[f"{path.relative_to(ROOT)}:{node.lineno} {text}"] = found
    assert wrong == {}


def attempts(node):
    """The commands that an expression can be; what it fills in is left open."""
    if isinstance(node, ast.IfExp):
        return [*attempts(node.body), *attempts(node.orelse)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else ANY for part in node.values)]
    return []


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_code_is_explained(here, capsys):
    assert main(["explain", "data.gaps"]) == 0
    said = capsys.readouterr().out
    for words in (
        "data.gaps: ",
        "what to do:\n- ",
        "\n    gymjax train ... data.policy.gaps=mask\n",
        "exit code 3 (data)",
    ):
        assert words in said
    assert main(["explain", "data.gaps", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["code"], document["exit_codes"]) == ("data.gaps", [3])
    assert {"how": "See where they are", "try": "gymjax data check FILE"} in document["do"]


def test_all_codes_and_those_of_an_area_have_a_line_each(here, capsys):
    assert main(["explain", "codes"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(explained())
    assert main(["explain", "pull", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in document["codes"]] == [code for code in explained() if code.startswith("pull.")]


@pytest.mark.parametrize(
    ("word", "code", "hint", "attempt"),
    [
        ("data.gap", 2, "did you mean `data.gaps`?", "gymjax explain data.gaps"),
        ("acme.ab", 2, "codes of plug-ins are explained by their packages", "gymjax explain codes"),
        ("code", 2, "did you mean `codes`?", "gymjax explain codes"),
        ("frist", 4, "a run is a folder with a config.yaml in it", "gymjax runs list"),
    ],
)
def test_what_is_neither_a_run_nor_a_code_is_told(here, capsys, word, code, hint, attempt):
    assert main(["explain", word]) == code
    assert capsys.readouterr().err.splitlines()[1:] == [f"hint: {hint}", f"try: {attempt}"]


def test_a_run_of_that_name_wins(here, capsys):
    (here / "runs" / "data.gaps").mkdir(parents=True)
    (here / "runs" / "data.gaps" / "config.yaml").write_text("a")
    assert main(["explain", "data.gaps"]) == 4
    assert "runs/data.gaps is no run" in capsys.readouterr().err


def test_options_of_runs_do_not_go_with_a_code(here, capsys):
    assert main(["explain", "data.gaps", "--chart", "a.png"]) == 2
    assert capsys.readouterr().err.startswith("error: --chart does not go with the code of an error\n")


def test_an_error_with_nothing_to_try_leads_to_its_explanation(here, capsys):
    (here / "twice.csv").write_text("ds,cpu,cpu\n2026-01-01,1,2\n")
    assert main(["data", "check", "twice.csv"]) == 3
    assert capsys.readouterr().err.splitlines()[2:] == ["try: gymjax explain data.repeated_column"]


def test_debug_tells_the_code_of_every_error(here, capsys):
    assert main(["evaluate", "nothing", "--debug"]) == 4
    *_, code, error, _, attempt = capsys.readouterr().err.splitlines()
    assert code == "code: run.not_found; `gymjax explain run.not_found` says what it means"
    assert (error, attempt) == ("error: no run at `nothing`", "try: gymjax runs list")
