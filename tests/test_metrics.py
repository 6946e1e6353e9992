import numpy as np
import pytest
from tolerances import FLOAT32, FLOAT64

from gym_jax.metrics import METRICS, Totals, measure, naive_errors, plain, summarise


def truth_of(forecast, truth, naive):
    """The errors of one group by their definitions."""
    error = forecast - truth
    size = np.abs(forecast) + np.abs(truth)
    relative = np.where(size > 0, 200 * np.abs(error) / np.where(size > 0, size, 1), 0)
    return {
        "mse": np.mean(error**2),
        "mae": np.mean(np.abs(error)),
        "rmse": np.sqrt(np.mean(error**2)),
        "r2": 1 - np.sum(error**2) / np.sum((truth - truth.mean()) ** 2),
        "smape": np.mean(relative),
        "mase": np.mean(np.abs(error)) / naive,
    }


def draw(seed=0, shape=(60, 7), groups=4):
    generator = np.random.default_rng(seed)
    truth = generator.normal(3, 2, shape)
    forecast = truth + generator.normal(0, 1, shape)
    observed = generator.random(shape) > 0.3
    return forecast, truth, observed, generator.integers(0, groups, shape)


def test_three_numbers_by_hand():
    totals = measure(np.array([1.0, 2, 6]), np.array([1.0, 4, 4]), np.ones(3, bool), np.zeros(3, int), 1)
    errors = summarise(totals, np.array([2.0]))
    assert errors.keys() == METRICS.keys()
    expected = [8 / 3, 4 / 3, np.sqrt(8 / 3), 1 - 8 / 6, (0 + 200 / 3 + 40) / 3, 2 / 3]
    np.testing.assert_allclose([errors[name][0] for name in METRICS], expected, rtol=FLOAT64)


def test_every_group_is_the_formula_on_its_observed_elements():
    forecast, truth, observed, group = draw()
    naive = np.array([0.5, 1, 2, 3])
    errors = summarise(measure(forecast, truth, observed, group, 4), naive)
    for number in range(4):
        own = observed & (group == number)
        for name, value in truth_of(forecast[own], truth[own], naive[number]).items():
            np.testing.assert_allclose(errors[name][number], value, rtol=FLOAT64, err_msg=name)


def test_a_group_may_be_a_horizon_step():
    forecast, truth, observed, _ = draw()
    errors = summarise(measure(forecast, truth, observed, np.arange(7), 7))
    for step in range(7):
        own = observed[:, step]
        for name, value in truth_of(forecast[own, step], truth[own, step], 1).items():
            if name != "mase":
                np.testing.assert_allclose(errors[name][step], value, rtol=FLOAT64, err_msg=name)


@pytest.mark.parametrize("seed", range(5))
def test_chunks_merge_in_any_order(seed):
    forecast, truth, observed, group = draw(seed)
    whole = measure(forecast, truth, observed, group, 4)
    generator = np.random.default_rng(seed)
    cuts = np.sort(generator.integers(0, 60, 6))
    chunks = [
        measure(*(array[begin:end] for array in (forecast, truth, observed, group)), 4)
        for begin, end in zip([0, *cuts], [*cuts, 60], strict=True)
    ]
    merged = Totals.zero(4)
    for position in generator.permutation(len(chunks)):
        merged = merged.merge(chunks[position])
    for name, one, other in zip(Totals._fields, merged, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=FLOAT64, err_msg=name)


def test_a_single_value_merges_with_nothing():
    one = measure(np.array([5.0]), np.array([3.0]), np.ones(1, bool), np.zeros(1, int), 1)
    for both in (Totals.zero(1).merge(one), one.merge(Totals.zero(1))):
        for field, value in zip(both, one, strict=True):
            np.testing.assert_array_equal(field, value)


def test_collapse_is_one_group_of_all():
    forecast, truth, observed, group = draw()
    collapsed = measure(forecast, truth, observed, group, 4).collapse()
    together = measure(forecast, truth, observed, np.zeros_like(group), 1)
    for name, one, other in zip(Totals._fields, collapsed, together, strict=True):
        assert one.shape == (1,)
        np.testing.assert_allclose(one, other, rtol=FLOAT64, err_msg=name)
    assert np.isnan(summarise(Totals.zero(3).collapse())["mse"]).all()


