"""Pieces dealt to chunks that fit in memory: host arithmetic on counts, nothing is read."""

import heapq
from collections.abc import Sequence

from gym_jax.data.order import permuted

CHUNKS = 2**63
"""The portion of an epoch whose order is that of its chunks themselves."""


def deal_pieces(rows: Sequence[int], most: int, seed: int, *, count: int = 1) -> list[list[list[int]]]:
    """Return for every chunk, and each of `count` processes, the pieces that it is made of, in their own order.

    A chunk has at most `most` rows in a process, or those of one piece, and as few chunks as that takes. Pieces go in
    random order, drawn from the seed, to where the fewest rows are; a piece without rows goes nowhere. All processes
    have the same number of chunks.
    """
    given = [number for number, size in enumerate(rows) if size]
    limit = max([most, *(rows[number] for number in given)])
    order = [given[place] for place in permuted(seed, 0, len(given), CHUNKS)]
    chunks = max(1, -(-sum(rows) // (limit * count)))
    while True:
        bins: list[list[int]] = [[] for _ in range(chunks * count)]
        loads = [(0, place) for place in range(len(bins))]
        for number in order:
            load, place = heapq.heappop(loads)
            bins[place].append(number)
            heapq.heappush(loads, (load + rows[number], place))
        largest = max(load for load, _ in loads)
        if largest <= limit:
            dealt = [sorted(own) for own in bins]
            return [dealt[begin : begin + count] for begin in range(0, len(dealt), count)]
        chunks = max(chunks + 1, chunks * largest // limit)


def chunk_order(seed: int, epoch: int, chunks: int) -> list[int]:
    """Return the order of the chunks in an epoch."""
    return [int(number) for number in permuted(seed, epoch, chunks, CHUNKS)]


def steps_of(windows: Sequence[Sequence[int]], batch_size: int) -> int:
    """Return the steps of every chunk: those of the largest, so that one program does for all and hosts keep pace."""
    most = max((own for chunk in windows for own in chunk), default=0)
    return -(-most // batch_size)
