"""On a real terminal: no escape codes where none are wanted, and tables that fit."""

import json
import os
import subprocess
import sys
import threading

import pytest

from gym_jax.cli import show as shown
from gym_jax.cli.show import print_table

COMMANDS = [
    ["--help"],
    ["runs", "list"],
    ["runs", "show", "nothing"],
    ["explain", "data"],
    ["monitor", "--once"],
]


def on_a_terminal(folder, commands, **environ):
    """Everything that one process says to a terminal of 100 columns while it runs commands."""
    import pty

    terminal, inner = pty.openpty()
    code = f"from gym_jax.cli import main\nfor words in {json.dumps(commands)}: main(words)"
    environ = {**{k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")}, "COLUMNS": "100", **environ}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=inner, stderr=inner, cwd=folder, env=environ)
    os.close(inner)
    late = threading.Timer(60, process.kill)
    late.start()
    said = b""
    try:
        while part := os.read(terminal, 65536):
            said += part
    except OSError:  # which is how a terminal ends
        pass
    late.cancel()
    os.close(terminal)
    assert process.wait() == 0
    return said.decode()


@pytest.fixture
def here(tmp_path):
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("schema_version: 1\n")
    return tmp_path


@pytest.mark.posix
@pytest.mark.parametrize("environ", [{"NO_COLOR": "1", "TERM": "xterm-256color"}, {"TERM": "dumb"}], ids=str)
def test_there_is_no_escape_code_where_none_is_wanted(here, environ):
    said = on_a_terminal(here, COMMANDS, **environ)
    for words in ("Usage: gymjax", "error: no run at `nothing`", "data.gaps", "training"):
        assert words in said
    assert "\x1b" not in said


@pytest.mark.posix
def test_the_same_commands_have_colours_elsewhere(here):
    assert "\x1b[1m" in on_a_terminal(here, [["--help"]], TERM="xterm-256color")


@pytest.mark.posix
def test_a_dumb_terminal_is_no_place_for_a_screen(here):
    said = on_a_terminal(here, [["monitor", "--tui"]], TERM="dumb")
    assert said.splitlines()[0] == "error: --tui needs a terminal, and TERM=dumb is none"


ROWS = [("a", "9.90 %", "one two three four five six seven eight"), ("long name", "12.00 %", "one")]


def test_a_last_column_of_words_is_broken_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "44")
    print_table(("name", "share", "what"), ROWS)
    assert capsys.readouterr().out.splitlines()[2] == "a           9.90 %  one two three four five six seven eight"
    monkeypatch.setattr(shown.sys.stdout, "isatty", lambda: True)
    print_table(("name", "share", "what"), ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "name         share  what",
        "---------  -------  -----------------------",
        "a           9.90 %  one two three four five",
        "                    six seven eight",
        "long name  12.00 %  one",
    ]


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["1", "-2.5", "1.2e-05", "-", "1,944"], True),
        (["9.90 %", "12.00 %"], True),
        (["512 B", "1.5 GiB"], True),
        (["x 0.98", "x 12.00"], True),
        (["+33.5%", "-"], True),
        (["1", "32-64"], True),
        (["3", "2/3"], True),
        (["1", "one"], False),
        (["0.1 to 0.2"], False),
        (["vm-000"], False),
    ],
    ids=str,
)
def test_numbers_stand_to_the_right_with_their_units(capsys, cells, right):
    print_table(("a heading that is longer", "b"), [(cell, "") for cell in cells])
    lines = capsys.readouterr().out.splitlines()[2:]
    assert all(line.startswith(" ") == right for line in lines)