@pytest.mark.parametrize("count", [1000, 1_000_000])
def test_values_near_a_billion_keep_r2(count):
    generator = np.random.default_rng(3)
    small = generator.normal(0, 1, count)
    forecast = small + generator.normal(0, 0.5, count)
    expected = truth_of(forecast, small, 1)["r2"]
    parts = np.array_split(np.arange(count), 7)
    merged = Totals.zero(1)
    for part in parts:
        chunk = (forecast[part] + 1e9, small[part] + 1e9, np.ones(len(part), bool), np.zeros(len(part), int))
        merged = merged.merge(measure(*chunk, 1))
    np.testing.assert_allclose(summarise(merged)["r2"], expected, rtol=FLOAT32)


def test_smape_of_nothing_against_nothing_is_0():
    errors = summarise(measure(np.zeros(2), np.array([0.0, 5]), np.ones(2, bool), np.array([0, 1]), 2))
    assert errors["smape"].tolist() == [0, 200]


def test_what_can_not_be_said_is_nan():
    forecast, truth = np.array([1.0, 2, 3]), np.array([0.1, 0.1, 0.1])
    totals = measure(forecast, truth, np.ones(3, bool), np.array([0, 0, 0]), 2)
    errors = summarise(totals, np.array([0.0, 1]))
    assert np.isnan(errors["mase"]).all()
    assert np.isnan(errors["r2"]).all()
    assert np.isnan(errors["mae"]).tolist() == [False, True]
    assert np.isnan(summarise(totals, np.array([np.nan, 1]))["mase"]).all()


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9 + 0.3, 1e-9])
def test_a_truth_that_varies_by_rounding_only_has_no_r2(constant):
    truth = np.full(1_000_001, constant)
    truth[500_000:700_000] = np.nextafter(constant, np.inf)
    merged = Totals.zero(1)
    for part in (slice(0, 400_000), slice(400_000, 1_000_001)):
        count = part.stop - part.start
        merged = merged.merge(measure(truth[part] + 1, truth[part], np.ones(count, bool), np.zeros(count, int), 1))
    assert np.isnan(summarise(merged)["r2"]).all()


def test_what_is_not_observed_does_not_count_even_when_it_is_nan():
    forecast, truth = np.array([1.0, np.nan, np.inf, 3]), np.array([2.0, np.nan, 1, np.nan])
    totals = measure(forecast, truth, np.array([True, False, False, False]), np.zeros(4, int), 1)
    assert summarise(totals)["mae"].tolist() == [1]
    spoilt = measure(forecast, truth, np.array([True, True, False, False]), np.zeros(4, int), 1)
    assert np.isnan(summarise(spoilt)["mae"]).all()


def test_float32_forecasts_are_summed_in_float64():
    forecast, truth = np.random.default_rng(4).normal(5, 2, (2, 1000)).astype(np.float32)
    totals = measure(forecast, truth, np.ones(1000, bool), np.zeros(1000, int), 1)
    expected = np.abs(forecast.astype(np.float64) - truth.astype(np.float64)).sum()
    np.testing.assert_allclose(totals.absolute, expected, rtol=FLOAT64)


def test_naive_errors_by_hand():
    values = np.array([1, 4, 2, 8, 0, 9, 5, 5], np.float64)[:, None]
    mask = np.array([1, 1, 1, 1, 0, 1, 1, 1], bool)[:, None]
    begins, ends = np.array([0, 6, 0]), np.array([6, 8, 1])
    errors = naive_errors(values, mask, begins, ends, 1)
    np.testing.assert_allclose(errors[:, 0], [(3 + 2 + 6) / 3, 0, np.nan], rtol=FLOAT64)
    errors = naive_errors(values, mask, begins, ends, 2)
    np.testing.assert_allclose(errors[:, 0], [(1 + 4 + 1) / 3, np.nan, np.nan], rtol=FLOAT64)


def test_naive_errors_know_each_target_apart():
    values = np.array([[1, 10], [2, 30], [4, 0]], np.float64)
    mask = np.array([[1, 1], [1, 1], [1, 0]], bool)
    assert naive_errors(values, mask, np.array([0]), np.array([3]), 1).tolist() == [[1.5, 20]]


def test_plain_values_have_no_nan():
    assert plain(np.array([1.5, np.nan, -np.inf])) == [1.5, None, None]
    assert plain(np.float32(0.5)) == 0.5
    assert plain("mae") == "mae"


def test_a_forecast_of_nan_scores_nan_and_not_perfect():
    totals = measure(np.array([np.nan]), np.array([1.0]), np.array([True]), np.array([0]), 1)
    assert all(np.isnan(summarise(totals)[name]).all() for name in ("mae", "mse", "smape"))
