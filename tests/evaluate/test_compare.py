"""A field of methods: by hand, by its symmetries, and with a truth that is known."""

import numpy as np
import pytest

from gym_jax.errors import DataError
from gym_jax.evaluate.compare import Field, compare, differential, overall, robust_test
from gym_jax.evaluate.significance import diebold_mariano, friedman, holm, wilcoxon


def make_field(effect=(0.0, 0.0), series=6, times=120, horizon=4, seed=0, gaps=0.0):
    """Losses with a shock that series share, as overlapping forecasts have it."""
    generator = np.random.default_rng(seed)
    owner, place = (part.ravel() for part in np.indices((series, times)))
    shared = np.convolve(generator.normal(size=times + horizon - 1), np.ones(horizon) / 2, "valid")
    counts = np.full(series * times, float(horizon))
    rows = [
        horizon * (10 + extra + shared[place] + generator.normal(size=series * times) / 3 + owner) for extra in effect
    ]
    keep = generator.random(series * times) >= gaps
    names = tuple("abcdefg"[: len(effect)])
    ids = tuple(f"s{number}" for number in range(series))
    return Field(names, ids, owner[keep], place[keep], counts[keep], np.stack(rows)[:, keep])


def test_two_series_by_hand():
    field = Field(
        ("a", "b"),
        ("x", "y"),
        np.array([0, 0, 1]),
        np.array([0, 1, 1]),
        np.array([1.0, 2, 1]),
        np.array([[1.0, 4, 3], [2, 8, 1]]),
    )
    found = compare(field, "mae", horizon=1)
    assert [(row["name"], row["mae"]) for row in found["leaderboard"]] == [("a", 2.0), ("b", 2.75)]
    (pair,) = found["pairs"]
    assert pair["difference"] == -0.75
    assert pair["per_series"]["difference"] == pytest.approx([-5 / 3, 2])
    assert (pair["wilcoxon"]["lower"], pair["wilcoxon"]["higher"]) == (1, 1)
    assert pair["better"] is None
    assert found["friedman"] is None
    assert overall(field, "rmse") == pytest.approx([2**0.5, 2.75**0.5])
    scaled = field.scaled(np.array([2.0, np.nan]))
    assert overall(scaled, "mase") == pytest.approx([5 / 3 / 2, 10 / 3 / 2]), "y has no naive error"
    both = field.scaled(np.array([2.0, 4.0]))
    assert overall(both, "mase")[0] == pytest.approx((5 / 3 / 2 + 3 / 4) / 2), "the mean over series"


def test_the_differential_has_the_mean_of_the_ratio():
    losses, counts = np.array([3.0, 0, 4, 5]), np.array([1.0, 0, 2, 2])
    d = differential(losses, counts)
    assert np.isnan(d[1])
    assert np.nanmean(d) == pytest.approx(12 / 5)
    assert d[0] == pytest.approx(12 / 5 + (3 - 12 / 5) / (5 / 3))
    np.testing.assert_allclose(differential(losses[2:], counts[2:]), [2, 2.5])


def test_a_pair_is_what_the_single_tests_say():
    field = make_field((0.0, 0.01, 0.04))
    found = compare(field, "mae", horizon=4)
    per_time = field.losses.reshape(3, 6, 120).sum(1) / 24
    per_series = field.losses.reshape(3, 6, 120).sum(2) / 480
    tests = [diebold_mariano(per_time[i] - per_time[j], horizon=4) for i, j in ((0, 1), (0, 2), (1, 2))]
    corrected = holm(np.array([test.p for test in tests]))
    for pair, test, p, (i, j) in zip(found["pairs"], tests, corrected, ((0, 1), (0, 2), (1, 2)), strict=True):
        assert pair["diebold_mariano"]["statistic"] == pytest.approx(test.statistic)
        assert pair["diebold_mariano"]["p_holm"] == pytest.approx(p)
        assert pair["difference"] == pytest.approx(test.mean)
        assert pair["low"] < test.mean < pair["high"]
        assert pair["wilcoxon"]["p"] == wilcoxon(per_series[i] - per_series[j]).p
        alone = [diebold_mariano(d, horizon=4).p for d in (field.losses[i] - field.losses[j]).reshape(6, 120) / 4]
        assert pair["per_series"]["p"] == pytest.approx(alone)
        assert pair["per_series"]["p_holm"] == pytest.approx(holm(np.array(alone)))
    ranks = friedman(per_series.T)
    assert found["friedman"]["p"] == ranks.p
    assert {row["name"]: row["mean_rank"] for row in found["leaderboard"]} == dict(zip("abc", ranks.ranks, strict=True))


