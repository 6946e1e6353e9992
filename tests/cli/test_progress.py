"""How progress is shown: chosen by what is asked for and what the place can show."""

import io
import logging
import sys
import types

import pytest
from small import small_config

from gym_jax.cli import main
from gym_jax.cli.log import Output
from gym_jax.cli.progress import in_notebook, style, watcher
from gym_jax.cli.show import clock
from gym_jax.run.train import train_run


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("expected", "settings"),
    [
        ("rich", {}),
        ("plain", {"stream": io.StringIO()}),
        ("plain", {"plain": True}),
        ("plain", {"environ": {"CI": "true"}}),
        ("plain", {"environ": {"NO_COLOR": ""}}),
        ("plain", {"environ": {"TERM": "dumb"}}),
        ("rich", {"environ": {"TERM": "xterm", "CI": ""}}),
        ("notebook", {"notebook": True, "stream": io.StringIO()}),
        ("plain", {"notebook": True, "environ": {"CI": "1"}}),
        ("plain", {"notebook": True, "plain": True}),
        ("none", {"output": Output(verbosity=-1)}),
        ("none", {"output": Output(verbosity=-2), "notebook": True}),
        ("rich", {"output": Output(verbosity=2)}),
        ("json", {"output": Output(format="json")}),
        ("json", {"output": Output(format="json", verbosity=-1), "plain": True}),
    ],
)
def test_the_style_suits_the_place(expected, settings):
    place = {"stream": Terminal(), "environ": {}, "notebook": False}
    assert style(settings.pop("output", None), **{**place, **settings}) == expected


class Page:
    """A front end: what was displayed, and every update of it."""

    def __init__(self):
        self.rows, self.updates = [], []

    def HTML(self, text):
        return text

    def display(self, content, display_id=False):
        assert display_id is True
        self.rows.append(content)
        return types.SimpleNamespace(update=self.updates.append)


def fake_notebook(monkeypatch, name="ZMQInteractiveShell"):
    """IPython as far as progress needs it, with a shell of the class `name`."""
    shell, page = type(name, (), {})(), Page()
    package = types.ModuleType("IPython")
    package.get_ipython = lambda: shell
    display = types.ModuleType("IPython.display")
    display.HTML, display.display = page.HTML, page.display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    for key in ("CI", "NO_COLOR", "TERM"):
        monkeypatch.delenv(key, raising=False)
    return page


def test_a_kernel_is_known_by_its_shell(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    assert "IPython" not in sys.modules, "it is not imported to find out"
    fake_notebook(monkeypatch, "TerminalInteractiveShell")
    assert not in_notebook()
    fake_notebook(monkeypatch)
    assert in_notebook()


def test_a_notebook_gets_one_row_that_is_updated(monkeypatch, tmp_path, capsys):
    page = fake_notebook(monkeypatch)
    with watcher() as watch:
        train_run(small_config(tmp_path / "<runs>", "mlp", "train.epochs=2"), watch=watch)
    assert capsys.readouterr().err == ""
    assert len(page.rows) == 1
    assert len(page.updates) >= 5
    assert 'max="2"' in page.updates[2]
    assert "restored best epoch" in page.updates[-1]
    assert "&lt;runs&gt;" in page.updates[-1], "what is shown is text, not HTML"


def test_without_options_a_user_of_the_library_gets_lines(capsys, tmp_path, caplog):
    with caplog.at_level(logging.DEBUG, logger="gym_jax"), watcher(plain=True) as watch:
        result = train_run(small_config(tmp_path, "mlp", "train.epochs=2"), watch=watch)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("epoch")] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert f"run: {result.folder}" in lines
    events = [record.event for record in caplog.records if record.name == "gym_jax"]
    assert (events[0], events[-1], events.count("epoch")) == ("start", "scored", 2)


def test_a_live_bar_prints_above_itself(monkeypatch, tmp_path):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for key in ("CI", "NO_COLOR"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with watcher(Output(verbosity=1)) as watch:
        train_run(small_config(tmp_path, "mlp", "train.epochs=2"), watch=watch)
    text = terminal.getvalue()
    for words in ("mlp (", "epoch 1/2", "  batch ", "restored best epoch", "scored in "):
        assert words in text
    assert "\x1b[" in text


def test_a_time_that_is_not_known_yet_is_not_zero():
    assert (clock(63), clock(3600), clock(float("inf"))) == ("1:03", "1:00:00", "-:--")


def test_what_takes_long_without_epochs_says_what_it_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--model=last", "data.synthetic.series=2", "data.synthetic.days=2"]
    assert main(["train", *words, "--name=a", "-q"]) == 0
    for command, said in (
        (["cv", "--folds=2", *words], ["training"]),
        (["backtest", "a", "--origins=1"], ["forecasting"]),
        (["calibrate", "a"], ["forecasting"]),
        (["report", "a", "--html=a.html"], ["drawing"]),
    ):
        capsys.readouterr()
        assert main(command) == 0
        assert capsys.readouterr().err.splitlines() == said
        assert main([*command, "-q"]) == 0
        assert capsys.readouterr().err == ""
