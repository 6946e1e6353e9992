"""Models by kind: the module, and the solver of those that are not trained by gradient."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn

from gym_jax.models.fcn import FCN
from gym_jax.models.linear import Linear, solve_linear, solve_linear_of
from gym_jax.models.lstm import LSTM
from gym_jax.models.mlp import MLP
from gym_jax.models.naive import Last, Seasonal
from gym_jax.models.transformer import Transformer
from gym_jax.plugins import Registry, describe


class Kind(NamedTuple):
    """A model kind; `solve` is how its parameters come about when not by gradient descent.

    >>> MODELS["linear"].module.__name__, "ridge" in MODELS["linear"].fields
    ('Linear', True)
    """

    module: type[nn.Module]
    """A Flax Linen module with the fields `horizon` and `targets`."""
    solve: Callable[..., Any] | None = None
    """Out of the module, the examples and their order; None: by gradient descent."""
    solve_of: Callable[..., Any] | None = None
    """The same out of several portions of the windows, where that is possible."""

    @property
    def fields(self) -> frozenset[str]:
        """The names of the module's settings."""
        return frozenset(field.name for field in dataclasses.fields(self.module))


TASK = ("horizon", "targets")
"""Fields that every module has: what it is asked."""


def kind_of(name: str, thing: Any) -> Kind:
    """Return the entry of a module, or of a `Kind`, that somebody adds. Raises TypeError when it is none."""
    entry = thing if isinstance(thing, Kind) else Kind(thing)
    if not (isinstance(entry.module, type) and issubclass(entry.module, nn.Module)):
        raise TypeError(f"it is {describe(thing)}, not a Flax Linen module")
    if lacks := [field for field in TASK if field not in entry.fields]:
        raise TypeError(f"its module has no field {' and no '.join(lacks)}")
    return entry


def _nothing(model: Any, examples: Any, order: Any = None) -> dict[str, Any]:
    return {}


MODELS = Registry(
    "models",
    {
        "mlp": Kind(MLP),
        "lstm": Kind(LSTM),
        "transformer": Kind(Transformer),
        "fcn": Kind(FCN),
        "linear": Kind(Linear, solve_linear, solve_linear_of),
        "last": Kind(Last, _nothing, _nothing),
        "seasonal": Kind(Seasonal, _nothing, _nothing),
    },
    kind_of,
)
