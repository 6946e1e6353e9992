"""Packages that only some plots need."""

import importlib
from typing import Any

from gym_jax.errors import MissingExtra


def need(name: str) -> Any:
    """Return an optional package. Raises MissingExtra (exit 8) when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"{name} is not installed",
            hint="these plots are drawn with it; all others need matplotlib alone",
            attempt="pip install 'gym-jax[viz]'",
        ) from error
