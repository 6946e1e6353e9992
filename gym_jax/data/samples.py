"""Cases on the device: each is a batch's row, with its scaled sequence and its answer."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gym_jax.data.cases import Cases
from gym_jax.data.learn import Learnt, with_room
from gym_jax.types import Batch, Inputs


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("past", "targets", "weights", "mask", "static", "categories"),
    meta_fields=(),
)
@dataclass(frozen=True)
class Samples:
    """Examples of a value or a class: to the models a case is a past, and its answer a horizon of one step.

    >>> samples = make_samples(cases, learn(cases))
    >>> batch = jax.jit(samples.take)(jnp.array([3, 0, -1]))
    >>> batch.inputs.past.shape, batch.weights.min(axis=(1, 2))
    ((3, 1, 2), Array([1., 1., 0.], dtype=float32))
    """

    past: Float[Array, "cases steps channels"]
    """Scaled; 0 where nothing was observed."""
    targets: Float[Array, "cases 1 targets"] | Int[Array, "cases 1 1"]
    """Scaled numbers, or the place of the label among the classes."""
    weights: Float[Array, "cases 1 targets"]
    """0 where the answer is missing."""
    mask: Bool[Array, "cases steps channels"] | None = None
    """None when all was observed."""
    static: Float[Array, "cases features"] | None = None
    """Scaled numbers beside a sequence; None when there are none."""
    categories: Int[Array, "cases kinds"] | None = None
    """The place of each word in its vocabulary; 0 is unseen or missing."""

    def __len__(self) -> int:
        return self.past.shape[0]

    def take(self, indices: Int[Array, " batch"]) -> Batch:
        """Return the cases at `indices`; -1 is padding: some other case, with weight 0."""
        real = indices >= 0
        position = jnp.where(real, indices, jnp.arange(indices.shape[0]) % len(self))

        def chosen(part: Array | None) -> Array | None:
            return None if part is None else part[position]

        inputs = Inputs(
            past=self.past[position],
            mask=chosen(self.mask),
            static=chosen(self.static),
            categories=chosen(self.categories),
        )
        return Batch(inputs, self.targets[position], self.weights[position] * real[:, None, None])


def make_samples(cases: Cases, learnt: Learnt) -> Samples:
    """Scale cases to float32 and lay them out for a model. Raises DataError at a label that was not learnt.

    >>> len(make_samples(cases, learn(cases)))
    4
    """
    past, mask = learnt.scaled(cases)
    answers, known = learnt.answers(cases)
    past, mask = with_room(past, mask, answers.shape[1])
    static, categories = learnt.encoder.encode(cases)
    return Samples(
        past=jnp.asarray(past),
        targets=jnp.asarray(answers[:, None]),
        weights=jnp.asarray(known[:, None], jnp.float32),
        mask=None if mask.all() else jnp.asarray(mask),
        static=None if static is None else jnp.asarray(static),
        categories=None if categories is None else jnp.asarray(categories),
    )
