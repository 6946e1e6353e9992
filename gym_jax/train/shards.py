"""Canonical shards: parts of a batch whose results are added in one order, on whatever devices they were computed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int

from gym_jax.types import Batch


def add_shards(
    function: Callable[[Int[Array, ""], Batch], Any], batch: Batch, shards: int, axis_name: str | None = None
) -> Any:
    """Return the sum of `function(number, rows)` over the shards of a batch, the same to the bit on any devices.

    With `axis_name` the batch is the own part of a device, which holds as many shards as every other. Raises
    ValueError, when traced, for a batch or a number of devices that does not divide.
    """
    devices = 1 if axis_name is None else lax.axis_size(axis_name)
    own, odd = divmod(shards, devices)
    if odd or len(batch.weights) % max(own, 1):
        rows = len(batch.weights) * devices
        raise ValueError(f"{shards} shards do not share a batch of {rows} rows evenly over {devices} devices")
    first = 0 if axis_name is None else lax.axis_index(axis_name) * own
    parts = jax.tree.map(lambda leaf: leaf.reshape(own, -1, *leaf.shape[1:]), batch)
    # every device has room for all shards and a loop of unknown length: the compiler sees the same program whatever the
    # share of a device is, and one that it knew to be shorter would be fused with what is around it into other bits
    parts = jax.tree.map(lambda leaf: jnp.pad(leaf, [(0, shards - own)] + [(0, 0)] * (leaf.ndim - 1)), parts)
    zeros = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(function, jnp.int32(0), jax.tree.map(lambda leaf: leaf[0], parts)),
    )
    empty, unravel = ravel_pytree(zeros)

    def one(place: Array, flat: Array) -> Array:
        rows = lax.optimization_barrier(jax.tree.map(lambda leaf: leaf[place], parts))
        found = lax.optimization_barrier(ravel_pytree(function(first + place, rows))[0])
        return flat.at[place].set(found)

    flat = lax.fori_loop(
        0, lax.optimization_barrier(jnp.int32(own)), one, jnp.zeros((shards, *empty.shape), empty.dtype)
    )
    flat = flat[:own]
    if axis_name is not None:
        flat = lax.all_gather(flat, axis_name, tiled=True)
    flat = lax.optimization_barrier(flat)
    total = flat[0]
    for number in range(1, shards):
        total = total + flat[number]
    return unravel(lax.optimization_barrier(total))


def mean_of_shards(sums: Any, shards: int) -> Any:
    """Return the mean of what was added over shards; counters, which are alike in all of them, stay what they are."""
    return jax.tree.map(lambda leaf: leaf / shards if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf // shards, sums)