def test_the_order_of_the_methods_changes_signs_only():
    field = make_field((0.0, 0.3), gaps=0.2)
    turned = field._replace(names=("b", "a"), losses=field.losses[::-1])
    (one,), (other,) = compare(field, "rmse", horizon=4)["pairs"], compare(turned, "rmse", horizon=4)["pairs"]
    assert one["difference"] == pytest.approx(-other["difference"])
    assert (one["low"], one["high"]) == pytest.approx((-other["high"], -other["low"]))
    assert one["diebold_mariano"]["p"] == pytest.approx(other["diebold_mariano"]["p"])
    assert one["sentence"] == other["sentence"]
    mixed = np.random.default_rng(0).permutation(len(field.owner))
    shuffled = field._replace(
        owner=field.owner[mixed], place=field.place[mixed], counts=field.counts[mixed], losses=field.losses[:, mixed]
    )
    (same,) = compare(shuffled, "rmse", horizon=4)["pairs"]
    assert same["per_series"]["p"] == pytest.approx(one["per_series"]["p"])


def test_a_difference_is_found_where_there_is_one_and_seldom_where_there_is_none():
    found = [
        compare(make_field(series=2, times=400, seed=s), "mae", horizon=4)["pairs"][0]["better"] for s in range(60)
    ]
    assert sum(name is not None for name in found) <= 6
    assert compare(make_field((0.2, 0.0)), "mae", horizon=4)["pairs"][0]["better"] == "b"


def test_the_sentences():
    def said(field):
        return compare(field, "mae", horizon=4)["pairs"][0]["sentence"]

    clear = said(make_field((0.0, 1.0)))
    assert clear.startswith("a is better than b: its MAE lies ")
    assert clear.endswith("p < 0.001; lower in 6 of 6 series.")
    field = make_field()
    same = field._replace(losses=field.losses[[0, 0]])
    assert said(same) == "no evidence of a difference between a and b: they cost the same."
    assert said(make_field(seed=1)).startswith("no evidence of a difference between a and b: the MAE of ")
    broken = field.losses.copy()
    broken[1, 3] = np.nan
    lost = compare(field._replace(losses=broken), "mae", horizon=4)
    assert lost["pairs"][0]["sentence"] == (
        "no evidence of a difference between a and b: the forecast of b is not finite."
    )
    assert lost["leaderboard"][1] == {"rank": 2, "name": "b", "mae": None, "low": None, "high": None, "mean_rank": None}
    short = compare(make_field((0.0, 9.0), times=4), "mae", horizon=4)["pairs"][0]
    assert short["better"] is None
    assert "4 origins are too few to test" in short["sentence"]


def test_a_negative_variance_takes_bartletts_weights():
    d = np.array([1.0, -1.0] * 10) + 0.1
    test, kernel = robust_test(d, 2)
    assert kernel == "bartlett"
    assert test == diebold_mariano(d, horizon=2, kernel="bartlett")
    assert test.lags == 1
    assert robust_test(np.arange(9.0), 1)[1] == "rectangular"


def test_a_resample_without_any_observed_origin_has_no_say():
    """Between two short stretches lies a gap so long that some resamples draw nothing else."""
    generator = np.random.default_rng(0)
    place = np.append(np.arange(15), np.arange(985, 1000))
    losses = generator.random((2, 30)) + np.array([[1], [2]])
    field = Field(("a", "b"), ("x",), np.zeros(30, int), place, np.ones(30), losses)
    (pair,) = compare(field, "mae", horizon=1)["pairs"]
    assert pair["low"] < pair["difference"] < pair["high"] < 0
    assert pair["sentence"].startswith("a is better than b: its MAE lies ")


def test_no_series_with_a_naive_error_is_said():
    with pytest.raises(DataError, match="no series has a seasonal naive error above 0"):
        make_field(series=2).scaled(np.array([0.0, np.nan]))
