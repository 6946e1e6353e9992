"""Many rows and very many series: memory that grows with the data only."""

import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest

from gym_jax.data import make_windows, origins, read_frame
from gym_jax.data.preprocess import Preprocessing, fit
from gym_jax.data.short import refuse_short
from gym_jax.data.split import Splitting, split_panel

READ = """
import re, sys
import pandas, pyarrow.parquet, gym_jax.data

def peak():  # of this process alone: ru_maxrss begins with what its parent had
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

base = peak()
panel = gym_jax.data.read(sys.argv[1], target=["cpu_cores", "memory_mib"])
assert len(panel.series) == 200 and len(panel.values) == 4_876_841
print(peak() - base, panel.values.nbytes + panel.mask.nbytes)
"""


@pytest.mark.posix
def test_millions_of_rows_need_less_than_a_gigabyte_above_their_size(real_data):
    path = real_data / "bitbrains" / "bitbrains_rnd_200vms.parquet"
    used, size = map(int, subprocess.check_output([sys.executable, "-c", READ, str(path)], text=True).split())
    assert used - size < 1e9


def test_a_hundred_thousand_short_series():
    count, rows, context, horizon = 100_000, 24, 6, 3
    values = np.random.default_rng(0).random(count * rows)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), rows),
            "ds": np.tile(pd.date_range("2026-01-01", periods=rows, freq="h").to_numpy(), count),
            "cpu": values,
        }
    )
    panel = read_frame(frame)
    assert len(panel.series) == count
    np.testing.assert_array_equal(panel.values[:, 0], values)
    splitting = Splitting(val=0.15)
    assert refuse_short(panel, splitting, context=context, horizon=horizon, short="error") is panel
    split = split_panel(panel, splitting)
    fitted, channels = fit(panel, split.train, Preprocessing(), horizon=horizon)
    places, series = origins(panel, split.train, context=context, horizon=horizon)
    assert len(places) == count * 8
    windows = make_windows(channels, fitted.scaler, places, series, context=context, horizon=horizon)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(windows)) < 8 * len(values) + 16 * len(places)
    batch = windows.take(np.array([0, len(windows) - 1]))
    first, last = values[:rows], values[-rows:]
    for row, own in ((0, first), (1, last)):
        begin = 0 if row == 0 else 7
        mean, sd = own[:16].mean(), own[:16].std()
        expected = (own[begin : begin + context] - mean) / sd
        np.testing.assert_allclose(batch.inputs.past[row, :, 0], expected, rtol=1e-5, atol=1e-6)
