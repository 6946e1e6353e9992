"""Permutation importance: how much worse forecasts get when a piece of the input comes from another window.

Breiman (2001); Fisher, Rudin and Dominici (2019). A piece that is exchanged keeps its distribution and loses what it
says about the target; pieces that say the same stand in for each other.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool

from gym_jax.data.windows import Windows
from gym_jax.evaluate.score import Forecast
from gym_jax.train.compile import jit
from gym_jax.types import Inputs, Model


class Piece(NamedTuple):
    """What of an input is exchanged."""

    past: Bool[np.ndarray, "context channels"]
    future: Bool[np.ndarray, " known"]
    static: Bool[np.ndarray, " features"]
    categories: Bool[np.ndarray, " kinds"]


Kind = Literal["target", "past", "known", "static", "category", "lags"]


class Named(NamedTuple):
    """A piece with a name."""

    kind: Kind
    name: str
    piece: Piece


def pieces_of(
    windows: Windows, channels: Sequence[str], static: Sequence[str] = (), categories: Sequence[str] = ()
) -> Iterator[Named]:
    """Yield every channel (with its future, where that is known), number and word of a series, and block of lags.

    Blocks of lags hold all channels; each is twice as long as the more recent one before: 1, 2, 3-4, 5-8 ...
    """
    count, context = len(channels), windows.context
    nothing = Piece(
        np.zeros((context, count), bool),
        np.zeros(windows.known, bool),
        np.zeros(len(static), bool),
        np.zeros(len(categories), bool),
    )
    known = count - windows.known
    for place, name in enumerate(channels):
        kind: Kind = "target" if place < windows.targets else "past" if place < known else "known"
        future = _only(nothing.future, place - known) if kind == "known" else nothing.future
        yield Named(kind, name, nothing._replace(past=_only(nothing.past, (slice(None), place)), future=future))
    for place, name in enumerate(static):
        yield Named("static", name, nothing._replace(static=_only(nothing.static, place)))
    for place, name in enumerate(categories):
        yield Named("category", name, nothing._replace(categories=_only(nothing.categories, place)))
    for near, far in lag_blocks(context):
        name = str(far) if near == far else f"{near}-{far}"
        yield Named("lags", name, nothing._replace(past=_only(nothing.past, slice(context - far, context - near + 1))))


def lag_blocks(context: int) -> list[tuple[int, int]]:
    """Return the first and the last lag of each block, the most recent first; lag 1 is the row before the forecast."""
    ends = [1]
    while ends[-1] < context:
        ends.append(min(2 * ends[-1], context))
    return [(1, 1), *((near + 1, far) for near, far in itertools.pairwise(ends))]


def exchange(inputs: Inputs, other: Inputs, piece: Piece) -> Inputs:
    """Return inputs with a piece of others, and of their mask where there is one."""

    def mixed(where: Any, own: Array | None, given: Array | None) -> Array | None:
        return own if own is None or given is None else jnp.where(where, given, own)

    return inputs._replace(
        past=mixed(piece.past, inputs.past, other.past),
        mask=mixed(piece.past, inputs.mask, other.mask),
        future=mixed(piece.future, inputs.future, other.future),
        static=mixed(piece.static, inputs.static, other.static),
        categories=mixed(piece.categories, inputs.categories, other.categories),
    )


def make_exchanged(
    model: Model, members: Sequence[Any], point: Callable[[Any], Any] | None = None
) -> Callable[[Piece, np.ndarray], list[Forecast]]:
    """Return `(piece, partners) -> forecasts` of a model with each of several weights, compiled once for all.

    Window `i` has the piece of window `partners[i]`.
    """
    point = point or (lambda answer: answer)

    @jit
    def forecast(variables: Any, windows: Windows, order: Any, others: Any, piece: Piece) -> Array:
        def one(rows: tuple[Array, Array]) -> Array:
            own, other = (windows.take(part).inputs for part in rows)
            return model.apply(variables, exchange(own, other, piece), train=False)

        return lax.map(one, (order, others))

    def of(piece: Piece, partners: np.ndarray) -> list[Forecast]:
        def with_(variables: Any) -> Forecast:
            def exchanged(windows: Windows, order: np.ndarray) -> np.ndarray:
                others = np.where(order < 0, -1, partners[order]).astype(np.int32)
                return np.asarray(point(forecast(variables, windows, order, others, piece)))

            return exchanged

        return [with_(variables) for variables in members]

    return of


def _only(nothing: np.ndarray, place: Any) -> np.ndarray:
    out = nothing.copy()
    out[place] = True
    return out
