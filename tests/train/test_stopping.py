"""Early stopping by hand."""

import math

from gym_jax.train.stopping import EarlyStop


def test_by_hand():
    stop = EarlyStop()
    for epoch, value in enumerate([3.0, 2.0, 2.0, math.nan, 2.5], start=1):
        stop = stop.update(value, epoch=epoch, step=10 * epoch)
    assert stop == EarlyStop(best=2.0, best_epoch=2, best_step=20, waited=3)
    assert stop.exhausted(3)
    assert not stop.exhausted(4)
    assert not stop.exhausted(None)
