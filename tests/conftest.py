"""Shared fixtures: four virtual CPU devices, the folder of real data, small panels."""

import os
import tempfile
from pathlib import Path

COMPILED = tempfile.TemporaryDirectory(prefix="gym-jax-tests-")
"""Many tests build the same program anew; it is compiled once a session."""
os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
os.environ["JAX_NUM_CPU_DEVICES"] = "4"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest  # noqa: E402 - JAX reads the settings above when it is first imported

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real traces: GYMJAX_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data"))
    if "GYMJAX_DATA" not in os.environ and not folder.is_dir():
        pytest.skip(f"no real traces: set GYMJAX_DATA, there is no {folder}")
    assert folder.is_dir(), f"GYMJAX_DATA={folder} is no folder"
    return folder
