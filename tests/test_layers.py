"""Imports point down only; files stay small; nothing unsafe is named."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "gym_jax"
LAYERS = [
    {"errors", "ranges", "lazy", "__init__"},
    {"types", "files", "locks", "cells", "plugins"},
    {"ops"},
    {"data", "models", "losses", "metrics", "optim", "config", "track", "pull"},
    {"train"},
    {"evaluate", "allocate", "report", "launch"},
    {"inference"},
    {"run", "laws"},
    {"tune"},
    {"serve"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
JUDGED_FROM = {"config": {"models", "losses", "optim", "data", "metrics", "track"}}
"""The schema of a part is derived from the part itself, so the configuration reads its neighbours."""
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    inner = path.relative_to(PACKAGE).parts
    return inner[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "gym_jax" else [f"gym_jax.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("gym_jax.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = part_of(path)
    if own == "__init__":
        return  # names everything, loads nothing
    for other in imports_of(path) - {own, "configs"}:
        allowed = other in JUDGED_FROM.get(own, ())
        assert LEVEL[other] < LEVEL[own] or allowed, f"{path.name} of {own} imports {other}"


def test_training_knows_no_model_loss_or_optimiser():
    for path in (PACKAGE / "train").glob("*.py"):
        assert not imports_of(path) & {"models", "losses", "optim", "config", "data"}, path.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_small_and_safe(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert not re.search(r"\bpickle\b|joblib|\beval\(|\bexec\(|hydra\.utils|allow_pickle=True", text)
