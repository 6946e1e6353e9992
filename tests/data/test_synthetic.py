from itertools import combinations
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from tolerances import FLOAT64

from gym_jax.data import generate_frame, generate_panel, read
from gym_jax.data.synthetic import DAY, _accumulate, quantile_truth
from gym_jax.errors import ConfigError, DataError

WEEK = 7 * DAY
PANEL = ["unique_id", "ds", "cpu_cores", "cpu_capacity_cores", "memory_mib", "memory_capacity_mib"]
PANEL += ["disk_gib", "disk_capacity_gib", "group"]
FIRST = [
    [0.6918, 11087.72, 634.202, 0.5774164],
    [0.3387, 10164.22, 642.426, 0.5895525],
    [0.0262, 8535.525, 22.651, 0.04214354],
]
TRUTH = ["cpu_cores_mean", "cpu_cores_sd"]


@pytest.fixture(scope="module")
def month():
    """40 machines over four weeks, whole and with truth."""
    return generate_frame(series=40, days=28, gaps=0, truth=True)


@pytest.fixture(scope="module")
def white():
    """24 machines, each its own group, with white noise: every row is independent of every other."""
    return generate_frame(series=24, days=14, gaps=0, groups=24, memory=0, truth=True)


def by_machine(frame, column):
    """Return a column of a frame without gaps as [machines, steps]."""
    return frame[column].to_numpy().reshape(frame["unique_id"].nunique(), -1)


def shares(frame, column="cpu_cores"):
    return by_machine(frame, column) / by_machine(frame, "cpu_capacity_cores")


def noise_of(frame):
    """Return the noise of every value, NaN where clipping has hidden it."""
    usage, mean, sd = (by_machine(frame, name) for name in ("cpu_cores", *TRUTH))
    hidden = (usage <= 0) | (usage >= by_machine(frame, "cpu_capacity_cores"))
    return np.where(hidden, np.nan, (usage - mean) / sd)


def correlation(one, other):
    both = np.isfinite(one) & np.isfinite(other)
    return np.corrcoef(one[both], other[both])[0, 1]


