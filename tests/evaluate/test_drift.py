"""Drift: three numbers by hand, nothing where nothing changed, everything that was made to change."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from gym_jax.data import read, split_by_time
from gym_jax.evaluate.drift import (
    BINS,
    MOST,
    Profile,
    Rows,
    _bins,
    _distances,
    block_of,
    compare,
    make_profile,
)
from gym_jax.run.drift import rows_of

STEP = 300 * 10**9
DAY = 288


def rows(values, names=None, step=STEP, clock="ns", mask=None):
    """Series of equal length, each a row of `values` [series, time] or [series, time, columns]."""
    values = np.asarray(values, np.float64)
    values = values[..., None] if values.ndim == 2 else values
    series, length, columns = values.shape
    flat = values.reshape(-1, columns)
    seen = np.ones(flat.shape, bool) if mask is None else np.asarray(mask).reshape(flat.shape)
    begin = np.arange(series) * length
    names = names or [f"vm-{k}" for k in range(series)]
    return Rows(names, np.where(seen, flat, 0), seen, begin, begin + length, step, clock)


def days(count, series=3, seed=0, level=2.0, weekend=1.0):
    """Noisy days with a course, quieter at the weekend."""
    generator = np.random.default_rng(seed)
    time = np.arange(count * DAY)
    week = np.where(time // DAY % 7 >= 5, weekend, 1.0)
    course = level + np.sin(2 * np.pi * time / DAY)
    return (course + 0.1 * generator.normal(size=(series, len(time)))) * week


def test_bins_by_hand():
    edges = np.linspace(0, 10, 11)
    assert _bins(np.array([-1, 0, 0.5, 1, 1.5, 10, 10.1]), edges).tolist() == [0, 1, 1, 1, 2, 10, 11]
    tied = np.array([0.0] * 6 + [1, 2, 3, 4, 5])
    assert _bins(np.array([-0.1, 0, 0.1, 1]), tied).tolist() == [0, 1, 6, 6]


def test_the_distance_is_the_population_stability_index():
    one, other = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    one[1:3], other[1:3] = (60, 40), (20, 80)
    p, q = (one + 0.5) / 106, (other + 0.5) / 106
    assert _distances(one, other) == pytest.approx(sum((a - b) * np.log(a / b) for a, b in zip(p, q, strict=True)))
    assert _distances(one, one) == 0


def test_the_limit_is_the_largest_distance_of_a_held_out_day():
    values = days(8, series=1)
    values[0, 5 * DAY : 5 * DAY + 90] += 1
    profile = make_profile(rows(values), ("cpu",))
    expected = []
    for day in range(8):
        own = np.zeros(8 * DAY, bool)
        own[day * DAY : (day + 1) * DAY] = True
        rest, held = values[0, ~own], values[0, own]
        bins = np.where(held < rest.min(), 0, np.where(held > rest.max(), 11, _bins(held, profile.edges[0, 0])))
        counts = np.bincount(bins, minlength=BINS), np.bincount(_bins(rest, profile.edges[0, 0]), minlength=BINS)
        expected.append(float(_distances(*counts)))
    assert 0.1 < profile.limit[0, 0] == pytest.approx(max(expected))


def test_what_goes_on_as_before_is_no_drift_also_over_a_weekend():
    values = days(28, weekend=0.5)
    profile = make_profile(rows(values[:, : 14 * DAY]), ("cpu",))
    for begin, end in ((14, 28), (19, 21), (21, 26)):
        found = compare(profile, rows(values[:, begin * DAY : end * DAY]))
        assert found["series"]["drifted"] == 0, (begin, end)
        assert found["series"]["judged"] == 3
    assert found["columns"][0]["outside"] < 0.01


CHANGES = {
    "level": (lambda x: x + 3.0, {"level": 1.0, "outside": 0.3}),
    "spread": (lambda x: 2 + 4 * (x - 2), {"scale": 3.0, "outside": 0.3}),
    "unit": (lambda x: 1000 * x, {"level": 100.0, "outside": 0.9}),
    "stuck": (lambda x: np.full_like(x, 2.0), {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_drift(change):
    made, least = CHANGES[change]
    values = days(21)
    profile = make_profile(rows(values[:, : 14 * DAY]), ("cpu",))
    new = values[:, 14 * DAY :].copy()
    new[1] = made(new[1])
    found = compare(profile, rows(new))
    assert {one["series"]: one["drifted"] for one in found["rows"]} == {"vm-0": False, "vm-1": True, "vm-2": False}
    assert found["series"]["share"] == pytest.approx(1 / 3)
    for name, value in least.items():
        assert found["rows"][1][name] > value


def test_level_spread_outside_and_missing_by_hand():
    train = np.arange(DAY * 5) % 101.0
    profile = make_profile(rows([train]), ("cpu",))
    new = np.arange(DAY * 2) % 101.0 + 40
    mask = np.ones((1, 2 * DAY, 1), bool)
    mask[:, : DAY // 4] = False
    one = compare(profile, rows([new], mask=mask))["rows"][0]
    assert one["level"] == pytest.approx(0.5, abs=0.02)
    assert one["scale"] == pytest.approx(1, abs=0.02)
    assert one["outside"] == pytest.approx(0.4, abs=0.02)
    assert (one["missing"], one["missing_before"]) == (0.125, 0)


def test_a_constant_that_leaves_its_value_is_told():
    profile = make_profile(rows(np.full((1, 10 * DAY), 0.1)), ("cpu",))
    assert compare(profile, rows(np.full((1, 2 * DAY), 0.1)))["series"]["drifted"] == 0
    for value in (0.0999, 0.1001):
        one = compare(profile, rows(np.full((1, 2 * DAY), value)))["rows"][0]
        assert (one["drifted"], one["outside"]) == (True, 1.0)


def test_series_and_step_that_changed_are_named():
    profile = make_profile(rows(days(8)), ("cpu",))
    found = compare(profile, rows(days(4)[:2], names=["vm-1", "new"], step=2 * STEP))
    assert found["series"]["new"] == ["new"]
    assert found["series"]["gone"] == ["vm-0", "vm-2"]
    assert found["step"] == {"trained": STEP, "now": 2 * STEP, "changed": True}


def test_less_than_a_day_is_not_judged():
    profile = make_profile(rows(days(8)), ("cpu",))
    found = compare(profile, rows(days(1)[:, : DAY - 1]))
    assert (found["series"]["judged"], found["series"]["share"]) == (0, None)
    assert found["rows"][0]["distance"] is None
    mask = np.ones((3, 2 * DAY, 1), bool)
    mask[:, : 2 * DAY : 2] = mask[:, :DAY:3] = False  # a third of the first day is left, half of the second
    two = days(2)
    two[:, :DAY] = 99
    assert compare(profile, rows(two, mask=mask))["series"]["drifted"] == 0
    mask = np.zeros((3, DAY, 1), bool)
    assert compare(profile, rows(days(1), mask=mask))["rows"][0]["missing"] == 1


def test_blocks_are_days_or_what_makes_enough_rows():
    assert block_of(STEP, "ns") == 288
    assert block_of(3600 * 10**9, "ns") == 48
    assert block_of(86_400 * 10**9, "ns") == 48
    assert block_of(1, "step") == 100


def test_a_profile_outlives_its_file_and_stays_small():
    values = np.stack([days(10), days(10, seed=1)], axis=-1)
    profile = make_profile(rows(values), ("cpu", "memory"))
    text = json.dumps(profile.to_json(), allow_nan=False)
    assert len(text) < 3 * 2 * 500
    again = Profile.from_json(json.loads(text))
    assert again.names == profile.names
    for name in ("edges", "counts", "described"):
        np.testing.assert_array_equal(getattr(again, name), getattr(profile, name))
    for name in ("missing", "limit"):
        np.testing.assert_allclose(getattr(again, name), getattr(profile, name), atol=1e-6)


def test_of_many_series_some_are_described():
    values = np.tile(np.arange(5.0), (MOST + 10, 1))
    profile = make_profile(rows(values, step=1, clock="step"), ("cpu",))
    assert len(profile.described) == MOST
    assert len(profile.names) == MOST + 10
    assert profile.described[[0, -1]].tolist() == [0, MOST + 9]


def test_series_without_values_in_training_are_not_judged():
    mask = np.ones((3, 8 * DAY, 1), bool)
    mask[1] = False
    profile = make_profile(rows(days(8), mask=mask), ("cpu",))
    found = compare(Profile.from_json(json.loads(json.dumps(profile.to_json()))), rows(days(2)))
    assert [one["drifted"] for one in found["rows"]] == [False, None, False]


def test_real_machines_seldom_alarm_and_doubled_ones_do(real_data):
    panel = read(real_data / "bitbrains" / "bitbrains_24vms_30d.csv.gz", target=["cpu_cores"])
    split = split_by_time(panel, train=0.7, val=0.1)
    profile = make_profile(rows_of(panel, *split.train), panel.channels)
    later = rows_of(panel, *split.val)
    assert compare(profile, later)["series"]["drifted"] == 2
    assert compare(profile, later._replace(values=2 * later.values))["series"]["drifted"] >= 20


def test_a_server_may_ask_without_loading_jax_or_pandas():
    code = "import sys; import gym_jax.evaluate.drift; assert not {'jax', 'pandas', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT)})
