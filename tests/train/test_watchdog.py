"""The watchdog: by hand when it barks, and that it does so once, and only when nothing beats."""

import threading

import pytest

from gym_jax.train.watchdog import Watchdog, beat, guarded


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def beaten(seconds, times):
    """Return a watchdog that has been told at these times, and its clock."""
    clock = Clock()
    watchdog = Watchdog(seconds, clock)
    for clock.now in times:
        watchdog.beat()
    return watchdog, clock


@pytest.mark.parametrize(
    ("times", "limit"),
    [
        ([], 600),  # programs are still compiled
        ([130], 600),
        ([130, 131], 60),
        ([130, 131, 132, 133], 60),
        ([130, 134, 138, 142], 80),  # 20 x 4
        ([130, 134, 138, 142, 500], 80),  # one long gap is not usual
        ([200, 201, 202], 200),  # compiling took 100 s: the validation is still to be compiled
    ],
)
def test_the_limit_by_hand(times, limit):
    assert beaten(60, times)[0].limit == limit


def test_silence_is_since_the_last_beat():
    watchdog, clock = beaten(60, [130, 131])
    clock.now = 140
    assert watchdog.silence == 9


def test_it_barks_once_when_nothing_beats():
    stuck, told = threading.Event(), []

    def bark(silence):
        told.append(silence)
        stuck.set()

    with guarded(0.02, bark):
        beat()
        beat()
        assert stuck.wait(10)
    assert len(told) == 1
    assert told[0] >= 0.02


def test_beats_that_come_later_bring_the_limit_down():
    """It is begun while programs may still be compiled, with ten times the patience."""
    stuck = threading.Event()
    with guarded(0.2, lambda silence: stuck.set()):
        for _ in range(3):
            beat()
        assert stuck.wait(1.5)


def test_it_is_silent_while_something_beats_and_when_all_is_over():
    told, pause = [], threading.Event()
    with guarded(0.5, told.append):
        for _ in range(30):
            pause.wait(0.02)  # 0.6 s altogether
            beat()
    assert told == []
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())


def test_without_seconds_there_is_none_and_a_beat_is_nothing():
    with guarded(None, pytest.fail):
        assert not any(thread.name == "watchdog" for thread in threading.enumerate())
        beat()
    beat()


def test_a_beat_is_for_the_watchdog_of_its_own_thread():
    told, stuck = [], threading.Event()
    with guarded(0.05, lambda silence: (told.append(silence), stuck.set())):
        beat()
        beat()
        over = threading.Event()

        def elsewhere():
            with guarded(60, pytest.fail):
                while not over.wait(0.005):
                    beat()

        other = threading.Thread(target=elsewhere)
        other.start()
        assert stuck.wait(10), "the beats of another training kept it quiet"
        over.set()
        other.join()


def test_an_error_ends_it(monkeypatch):
    with pytest.raises(ZeroDivisionError), guarded(60, pytest.fail):
        raise ZeroDivisionError
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())
