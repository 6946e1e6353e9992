"""The nouns of the house: plain pytrees of arrays, and the functions that move them."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from gym_jax.ranges import Positive as Positive
from gym_jax.ranges import Share as Share

Placement = Literal["one", "cores", "shard", "pmap"]
"""Where an epoch runs; `train/parallel.py` says what each means."""
Parameters = Literal["replicate", "shard"]
"""Whether each device keeps all parameters, or a part of them and of the optimiser's state."""
Compile = Literal["safe", "fast", "wide"]
"""How a program is compiled; `train/compile.py` says what each means."""


class Inputs(NamedTuple):
    """What a model may look at. Absent parts are None; the first `targets` channels of `past` are the targets.

    >>> Inputs(past=jnp.zeros((2, 24, 1))).future is None
    True
    """

    past: Float[Array, "batch context channels"] | None = None
    """Scaled values; 0 where nothing was observed."""
    mask: Bool[Array, "batch context channels"] | None = None
    """True where `past` was observed; None when all of it was."""
    future: Float[Array, "batch horizon known"] | None = None
    """Covariates known ahead of time; the last channels of `past` are their past."""
    static: Float[Array, "batch features"] | None = None
    """Numbers of a series as a whole, scaled; 0 where missing."""
    categories: Int[Array, "batch kinds"] | None = None
    """The place of each word in its vocabulary, from 1; 0 is unseen or missing."""
    series: Int[Array, " batch"] | None = None
    """Position of the series in its panel."""


class Batch(NamedTuple):
    """Inputs, targets and weights; a weight is 0 where a row or a step is padding or missing.

    >>> batch = Batch(Inputs(past=jnp.zeros((2, 24, 1))), jnp.zeros((2, 12, 1)), jnp.ones((2, 12, 1)))
    >>> batch.weights.shape
    (2, 12, 1)
    """

    inputs: Inputs
    """What a model sees."""
    targets: Float[Array, "batch horizon targets"] | Int[Array, " batch"]
    """Scaled values, or the place of a label among the classes."""
    weights: Float[Array, "batch horizon targets"] | Float[Array, " batch"]
    """How much each target counts."""


class TrainState(NamedTuple):
    """Everything that changes while training, and only arrays.

    >>> state = TrainState(jnp.zeros((), int), {"w": jnp.ones(2)}, (), jax.random.key(0), {}, ())
    >>> state.variables["params"]["w"].tolist()
    [1.0, 1.0]
    """

    step: Int[Array, ""]
    """Optimiser steps done."""
    params: PyTree
    """Of the model, as trained."""
    opt_state: PyTree
    """Of the optimiser."""
    key: Key[Array, ""]
    """The run's key; the randomness of a step is `fold_in(key, step)`."""
    collections: dict[str, PyTree]
    """Flax collections other than parameters (batch statistics ...); empty when the model has none."""
    ema: PyTree
    """Averaged parameters in float32, kept when training is given `ema`; an empty tuple when unused."""

    @property
    def variables(self) -> dict[str, PyTree]:
        """The variables that `model.apply` takes, as trained; `gym_jax.evaluation_variables` are those that judge."""
        return {"params": self.params, **self.collections}


class Mean(NamedTuple):
    """A mean that can still be merged: add the totals, add the counts, divide once and last.

    >>> whole = Mean(jnp.array(6.0), jnp.array(3.0)) + Mean(jnp.array(0.0), jnp.array(1.0))
    >>> float(whole.value)
    1.5
    """

    total: Float[Array, "..."]
    """The sum of values times weights."""
    count: Float[Array, "..."]  # type: ignore[assignment]
    """The sum of weights."""

    def __add__(self, other: "Mean") -> "Mean":  # type: ignore[override]
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> Float[Array, "..."]:
        """The mean itself."""
        return self.total / self.count


Metrics = dict[str, Mean]
Loss = Callable[[Array, Array], Array]
"""`(prediction, target) -> elementwise loss` of the target's shape; never a mean."""
Step = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
EvalStep = Callable[[TrainState, Batch], Metrics]


@runtime_checkable
class Model(Protocol):
    """What the step functions ask of a model: Flax Linen's own `init` and `apply`.

    >>> isinstance(gym_jax.models.Last(horizon=1), Model)
    True
    """

    def init(self, rngs: Any, inputs: Inputs, *, train: bool = False) -> Any:
        """Return the variables."""

    def apply(self, variables: Any, inputs: Inputs, *, train: bool = False, **kwargs: Any) -> Any:
        """Return the prediction [batch, horizon, targets] or, of several outputs, [batch, horizon, targets, outputs].

        With Flax's keyword mutable, which names collections, their updated values stand beside it.
        """


@runtime_checkable
class Examples(Protocol):
    """A pytree of arrays that makes batches: windows, table rows, labelled sequences.

    >>> isinstance(gym_jax.data.Windows, type) and issubclass(gym_jax.data.Windows, Examples)
    True
    """

    def take(self, indices: Int[Array, " batch"]) -> Batch:
        """Return the examples at `indices`; -1 stands for padding and gets weight 0."""

    def __len__(self) -> int: ...
