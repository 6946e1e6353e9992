import numpy as np
import pytest

from gym_jax.data import sequential, shuffled

GOLDEN = [66, 0, 54, 43, 69, 38, 21, 91]
GOLDEN_OF_SEED_1_EPOCH_2 = [71, 34, 4, 11, 67, 92, 25, 39]


@pytest.mark.parametrize(
    ("count", "batch_size", "steps"), [(100, 10, 10), (101, 10, 11), (3, 8, 1), (1, 1, 1), (0, 4, 0)]
)
def test_every_index_comes_once_and_padding_last(count, batch_size, steps):
    for order in (shuffled(5, 3, count, batch_size), sequential(count, batch_size)):
        assert order.shape == (steps, batch_size)
        assert order.dtype == np.int32
        flat = order.ravel()
        assert sorted(flat[:count].tolist()) == list(range(count))
        assert (flat[count:] == -1).all()
    assert sequential(count, batch_size).ravel()[:count].tolist() == list(range(count))


def test_the_order_is_an_address_of_seed_and_epoch():
    base = shuffled(0, 0, 100, 10)
    assert (base == shuffled(0, 0, 100, 10)).all()
    for seed, epoch in ((0, 1), (1, 0), (1, 1)):
        assert (base != shuffled(seed, epoch, 100, 10)).any()
    assert (shuffled(0, 1, 100, 10) != shuffled(1, 0, 100, 10)).any()


def test_the_order_never_changes_between_versions():
    assert shuffled(0, 0, 100, 10).ravel()[:8].tolist() == GOLDEN
    assert shuffled(1, 2, 100, 10).ravel()[:8].tolist() == GOLDEN_OF_SEED_1_EPOCH_2
