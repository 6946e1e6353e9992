"""Dealing pieces to chunks, adding up what they teach, making the next one ahead."""

import threading

import numpy as np
import pytest

from gym_jax.data import fit_scaler, generate_panel, split_by_time
from gym_jax.data.ahead import ahead
from gym_jax.data.deal import chunk_order, deal_pieces, steps_of
from gym_jax.data.findings import Finding, Tally
from gym_jax.data.moments import moments_of
from gym_jax.data.order import permuted, shuffled, spread
from gym_jax.data.units import size_of

ROWS = [50, 7, 0, 30, 90, 20, 20, 3, 41, 60]


@pytest.mark.parametrize(("most", "count"), [(100, 1), (10**9, 1), (1, 1), (150, 3), (60, 2)])
def test_every_piece_with_rows_is_dealt_once_and_no_chunk_is_too_large(most, count):
    dealt = deal_pieces(ROWS, most, seed=3, count=count)
    assert all(len(chunk) == count for chunk in dealt)
    assert sorted(n for chunk in dealt for own in chunk for n in own) == [n for n, size in enumerate(ROWS) if size]
    assert max(sum(ROWS[n] for n in own) for chunk in dealt for own in chunk) <= max(most, 90)
    assert dealt == deal_pieces(ROWS, most, seed=3, count=count)


def test_what_fits_is_one_chunk_in_its_own_order():
    assert deal_pieces(ROWS, 1000, seed=5) == [[[0, 1, 3, 4, 5, 6, 7, 8, 9]]]


def test_processes_share_all_pieces_and_keep_pace():
    dealt = deal_pieces(ROWS, 100, seed=0, count=2)
    windows = [[sum(ROWS[n] for n in own) for own in chunk] for chunk in dealt]
    assert steps_of(windows, 16) == max(-(-own // 16) for chunk in windows for own in chunk)


def test_chunks_come_in_another_order_every_epoch():
    orders = [chunk_order(0, epoch, 20) for epoch in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_portions_have_orders_of_their_own_and_the_first_is_that_of_resident_data():
    assert (permuted(4, 2, 50) == shuffled(4, 2, 50, 50)[0]).all()
    assert (permuted(4, 2, 50, 1) != permuted(4, 2, 50)).any()


@pytest.mark.parametrize(("count", "steps", "size"), [(10, 3, 4), (12, 3, 4), (3, 3, 4), (1, 1, 1)])
def test_spread_batches_hold_every_index_once_and_differ_by_one_at_most(count, steps, size):
    rows = spread(np.arange(count)[::-1], steps, size)
    assert rows.shape == (steps, size)
    assert rows[rows >= 0].tolist() == list(range(count))[::-1]
    filled = (rows >= 0).sum(axis=1)
    assert filled.max() - filled.min() <= 1


@pytest.mark.parametrize("kind", ["standard", "minmax"])
@pytest.mark.parametrize("log", [False, True])
def test_moments_of_pieces_are_those_of_all_in_float64(kind, log):
    panel = generate_panel(series=6, days=1, gaps=0.05)
    scaler = fit_scaler(panel, split_by_time(panel).train, kind=kind, scope="global", log1p=log)
    pieces = [panel.select(own) for own in ([0], [1, 2], [3, 4, 5])]
    parts = [moments_of(piece, split_by_time(piece).train, log=int(log)) for piece in pieces]
    for merged in (parts[0].merge(parts[1]).merge(parts[2]), parts[2].merge(parts[0].merge(parts[1]))):
        shift, scale = merged.scale(kind)
        np.testing.assert_allclose(shift, scaler.shift[0], rtol=1e-14)
        np.testing.assert_allclose(scale, scaler.scale[0], rtol=1e-14)
    whole = moments_of(panel, split_by_time(panel).train, log=int(log)).scale(kind)
    np.testing.assert_array_equal(whole, [scaler.shift[0], scaler.scale[0]])


def test_items_come_in_their_order_and_one_at_most_is_made_ahead():
    made, asked = [], threading.Event()

    def items():
        for number in range(5):
            made.append(number)
            asked.set()
            yield number

    with ahead(items()) as found:
        assert asked.wait(5)
        assert made == [0]
        assert next(found) == 0
        assert list(found) == [1, 2, 3, 4]


def test_what_goes_wrong_ahead_is_raised_where_it_would_have_come():
    def items():
        yield 1
        raise OSError("the disk is gone")

    with ahead(items()) as found:
        assert next(found) == 1
        with pytest.raises(OSError, match="the disk is gone"):
            next(found)


def test_the_thread_ends_with_the_block():
    before = threading.active_count()
    with ahead(iter(range(10**9))) as found:
        assert next(found) == 0
    assert threading.active_count() == before


def test_what_pieces_have_found_is_told_as_of_all():
    found = Tally()
    for count in (17, 17, 0, 3, 0):
        gaps = Finding("gaps", "mask", count, 1728, "time slots", f"{count} of 1,728 time slots are missing: masked")
        order = Finding("unsorted", "sort", count, 100, "rows", "rows were not sorted: sorted" if count else "")
        blank = Finding("missing", "mask", count, 50, "values", f"{count} target values are missing" if count else "")
        above = Finding("above_capacity", "keep", count, 40, "values", f"{count} of 40 values ({count / 40:.1%}): kept")
        told = [one._replace(text=one.text if count else "") for one in (gaps, order, blank, above)]
        found.add(["times are counts", *(one.text for one in told if one.text)], told)
    assert found.said == (
        "times are counts",
        "37 of 8,640 time slots are missing: masked",
        "rows were not sorted: sorted",
        "37 of 250 values: missing, mask",
        "37 of 200 values (18.5%): kept",
    )


@pytest.mark.parametrize(("text", "size"), [("512MB", 512 * 10**6), ("2GiB", 2**31), ("64 k", 64_000), ("100", 100)])
def test_sizes(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "5 cores", "-1GB", "0"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="is no size"):
        size_of(text)
