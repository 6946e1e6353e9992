"""Whether the copies of a state are alike: every device that holds one hashes it, and the hashes are compared.

What no arithmetic can make differ (the same program on the same numbers) does differ once a bit has flipped in a memory
or a processor computes wrongly; training then goes on with several models that are taken for one.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, PyTree, UInt32

from gym_jax.errors import PeerError
from gym_jax.train.processes import gather

GOLDEN, FIRST, SECOND = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35
"""Odd multipliers of MurmurHash3 (Appleby, public domain)."""


def refuse_unlike(state: PyTree, step: int) -> None:
    """Compare the copies of a state on all devices of all processes. All processes must call it at the same step.

    Raises PeerError that names who differs from most, and in which arrays.
    """
    names, hashes = hash_copies(state)
    digests = [hashlib.sha256(words.tobytes()).hexdigest()[:16] for words in hashes]
    said = gather("alike", digests)
    if len({digest for digests in said for digest in digests}) <= 1:
        return
    found = gather("unlike", [words.tolist() for words in hashes])
    raise _unlike(names, [[np.array(words, np.uint32) for words in copies] for copies in found], step)


def hash_copies(state: PyTree) -> tuple[list[str], list[UInt32[np.ndarray, "leaves 2"]]]:
    """Return the names of the arrays of which there are copies, and 64 bits of each, by local device.

    Arrays in parts, of which no device has all, are left out. A single bit that differs always changes the hash.
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    leaves = [(where, leaf) for where, leaf in leaves if isinstance(leaf, jax.Array) and leaf.is_fully_replicated]
    if not leaves:
        return [], [np.zeros((0, 2), np.uint32)]
    held = [{shard.device: shard.data for shard in leaf.addressable_shards} for _, leaf in leaves]
    devices = sorted(set.intersection(*map(set, held)), key=lambda device: device.id)
    names = [jax.tree_util.keystr(where, simple=True, separator="/") for where, _ in leaves]
    return names, [np.asarray(_hash([copies[device] for copies in held])) for device in devices]


@jax.jit
def _hash(leaves: list[Array]) -> Array:
    return jnp.stack([_mix(_words(leaf)) for leaf in leaves])


def _mix(words: Array) -> Array:
    """Return two sums of words, each mixed with its place by a function that no two words share a value of."""
    place = jnp.arange(len(words), dtype=jnp.uint32) * np.uint32(GOLDEN)
    return jnp.stack([_scramble(words ^ (place + np.uint32(seed))).sum(dtype=jnp.uint32) for seed in (1, GOLDEN)])


def _scramble(words: Array) -> Array:
    words = (words ^ (words >> 16)) * np.uint32(FIRST)
    words = (words ^ (words >> 13)) * np.uint32(SECOND)
    return words ^ (words >> 16)


def _words(leaf: Array) -> Array:
    """Return the bits of an array as 32-bit words."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        leaf = jnp.stack([leaf.real, leaf.imag])
    width = leaf.dtype.itemsize
    narrow = {1: jnp.uint8, 2: jnp.uint16}.get(width, jnp.uint32)
    return lax.bitcast_convert_type(leaf, narrow).astype(jnp.uint32).reshape(-1)


def _unlike(names: list[str], found: list[list[np.ndarray]], step: int) -> PeerError:
    """Return the error that names the copies that differ from most others, and where they do."""
    alone = all(len(copies) == 1 for copies in found)
    alike: dict[bytes, list[str]] = {}
    words_of = {}
    for rank, copies in enumerate(found):
        for place, words in enumerate(copies):
            who = f"process {rank}" if alone else f"device {place} of process {rank}"
            alike.setdefault(words.tobytes(), []).append(who)
            words_of[who] = words
    most, *odd = sorted(alike.values(), key=len, reverse=True)
    truth = words_of[most[0]]
    differ = np.any([(words_of[who] != truth).any(axis=1) for who, *_ in odd], axis=0)
    wrong = [name for name, differs in zip(names, differ, strict=True) if differs]
    where = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    who = ", ".join(one for members in odd for one in members)
    others = "the others" if len(most) > len(odd[0]) else f"{most[0]}; which of them is right can not be told"
    return PeerError(
        f"the copies of the model are no longer alike at step {step}: {who} differs in {where} from {others}",
        hint="a bit has flipped in a memory, or a device computes wrongly; nothing since the last save was kept",
        attempt="gymjax train --resume RUN",
        code="run.unlike",
    )
