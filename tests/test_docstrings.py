"""Every public name says what it is, of which shapes, what it raises, and shows it in an example that runs."""

import doctest
import importlib
import inspect
import io
import re

import docstrings
import pytest
from api_pages import made

THINGS = {}
"""Public names by package, each once: as a name of the package it is of."""
for package in [*[name for name in made.PACKAGES if name != "gym_jax"], "gym_jax"]:
    found = [thing for things in THINGS.values() for thing in things.values()]
    THINGS[package] = {
        path: thing for path, thing in made.public_names(package) if not any(thing is other for other in found)
    }
PUBLIC = {
    word
    for things in THINGS.values()
    for path, thing in things.items()
    for word in [
        *path.split("."),
        *(vars(thing) if inspect.isclass(thing) else ()),
        *getattr(thing, "__annotations__", ()),
    ]
}


POOR = """
from typing import Any, NamedTuple
import numpy as np

def good(x: np.ndarray) -> np.ndarray:
    '''Return `x` [rows] as it is. Raises ValueError when it is empty.'''
    if not len(x):
        raise ValueError
    return x

def bad(x: np.ndarray) -> np.ndarray:
    '''Return `gone`.'''
    if not len(x):
        raise _error()
    return _checked(x)

def _error() -> ValueError:
    return ValueError("none")

def _checked(x: np.ndarray) -> np.ndarray:
    try:
        int("1")
    except TypeError:
        raise KeyError("none")
    return x

class Bad(NamedTuple):
    '''What it is.'''
    size: int
    name: str
    '''Of it.'''

    def shown(self) -> Any:
        return self.name
"""
WITHOUT = {
    "gym_jax.run.": "trains, or reads and writes run folders; docs/tutorials have each",
    "gym_jax.train.checkpoint.": "writes files",
    "gym_jax.data.(read|read_cases|cases_of_tables|Store|open_store|read_piece|read_pieces)": "reads files",
    "gym_jax.train.(find_rate.find_rate|many.make_many_epoch)": "trains; docs/training.md has both",
    "gym_jax.models.solve_linear": "trains",
    "gym_jax.allocate.(learn_from|Learned|recommend)": "trains, or comes of training",
    "gym_jax.inference.(Model|Spec|Answer|answers|prepare|check_golden|load_export)": "needs an export; docs/export.md",
    "gym_jax.inference.(predict_batch|predict_batches|answer_types|score_file)": "needs an export; docs/batch.md",
    "gym_jax.report.explanation.explanation": "draws what explain_run returns",
    "gym_jax.laws.(compiled_is_eager|row_is_alone|masked_is_unseen|dropout_is_of_training)": "as forecast_is_finite",
    "gym_jax.laws.(overfits_one_batch|loss_is_elementwise)": "trains, or compiles gradients",
}
"""Public names that have no example which runs, and why."""
ANYTHING = {
    "gym_jax.data.read_frame.frame": "any frame that speaks Arrow",
    "gym_jax.inference.predict_batch.batch": "a pandas frame or an Arrow table, neither of which is loaded for it",
    "gym_jax.metrics.plain(.value)?": "what is to become JSON",
    "gym_jax.plugins.(describe|function)(.thing)?": "whatever a plug-in brings",
    "gym_jax.laws.": "whatever the plug-in under test returns",
    "gym_jax.types.Model.": "Flax has no types for variables and what apply returns",
    "gym_jax.train.parallel.Layout.": "a tree of arrays",
    "gym_jax.serve.client.Client.predict(.data)?": "its overloads say which",
}
"""Where a public name takes or returns anything, and why that is no lack of a type."""


def excused(path, reasons):
    """Return whether a pattern of some reasons is that of a name."""
    return any(re.match(f"{pattern}$" if pattern[-1] != "." else pattern, path) for pattern in reasons)


@pytest.mark.parametrize("package", THINGS)
def test_every_docstring_says_what_it_should(package):
    assert [fault for path, thing in THINGS[package].items() for fault in docstrings.faults(path, thing, PUBLIC)] == []


def test_faults_by_hand(tmp_path, monkeypatch):
    (tmp_path / "poor.py").write_text(POOR)
    monkeypatch.syspath_prepend(tmp_path)
    poor = importlib.import_module("poor")
    said = {path: list(docstrings.faults(path, getattr(poor, path), set())) for path in ("good", "bad", "Bad")}
    assert said == {
        "good": [],
        "bad": [
            "bad: gone in backticks, which nothing there is called",
            "bad: x is an array without a shape",
            "bad: return is an array without a shape",
            "bad: raises KeyError and does not say so",
            "bad: raises ValueError and does not say so",
        ],
        "Bad": ["Bad.size: nothing says what this field is", "Bad.shown: no docstring"],
    }
    assert list(docstrings.anythings("Bad", poor.Bad)) == ["Bad.shown"]


def test_every_public_name_has_an_example_or_a_reason():
    paths = {path: thing for things in THINGS.values() for path, thing in things.items()}
    lacking = [path for path, thing in paths.items() if ">>>" not in (inspect.unwrap(thing).__doc__ or "")]
    assert [path for path in lacking if not excused(path, WITHOUT)] == []
    unused = [one for one in WITHOUT if not any(excused(path, [one]) for path in lacking)]
    assert unused == []


def test_types_are_said_where_there_are_any():
    found = [
        name
        for things in THINGS.values()
        for path, thing in things.items()
        for name in docstrings.anythings(path, thing)
    ]
    assert [name for name in found if not excused(name, ANYTHING)] == []
    assert [one for one in ANYTHING if not any(excused(name, [one]) for name in found)] == []


@pytest.mark.parametrize("package", THINGS)
def test_every_example_runs(package):
    begin = {}
    exec(made.begin_of(package), begin)
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for path, thing in THINGS[package].items():
        text = inspect.getdoc(inspect.unwrap(thing)) or ""
        runner.run(doctest.DocTestParser().get_doctest(text, begin, path, None, 0), out=report.write)
    assert report.getvalue() == ""
