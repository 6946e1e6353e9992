"""Between a run and a tracker: order, what is dropped, what fails, what blocks. Nothing here waits for a clock."""

import threading

import pytest

from gym_jax.track.feed import Fault, Feed, fault_line
from gym_jax.track.tracker import Point


class Memory:
    """A tracker that remembers; `fails` names the call that raises, `blocks` the one that waits to be let go."""

    def __init__(self, last=-1, fails=None, blocks=None):
        self.last, self.fails, self.blocks = last, fails, blocks
        self.calls, self.steps = [], []
        self.let_go, self.reached = threading.Event(), threading.Event()

    def _note(self, name, *what):
        self.calls.append((name, *what))
        if name == self.fails:
            raise OSError("the line is dead\nand more")
        if name == self.blocks:
            self.reached.set()
            assert self.let_go.wait(60)

    def start(self):
        self._note("start")
        return self.last

    def hparams(self, settings):
        self._note("hparams", settings)

    def log(self, points):
        self._note("log")
        self.steps += [point.step for point in points]

    def text(self, *what):
        self._note("text", *what)

    def image(self, *what):
        self._note("image", *what)

    def finish(self, *what):
        self._note("finish", *what)

    def state(self):
        return {"steps": len(self.steps)}


def points(*steps):
    return [Point(step, {"loss": 1.0}, 0.0) for step in steps]


def feed_of(tracker, **more):
    return Feed("memory", tracker, settings={"a.b": 1}, **more)


def test_everything_comes_once_and_in_order():
    tracker, kept = Memory(), []
    feed = feed_of(tracker, before=points(1, 2), keep=kept.append)
    for point in points(3, 4):
        feed.put(point)
    feed.show("text", 4, "scores", "| a |")
    feed.show("image", 4, "curves", b"png")
    feed.finish("done", 4, {"test/mae": 1.0})
    feed.wait(60)
    assert feed.fault is None
    assert tracker.steps == [1, 2, 3, 4]
    others = [call for call in tracker.calls if call[0] != "log"]
    assert others == [
        ("start",),
        ("hparams", {"a.b": 1}),
        ("text", 4, "scores", "| a |"),
        ("image", 4, "curves", b"png"),
        ("finish", "done", 4, {"test/mae": 1.0}),
    ]
    assert kept[0] == {"steps": 0}, "an id is kept before anything is sent"
    assert kept[-1] == {"steps": 4, "done": True}


def test_a_resumed_run_sends_only_what_is_not_there():
    tracker = Memory(last=3)
    feed = feed_of(tracker, before=points(1, 2))
    for point in points(3, 4, 5):
        feed.put(point)
    feed.finish("stopped", 5, {})
    feed.wait(60)
    assert tracker.steps == [4, 5]


def test_a_stopped_run_is_not_done():
    kept = []
    feed = feed_of(Memory(), keep=kept.append)
    feed.finish("stopped", 0, {})
    feed.wait(60)
    assert not any("done" in state for state in kept)


@pytest.mark.parametrize("call", ["start", "hparams", "log", "text", "finish"])
def test_a_tracker_that_raises_is_off_and_said_in_a_line(call):
    tracker = Memory(fails=call)
    feed = feed_of(tracker, before=points(1, 2))
    feed.show("text", 2, "scores", "")
    feed.finish("done", 2, {})
    feed.wait(60)
    unsent = 0 if call in ("text", "finish") else 2
    assert feed.fault == Fault("OSError: the line is dead", unsent)
    assert tracker.calls[-1][0] == call, "nothing is asked of it any more"
    feed.put(points(3)[0])
    assert not feed.points
    line = fault_line({"tracker": "memory", **feed.fault._asdict()})
    assert line.startswith("tracker memory is off: OSError: the line is dead; ")
    assert ("it lacks 2 points" in line) == bool(unsent)


def test_what_can_not_be_kept_ends_the_tracker():
    def full(state):
        raise OSError(28, "No space left on device")

    feed = feed_of(Memory(), keep=full)
    feed.finish("done", 0, {})
    feed.wait(60)
    assert "No space left" in feed.fault.reason


def test_a_blocked_tracker_drops_the_oldest_and_the_end_does_not_wait():
    tracker, kept = Memory(blocks="log"), []
    feed = feed_of(tracker, limit=3, keep=kept.append)
    feed.put(points(1)[0])
    assert tracker.reached.wait(60)
    for point in points(2, 3, 4, 5, 6):
        feed.put(point)
    assert [point.step for point in feed.points] == [4, 5, 6]
    feed.finish("done", 6, {})
    feed.wait(0.0)
    assert feed.fault.unsent == 6, "the one on its way, two that were dropped, three that waited"
    assert "still busy" in feed.fault.reason
    tracker.let_go.set()
    feed._thread.join(60)
    assert kept == [{"steps": 0}], "it comes back to a run that is over, and touches nothing of it"
    assert "finish" not in [call[0] for call in tracker.calls]


def test_one_that_never_begins_lacks_everything():
    tracker = Memory(blocks="start")
    feed = feed_of(tracker, before=points(1, 2))
    feed.put(points(3)[0])
    feed.finish("done", 3, {})
    feed.wait(0.0)
    assert feed.fault.unsent == 3
    tracker.let_go.set()


def test_one_that_was_slow_for_a_while_says_what_it_lacks():
    tracker = Memory(blocks="log")
    feed = feed_of(tracker, limit=2)
    feed.put(points(1)[0])
    assert tracker.reached.wait(60)
    for point in points(2, 3, 4):
        feed.put(point)
    tracker.let_go.set()
    feed.finish("done", 4, {})
    feed.wait(60)
    assert tracker.steps == [1, 3, 4]
    assert feed.fault == Fault("it could not keep up", 1)
