"""The recurrence against NumPy in float64, its gradients against autodiff of the plain twin in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ops.truths import answers_of, close, computing_in, draw, near, near_for_members
from tolerances import FLOAT32, FLOAT64

from gym_jax.ops import choose_lstm, lstm, lstm_cell, lstm_hoisted, lstm_plain

SHAPES = {
    "ordinary": (7, 3, 2, 6),
    "odd, one row": (5, 1, 3, 5),
    "one step": (1, 4, 2, 3),
    "one of everything": (1, 1, 1, 1),
    "more features than gates": (4, 3, 40, 3),
    "many rows": (6, 300, 3, 4),
}
"""Time, batch, features and hidden units."""
FEW = ("ordinary", "odd, one row", "one step")
each_shape = pytest.mark.parametrize(
    "shape", [shape if shape in FEW else pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES]
)
each_kernel = pytest.mark.parametrize("function", [lstm, lstm_hoisted])
each_way = pytest.mark.parametrize(
    ("reverse", "last"),
    [
        pytest.param(reverse, last, marks=[] if reverse == last else [pytest.mark.slow])
        for reverse, last in itertools.product([False, True], repeat=2)
    ],
)


def make(shape, size=1.0):
    """The past and the three parameters, of the size that a layer begins with."""
    time, batch, features, hidden = SHAPES[shape]
    kernel = draw(features, 4 * hidden, seed=1) / features**0.5
    recurrent = draw(hidden, 4 * hidden, seed=2) / hidden**0.5
    params = (kernel, recurrent, draw(4 * hidden, seed=3))
    return draw(time, batch, features, size=size), *(np.float64(np.float32(leaf)) for leaf in params)


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(x / 2)


def by_hand(x, kernel, recurrent, bias, *, reverse=False, last=False):
    """Hochreiter and Schmidhuber's recurrence, step by step."""
    h = c = np.zeros((x.shape[1], len(recurrent)))
    states = np.zeros((*x.shape[:2], len(recurrent)))
    order = range(len(x))[::-1] if reverse else range(len(x))
    for t in order:
        i, f, g, o = np.split(x[t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        states[t] = h = sigmoid(o) * np.tanh(c)
    return h[None] if last else states


@functools.cache
def truths_of(shape, reverse, last):
    return answers_of(functools.partial(lstm_plain, reverse=reverse, last=last), *make(shape))


@each_kernel
@each_way
@each_shape
def test_states_and_gradients_in_float64_are_those_of_the_formula_and_of_the_twin(shape, reverse, last, function):
    given, truths = make(shape), truths_of(shape, reverse, last)
    close(truths[0], by_hand(*given, reverse=reverse, last=last), FLOAT64)
    near(answers_of(functools.partial(function, reverse=reverse, last=last), *given), truths, "float64")


@pytest.mark.parametrize("function", [lstm, lstm_hoisted, lstm_plain])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@each_way
@each_shape
def test_states_and_gradients_are_near_those_in_float64(shape, reverse, last, dtype, function):
    run = functools.partial(computing_in(function, dtype), reverse=reverse, last=last)
    near(answers_of(run, *make(shape), dtype=dtype), truths_of(shape, reverse, last), dtype)


@each_kernel
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@each_way
def test_members_of_a_vmap_have_the_gradients_of_each_alone(reverse, last, dtype, function):
    x, *params = make("ordinary")
    members = [np.stack([leaf, -leaf / 2]) for leaf in params]
    fast, twin = (functools.partial(one, reverse=reverse, last=last) for one in (function, lstm_plain))
    near_for_members(computing_in(fast, dtype), twin, x, members, dtype)


@each_kernel
@each_way
def test_states_after_the_first_read_do_not_depend_on_what_is_read_later(reverse, last, function):
    """Backwards the last row is read first; the last state depends on every row."""
    x, *params = (jnp.asarray(part, jnp.float32) for part in make("ordinary"))
    run = functools.partial(function, reverse=reverse, last=last)
    begin, end = (-1, 0) if reverse else (0, -1)
    changed = np.asarray(run(x.at[end].add(1), *params) != run(x, *params))
    assert changed[end].all()
    if not last:
        assert not np.delete(changed, end % len(x), axis=0).any()
    assert (run(x.at[begin].add(1), *params) != run(x, *params)).all()


@each_kernel
def test_one_step_is_the_cell(function):
    x, kernel, recurrent, bias = (jnp.asarray(part, jnp.float32) for part in make("one step"))
    zero = jnp.zeros((x.shape[1], len(recurrent)))
    h, _ = lstm_cell(zero, zero, x[0], kernel, recurrent, bias)
    close(function(x, kernel, recurrent, bias)[0], h, FLOAT32)


@each_kernel
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@each_way
def test_gates_far_beyond_their_ends_have_finite_gradients(dtype, reverse, last, function):
    given = make("ordinary", size=1e6)
    run = functools.partial(computing_in(function, dtype), reverse=reverse, last=last)
    found = answers_of(run, *given, dtype=dtype)
    assert all(np.isfinite(leaf).all() for leaf in found)
    truth = by_hand(*given, reverse=reverse, last=last)
    near(found[:1], [truth], dtype)


@pytest.mark.parametrize(
    ("platform", "kernel", "chosen"),
    [
        ("cpu", "auto", lstm),
        ("cpu", "plain", lstm_plain),
        ("gpu", "auto", lstm_hoisted),
        ("gpu", "plain", lstm_plain),
        ("tpu", "auto", lstm_plain),
        ("tpu", "fast", lstm_hoisted),
    ],
)
def test_each_platform_has_its_own_fast_recurrence(platform, kernel, chosen, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert choose_lstm(kernel) is chosen
