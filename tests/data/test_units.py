"""Units: what names and values say, and the factors between them, by hand."""

import numpy as np
import pandas as pd
import pytest

from gym_jax.data import read, read_frame
from gym_jax.data.units import factor, is_percentage, kinds_of, read_quantities, unit_in_name
from gym_jax.errors import DataError


@pytest.mark.parametrize(
    ("source", "wanted", "expected"),
    [
        ("KB", "MB", 1e-3),
        ("KiB", "MiB", 2**-10),
        ("KB", "MiB", 1000 / 2**20),
        ("Gi", "MiB", 1024),
        ("G", "GB", 1),
        ("k", "b", 1000),
        ("E", "PiB", 1e18 / 2**50),
        ("m", "cores", 1e-3),
        ("n", "millicores", 1e-6),
        ("vCPUs", "cores", 1),
        ("MHz", "GHz", 1e-3),
        ("%", "share", 0.01),
        ("share", "pct", 100),
        ("ms", "s", 1e-3),
        ("KB/s", "MB/s", 1e-3),
        ("KB/S", "b/s", 1e3),
    ],
)
def test_factors_by_hand(source, wanted, expected):
    assert factor(source, wanted, "x") == pytest.approx(expected, rel=1e-15)
    assert factor(wanted, source, "x") == pytest.approx(1 / expected, rel=1e-15)


@pytest.mark.parametrize("unit", ["Mb", "Gb", "Kb", "Mib", "Mbps", "furlong", "", "mm"])
def test_what_is_no_unit(unit):
    assert kinds_of(unit) == {}


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("Memory usage [KB]", "KB"),
        ("Disk read throughput [KB/s]", "KB/s"),
        ("CPU (%)", "%"),
        ("memory_mib", "mib"),
        ("cpu.usage.cores", "cores"),
        ("cpu pct", "pct"),
        ("memory", None),
        ("requests_m", None),
        ("load [x]", None),
        ("traffic [Mb]", None),
        ("fractions_of_k", None),
    ],
)
def test_the_unit_in_a_name(column, unit):
    assert unit_in_name(column) == unit


def test_percentages_by_name():
    assert [is_percentage(name) for name in ("cpu_pct", "CPU usage [%]", "cpu_percent", "share", "cpu")] == [
        *[True] * 3,
        *[False] * 2,
    ]


def test_quantities_by_hand():
    words = ["250m", "1", " 2 ", "1.5e1", None, "", "500u", "-1"]
    values, found = read_quantities(words, "cores", "cpu", "`f`")
    assert values.tolist()[:4] == [0.25, 1, 2, 15]
    assert np.isnan(values[4:6]).all()
    assert values.tolist()[6:] == [500 * 1e-6, -1]
    assert found == {"m": 1, "cores": 4, "u": 1}
    values, found = read_quantities(["1.5Gi", "128M", "7", "2KiB"], "KiB", "memory [MiB]", "`f`")
    assert values.tolist() == [1.5 * 2**20, 128e6 / 1024, 7 * 1024, 2]
    assert found == {"Gi": 1, "M": 1, "MiB": 1, "KiB": 1}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_columns_with_units_in_their_values(tmp_path, suffix):
    frame = pd.DataFrame(
        {"ds": ["2026-01-01", "2026-01-02", "2026-01-03"], "cpu": ["250m", "NA", "1"], "memory": ["1Gi", "512Mi", None]}
    )
    path = tmp_path / f"pods{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    panel = read(path, target=["cpu", "memory"], units={"cpu": "cores", "memory": "MiB"})
    assert panel.values.tolist() == [[0.25, 1024], [0, 512], [1, 0]]
    assert panel.mask.tolist() == [[True, True], [False, True], [True, False]]
    assert panel.notes[:2] == (
        "column `cpu` read in cores (written in cores, m)",
        "column `memory` read in MiB (written in Gi, Mi)",
    )


def test_quantities_that_begin_below_bare_numbers(tmp_path):
    rows = [f"{1_767_225_600 + 60 * i},{'250m' if i > 1200 else 2}" for i in range(1500)]
    (tmp_path / "cpu.csv").write_text("\n".join(["ds,cpu", *rows]))
    panel = read(tmp_path / "cpu.csv", units={"cpu": "cores"})
    assert panel.values[:, 0].tolist() == [2.0] * 1201 + [0.25] * 299


def test_numbers_of_a_column_with_a_unit_in_its_name():
    frame = pd.DataFrame({"ds": ["2026-01-01", "2026-01-02"], "Memory usage [KB]": [2048.0, np.nan]})
    panel = read_frame(frame, units={"Memory usage [KB]": "MB"})
    assert panel.values.ravel().tolist() == [2.048, 0]
    assert panel.notes[0] == "column `Memory usage [KB]` read in MB (its name says KB)"


def test_a_capacity_is_read_in_the_unit_of_what_it_limits():
    frame = pd.DataFrame(
        {"ds": ["2026-01-01", "2026-01-02"], "memory_mib": [1024.0, 4096.0], "memory_capacity_mib": 2048.0}
    )
    panel = read_frame(frame, units={"memory_mib": "GiB"}, policy={"above_capacity": "clip"})
    assert panel.values.ravel().tolist() == [1, 2]
    quantities = frame.assign(memory_mib=["1Gi", "4Gi"], memory_capacity_mib="2Gi")
    panel = read_frame(quantities, target="memory_mib", units={"memory_mib": "GiB"}, policy={"above_capacity": "clip"})
    assert panel.values.ravel().tolist() == [1, 2]


def test_per_cent_read_as_a_share_is_full_at_one():
    frame = pd.DataFrame({"ds": ["2026-01-01", "2026-01-02"], "cpu_pct": [50.0, 150.0]})
    panel = read_frame(frame, units={"cpu_pct": "share"}, policy={"above_capacity": "clip"})
    assert panel.values.ravel().tolist() == [0.5, 1]


def test_a_capacity_without_a_unit_is_not_compared_with_another_unit():
    frame = pd.DataFrame({"ds": ["2026-01-01", "2026-01-02"], "memory_kib": [1.0, 2.0], "quota": 1.0})
    with pytest.raises(DataError, match="column `quota` is to be read in `MiB`, but its name tells no unit"):
        read_frame(frame, target="memory_kib", capacity={"memory_kib": "quota"}, units={"memory_kib": "MiB"})


def test_static_numbers_have_units_too():
    frame = pd.DataFrame({"id": list("aab"), "ds": ["2026-01-01", "2026-01-02"] * 1 + ["2026-01-01"], "cpu": 1.0})
    panel = read_frame(
        frame.assign(size_gib=[2.0, 2.0, 4.0]), target="cpu", static="size_gib", units={"size_gib": "MiB"}
    )
    assert panel.static.tolist() == [[2048], [4096]]
