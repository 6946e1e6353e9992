import jax.numpy as jnp
import numpy as np
import pytest

from gym_jax.errors import ConfigError
from gym_jax.models import Last, Seasonal
from gym_jax.types import Inputs

PAST = jnp.array([[[1.0, 9.0], [2.0, 8.0], [3.0, 7.0], [4.0, 6.0], [5.0, 5.0]]])


def answer(model, past=PAST, mask=None):
    """The forecast of the first window, step by target."""
    return np.asarray(model.apply({}, Inputs(past=past, mask=mask))[0])


def test_last_repeats_the_last_value_of_the_target_channels():
    np.testing.assert_array_equal(answer(Last(horizon=3)), [[5], [5], [5]])
    np.testing.assert_array_equal(answer(Last(horizon=2, targets=2)), [[5, 5], [5, 5]])


def test_last_skips_what_was_not_observed():
    mask = jnp.ones_like(PAST, bool).at[0, 3:, 0].set(False)
    np.testing.assert_array_equal(answer(Last(horizon=2, targets=2), mask=mask), [[3, 5], [3, 5]])


@pytest.mark.parametrize(
    ("season", "horizon", "expected"),
    [(4, 2, [2, 3]), (3, 3, [3, 4, 5]), (2, 5, [4, 5, 4, 5, 4]), (5, 2, [1, 2]), (1, 3, [5, 5, 5])],
)
def test_seasonal_repeats_the_season_before(season, horizon, expected):
    np.testing.assert_array_equal(answer(Seasonal(horizon=horizon, season=season))[:, 0], expected)


def test_seasonal_falls_back_to_the_last_value_where_the_season_has_a_gap():
    mask = jnp.ones_like(PAST, bool).at[0, 3, 0].set(False)
    expected = [[3, 7], [5, 6], [5, 5], [3, 7]]
    np.testing.assert_array_equal(answer(Seasonal(horizon=4, targets=2, season=3), mask=mask), expected)


def test_baselines_forecast_zero_where_nothing_was_observed():
    mask = jnp.zeros_like(PAST, bool)
    for model in (Last(horizon=2), Seasonal(horizon=2, season=3)):
        np.testing.assert_array_equal(answer(model, mask=mask), [[0], [0]])


def test_a_season_longer_than_the_window_is_refused():
    with pytest.raises(ConfigError, match="season of 6 steps"):
        answer(Seasonal(horizon=2, season=6))
