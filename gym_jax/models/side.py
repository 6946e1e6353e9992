"""Side information: what is known beside the past, and how it meets the past.

Static numbers and categories enter where a model reads, so that its dynamics depend on them; the known future meets the
hidden state in a decoder that all steps of the horizon share, after TiDE's (Das et al. 2023).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from gym_jax.models.dropout import Dropout
from gym_jax.models.normalise import last_axes
from gym_jax.models.precision import Dtype, make_dense, make_product
from gym_jax.ops import Kernel
from gym_jax.types import Inputs, Share

WIDEST = 16
"""Columns of the widest embedding."""
WIDTH = 64
"""Units of the decoder's layer."""
REACH = 2
"""Steps before and after its own whose known future a step of the forecast sees."""


def embedding_width(words: int) -> int:
    """Return how many columns the embedding of a kind of `words` words has: fast.ai's rule of thumb, with a ceiling."""
    return min(WIDEST, round(1.6 * words**0.56))


class Side(nn.Module):
    """Static numbers beside an embedding of each category, None when the task has neither.

    `categories` counts the known words of each kind: codes 1 to n. Any other code stands for an unseen or missing word
    and is embedded as zero, always: there is no row for it to train. Raises ValueError when the kinds of the inputs are
    others than those of the model.
    """

    categories: tuple[int, ...] = ()
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, inputs: Inputs) -> Float[Array, "batch features"] | None:
        codes = inputs.categories
        kinds = 0 if codes is None else codes.shape[1]
        if kinds != len(self.categories):
            raise ValueError(
                f"the inputs have {kinds} kinds of categories, the model has categories={self.categories}: "
                "give it the number of known words of each kind"
            )
        parts = [] if inputs.static is None else [inputs.static]
        for kind, words in enumerate(self.categories):
            assert codes is not None
            if width := embedding_width(words):
                table = self.param(f"category_{kind}", nn.initializers.normal(width**-0.5), (words, width))
                # A product and no gather: a code out of range has no row, and gradients add up in a fixed order.
                chosen = jax.nn.one_hot(codes[:, kind] - 1, words, dtype=table.dtype)
                parts.append(make_product(jnp.dot, self.dtype)(chosen, table, precision="highest"))
        return jnp.concatenate(parts, axis=-1) if parts else None


class Decoder(nn.Module):
    """What the side information adds to the forecast, given the hidden state.

    One nonlinear layer whose weights all steps of the horizon share: it sees hidden state and side features, and the
    known future of the step and of its neighbours, `REACH` steps to either side, for what has an after-effect.
    """

    horizon: int
    targets: int
    dropout: Share
    outputs: int = 1
    dtype: Dtype = "float32"
    kernel: Kernel = "auto"

    @nn.compact
    def __call__(
        self,
        hidden: Float[Array, "batch hidden"],
        future: Float[Array, "batch horizon known"] | None,
        side: Float[Array, "batch features"] | None,
        *,
        train: bool,
    ) -> Float[Array, "batch horizon targets *outputs"]:
        dense = make_dense(self.dtype, self.kernel)
        state = hidden if side is None else jnp.concatenate([hidden, side], axis=-1)
        x = dense(WIDTH, use_bias=False, name="state")(state)[:, None]
        x = x + self.param("bias", nn.initializers.zeros, (self.horizon, WIDTH))
        if future is not None:
            x = x + dense(WIDTH, use_bias=False, name="future")(with_neighbours(future))
        x = Dropout(self.dropout, deterministic=not train)(nn.gelu(x))
        out = make_dense("float32", self.kernel)(self.targets * self.outputs, use_bias=False, name="out")(x)
        return out.reshape(*out.shape[:2], *last_axes(self.targets, self.outputs))


def with_rows_of(
    donor: PyTree, params: PyTree, theirs: Mapping[str, Sequence[str]], mine: Mapping[str, Sequence[str]]
) -> PyTree:
    """Return a donor's parameters with its embeddings laid out for the words of `params`, which keep new words' rows.

    `theirs` and `mine` are the words of each column, in the order of their codes. The embedding of a column that the
    donor does not have is left out; one of another width stays as it is.
    """
    if theirs == mine or "side" not in donor or "side" not in params:
        return donor
    places = {name: kind for kind, name in enumerate(theirs)}
    side = {}
    for kind, (name, words) in enumerate(mine.items()):
        own = params["side"].get(f"category_{kind}")
        table = donor["side"].get(f"category_{places[name]}") if name in places else None
        if own is None or table is None:
            continue
        if table.shape[1] == own.shape[1]:
            given, table = np.asarray(table), np.array(own)
            for row, word in enumerate(words):
                if word in theirs[name]:
                    table[row] = given[theirs[name].index(word)]
        side[f"category_{kind}"] = table
    return {**donor, "side": side}


def with_neighbours(future: Float[Array, "batch horizon known"]) -> Float[Array, "batch horizon wider"]:
    """Return the known future of each step beside that of the steps around it, 0 outside the horizon."""
    padded = jnp.pad(future, ((0, 0), (REACH, REACH), (0, 0)))
    steps = future.shape[1]
    return jnp.concatenate([padded[:, i : i + steps] for i in range(2 * REACH + 1)], axis=-1)


def make_answer(
    model: Any, x: Float[Array, "batch hidden"], future: Any, side: Any, *, train: bool, targets: int | None = None
) -> Float[Array, "batch horizon targets *outputs"]:
    """Return what a network answers, out of its last hidden state: a linear head, and what a decoder adds.

    To be called in the module's own `__call__`, which the parameters belong to. `targets` are those of the model unless
    told otherwise.
    """
    targets = targets or model.targets
    out = make_dense("float32", model.kernel)(model.horizon * targets * model.outputs, name="head")(x)
    out = out.reshape(-1, model.horizon, *last_axes(targets, model.outputs))
    if side is not None or future is not None:
        settings = (model.horizon, targets, model.dropout, model.outputs, model.dtype, model.kernel)
        out = out + Decoder(*settings, name="decoder")(x, future, side, train=train)
    return out
