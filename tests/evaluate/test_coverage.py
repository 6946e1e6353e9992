"""Coverage, width and interval score against loops over the values."""

import numpy as np
import pytest

from gym_jax.evaluate.coverage import Coverage, cover, summarise


def test_three_values_by_hand():
    """An interval of 1 to 3 at 0.8: 2 is inside, 5 is 2 above and costs 10 times that, what is missing nothing."""
    bands = np.broadcast_to([1.0, 3.0], (3, 1, 1, 1, 2))
    truth, seen = np.array([2.0, 5.0, 9.0]).reshape(3, 1, 1), np.array([True, True, False]).reshape(3, 1, 1)
    total = cover(bands, truth, seen, np.array([0, 1, 1]), 3, [0.8])
    block = summarise(total, [0.8], ["a", "b", "c"], ["cpu"])["cpu"][0]
    assert (block["coverage"], block["width"], block["count"]) == (0.5, 2, 2)
    assert block["interval_score"] == pytest.approx((2 + 2 + 20) / 2)
    assert block["per_series"] == {"id": ["a", "b", "c"], "coverage": [1.0, 0.0, None]}
    assert block["worst"] == {"id": "b", "coverage": 0.0}
    assert (block["sd"], block["within_5"]) == (0.5, 0)
    assert block["per_horizon"] == {"coverage": [0.5], "width": [2.0]}


def test_portions_add_up_and_groups_are_told_apart():
    generator = np.random.default_rng(0)
    bands = np.sort(generator.normal(size=(50, 3, 2, 2, 2)), axis=-1)
    truth, seen = generator.normal(size=(50, 3, 2)), generator.random((50, 3, 2)) < 0.8
    owner = np.repeat([0, 2, 3], [20, 10, 20])
    whole = cover(bands, truth, seen, owner, 4, [0.5, 0.9])
    parts = [cover(bands[s], truth[s], seen[s], owner[s], 4, [0.5, 0.9]) for s in (slice(0, 17), slice(17, 50))]
    for mine, theirs in zip(whole, Coverage.zero(4, 3, 2, 2) + parts[0] + parts[1], strict=True):
        np.testing.assert_allclose(mine, theirs)
    block = summarise(whole, [0.5, 0.9], list("abcd"), ["cpu", "memory"])["memory"][1]
    inside = [
        bands[i, h, 1, 1, 0] <= truth[i, h, 1] <= bands[i, h, 1, 1, 1]
        for i in range(50)
        for h in range(3)
        if seen[i, h, 1] and owner[i] == 2
    ]
    assert block["per_series"]["coverage"][2] == pytest.approx(np.mean(inside))
    assert block["per_series"]["coverage"][1] is None
