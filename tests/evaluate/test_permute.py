"""Pieces of an input exchanged between windows: by hand, and as laws over every piece."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from gym_jax.data import fit_scaler, make_panel, make_windows, origins, split_by_time
from gym_jax.evaluate.permute import Piece, exchange, lag_blocks, make_exchanged, pieces_of
from gym_jax.types import Inputs

CONTEXT, HORIZON = 6, 2


def make_small(gaps=0.1):
    """Windows with a target, a past and a known channel, two static numbers and a category."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(80, 3))
    values[generator.random(80) < gaps, :2] = np.nan
    panel = make_panel(
        np.repeat([0, 1], 40),
        ["a", "b"],
        np.tile(np.arange(40), 2),
        values,
        channels=tuple("xyz"),
        targets=1,
        clock="step",
    )
    panel = dataclasses.replace(panel, known=1)
    split = split_by_time(panel)
    rows, series = origins(panel, split.train, context=CONTEXT, horizon=HORIZON)
    return make_windows(
        panel,
        fit_scaler(panel, split.train),
        rows,
        series,
        context=CONTEXT,
        horizon=HORIZON,
        static=np.array([[1.0, 2], [3, 4]]),
        categories=np.array([[1], [2]]),
    )


def test_blocks_of_lags_double_and_cover_the_context():
    assert lag_blocks(1) == [(1, 1)]
    assert lag_blocks(5) == [(1, 1), (2, 2), (3, 4), (5, 5)]
    for context in (2, 7, 96):
        lags = [lag for near, far in lag_blocks(context) for lag in range(near, far + 1)]
        assert lags == list(range(1, context + 1))


def test_every_value_is_in_one_input_and_in_one_block_of_lags():
    windows = make_small()
    named = list(pieces_of(windows, tuple("xyz"), ("s", "t"), ("tier",)))
    kinds = [(one.kind, one.name) for one in named]
    assert kinds[:6] == [
        *(("target", "x"), ("past", "y"), ("known", "z")),
        *(("static", "s"), ("static", "t"), ("category", "tier")),
    ]
    assert kinds[6:] == [("lags", "1"), ("lags", "2"), ("lags", "3-4"), ("lags", "5-6")]
    inputs, lags = [one.piece for one in named[:6]], [one.piece for one in named[6:]]
    for part in Piece._fields:
        assert (sum(getattr(piece, part).astype(int) for piece in inputs) == 1).all(), part
    assert (sum(piece.past.astype(int) for piece in lags) == 1).all()
    assert not any(getattr(piece, part).any() for piece in lags for part in ("future", "static", "categories"))
    assert named[6].piece.past[-1].all(), "lag 1 is the last row"
    assert named[2].piece.future.tolist() == [True]


def test_a_piece_moves_with_its_mask_and_nothing_else_does():
    own = Inputs(past=jnp.zeros((1, 2, 2)), mask=jnp.ones((1, 2, 2), bool), static=jnp.zeros((1, 1)))
    other = Inputs(past=jnp.ones((1, 2, 2)), mask=jnp.zeros((1, 2, 2), bool), static=jnp.ones((1, 1)))
    piece = Piece(np.array([[False, True], [False, False]]), np.zeros(0, bool), np.array([False]), np.zeros(0, bool))
    got = exchange(own, other, piece)
    assert got.past.tolist() == [[[0, 1], [0, 0]]]
    assert got.mask.tolist() == [[[True, False], [True, True]]]
    assert got.static.tolist() == [[0]]
    assert got.future is None


class Everything:
    """A model whose forecast is a different sum of every part of its input."""

    def apply(self, variables, inputs, *, train):
        weigh = jnp.arange(1.0, 1 + CONTEXT * 3).reshape(CONTEXT, 3)
        seen = jnp.where(inputs.mask, inputs.past, 9.0) if inputs.mask is not None else inputs.past
        total = (seen * weigh).sum((1, 2)) + 100 * inputs.future.sum((1, 2))
        total = total + 1000 * (inputs.static @ jnp.array([1.0, 3])) + 7000 * inputs.categories[:, 0]
        return jnp.broadcast_to(total[:, None, None], (len(total), HORIZON, 1)) * variables


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_window_i_gets_the_piece_of_its_partner(gaps):
    windows, model = make_small(gaps), Everything()
    assert (windows.mask is None) == (gaps == 0)
    partners = np.random.default_rng(1).permutation(len(windows))
    order = np.arange(len(windows)).reshape(1, -1)
    made = make_exchanged(model, [jnp.float32(1), jnp.float32(2)])
    inputs, others = (windows.take(jnp.asarray(rows)).inputs for rows in (order[0], partners))
    plain = np.asarray(model.apply(1.0, inputs, train=False))
    for one in pieces_of(windows, tuple("xyz"), ("s", "t"), ("tier",)):
        first, second = (forecast(windows, order)[0] for forecast in made(one.piece, partners))
        wanted = np.asarray(model.apply(1.0, exchange(inputs, others, one.piece), train=False))
        np.testing.assert_allclose(first, wanted, rtol=1e-6)
        np.testing.assert_allclose(second, 2 * first, rtol=1e-6)
        assert (first != plain).any(), f"{one.name} is used"
        np.testing.assert_allclose(made(one.piece, order[0])[0](windows, order)[0], plain, rtol=1e-6)
