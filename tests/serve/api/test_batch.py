"""Batches: the same bits whoever else asks, a fault told to one alone, a thread that outlives everything."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from fake_models import fake_model, last_value, poisoned, served, three_levels
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_jax.errors import CheckpointError
from gym_jax.inference import Series
from gym_jax.inference.window import chosen
from gym_jax.serve.api.batch import Batcher
from gym_jax.serve.api.ladder import on_ladder
from gym_jax.serve.api.meters import Meters
from gym_jax.serve.api.problem import Refused


def series(value=10.0, name="m1", rows=12):
    values = np.full((rows, 2), 10.0)
    values[:, 0] = value + np.arange(rows) / 10
    return Series(name, values)


@pytest.fixture
def batcher():
    found = Batcher(Meters())
    found.start()
    yield found
    found.stop()


def held(batcher):
    """Keep the thread busy, so that what is asked next is answered together; return what lets it go."""
    go, busy = threading.Event(), threading.Event()
    batcher.do(lambda: (busy.set(), go.wait(10)))
    busy.wait(10)
    return go


def test_an_answer_is_that_of_the_model_by_hand(batcher):
    (answer,) = batcher.predict(served(), [series(10.0)]).result(10)
    np.testing.assert_allclose(answer.values, np.full((3, 1), 11.1), rtol=1e-6)  # the last value goes on


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_answers_are_the_same_bits_whatever_the_neighbours(sizes, seed):
    draw = np.random.default_rng(seed)
    one = served(fake_model(three_levels))
    batcher = Batcher(Meters())
    batcher.start()
    asks = [[series(draw.normal(10, 3), name) for name in draw.choice(["m1", "m2", "new"], n)] for n in sizes]
    go = held(batcher)
    together = [batcher.predict(one, ask) for ask in asks]
    go.set()
    together = [future.result(10) for future in together]
    assert batcher.meters.batches.total == sum(sizes)
    assert sum(batcher.meters.batches.counts) < len(sizes) + 1
    for ask, found in zip(asks, together, strict=True):
        for single, answer in zip(ask, found, strict=True):
            (alone,) = batcher.predict(one, [single]).result(10)
            assert alone.values.tobytes() == answer.values.tobytes()
            assert alone.quantiles.tobytes() == answer.quantiles.tobytes()
    batcher.stop()


def test_a_bad_series_is_told_to_who_asked_it_alone(batcher):
    one, go = served(), held(batcher)
    right, wrong = batcher.predict(one, [series()]), batcher.predict(one, [series(np.nan, "empty")])
    far, huge = batcher.predict(one, [series(1e300)]), batcher.predict(one, [series(2.0)])
    go.set()
    assert right.result(10)[0].values.shape == (3, 1)
    assert huge.result(10)
    for future, word in ((wrong, "empty"), (far, "far")):
        with pytest.raises(Refused, match=word) as found:
            future.result(10)
        assert found.value.status == 422


def test_weights_that_give_nan_are_the_fault_of_the_model(batcher):
    broken = poisoned(served())
    with pytest.raises(CheckpointError):
        batcher.predict(broken, [series()]).result(10)
    with pytest.raises(CheckpointError):
        batcher.check(broken.model).result(10)
    batcher.check(served().model).result(10)


def test_the_thread_outlives_a_network_that_fails(batcher):
    def fails(window):
        raise MemoryError("no room")

    broken = replace(served(), model=replace(fake_model(), run=fails))
    with pytest.raises(MemoryError):
        batcher.predict(broken, [series()]).result(10)
    assert batcher.predict(served(), [series()]).result(10)


def test_too_many_are_told_to_come_again_and_the_golden_forecast_is_not(batcher):
    batcher.most = 2
    go = held(batcher)
    kept = [batcher.predict(served(), [series()]) for _ in range(2)]
    with pytest.raises(Refused) as found:
        batcher.predict(served(), [series()])
    assert found.value.status == 503
    assert dict(found.value.headers)["retry-after"].isdecimal()
    check = batcher.check(served().model)
    go.set()
    assert all(future.result(10) for future in kept)
    check.result(10)


def test_a_fault_of_ours_does_not_end_the_thread(batcher, monkeypatch):
    go = held(batcher)
    asks = [batcher.predict(served(), [series()]) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(batcher.meters, "drift", lambda *_: 1 / 0)
        go.set()
        for future in asks:
            future.exception(10)
    assert batcher.predict(served(), [series()]).result(10)


def test_whatever_waits_when_it_stops_is_answered():
    batcher = Batcher(Meters())
    batcher.start()
    go = held(batcher)
    waiting = [batcher.predict(served(), [series()]) for _ in range(20)]
    go.set()
    batcher.stop()
    assert all(future.done() and future.result() for future in waiting)


def test_only_the_sizes_of_the_ladder_are_ever_asked():
    sizes = []

    def noted(window):
        sizes.append(window.size)
        return last_value(window)

    model, rungs = on_ladder(fake_model(noted))
    assert rungs == (8, 32, 128)
    for count in (1, 8, 9, 128, 129, 300):
        window = fake_model().golden.window
        several = window._replace(
            past=np.resize(window.past, (count, *window.past.shape[1:])), mask=np.ones((count, 8, 2), bool)
        )
        assert model.run(several).tobytes() == last_value(several).tobytes()
    assert set(sizes) == {4, 8, 32, 128}  # 4: the golden windows, when the fake was made


@pytest.mark.parametrize(
    ("count", "calls"),
    [
        (1, [8]),
        (8, [8]),
        (9, [8, 8]),
        (20, [8, 8, 8]),
        (24, [32]),
        (64, [32, 32]),
        (100, [128]),
        (300, [128, 128, 32, 8, 8]),
    ],
)
def test_little_of_a_call_is_padding(count, calls):
    sizes = []
    model, _ = on_ladder(fake_model(lambda window: (sizes.append(window.size), last_value(window))[1]))
    sizes.clear()
    model.run(chosen(fake_model().golden.window, np.zeros(count, int)))
    assert sizes == calls


def test_a_size_with_other_bits_is_left_out():
    def uneven(window):
        return last_value(window) + np.float32(1e-6 if window.size == 128 else 0)

    assert on_ladder(fake_model(uneven))[1] == (8, 32)


def test_a_model_that_answers_nan_or_other_numbers_is_not_taken():
    for wrong in (np.nan, 1e-2):
        model = fake_model()
        with pytest.raises(CheckpointError):
            on_ladder(replace(model, run=lambda window, wrong=wrong: last_value(window) + np.float32(wrong)))
