import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT64

from gym_jax.data import generate_panel, read_frame
from gym_jax.data.describe import autocorrelation, describe_panel


def slowly(panel, lag, series):
    rows = range(panel.offsets[series] + lag, panel.offsets[series + 1])
    pairs = [
        (panel.values[r - lag, 0], panel.values[r, 0]) for r in rows if panel.mask[r, 0] and panel.mask[r - lag, 0]
    ]
    early, late = np.array(pairs).reshape(-1, 2).T
    if len(pairs) < 3 or early.std() == 0 or late.std() == 0:
        return np.nan
    return np.corrcoef(early, late)[0, 1]


@given(lag=st.integers(1, 900), gaps=st.sampled_from([0.0, 0.3]), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_autocorrelation_is_numpys_on_observed_pairs_of_one_series(lag, gaps, seed):
    panel = generate_panel(series=3, days=0.9, gaps=gaps, seed=seed)
    expected = [slowly(panel, lag, series) for series in range(3)]
    np.testing.assert_allclose(autocorrelation(panel, lag), expected, rtol=1e-9, atol=1e-12)


def test_a_constant_series_has_none():
    frame = {"id": ["a"] * 9 + ["b"] * 9, "step": [*range(9)] * 2, "cpu": [5.0] * 9 + [1.0, 2.0, 3.0] * 3}
    panel = read_frame(pd.DataFrame(frame), time="step", time_unit="step")
    found = autocorrelation(panel, 3)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1, rel=FLOAT64)
    assert describe_panel(panel)["season"] is None


def test_the_season_of_machines_with_a_day_in_them():
    facts = describe_panel(generate_panel(series=8, days=4))
    assert facts["season"]["steps"] == 288
    found = autocorrelation(generate_panel(series=8, days=4), 288)
    assert facts["season"]["median_autocorrelation"] == pytest.approx(np.median(found))
    assert facts["season"]["share_above_0.5"] == pytest.approx((found > 0.5).mean())
