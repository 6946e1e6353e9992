"""Copies of a state: a bit that differs is found wherever it is, said where, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gym_jax.errors import PeerError
from gym_jax.train import copies
from gym_jax.train.copies import hash_copies, refuse_unlike
from gym_jax.train.parallel import make_layout

TREE = {
    "float": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "half": np.linspace(-1, 1, 5).astype(jnp.bfloat16),
    "whole": np.arange(3, dtype=np.int32),
    "byte": np.arange(7, dtype=np.uint8),
    "truth": np.array([True, False]),
    "one": np.float32(2.5),
    "none": np.zeros((0, 3), np.float32),
}
LAYOUT = make_layout("cores", 2)


def flipped(array, bit):
    """Return an array with one of its bits the other way."""
    array = np.array(array)
    if array.dtype == bool:
        array.reshape(-1)[bit % array.size] ^= True
        return array
    raw = bytearray(array.tobytes())
    raw[bit // 8] ^= 1 << bit % 8
    return np.frombuffer(bytes(raw), array.dtype).reshape(array.shape)


def held(first, second):
    """Return a tree whose copy on one device is not that on the other."""
    place = NamedSharding(LAYOUT.mesh, P())

    def put(one, other):
        parts = [jax.device_put(value, device) for value, device in zip((one, other), LAYOUT.devices, strict=True)]
        return jax.make_array_from_single_device_arrays(np.shape(one), place, parts)

    return jax.tree.map(put, first, second)


def bits_of(value):
    value = np.asarray(value)
    return range(value.size if value.dtype == bool else 8 * value.nbytes)


@pytest.mark.parametrize("name", [name for name in TREE if np.size(TREE[name])])
def test_every_single_bit_is_found(name):
    for bit in bits_of(TREE[name]):
        names, (one, other) = hash_copies({name: held(TREE[name], flipped(TREE[name], bit))})
        assert names == [name]
        assert (one != other).all(axis=1).any() or (one != other).any(), bit


def test_copies_that_are_alike_are_and_nothing_is_said():
    refuse_unlike(held(TREE, TREE), 40)


def test_values_that_change_places_are_found():
    swapped = np.array(TREE["float"])
    swapped[0, 0], swapped[2, 3] = swapped[2, 3], swapped[0, 0]
    with pytest.raises(PeerError):
        refuse_unlike({"a": held(TREE["float"], swapped)}, 1)


def test_two_arrays_that_change_names_are_found():
    one, other = held(TREE["float"], TREE["float"] + 1), held(TREE["float"] + 1, TREE["float"])
    with pytest.raises(PeerError):
        refuse_unlike({"a": one, "b": other}, 1)


def test_the_error_says_who_and_where():
    other = {**TREE, "half": flipped(TREE["half"], 3), "byte": flipped(TREE["byte"], 0)}
    with pytest.raises(PeerError) as caught:
        refuse_unlike(held(TREE, other), 40)
    assert caught.value.message == (
        "the copies of the model are no longer alike at step 40: device 1 of process 0 differs in byte, half from "
        "device 0 of process 0; which of them is right can not be told"
    )
    assert (caught.value.exit_code, caught.value.code) == (7, "run.unlike")


@pytest.mark.parametrize(
    ("odd", "words"),
    [(0, "process 0 differs in b from the others"), (2, "process 2 differs in b from the others")],
)
def test_of_three_the_odd_one_is_named(odd, words, monkeypatch):
    def gather(name, value, seconds=0):
        alike = [value] * 3
        if name == "alike":
            alike[odd] = ["other"]
        else:
            wrong = np.array(value)
            wrong[0, 1, 0] ^= 1
            alike[odd] = wrong.tolist()
        return alike

    monkeypatch.setattr(copies, "gather", gather)
    with pytest.raises(PeerError, match=words):
        refuse_unlike({"a": jnp.ones(3), "b": jnp.ones(4)}, 7)


def test_arrays_in_parts_and_what_is_no_array_are_left_out():
    parts = jax.device_put(np.arange(8.0, dtype=np.float32), NamedSharding(LAYOUT.mesh, P("data")))
    names, hashes = hash_copies({"parts": parts, "whole": held(np.ones(2), np.ones(2)), "plain": 3})
    assert names == ["whole"]
    assert len(hashes) == 2
    assert hash_copies({"parts": parts})[0] == []
    refuse_unlike({"parts": parts}, 1)


def test_a_whole_state_with_its_random_key_is_hashed():
    params = {"w": jnp.ones((2, 3))}
    tree = {"params": params, "opt": optax.adamw(1e-3).init(params), "key": jax.random.key(3)}
    names, (words,) = hash_copies(tree)
    assert words.shape == (len(names), 2)
    assert "params/w" in names
    _, (other,) = hash_copies({**tree, "key": jax.random.key(4)})
    assert [name for name, a, b in zip(names, words, other, strict=True) if (a != b).any()] == ["key"]


def test_no_two_words_are_mixed_to_the_same():
    words = np.random.default_rng(0).choice(2**32, size=2**18, replace=False).astype(np.uint32)
    assert len(np.unique(copies._scramble(jnp.asarray(words)))) == len(words)


def test_hashes_of_different_numbers_do_not_meet():
    """Of 400 arrays that differ in one random number, no two hash alike: 64 bits would let them by 1e-14."""
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(4):
        tree = {str(at): jnp.asarray(generator.normal(size=50).astype(np.float32)) for at in range(100)}
        seen |= {words.tobytes() for words in hash_copies(tree)[1][0]}
    assert len(seen) == 400
