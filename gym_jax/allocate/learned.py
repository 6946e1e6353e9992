"""The learned policy: a network that says how usage until the next decision is distributed, and a price for risk.

Quantiles of the coming usage, as shares of the workload's own level, are learned from all workloads at once (quantile
regression, Koenker and Bassett 1978; an ensemble of seeds). An allocation is then chosen per decision: the quantile at
which a further core would cost more than the violations that it avoids. Price and margin are tuned on held-out data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from gym_jax.allocate.hours import SOFTEN, Hours
from gym_jax.data.order import shuffled
from gym_jax.errors import DataError
from gym_jax.losses import quantiles
from gym_jax.models.mlp import MLP
from gym_jax.train.many import Pack, make_many_epoch, make_many_evaluation, member, stack
from gym_jax.train.parallel import make_layout
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.types import Batch, Inputs

LEVELS = (0.05, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)
FAR = 6.0
"""Standard deviations beyond which a feature says no more."""
BATCH = 8192
"""Decisions judged at once."""


class Recipe(NamedTuple):
    """How the network is trained.

    >>> Recipe(seeds=4).folds * Recipe(seeds=4).seeds
    16
    """

    hidden: tuple[int, ...] = (128, 128)
    """Units of each layer."""
    dropout: float = 0.1
    """Share of units that a training step leaves out."""
    batch_size: int = 256
    """Decisions of a step."""
    epochs: int = 40
    """At most so many."""
    patience: int = 5
    """Epochs without a lower held-out loss after which a member stops."""
    lr: float = 1e-3
    """Learning rate of AdamW."""
    weight_decay: float = 1e-2
    """Of AdamW."""
    folds: int = 4
    """Blocks of the history; each is held out from as many members as there are seeds, which stop by it."""
    seeds: int = 2
    """Members for each block."""
    seed: int = 0
    """Of the first member; what is drawn at random follows from it."""


USUAL = Recipe()


class Learned(NamedTuple):
    """What was learned: all of it arrays and numbers, so that it can be saved and read again."""

    params: PyTree
    """Of all members, stacked."""
    mean: Float[np.ndarray, " features"]
    """Of each feature over the history, to normalise with."""
    deviation: Float[np.ndarray, " features"]
    """Of each feature, likewise."""
    hidden: tuple[int, ...]
    """Units of each layer."""
    folds: int
    """Blocks of the history, each unseen by some members."""
    levels: tuple[float, ...] = LEVELS
    """The quantiles that the network answers with."""

    def without(self, block: int) -> "Learned":
        """Return the members that have not seen a block of the history."""
        return self._replace(params=jax.tree.map(lambda leaf: leaf[block :: self.folds], self.params))


@partial(jax.tree_util.register_dataclass, data_fields=("features", "coming", "counts"), meta_fields=())
@dataclass(frozen=True)
class Decisions:
    """Examples of decisions: features, and what was used until the next one."""

    features: Float[Array, "decisions features"]
    coming: Float[Array, "decisions values"]
    counts: Float[Array, "decisions values"]

    def __len__(self) -> int:
        return self.features.shape[0]

    def take(self, indices: Int[Array, " batch"]) -> Batch:
        """Return the decisions at `indices`; -1 is padding, with weight 0."""
        real, place = indices >= 0, jnp.maximum(indices, 0)
        weights = self.counts[place] * real[:, None]
        return Batch(Inputs(past=self.features[place][:, None]), self.coming[place][:, None], weights[:, None])


def network(hidden: Sequence[int], levels: int, dropout: float = 0.0) -> MLP:
    """Return the network: one row of features in, the logarithms of rising quantiles out."""
    return MLP(horizon=1, outputs=levels, form="rising", hidden=tuple(hidden), dropout=dropout, normalise="none")


def quantile_loss(
    prediction: Float[Array, "batch 1 1 levels"], target: Float[Array, "batch 1 values"]
) -> Float[Array, "batch 1 values"]:
    """Return the quantile loss of every value that came: one forecast stands for all of a decision's time."""
    wide = jnp.broadcast_to(prediction, (*target.shape, prediction.shape[-1]))
    return quantiles(wide, target, levels=LEVELS)


