"""Where the leaves of a tree lie: on one device, on all alike, or in parts over the devices of several processes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, Sharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

SMALL = 2**12
"""Numbers of a leaf up to which every device keeps all of it: passing them around would cost more than they take."""


class Parts(NamedTuple):
    """A leaf that lies in parts over several processes, as this one keeps it on the host."""

    shape: tuple[int, ...]
    dtype: Any
    sharding: Sharding
    parts: tuple[tuple[jax.Device, np.ndarray], ...]

    @property
    def nbytes(self) -> int:
        """The bytes of all parts, those of other processes too."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is a random key."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def put(leaf: Any, sharding: Sharding) -> Any:
    """Return a leaf in its place; where that reaches over processes, all of them must give the same numbers."""
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if isinstance(leaf, jax.core.Tracer):  # only its shape is asked for
        return leaf
    if isinstance(leaf, jax.Array) and leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
        return leaf
    if is_key(leaf):
        words = put(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return jax.jit(lambda whole: whole, out_shardings=sharding)(leaf)
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def lies_apart(leaf: Any) -> bool:
    """Return whether no process has all of a leaf."""
    if isinstance(leaf, Parts):
        return True
    sharding = getattr(leaf, "sharding", None)
    return sharding is not None and not (sharding.is_fully_addressable or sharding.is_fully_replicated)


def is_apart(tree: Any) -> bool:
    """Return whether a tree has a leaf that no process has all of."""
    return any(map(lies_apart, jax.tree.leaves(tree, is_leaf=_is_parts)))


def to_host(tree: Any) -> Any:
    """Return a copy of a tree on the host; of a leaf in parts those of this process."""

    def copy(leaf: Any) -> Any:
        if not lies_apart(leaf):
            return jax.device_get(leaf)
        parts = tuple((part.device, np.asarray(part.data)) for part in leaf.addressable_shards)
        return Parts(leaf.shape, leaf.dtype, leaf.sharding, parts)

    return jax.tree.map(copy, tree)


def from_host(tree: Any) -> Any:
    """Return a tree of the host whose leaves in parts are arrays again."""

    def array(leaf: Any) -> Any:
        if not isinstance(leaf, Parts):
            return leaf
        parts = [jax.device_put(part, device) for device, part in leaf.parts]
        return jax.make_array_from_single_device_arrays(leaf.shape, leaf.sharding, parts)

    return jax.tree.map(array, tree, is_leaf=_is_parts)


def gathered_on_host(tree: Any) -> Any:
    """Return a tree on the host, all of every leaf. All processes must ask when a leaf is in parts."""

    def whole(leaf: Any) -> Any:
        if lies_apart(leaf):
            leaf = put(leaf, NamedSharding(leaf.sharding.mesh, P()))
        return jax.device_get(leaf)

    return jax.tree.map(whole, tree)


def abstract(leaf: Any, apart: bool = False) -> Any:
    """Return shape, type and place of a leaf as it is to be read; `apart`: by all processes together."""
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return leaf
    place = leaf.sharding
    if place is None or not (apart or place.is_fully_addressable):
        place = SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def in_places_of(tree: Any, like: Any) -> Any:
    """Return a tree with each leaf where that of `like` lies, when it reaches over processes."""

    def move(leaf: Any, like: Any) -> Any:
        place = getattr(like, "sharding", None)
        return leaf if place is None or place.is_fully_addressable else put(leaf, place)

    return jax.tree.map(move, tree, like)


def shard_largest(mesh: Mesh, axis: str) -> Callable[[Any], NamedSharding]:
    """Return the rule that gives each device an equal part of a leaf, along its largest axis that divides evenly.

    Small leaves, and those without such an axis, stay whole on every device.
    """

    def rule(leaf: Any) -> NamedSharding:
        fitting = [(size, -place) for place, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if leaf.size <= SMALL or not fitting or is_key(leaf):
            return NamedSharding(mesh, P())
        place = -max(fitting)[1]
        return NamedSharding(mesh, P(*[None] * place, axis))

    return rule


def _is_parts(leaf: Any) -> bool:
    return isinstance(leaf, Parts)
