"""Nothing after the train part may change what training sees, by a bit."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_jax.data import Panel, fit_scaler, make_windows, origins, sequential, split_by_time

CONTEXT, HORIZON = 6, 3


def make_random(lengths, missing, seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((sum(lengths), 2)) >= missing
    return Panel(
        series=tuple(map(str, range(len(lengths)))),
        channels=("cpu", "memory"),
        targets=1,
        values=np.where(mask, generator.normal(4, 2, mask.shape), 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.zeros(len(lengths), np.int64),
        step=1,
        clock="step",
    )


def poison(panel, split, how):
    """The panel with every value after the train rows missing, absurd, or NaN in spite of its mask."""
    later = np.ones(len(panel.mask), bool)
    for begin, end in zip(*split.train, strict=True):
        later[begin:end] = False
    later = np.broadcast_to(later[:, None], panel.mask.shape)
    if how == "missing":
        return replace(panel, values=np.where(later, 0, panel.values), mask=panel.mask & ~later)
    if how == "absurd":
        return replace(panel, values=np.where(later & panel.mask, 1e6 * panel.values - 7, panel.values))
    return replace(panel, values=np.where(later, np.nan, panel.values))


def training(panel, shares, scope):
    """The scaler, the origins and every batch of the train part."""
    split = split_by_time(panel, **shares)
    scaler = fit_scaler(panel, split.train, scope=scope)
    rows, series = origins(panel, split.train, context=CONTEXT, horizon=HORIZON)
    windows = make_windows(panel, scaler, rows, series, context=CONTEXT, horizon=HORIZON)
    batches = [windows.take(order) for order in sequential(len(windows), 16)]
    dense = [b._replace(inputs=b.inputs._replace(mask=seen(b))) for b in batches]
    return split, jax.tree.map(np.asarray, (scaler, rows, series, dense))


def seen(batch):
    """The mask of a batch, where None says that all was observed."""
    return np.ones(batch.inputs.past.shape, bool) if batch.inputs.mask is None else batch.inputs.mask


@pytest.mark.parametrize("how", ["missing", "absurd", "nan"])
@given(
    lengths=st.sampled_from([[48], [14, 34], [15, 16, 17]]),
    missing=st.sampled_from([0.0, 0.3]),
    gap=st.integers(0, 3),
    scope=st.sampled_from(["series", "global"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=17, deadline=None)
def test_poison_after_the_train_part_changes_no_batch(how, lengths, missing, gap, scope, seed):
    shares = {"train": 0.7, "val": 0.1, "gap": gap}
    panel = make_random(lengths, missing, seed)
    split, clean = training(panel, shares, scope)
    _, poisoned = training(poison(panel, split, how), shares, scope)
    assert jax.tree.structure(clean) == jax.tree.structure(poisoned)
    for before, after in zip(jax.tree.leaves(clean), jax.tree.leaves(poisoned), strict=True):
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()


def test_the_poison_is_strong_enough_to_be_seen_in_the_val_part():
    panel = make_random([40], 0.0, 0)
    split = split_by_time(panel)
    for how in ("missing", "absurd", "nan"):
        poisoned = poison(panel, split, how)
        whole = fit_scaler(panel, split.train._replace(end=panel.offsets[1:]))
        spoilt = fit_scaler(poisoned, split.train._replace(end=panel.offsets[1:]))
        assert whole.shift.tobytes() != spoilt.shift.tobytes()
