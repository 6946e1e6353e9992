"""`gymjax doctor` compares a compiled sum with float64."""

import importlib.metadata
import json

import jax
import jax.numpy as jnp
import pytest

import gym_jax.train.compile
from gym_jax.cli import main
from gym_jax.cli.doctor import _extras


def seen(capsys):
    """State and text of the check of sums."""
    assert main(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["checks"]
    (found,) = [row for row in rows if row["check"] == "sums"]
    return found["state"], found["text"]


def test_sums_are_right_here_and_it_is_said_whether_plain_jax_is_right_too(capsys):
    state, text = seen(capsys)
    assert state == "green"
    assert text.startswith("as in float64")
    assert ("by plain jax.jit too" in text) != ("use gym_jax.jit" in text)


@pytest.mark.parametrize(
    ("plain", "text"),
    [
        (147.9, "as in float64 in every command; in code of your own use gym_jax.jit, plain jax.jit errs here"),
        (jnp.nan, "as in float64 in every command; in code of your own use gym_jax.jit, plain jax.jit errs here"),
        (None, "as in float64, by plain jax.jit too"),
    ],
)
def test_garbage_that_plain_jax_reads_is_said_and_is_no_failure(plain, text, capsys, monkeypatch):
    """None stands for what is right."""
    ordinary = jax.jit

    def compiled(function, **keywords):
        if getattr(function, "__name__", "") != "total":
            return ordinary(function, **keywords)
        return function if plain is None else lambda x: plain

    monkeypatch.setattr(jax, "jit", compiled)
    monkeypatch.setattr(gym_jax.train.compile, "jit", lambda function: function)
    assert seen(capsys) == ("green", text)


@pytest.mark.parametrize("wrong", [147.9, jnp.nan])
def test_a_guarded_sum_that_is_wrong_fails(wrong, capsys, monkeypatch):
    monkeypatch.setattr(gym_jax.train.compile, "jit", lambda function: lambda x: wrong)
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    error, hint = err.rstrip("\n").split("\n")[:2]
    assert error.startswith(f"error: 1 of 8 checks failed: sums: a compiled sum is {wrong:.6g} and should be ")
    assert hint == "hint: reinstall what they name"
    assert [line for line in out.splitlines() if "sums" in line and "red" in line]


def test_extras_are_those_of_the_distribution(monkeypatch):
    lines = [
        "jax>=0.10",
        'fastapi>=0.1; extra == "serve"',
        "optuna>=4; extra == 'tune'",
        "ray[data]>=2; extra == 'ray'",
        'jax[cuda13]>=0.10; extra == "cuda"',
        'jax[tpu]>=0.10; extra == "tpu"',
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [*lines, 'pytest>=8; extra == "test"'])
    have = {"jax": "0.10", "fastapi": "1", "optuna": "4"}
    monkeypatch.setattr("gym_jax.run.environment.package_version", have.get)
    assert _extras() == ("green", "serve, tune; not installed: ray, cuda, tpu")
    have |= {"jax-cuda13-plugin": "0.10", "libtpu": "0"}
    assert _extras() == ("green", "serve, tune, cuda, tpu; not installed: ray")
