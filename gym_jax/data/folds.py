"""Folds of a cross-validation: several splits of one panel, each with its own train, val and test rows."""

from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

from gym_jax.data.groups import series_rank
from gym_jax.data.panel import Panel
from gym_jax.data.split import ROUNDING, Span, Split

FoldKind = Literal["expanding", "sliding", "blocked", "series"]
FOLD_KINDS: tuple[FoldKind, ...] = get_args(FoldKind)


def make_folds(
    panel: Panel,
    kind: FoldKind,
    folds: int,
    *,
    val: float = 0.1,
    gap: int = 0,
    seed: int = 0,
    group: str | None = None,
) -> list[Split]:
    """Return the splits of so many folds; val is the last share `val` of the rows, or series, that come before test.

    expanding: every series is cut into `folds` + 1 equal blocks; each but the first is a test part once, and all before
    it is trained on. sliding: only the block before it is. blocked: the series is cut into `folds` blocks that share no
    row, the last fifth of each is its test part. series: each series is in the test part of one fold, and val are
    others, one at least; those of one `group` (see `split_by_series`) stay together. `gap` rows before val and before
    test are purged.
    """
    if kind == "series":
        return [_by_series(panel, fold, folds, val, series_rank(panel.series, seed, group)) for fold in range(folds)]
    blocks = folds if kind == "blocked" else folds + 1
    cuts = np.stack([panel.offsets[:-1] + np.floor(panel.lengths * k / blocks + ROUNDING) for k in range(blocks + 1)])
    cuts = cuts.astype(np.int64)
    if kind == "blocked":
        begins, ends = cuts[:-1], cuts[1:]
        return [split_before(b, e - (e - b) // 5, e, val=val, gap=gap) for b, e in zip(begins, ends, strict=True)]
    first = [cuts[0] if kind == "expanding" else cuts[k] for k in range(folds)]
    return [split_before(first[k], cuts[k + 1], cuts[k + 2], val=val, gap=gap) for k in range(folds)]


def split_before(
    begin: Int[np.ndarray, " series"],
    test: Int[np.ndarray, " series"],
    end: Int[np.ndarray, " series"],
    *,
    val: float,
    gap: int = 0,
) -> Split:
    """Return the split that tests the rows from `test` to `end` and trains on those from `begin`; val comes last."""
    stop = np.maximum(test - gap, begin)
    size = np.floor((stop - begin) * val + ROUNDING).astype(np.int64)
    val_begin = stop - size
    return Split(
        Span(begin, np.maximum(val_begin - (gap if val else 0), begin)), Span(val_begin, stop), Span(test, end)
    )


def split_blocks(span: Span, count: int) -> list[Span]:
    """Return consecutive equal parts of the span of every series."""
    cuts = [span.begin + np.floor(span.lengths * k / count + ROUNDING).astype(np.int64) for k in range(count + 1)]
    return [Span(low, high) for low, high in pairwise(cuts)]


def _by_series(panel: Panel, fold: int, folds: int, val: float, rank: Int[np.ndarray, " series"]) -> Split:
    count = len(panel.series)
    low, high = count * fold // folds, count * (fold + 1) // folds
    test = (rank >= low) & (rank < high)
    after = np.where(test, count, (rank - high) % count)  # val are the series that come next, around the end
    others = count - int(test.sum())
    held_out = max(int(np.floor(others * val + ROUNDING)), int(val > 0 and others > 1))
    chosen = ~test & (after <= np.sort(after)[held_out - 1]) if held_out else np.zeros(count, bool)
    begin, end = panel.offsets[:-1], panel.offsets[1:]

    def whole(own: np.ndarray) -> Span:
        return Span(begin, np.where(own, end, begin))

    return Split(whole(~test & ~chosen), whole(chosen), whole(test))
