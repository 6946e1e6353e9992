"""The loop works one chunk ahead where nobody looks at the state, and its numbers are the same as step by step."""

import jax.numpy as jnp
import numpy as np
import pytest

from gym_jax.train.loop import Portion, Position, train, train_portions
from gym_jax.types import Mean, TrainState

EMPTY = TrainState(jnp.zeros((), jnp.int32), {}, (), jnp.zeros(()), {}, ())


def recorded(said):
    """An epoch that counts its steps and says when it was asked to begin."""

    def epoch(state, examples, order):
        said.append(("begin", int(state.step)))
        done = state._replace(step=state.step + len(order))
        return done, {"loss": Mean(jnp.asarray(order[:, 0], float), jnp.ones(len(order)))}

    return epoch


def order(number):
    return np.arange(5)[:, None] + 10 * number


def run(hold, said, start=(0, 0)):
    for progress in train(recorded(said), EMPTY, None, order, epochs=2, chunk=2, start=start, hold=hold):
        said.append(("read", progress.position, None if progress.state is None else int(progress.state.step)))
        yield progress


def test_step_by_step_every_chunk_is_read_before_the_next_begins():
    said = []
    list(run(lambda position: True, said))
    ends = [(2, (0, 2)), (4, (0, 4)), (5, (1, 0)), (7, (1, 2)), (9, (1, 4)), (10, (2, 0))]
    begins = [0, 2, 4, 5, 7, 9]
    expected = [pair for begin, (step, at) in zip(begins, ends, strict=True) for pair in
                (("begin", begin), ("read", Position(*at), step))]  # fmt: skip
    assert said == expected


def test_ahead_a_chunk_is_read_when_the_next_has_begun_and_its_state_is_gone():
    said = []
    list(run(lambda position: position.batch == 0, said))
    assert said[:6] == [
        ("begin", 0),
        ("begin", 2),
        ("read", Position(0, 2), None),
        ("begin", 4),
        ("read", Position(0, 4), None),
        ("read", Position(1, 0), 5),
    ]
    assert said[-1] == ("read", Position(2, 0), 10)


def test_the_last_chunk_is_read_with_its_state_though_nobody_held_it():
    said = []
    found = list(run(lambda position: False, said))
    assert [progress.state is None for progress in found] == [True] * 5 + [False]
    assert found[-1].position == Position(2, 0)


def test_what_is_read_is_the_same_either_way():
    both = [list(run(hold, [])) for hold in (lambda position: True, lambda position: False)]
    for held, ahead in zip(*both, strict=True):
        assert (held.position, held.windows, held.batches) == (ahead.position, ahead.windows, ahead.batches)
        np.testing.assert_array_equal(held.metrics["loss"].total, ahead.metrics["loss"].total)


def test_it_goes_on_from_within_an_epoch():
    found = list(run(lambda position: False, [], start=(1, 2)))
    assert [progress.position for progress in found] == [(1, 4), (2, 0)]
    assert found[0].metrics["loss"].total.tolist() == [12, 13]


def test_portions_follow_each_other_and_the_next_is_asked_for_while_the_last_chunk_is_on_its_way():
    said = []
    parts = [(0, 0, 3), (0, 3, 2), (1, 0, 3), (1, 3, 2)]  # epoch, batches before, batches

    def portions(first):
        for number, (epoch, begin, count) in enumerate(parts[first:], first):
            said.append(("portion", number))
            yield Portion(None, np.arange(count)[:, None] + 10 * number, epoch, begin, 5)

    def trained(first, start):
        said.clear()
        made = train_portions(recorded(said), EMPTY, portions(first), chunk=2, start=start, hold=lambda position: False)
        return [(progress.position, progress.metrics["loss"].total.tolist()) for progress in made]

    whole = [
        (Position(0, 2), [0, 1]),
        (Position(0, 3), [2]),
        (Position(1, 0), [10, 11]),
        (Position(1, 2), [20, 21]),
        (Position(1, 3), [22]),
        (Position(2, 0), [30, 31]),
    ]
    assert trained(0, (0, 0)) == whole
    begun = [pair for pair in said if pair[0] != "read"]
    assert begun[:4] == [("portion", 0), ("begin", 0), ("begin", 2), ("portion", 1)]
    assert trained(2, (1, 2)) == whole[4:]


@pytest.mark.parametrize(("rows", "start"), [(0, (0, 0)), (5, (0, 5))])
def test_an_epoch_without_a_batch_is_refused(rows, start):
    """It would be begun for ever."""
    epochs = train(recorded([]), EMPTY, None, lambda number: order(number)[:rows], epochs=1, chunk=2, start=start)
    with pytest.raises(ValueError, match="epoch 0 has no batch left"):
        next(epochs)