def learn(
    hours: Sequence[Hours],
    blocks: Sequence[Int[np.ndarray, " hours"]],
    recipe: Recipe = USUAL,
    *,
    watch: Callable[[int, float, float], None] | None = None,
) -> Learned:
    """Learn members for each block of the history: from all other blocks, the best epoch chosen by the block itself.

    `blocks` says to which block each hour belongs, -1 for those that must not be looked at. `watch(epoch, train_loss,
    val_loss)` is told means over the members. Raises DataError when a block has nothing to learn from.
    """
    if not hours:
        raise DataError(
            "no workload is left to learn an allocation from",
            hint="of several groups each is judged by what the others taught: there must be two at least",
            attempt="gymjax allocate simulate DATA --unseen 4",
            code="allocate.short",
        )
    features, coming, counts, block = _gather(hours, blocks)
    sizes = np.bincount(block, minlength=recipe.folds)
    if recipe.folds < 2 or not sizes.all():
        raise DataError(
            "there is too little history to learn an allocation from",
            hint=f"{recipe.folds} blocks of it need hours that have a day of history before them",
            attempt="gymjax allocate simulate DATA --without-learned",
            code="allocate.short",
        )
    parts = [block != held for held in range(recipe.folds)] * recipe.seeds
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-3
    examples = Decisions(
        jnp.asarray(_scaled(features, mean, deviation)),
        jnp.asarray(np.log(np.nan_to_num(coming) + SOFTEN)),
        jnp.asarray(counts),
    )
    model = network(recipe.hidden, len(LEVELS), recipe.dropout)
    steps = -(-int(max(map(np.count_nonzero, parts))) // recipe.batch_size)
    tx = optax.adamw(optax.cosine_decay_schedule(recipe.lr, steps * recipe.epochs), weight_decay=recipe.weight_decay)
    seeds = range(recipe.seed, recipe.seed + len(parts))
    pack = Pack("turns", make_layout("cores" if jax.default_backend() == "cpu" and len(jax.devices()) > 1 else "one"))
    first = examples.take(jnp.arange(1)).inputs
    states = pack.place(stack([init_state(model, tx, jax.random.key(seed), first) for seed in seeds]))
    examples = pack.replicate(examples)
    epoch = make_many_epoch(partial(make_train_step, model, quantile_loss, tx), pack)
    judge = make_many_evaluation(partial(make_eval_step, model, quantile_loss), pack)
    checks = _aligned([np.flatnonzero(~part) for part in parts], BATCH)
    best, kept, since = np.full(len(parts), np.inf), [None] * len(parts), 0
    for number in range(recipe.epochs):
        orders = [
            np.flatnonzero(part)[shuffled(seed, number, int(part.sum()), 1)[:, 0]]
            for seed, part in zip(seeds, parts, strict=True)
        ]
        states, metrics = epoch(states, examples, _aligned(orders, recipe.batch_size))
        checked = judge(states, examples, checks)["loss"]
        losses = np.asarray(checked.total.sum(axis=0) / checked.count.sum(axis=0))
        better = losses < best
        for index in np.flatnonzero(better):
            kept[index] = jax.device_get(member(states.params, int(index)))
        best, since = np.where(better, losses, best), 0 if better.any() else since + 1
        if watch is not None:
            watch(number + 1, float(np.nanmean(metrics["loss"].value)), float(losses.mean()))
        if since >= recipe.patience:
            break
    if any(one is None for one in kept):
        raise DataError(
            "the losses of the learned policy are not finite", hint="look at the largest values of the usage"
        )
    return Learned(jax.device_get(stack(kept)), mean, deviation, tuple(recipe.hidden), recipe.folds)


def _aligned(orders: Sequence[Int[np.ndarray, " n"]], batch_size: int) -> Int[np.ndarray, "steps members batch"]:
    """Return orders of different length as one, filled up with -1."""
    batch = min(batch_size, max(map(len, orders)))
    steps = -(-max(map(len, orders)) // batch)
    padded = [np.pad(order, (0, steps * batch - len(order)), constant_values=-1) for order in orders]
    return np.stack(padded, axis=0).reshape(len(orders), steps, batch).swapaxes(0, 1).astype(np.int32)


def forecast(learned: Learned, features: Float[np.ndarray, "n features"]) -> Float[np.ndarray, "n levels"]:
    """Return the quantiles of what will be used, as shares of the level: the mean over the members."""
    model = network(learned.hidden, len(learned.levels))
    scaled = _scaled(features, learned.mean, learned.deviation)
    out, size = [], min(BATCH, 1 << max(len(scaled) - 1, 0).bit_length())  # few sizes: each is compiled
    for begin in range(0, len(scaled), size):
        part = scaled[begin : begin + size]
        padded = np.pad(part, ((0, size - len(part)), (0, 0)))
        out.append(np.asarray(_apply(model, learned.params, padded))[: len(part)])
    return np.concatenate(out) if out else np.zeros((0, len(learned.levels)))


@partial(jax.jit, static_argnums=0)
def _apply(model: MLP, params: PyTree, features: Array) -> Array:
    def of(own: PyTree) -> Array:
        logs: Any = model.apply({"params": own}, Inputs(past=features[:, None]))
        logs = logs[:, 0, 0]
        return jnp.maximum(jnp.exp(logs) - SOFTEN, 0)

    return jax.vmap(of)(params).mean(axis=0)


def _gather(
    hours: Sequence[Hours], blocks: Sequence[Int[np.ndarray, " hours"]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return features, coming values, counts and blocks of the hours that may be learned from."""
    parts = []
    for one, block in zip(hours, blocks, strict=True):
        keep = (block >= 0) & one.known & (one.counts.sum(axis=1) > 0)
        parts.append((one.features[keep], one.coming[keep], one.counts[keep], block[keep]))
    features, coming, counts, block = (np.concatenate(part) for part in zip(*parts, strict=True))
    return features, coming, counts, block


def _scaled(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> Float[np.ndarray, "n features"]:
    return np.clip((features - mean) / deviation, -FAR, FAR).astype(np.float32)
