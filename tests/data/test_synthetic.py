import numpy as np
import pandas as pd

from gym_jax.data import generate_frame, generate_panel, read


def test_the_same_seed_gives_the_same_frame():
    pd.testing.assert_frame_equal(generate_frame(series=3, days=2), generate_frame(series=3, days=2))
    other = generate_frame(series=3, days=2, seed=1)
    assert not generate_frame(series=3, days=2).equals(other)


def test_a_generated_panel_has_the_promised_shape():
    panel = generate_panel(series=5, days=7, gaps=0.05)
    assert panel.series == tuple(f"vm-{i:03d}" for i in range(5))
    assert (panel.channels, panel.targets) == (("cpu_cores",), 1)
    assert (panel.describe_step(), panel.season()) == ("5min", 288)
    assert 0.02 < 1 - panel.mask.mean() < 0.06
    assert generate_panel(series=2, days=1, gaps=0).mask.all()


def test_usage_stays_between_nothing_and_capacity_and_has_a_day_in_it():
    frame = generate_frame(series=12, days=8, gaps=0)
    assert (frame.cpu_cores >= 0).all()
    assert (frame.cpu_cores <= frame.cpu_capacity_cores).all()
    assert np.isfinite(frame.cpu_cores).all()
    usage = frame.cpu_cores.to_numpy().reshape(12, -1)
    correlation = [np.corrcoef(row[288:], row[:-288])[0, 1] for row in usage]
    assert 0.25 <= np.mean(np.array(correlation) > 0.5) <= 0.75


def test_a_generated_file_reads_back(tmp_path):
    frame = generate_frame(series=3, days=1)
    frame.to_parquet(tmp_path / "cpu.parquet")
    frame.to_csv(tmp_path / "cpu.csv.gz", index=False)
    panel = generate_panel(series=3, days=1)
    for name in ("cpu.parquet", "cpu.csv.gz"):
        again = read(tmp_path / name, target=["cpu_cores"])
        np.testing.assert_array_equal(again.values, panel.values)
        np.testing.assert_array_equal(again.mask, panel.mask)
        np.testing.assert_array_equal(again.first, panel.first)
