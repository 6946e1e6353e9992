"""Cases divided at random: every case once, the classes alike, the same by the same seed."""

import numpy as np
import pytest

from gym_jax.data.divide import divide, divide_apart
from gym_jax.data.split import Splitting

LABELS = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10, object)


def counts(positions):
    return [int((LABELS[positions] == word).sum()) for word in "abc"]


def test_shares_are_of_all_cases_and_every_class_has_its_own():
    parts = divide(100, Splitting("random", train=0.6, val=0.2), LABELS)
    assert [len(part) for part in parts] == [60, 20, 20]
    assert [counts(part) for part in parts] == [[36, 18, 6], [12, 6, 2], [12, 6, 2]]
    assert sorted(np.concatenate(parts)) == list(range(100))
    without = divide(100, Splitting("random", train=0.6, val=0.2))
    assert [len(part) for part in without] == [60, 20, 20]
    assert sorted(np.concatenate(without)) == list(range(100))


def test_the_seed_decides_and_nothing_else():
    one, again, other = (divide(100, Splitting("random", seed=seed), LABELS) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one.test, other.test)
    assert divide(10, Splitting("random")).train.tolist() == [0, 1, 2, 4, 5, 8, 9]  # on every machine


def test_a_lonely_class_is_learnt_and_not_only_tested():
    labels = np.array(["a"] * 9 + ["b"], object)
    for seed in range(5):
        assert 9 in divide(10, Splitting("random", train=0.7, val=0.1, seed=seed), labels).train


def test_a_small_class_is_not_drawn_to_the_front():
    labels = np.array(["a"] * 8 + ["b"] * 2, object)
    for seed in range(5):
        parts = divide(10, Splitting("random", train=0.7, val=0, seed=seed), labels)
        assert [int((labels[part] == "b").sum()) for part in parts] == [1, 0, 1]


@pytest.mark.parametrize("labels", [None, LABELS])
def test_folds_are_every_case_once_with_alike_classes(labels):
    folds = [divide(100, Splitting("fold", folds=3, fold=k, val=0.25), labels) for k in range(3)]
    assert sorted(np.concatenate([parts.test for parts in folds])) == list(range(100))
    for parts in folds:
        assert sorted(np.concatenate(parts)) == list(range(100))
        assert len(parts.test) in (33, 34)
        assert len(parts.val) == int(0.25 * (100 - len(parts.test)))
        if labels is not None:
            assert all(abs(n - share) <= 1 for n, share in zip(counts(parts.test), (20, 10, 10 / 3), strict=True))
            assert all(abs(n - share) <= 1 for n, share in zip(counts(parts.val), (9.6, 4.8, 1.6), strict=True))


def test_a_test_file_leaves_train_and_val_to_the_other():
    parts = divide_apart(100, 7, Splitting("random", val=0.1), LABELS)
    assert (len(parts.train), counts(parts.val), parts.test.tolist()) == (90, [6, 3, 1], list(range(100, 107)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "fold", "folds": 3, "fold": 3}, "fold 3 is none of 3"),
        ({"kind": "random", "fold": 1}, "fold belongs to kind=fold, this is kind=random"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Splitting(**settings)
