"""Every promised noun exists, is tested, and is in the list; nothing is in the list that does not exist."""

import ast
import tomllib
from typing import get_args

import pytest
from conftest import ROOT

import gym_jax
from gym_jax.cli import app, models, runs
from gym_jax.config.compose import shipped_names
from gym_jax.config.schema import Evaluate
from gym_jax.data.read import FORMATS
from gym_jax.errors import EXIT_CODES
from gym_jax.losses import LOSSES
from gym_jax.metrics import ERRORS
from gym_jax.models.normalise import Normalise
from gym_jax.models.registry import MODELS
from gym_jax.optim import OPTIMISERS, SCHEDULES
from gym_jax.train.parallel import PLACEMENTS

PROMISES = tomllib.loads((ROOT / "tests" / "promises.toml").read_text())


def command_names():
    single = [c.name or c.callback.__name__ for c in app.registered_commands]
    grouped = [
        f"{name} {c.name}" for name, group in (("models", models), ("runs", runs)) for c in group.registered_commands
    ]
    return {*single, *grouped}


def train_options():
    from typer.main import get_command

    return {
        name
        for parameter in get_command(app).commands["train"].params
        for name in parameter.opts
        if name.startswith("--") and name != "--help"
    } | {"--debug"}


REGISTRIES = {
    "model": set(MODELS),
    "baseline": set(get_args(get_args(Evaluate.model_fields["baselines"].annotation)[0])),
    "normalisation": set(get_args(Normalise)),
    "loss": set(LOSSES),
    "optimiser": set(OPTIMISERS),
    "schedule": set(SCHEDULES),
    "metric": set(ERRORS),
    "placement": set(PLACEMENTS),
    "format": set(FORMATS),
    "config": set(shipped_names()),
    "command": command_names(),
    "train_option": train_options(),
    "exit_code": {str(code) for code in EXIT_CODES},
    "public_name": set(gym_jax.__all__),
}


@pytest.mark.parametrize("noun", REGISTRIES)
def test_rows_and_registry_name_the_same(noun):
    assert set(PROMISES[noun]) == REGISTRIES[noun]


def test_there_is_no_row_of_an_unknown_noun():
    assert set(PROMISES) == set(REGISTRIES)


def rows():
    return sorted({test for noun in PROMISES.values() for test in noun.values()})


@pytest.mark.parametrize("test", rows())
def test_the_test_of_a_row_exists_and_is_not_skipped(test):
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, f"{path} has no {name}"
    marks = " ".join(ast.unparse(decorator) for decorator in found[0].decorator_list)
    assert not any(word in marks for word in ("skip", "xfail")), marks
    body = [
        node
        for node in found[0].body
        if not isinstance(node, ast.Pass) and not ast.unparse(node).startswith(("'", '"'))
    ]
    assert body, "a stub"