def runs(flags):
    """Return the starts and the lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return edges[::2], edges[1::2] - edges[::2]


def coverage_off(values, quantile, probability, limit):
    """Return how many binomial sds the coverage is from nominal, over the rows whose quantile is not clipped."""
    inside = (quantile > 0) & (quantile < limit)
    count = inside.sum()
    assert count > 100
    covered = (values <= quantile)[inside].sum()
    return abs(covered - count * probability) / np.sqrt(count * probability * (1 - probability))


def test_the_same_seed_gives_the_same_frame():
    pd.testing.assert_frame_equal(generate_frame(series=3, days=2), generate_frame(series=3, days=2))
    other = generate_frame(series=3, days=2, seed=1)
    assert not generate_frame(series=3, days=2).equals(other)


def test_the_first_values_are_these_everywhere():
    frame = generate_frame(series=2, days=1, gaps=0, truth=True)
    first = frame[["cpu_cores", "memory_mib", "disk_gib", "cpu_cores_mean"]].iloc[[0, 100, 300]].to_numpy()
    np.testing.assert_allclose(first, FIRST, rtol=1e-6)


def test_a_generated_panel_has_the_promised_shape():
    panel = generate_panel(series=5, days=7, gaps=0.05)
    assert panel.series == tuple(f"vm-{i:03d}" for i in range(5))
    assert (panel.channels, panel.targets) == (("cpu_cores",), 1)
    assert (panel.describe_step(), panel.season()) == ("5min", 288)
    assert 0.02 < 1 - panel.mask.mean() < 0.06
    assert generate_panel(series=2, days=1, gaps=0).mask.all()


def test_a_generated_frame_has_the_promised_columns():
    frame = generate_frame(series=6, days=0.5, gaps=0)
    assert list(frame) == PANEL
    assert list(generate_frame(series=6, days=0.5, truth=True)) == PANEL + TRUTH
    assert (len(frame), len(generate_frame(series=1, days=0.1))) == (6 * 144, 28)
    assert frame["ds"].iloc[:2].tolist() == [pd.Timestamp("2026-01-05 00:00"), pd.Timestamp("2026-01-05 00:05")]
    names = frame.groupby("unique_id")["group"].agg(["nunique", "first"])
    assert (names["nunique"] == 1).all()
    assert names["first"].tolist() == ["web-1", "database-1", "batch-1", "build-1", "web-1", "database-1"]
    assert generate_frame(series=6, days=0.1, groups=6)["group"].iloc[-1] == "database-2"
    assert not frame.isna().any().any()


def test_a_machine_is_the_same_among_any_number_of_machines():
    few, many = generate_frame(series=3, days=3, gaps=0.05), generate_frame(series=9, days=3, gaps=0.05)
    pd.testing.assert_frame_equal(few, many[many["unique_id"].isin(few["unique_id"])])


def test_truth_adds_columns_and_gaps_take_rows_and_nothing_else_changes():
    whole = generate_frame(series=5, days=3, gaps=0, truth=True)
    gapped = generate_frame(series=5, days=3, gaps=0.1)
    kept = whole.merge(gapped[["unique_id", "ds"]])[PANEL]
    assert len(gapped) < len(whole)
    pd.testing.assert_frame_equal(kept, gapped)


def test_usage_stays_between_nothing_and_capacity_and_has_a_day_in_it():
    frame = generate_frame(series=12, days=8, gaps=0)
    assert (frame.cpu_cores >= 0).all()
    assert (frame.cpu_cores <= frame.cpu_capacity_cores).all()
    assert np.isfinite(frame.cpu_cores).all()
    usage = frame.cpu_cores.to_numpy().reshape(12, -1)
    correlation = [np.corrcoef(row[288:], row[:-288])[0, 1] for row in usage]
    assert 0.25 <= np.mean(np.array(correlation) > 0.5) <= 0.75


def test_weekends_differ_from_working_days_as_the_group_says(month):
    busy = np.median(shares(month), axis=1) > 0.03
    weekend = (np.arange(28 * DAY) // DAY) % 7 >= 5
    usage = by_machine(month, "cpu_cores")
    ratio = pd.Series(usage[:, weekend].mean(1) / usage[:, ~weekend].mean(1))[busy]
    ratio = ratio.groupby(by_machine(month, "group")[busy, 0]).median()
    assert ratio["build-1"] < ratio["web-1"] < 0.95
    assert ratio["batch-1"] > 1.02


def test_some_machines_saturate_and_most_rows_are_below_capacity(month):
    saturated = (shares(month) == 1).mean(axis=1)
    assert 0.002 < saturated.mean() < 0.08
    assert (saturated == 0).mean() > 0.2
    assert saturated.max() > 0.05


def test_idle_machines_do_nearly_nothing_but_for_small_bursts(month):
    usage = shares(month)
    idle = np.median(usage, axis=1) < 0.03
    assert 0.1 < idle.mean() < 0.35
    assert usage[idle].mean() < 0.04
    assert usage[idle].max() < 0.25
    assert (usage[idle].max(axis=1) > 3 * np.median(usage[idle], axis=1)).any()


def test_the_level_of_some_machines_changes_once(month):
    mean = by_machine(month, "cpu_cores_mean")
    later = np.round(mean[:, WEEK:] / mean[:, :-WEEK], 6)
    changed = 0
    for ratios in later:
        values, counts = np.unique(ratios, return_counts=True)
        steady = set(values[counts > WEEK // 2])
        assert 1.0 in steady, "a machine repeats its week, but for its bursts and its change of level"
        if factors := steady - {1.0}:
            (factor,) = factors
            where = np.flatnonzero(ratios == factor)
            assert np.ptp(where) < WEEK, "one change: for a week the week before is at the other level"
            assert 1.4 - 1e-6 <= max(factor, 1 / factor) <= 2 + 1e-5
            changed += 1
    assert 0.2 < changed / len(later) < 0.6


def test_bursts_last_minutes_and_reach_high(month):
    mean = shares(month, "cpu_cores_mean")
    weeks = mean.reshape(len(mean), 4, WEEK)
    steady = (np.ptp(np.median(weeks, axis=2), axis=1) < 0.01) & (np.median(mean, axis=1) > 0.03)
    excess = (weeks - weeks.min(axis=1, keepdims=True)).reshape(mean.shape)[steady]
    lengths = np.concatenate([runs(row[:-1] > 1e-9)[1] for row in excess])
    assert 0.1 < len(lengths) / (28 * len(excess)) < 2.5, "bursts a day"
    assert lengths.min() >= 2
    assert 4 < np.median(lengths) < 15
    assert excess[excess > 1e-9].min() > 0.1 - 1e-9
    assert excess.max() > 0.5


@pytest.mark.parametrize(("gaps", "days"), [(0.01, 14), (0.05, 7), (0.2, 3), (0.5, 2), (0.05, 1.5), (0.5, 0.1)])
def test_maintenance_is_runs_of_missing_rows_at_night_shared_by_a_group(gaps, days):
    frame = generate_frame(series=6, days=days, gaps=gaps)
    steps = int(days * DAY)
    present = np.zeros((6, steps), bool)
    row = (frame["ds"] - pd.Timestamp("2026-01-05")) // pd.Timedelta("5min")
    present[frame["unique_id"].str[3:].astype(int), row] = True
    assert present[:, [0, -1]].all(), "every machine has the same span"
    assert abs((~present).mean() - gaps) <= 1 / steps
    for machine in range(6):
        starts, lengths = runs(~present[machine])
        assert (starts % DAY < 4 * 12).all(), "from midnight to four"
        assert len(lengths) <= np.ceil(days)
        assert lengths.min() >= min(9, gaps * steps - 1)
    np.testing.assert_array_equal(present[0], present[4])
    assert (present[0] != present[1]).any() or days < 1


def test_noise_is_correlated_within_a_group_only():
    for expected in (0.0, 0.5, 0.9):
        noise = noise_of(generate_frame(series=8, days=14, gaps=0, memory=0, correlation=expected, truth=True))
        for one, other in combinations(range(8), 2):
            shared = expected if one % 4 == other % 4 else 0.0
            assert abs(correlation(noise[one], noise[other]) - shared) < 0.08, (one, other)


@pytest.mark.parametrize("memory", [0.0, 0.8, 0.95])
def test_noise_remembers_as_much_as_it_is_told(memory):
    noise = noise_of(generate_frame(series=8, days=14, gaps=0, memory=memory, truth=True))
    lagged = [correlation(row[1:], row[:-1]) for row in noise]
    assert abs(np.median(lagged) - memory) < 0.03


def test_the_recursion_is_that_of_a_loop():
    values = np.random.default_rng(0).normal(size=1000)
    for memory in (0.0, 0.5, 0.99, 0.9999):
        expected = [values[0]]
        for value in values[1:]:
            expected.append(memory * expected[-1] + value)
        np.testing.assert_allclose(_accumulate(values, memory), expected, rtol=0, atol=FLOAT64 * 1000)


def test_noise_is_standard_normal_from_its_first_step_on():
    frame = generate_frame(series=600, days=0.1, gaps=0, groups=600, memory=0.95, truth=True)
    noise = noise_of(frame)
    tight = shares(frame, "cpu_cores_mean") + 5 * shares(frame, "cpu_cores_sd") < 1
    tight &= shares(frame, "cpu_cores_mean") > 5 * shares(frame, "cpu_cores_sd")
    for step in (0, 1, 5, 27):
        values = noise[tight[:, step], step]
        assert len(values) > 100
        assert abs(values.mean()) < 4 / np.sqrt(len(values))
        assert abs(values.var() - 1) < 4 * np.sqrt(2 / len(values))


def test_the_noise_of_a_machine_grows_with_its_load(white):
    usage, mean, sd = (by_machine(white, name) for name in ("cpu_cores", *TRUTH))
    capacity = by_machine(white, "cpu_capacity_cores")
    judged = 0
    for i in np.flatnonzero(np.median(shares(white), axis=1) > 0.03):
        slope, floor = np.polyfit(mean[i], sd[i], 1)
        np.testing.assert_allclose(sd[i], floor + slope * mean[i], rtol=1e-9)
        assert 0.08 <= slope <= 0.24
        free = (mean[i] > 4 * sd[i]) & (mean[i] + 4 * sd[i] < capacity[i])
        parts = [free & (mean[i] < np.quantile(mean[i], 0.5)), free & (mean[i] > np.quantile(mean[i], 0.8))]
        if min(part.sum() for part in parts) < 300:
            continue
        quiet, loud = ((usage - mean)[i][part].std() for part in parts)
        expected = np.sqrt(np.mean(sd[i][parts[1]] ** 2) / np.mean(sd[i][parts[0]] ** 2))
        assert loud > 1.1 * quiet
        assert abs(loud / quiet / expected - 1) < 0.15
        judged += 1
    assert judged >= 8


def test_memory_is_sticky_follows_cpu_and_is_lost_at_restarts(month):
    used = by_machine(month, "memory_mib") / by_machine(month, "memory_capacity_mib")
    assert used.min() >= 0
    assert used.max() <= 0.98
    assert 0.2 < used.mean() < 0.7
    change = np.diff(used, axis=1)
    assert np.quantile(np.abs(change), 0.99) < 0.02, "far slower than CPU"
    machine, step = np.nonzero(change < -0.1)
    assert 0.3 < len(step) / (28 * 40) * 10 < 2, "about one restart in ten days"
    whole = step + 120 < used.shape[1]
    again = used[machine[whole], step[whole] + 120] / used[machine[whole], step[whole]]
    assert 0.7 < np.median(again) < 1.1, "ten hours later it is back"
    busy = np.median(shares(month), axis=1) > 0.03
    hourly = [by_machine(month, name)[busy].reshape(busy.sum(), -1, 12).mean(2) for name in ("cpu_cores", "memory_mib")]
    together = [np.corrcoef(np.diff(cpu), np.diff(memory))[0, 1] for cpu, memory in zip(*hourly, strict=True)]
    assert np.median(together) > 0.12


def test_disk_fills_up_and_is_cleaned(month):
    used = by_machine(month, "disk_gib") / by_machine(month, "disk_capacity_gib")
    assert used.min() > 0.1
    assert used.max() < 0.96
    change = np.diff(used, axis=1)
    cleaned = change < -0.25
    assert (change[~cleaned] >= 0).all()
    assert change[~cleaned].max() < 0.001
    assert (cleaned.sum(axis=1) > 0).mean() > 0.5
    assert cleaned.sum(axis=1).max() < 10


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9, 0.99])
def test_the_true_quantiles_cover_what_they_say(white, probability):
    usage, limit = white["cpu_cores"].to_numpy(), white["cpu_capacity_cores"].to_numpy()
    quantile = quantile_truth(white, probability)
    assert coverage_off(usage, quantile, probability, limit) < 4
    hour = white["ds"].dt.hour.to_numpy()
    for part in [hour == h for h in range(24)] + [white["unique_id"] == f"vm-{i:03d}" for i in range(24)]:
        assert coverage_off(usage[part], quantile[part], probability, limit[part]) < 5
    if probability != 0.5:
        for factor in (0.9, 1.1):
            wrong = quantile_truth(white.assign(cpu_cores_sd=factor * white["cpu_cores_sd"]), probability)
            assert coverage_off(usage, wrong, probability, limit) > 4, "a wrong sd is seen"


def test_as_many_rows_are_at_capacity_and_at_nothing_as_the_truth_says(white):
    usage, limit = white["cpu_cores"].to_numpy(), white["cpu_capacity_cores"].to_numpy()
    below = np.vectorize(NormalDist().cdf)
    mean, sd = white["cpu_cores_mean"], white["cpu_cores_sd"]
    for seen, chance in ((usage == limit, 1 - below((limit - mean) / sd)), (usage == 0, below(-mean / sd))):
        assert chance.sum() > 20
        assert abs(seen.sum() - chance.sum()) < 4 * np.sqrt((chance * (1 - chance)).sum())


def test_true_quantiles_by_hand():
    frame = pd.DataFrame({"cpu_cores_mean": [2.0, 0.5], "cpu_cores_sd": 1.0, "cpu_capacity_cores": 3})
    np.testing.assert_allclose(quantile_truth(frame, 0.5), [2, 0.5], rtol=FLOAT64)
    np.testing.assert_allclose(quantile_truth(frame, 0.975), [3, 0.5 + 1.959963984540054], rtol=FLOAT64)
    np.testing.assert_allclose(quantile_truth(frame, 0.025), [2 - 1.959963984540054, 0], rtol=1e-11)
    with pytest.raises(DataError, match="no truth"):
        quantile_truth(frame.drop(columns="cpu_cores_sd"), 0.5)
    for probability in (0, 1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="has no quantile"):
            quantile_truth(frame, probability)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("series", (0, -3)),
        ("days", (0.05, float("nan"))),
        ("groups", (0,)),
        ("seed", (-1,)),
        ("gaps", (0.6, -0.1)),
        ("correlation", (1.1, -0.2)),
        ("memory", (1, -0.5)),
    ],
)
def test_settings_out_of_range_are_named(name, values):
    for value in values:
        with pytest.raises(ConfigError, match=f"{name}={value}") as caught:
            generate_frame(**{"series": 2, "days": 0.2, name: value})
        assert caught.value.hint.startswith(("it is at least", "it lies between"))


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
