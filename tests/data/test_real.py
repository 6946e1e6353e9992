"""Real traces: every shared file, with the options its README asks for, against a reader of a few lines."""

import csv
import gzip

import numpy as np
import pytest
from tolerances import FLOAT64

from gym_jax.data import read
from gym_jax.errors import DataError


def stamp(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


def table(path):
    """The rows of a text file as Python reads them."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="") as file:
        mark = ";" if ";" in file.readline() else ","
        file.seek(0)
        return [{k.strip(): v.strip() for k, v in row.items()} for row in csv.DictReader(file, delimiter=mark)]


@pytest.mark.parametrize(
    ("file", "options", "series", "rows", "missing", "step", "first", "total"),
    [
        (
            "bitbrains/bitbrains_24vms_30d.csv.gz",
            {"target": ["cpu_cores"]},
            24,
            207_360,
            9_307,
            "5min",
            "2013-06-30 22:00",
            324100.3943,
        ),
        ("ett/ETTh1.csv", {"layout": "wide"}, 7, 7 * 17_420, 0, "1h", "2016-07-01", 558256.2369758375),
        ("planetlab/planetlab_7days.parquet", {}, 8_426, 8_426 * 288, 0, "5min", "2011-03-03", 26854458.0),
        ("crane", {}, 8, 171_360, 0, "1min", "2021-08-11", 6349590.871154999),
        ("nab/ec2_cpu_utilization_24ae8d.csv", {}, 1, 4_032, 0, "5min", "2014-02-14 14:30", 509.254),
        ("nab", {}, 5, 20_161, 1, "5min", "2014-02-14 14:27", 237716.24507),
        ("nab", {"resample": {"step": "5min"}}, 5, 20_161, 1, "5min", "2014-02-14 14:25", 237716.24507),
        (
            "bitbrains/bitbrains_rnd_200vms.parquet",
            {"target": ["cpu_cores"], "past": ["memory_mib"]},
            200,
            4_876_841,
            284_656,
            "5min",
            "2013-06-30 22:00",
            3049999.9528811006,
        ),
    ],
)
def test_a_real_trace(real_data, file, options, series, rows, missing, step, first, total):
    panel = read(real_data / file, **options)
    assert len(panel.series) == series
    assert panel.offsets[-1] == len(panel.values) == rows
    assert (~panel.mask[:, 0]).sum() == missing
    assert (panel.describe_step(), panel.first.min(), panel.zone) == (step, stamp(first), None)
    np.testing.assert_allclose(panel.values[:, 0].sum(), total, rtol=FLOAT64)


@pytest.mark.parametrize("folder", ["crane", "nab"])
def test_files_of_one_series_are_pythons_rows(real_data, folder):
    panel = read(real_data / folder)
    files = sorted(f for f in (real_data / folder).iterdir() if ".csv" in f.name)
    assert panel.series == tuple(f.name.split(".csv")[0] for f in files)
    for i, file in enumerate(files):
        own = slice(panel.offsets[i], panel.offsets[i + 1])
        assert panel.values[own][panel.mask[own]].tolist() == [float(row["value"]) for row in table(file)]


@pytest.mark.parametrize(
    ("file", "above", "total", "share"),
    [
        ("bitbrains_24vms_30d.csv.gz", 23_638, 198_053, "11.9%"),
        ("bitbrains_rnd_200vms.parquet", 218_974, 4_592_185, "4.8%"),
    ],
)
def test_usage_above_capacity_is_kept_and_counted(real_data, file, above, total, share):
    panel = read(real_data / "bitbrains" / file, target="cpu_cores")
    (finding,) = [f for f in panel.findings if f.policy == "above_capacity"]
    assert (finding.choice, finding.count, finding.total) == ("keep", above, total)
    assert panel.notes[0] == f"{above:,} of {total:,} values ({share}) are above capacity: kept"
    if file.endswith(".csv.gz"):
        rows = table(real_data / "bitbrains" / file)
        assert sum(float(row["cpu_cores"]) > float(row["cpu_capacity_cores"]) for row in rows) == above


CPU = "CPU usage [MHZ]"
ODD = "time column `Timestamp [ms]` read as s since 1970, although its name says ms "
RAW = ("raw_124", "raw_145", "raw_202")


@pytest.mark.parametrize("name", RAW)
def test_a_raw_trace_is_refused_with_what_to_type(real_data, name):
    rows = table(real_data / "bitbrains" / f"{name}.csv.gz")
    with pytest.raises(DataError) as caught:
        read(real_data / "bitbrains" / f"{name}.csv.gz", target=CPU)
    assert f"of {len(rows):,} timestamps are off the regular step of 5min: series `{name}` at 2013-08-01T" in str(
        caught.value.message
    )
    assert caught.value.attempt == "gymjax data resample FILE --step 5min --out REGULAR.parquet"


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("options", [{"policy": {"irregular": "round"}}, {"resample": {"step": "5min"}}])
def test_a_raw_trace_is_brought_to_its_step(real_data, name, options):
    path = real_data / "bitbrains" / f"{name}.csv.gz"
    rows = table(path)
    panel = read(path, target=[CPU], past=["Memory usage [KB]"], units={"Memory usage [KB]": "MiB"}, **options)
    assert (panel.describe_step(), len(panel.values), panel.id_name) == ("5min", 8640, "unique_id")
    assert ODD + "(the only unit that gives dates of 1990-2100)" in panel.notes
    assert panel.notes[0] == "columns are separated by ';'"
    seen = panel.mask[:, 0]
    assert seen.sum() == len(rows)  # no two rows fall into one step
    assert panel.values[seen, 0].tolist() == [float(row[CPU]) for row in rows]
    kilobytes = np.array([float(row["Memory usage [KB]"]) for row in rows])
    np.testing.assert_allclose(panel.values[seen, 1], kilobytes * 1000 / 2**20, rtol=FLOAT64)
    times = panel.stamps(np.zeros(8640, int), np.arange(8640))[seen] / 1e9
    late = np.array([int(row["Timestamp [ms]"]) for row in rows]) - times
    assert (np.abs(late) <= 150).all() if "policy" in options else ((late >= 0) & (late < 300)).all()


def test_the_raw_traces_together(real_data):
    panel = read(real_data / "bitbrains" / "raw_*.csv.gz", target="CPU usage [%]", resample={"step": "5min"})
    assert (panel.series, panel.lengths.tolist()) == (RAW, [8640] * 3)
    assert [note for note in panel.notes if note.startswith(ODD)] == [
        ODD + "(the only unit that gives dates of 1990-2100)"
    ]


@pytest.mark.parametrize("name", ["ACSF1", "ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand"])
def test_an_archive_of_labelled_cases(real_data, name):
    expected, labels = {}, {}
    for part in ("TEST", "TRAIN"):
        with gzip.open(real_data / "ucr" / name / f"{name}_{part}.ts.gz", "rt") as file:
            lines = file.read().split("@data\n")[1].splitlines()
        for i, line in enumerate(lines):
            *channels, label = line.split(":")
            expected[f"{name}_{part}-{i}"] = np.array([list(map(float, c.split(","))) for c in channels]).T
            labels[f"{name}_{part}-{i}"] = label
    panel = read(real_data / "ucr" / name)
    assert panel.series == tuple(expected)
    assert (panel.clock, panel.step, panel.category_names) == ("step", 1, ("label",))
    assert panel.categories[:, 0].tolist() == list(labels.values())
    assert panel.mask.all()
    assert panel.lengths.tolist() == [len(case) for case in expected.values()]
    np.testing.assert_array_equal(panel.values, np.concatenate(list(expected.values())))


def test_every_real_file_is_read_here(real_data):
    known = {"bitbrains", "planetlab", "crane", "nab", "ett", "ucr"}
    assert {folder.name for folder in real_data.iterdir() if folder.is_dir()} == known
