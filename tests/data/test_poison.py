"""Nothing after the train rows may change what training sees or becomes, by a bit."""

import json
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

from gym_jax.data import Panel, make_windows, origins, shuffled
from gym_jax.data.preprocess import Clipping, Preprocessing, Scaling, fit
from gym_jax.data.split import Splitting, split_panel
from gym_jax.losses import mse
from gym_jax.models import MLP
from gym_jax.train.step import init_state, make_train_step

CONTEXT, HORIZON, WINDOWS = 6, 3, 24
HOUR = 3_600 * 10**9
STEPS = {
    "plain": Preprocessing(),
    "global, forward": Preprocessing(scale=Scaling(scope="global"), impute="forward"),
    "robust, quantile clip, linear": Preprocessing(
        scale=Scaling("robust"), clip=Clipping("quantile", low=0.1, high=0.9), impute="linear"
    ),
    "minmax, hampel": Preprocessing(scale=Scaling("minmax"), clip=Clipping("hampel", window=5, deviations=1.0)),
    "log1p, seasonal": Preprocessing(scale=Scaling(log1p=True), impute="seasonal"),
    "robust global, features": Preprocessing(
        scale=Scaling("robust", "global"), lags=(2, 5), rolling=((4, "mean"), (6, "max")), calendar=("day", "week")
    ),
}
SPLITS = {
    "share": Splitting(),
    "share with a gap": Splitting(train=0.6, gap=2),
    "steps": Splitting(kind="steps", val_steps=3, test_steps=4, gap=1),
    "date": Splitting(kind="date", val_from="1970-01-01T13:00", test_from="1970-01-01T16:00"),
    "series": Splitting(kind="series", train=0.5, val=0.0),
}
LENGTHS = [[20, 20, 20], [14, 16, 30], [9, 40, 11]]
"""Three series and sixty rows always: one compilation serves all."""


def make_random(lengths, missing, seed):
    """A panel of a target, a past and a known channel, with static numbers and categories, hourly from 1970."""
    generator = np.random.default_rng(seed)
    mask = generator.random((sum(lengths), 3)) >= missing
    count = len(lengths)
    return Panel(
        series=tuple(map(str, range(count))),
        channels=("cpu", "memory", "job"),
        targets=1,
        values=np.where(mask, generator.gamma(2, 2, mask.shape), 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.zeros(count, np.int64),
        step=HOUR,
        known=1,
        static=generator.normal(size=(count, 1)),
        static_names=("size",),
        categories=np.array([[f"tier {i % 2}"] for i in range(count)], object),
        category_names=("tier",),
    )


def poison(panel, split, how):
    """The panel with everything after the train rows missing, absurd, or NaN in spite of its mask."""
    later = np.ones(len(panel.mask), bool)
    for begin, end in zip(*split.train, strict=True):
        later[begin:end] = False
    others = split.train.lengths == 0
    panel = replace(
        panel,
        static=np.where(others[:, None], 1e9, panel.static),
        categories=np.where(others[:, None], "poison", panel.categories),
    )
    later = np.broadcast_to(later[:, None], panel.mask.shape)
    if how == "missing":
        return replace(panel, values=np.where(later, 0, panel.values), mask=panel.mask & ~later)
    if how == "absurd":
        return replace(panel, values=np.where(later, 1e6 * panel.values + 7, panel.values), mask=panel.mask | later)
    return replace(panel, values=np.where(later, np.nan, panel.values))


def train_windows(panel, splitting, steps):
    """What the train rows teach, and the windows of the train part."""
    split = split_panel(panel, splitting)
    fitted, channels = fit(panel, split.train, steps, horizon=HORIZON)
    rows, series = origins(panel, split.train, context=CONTEXT, horizon=HORIZON)
    static, categories = fitted.encoder.encode(panel)
    own = np.unique(series)
    windows = make_windows(
        channels,
        fitted.scaler,
        np.resize(rows, WINDOWS),  # as many for every case: one compilation
        np.resize(series, WINDOWS),
        context=CONTEXT,
        horizon=HORIZON,
        impute=steps.impute,
        season=4,
        static=static,
        categories=categories,
    )
    learnt = fitted._replace(scaler=fitted.scaler.select(own))
    learnt = learnt._replace(bounds=learnt.bounds and type(learnt.bounds)(*(limit[own] for limit in learnt.bounds)))
    return split, (rows, series), json.dumps(learnt.to_json()), windows


@jax.jit
def trained(windows, order):
    """Every batch of three steps, and the parameters after them."""
    model, tx = MLP(horizon=HORIZON, hidden=(4,), categories=(2,)), optax.adam(1e-2)
    state = init_state(model, tx, jax.random.key(0), windows.take(order[0]).inputs)
    step = make_train_step(model, mse, tx)

    def body(state, indices):
        batch = windows.take(indices)
        return step(state, batch)[0], batch

    state, batches = lax.scan(body, state, order)
    return state.params, batches


def outcome(panel, splitting, steps):
    split, places, learnt, windows = train_windows(panel, splitting, steps)
    if windows.mask is None:
        windows = replace(windows, mask=np.ones(windows.values.shape, bool))  # the same program for both
    params, batches = trained(windows, shuffled(seed=0, epoch=0, count=WINDOWS, batch_size=8))
    return split, learnt, jax.tree.map(np.asarray, (places, params, batches))


@pytest.mark.parametrize("steps", STEPS)
@given(
    how=st.sampled_from(["missing", "absurd", "nan"]),
    splitting=st.sampled_from(list(SPLITS)),
    lengths=st.sampled_from(LENGTHS),
    missing=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=170, deadline=None)
def test_poison_after_the_train_rows_changes_nothing_in_a_thousand_cases(steps, how, splitting, lengths, missing, seed):
    """170 examples for each of six sets of steps: 1,020 cases of scaler, windows, batches and trained parameters."""
    panel, kind, chosen = make_random(lengths, missing, seed), SPLITS[splitting], STEPS[steps]
    split, learnt, clean = outcome(panel, kind, chosen)
    assume(len(clean[0][0]))  # gaps can leave no window to train on, which a run refuses
    _, learnt_again, poisoned = outcome(poison(panel, split, how), kind, chosen)
    assert learnt == learnt_again
    assert jax.tree.structure(clean) == jax.tree.structure(poisoned)
    for before, after in zip(jax.tree.leaves(clean), jax.tree.leaves(poisoned), strict=True):
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()
    rows = clean[0][0][:, None] + np.arange(HORIZON)
    used = np.zeros(len(panel.values), np.int64)
    used[np.unique(rows)] += 1
    for span in (split.val, split.test):
        late, _ = origins(panel, span, context=CONTEXT, horizon=HORIZON, whole=False)
        used[np.unique(late[:, None] + np.arange(HORIZON))] += 1
    assert used.max() <= 1, "a window overlaps a split"


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("how", ["missing", "absurd", "nan"])
def test_the_poison_is_strong_enough_to_be_seen_behind_the_train_rows(how, steps):
    panel = make_random([60], 0.1, 0)
    split = split_panel(panel, Splitting())
    whole = split.train._replace(end=panel.offsets[1:])
    clean, _ = fit(panel, whole, STEPS[steps], horizon=HORIZON)
    spoilt, _ = fit(poison(panel, split, how), whole, STEPS[steps], horizon=HORIZON)
    assert json.dumps(clean.to_json()) != json.dumps(spoilt.to_json())
