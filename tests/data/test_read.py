import gzip

import numpy as np
import pandas as pd
import pytest

from gym_jax.data import Policy, read, read_frame
from gym_jax.errors import ConfigError, DataError

HOUR = 3_600 * 10**9
MIDNIGHT = int(np.datetime64("2026-01-01", "ns").astype(np.int64))
LONG = """vm_id,ts,cpu,memory,note
b,2026-01-01 02:00:00,7,70,x
a,2026-01-01 00:00:00,1,10,x
a,2026-01-01 03:00:00,4,,x
a,2026-01-01 01:00:00,,20,x
b,2026-01-01 01:00:00,6,60,x
"""


def check_long(panel):
    """The panel of LONG with target cpu and past memory: a is 4 hours with a gap at 02:00, b is 2 hours from 01:00."""
    assert panel.series == ("b", "a")
    assert panel.channels == ("cpu", "memory")
    assert (panel.targets, panel.step, panel.clock, panel.zone) == (1, HOUR, "ns", None)
    assert (panel.id_name, panel.time_name) == ("vm_id", "ts")
    assert panel.offsets.tolist() == [0, 2, 6]
    assert panel.lengths.tolist() == [2, 4]
    assert panel.first.tolist() == [MIDNIGHT + HOUR, MIDNIGHT]
    assert panel.values.dtype == np.float64
    assert panel.values.tolist() == [[6, 60], [7, 70], [1, 10], [0, 20], [0, 0], [4, 0]]
    assert panel.mask.tolist() == [[True, True]] * 3 + [[False, True], [False, False], [True, False]]
    assert panel.notes == (
        "1 target values and 1 other values are missing (NaN): masked",
        "rows were not sorted by series and time: sorted",
        "1 of 6 time slots are missing: masked",
    )
    times = panel.times(np.array([0, 1, 1]), np.array([1, 2, 7]))
    assert times.tolist() == [MIDNIGHT + 2 * HOUR, MIDNIGHT, MIDNIGHT + 5 * HOUR]
    assert times.dtype == np.dtype("datetime64[ns]")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".pq", ".CSV"])
def test_a_long_file_by_hand(tmp_path, suffix):
    file = tmp_path / f"cpu{suffix}"
    if suffix == ".csv.gz":
        file.write_bytes(gzip.compress(LONG.encode()))
    elif suffix in (".parquet", ".pq"):
        (tmp_path / "plain.csv").write_text(LONG)
        pd.read_csv(tmp_path / "plain.csv", parse_dates=["ts"]).to_parquet(file)
    else:
        file.write_text(LONG)
    check_long(read(file, target=["cpu"], past=["memory"]))


def test_several_targets_keep_their_order_and_come_before_past(tmp_path):
    file = tmp_path / "cpu.csv"
    file.write_text("ds,a,b,c\n2026-01-01,1,2,3\n2026-01-02,4,5,6\n")
    panel = read(file, target=["c", "a"], past=["b"])
    assert panel.channels == ("c", "a", "b")
    assert panel.targets == 2
    assert panel.values.tolist() == [[3, 1, 2], [6, 4, 5]]


def test_a_wide_file_is_one_series_per_column(tmp_path):
    file = tmp_path / "wide.csv"
    file.write_text("date,x,y\n2026-01-01 00:00,1,10\n2026-01-01 01:00,,20\n2026-01-01 03:00,4,30\n")
    panel = read(file, layout="wide")
    assert panel.series == ("x", "y")
    assert (panel.channels, panel.targets, panel.id_name) == (("value",), 1, "unique_id")
    assert panel.offsets.tolist() == [0, 4, 8]
    assert panel.values.ravel().tolist() == [1, 0, 0, 4, 10, 20, 0, 30]
    assert panel.mask.ravel().tolist() == [True, False, False, True, True, True, False, True]
    assert read(file, layout="wide", target=["y"]).values.ravel().tolist() == [10, 20, 0, 30]


def test_a_column_that_is_a_category_names_no_series(tmp_path):
    (tmp_path / "cpu.csv").write_text("ds,host,cpu\n2026-01-01 00:00,a,1\n2026-01-01 01:00,a,2\n")
    assert read(tmp_path / "cpu.csv").series == ("a",)
    panel = read(tmp_path / "cpu.csv", categories="host")
    assert (panel.series, panel.categories.tolist()) == (("cpu",), [["a"]])


@pytest.mark.parametrize("pattern", ["", "*.csv"])
def test_files_without_an_id_column_are_series_named_after_the_file(tmp_path, pattern):
    (tmp_path / "second.csv").write_text("ds,value\n2026-01-01 05:00,3\n2026-01-01 06:00,4\n")
    (tmp_path / "first.one.csv").write_text("ds,value\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n")
    (tmp_path / "README.md").write_text("no data")
    panel = read(tmp_path / pattern)
    assert panel.series == ("first.one", "second")
    assert panel.values.ravel().tolist() == [1, 2, 3, 4]
    assert panel.first.tolist() == [MIDNIGHT, MIDNIGHT + 5 * HOUR]


def test_a_series_may_go_on_in_the_next_file(tmp_path):
    (tmp_path / "2026-01.csv").write_text("id,ds,value\n007,2026-01-01,1\nb,2026-01-01,9\n")
    (tmp_path / "2026-02.csv").write_text("id,ds,value\n007,2026-01-02,2\n007,2026-01-03,3\n")
    panel = read(tmp_path)
    assert panel.series == ("007", "b")
    assert panel.values.ravel().tolist() == [1, 2, 3, 9]


def test_only_the_columns_that_are_asked_for_are_needed(tmp_path):
    file = tmp_path / "indexed.parquet"
    frame = pd.DataFrame(
        {"ds": pd.date_range("2026-01-01", periods=3, freq="h"), "value": [1.0, 2.0, 3.0], "text": "x"}
    )
    frame.set_index("ds").to_parquet(file)
    assert read(file).values.ravel().tolist() == [1, 2, 3]


def test_parquet_decimals_nullable_integers_and_dates_are_numbers_and_times(tmp_path):
    import datetime
    import decimal

    file = tmp_path / "typed.parquet"
    days = [datetime.date(2026, 1, day) for day in (1, 2, 3)]
    frame = pd.DataFrame({"ds": days, "cost": [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")]})
    frame.assign(jobs=pd.array([1, None, 3], "Int64"), id=[7, 7, 7]).to_parquet(file)
    panel = read(file, target=["cost", "jobs"])
    assert panel.series == ("7",)
    assert panel.values.tolist() == [[1.5, 1], [0, 0], [2.5, 3]]
    assert panel.mask.tolist() == [[True, True], [False, False], [True, True]]


def test_a_data_frame_reads_as_the_file_does(tmp_path):
    file = tmp_path / "cpu.csv"
    file.write_text(LONG)
    check_long(read_frame(pd.read_csv(file), target=["cpu"], past=["memory"]))
    assert read_frame(pd.DataFrame({"ds": ["2026-01-01", "2026-01-02"], 3: [1, 2]}), name="me").series == ("me",)


def test_a_bare_comma_at_the_end_of_a_line_is_harmless(tmp_path):
    file = tmp_path / "cpu.csv"
    file.write_text("ds,value\n2026-01-01,1,\n\n2026-01-02,2,\n")
    assert read(file).values.ravel().tolist() == [1, 2]


def test_files_of_the_same_name_stay_apart(tmp_path):
    for folder in ("h1", "h2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cpu.csv").write_text("ds,cpu\n2026-01-01,1\n2026-01-02,2\n")
    assert read(str(tmp_path / "h*" / "cpu.csv")).series == ("h1/cpu.csv", "h2/cpu.csv")


def test_names_of_files_go_as_far_up_as_they_must_to_differ(tmp_path):
    for folder in ("a/x", "b/x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cpu.csv").write_text("ds,cpu\n2026-01-01,1\n2026-01-02,2\n")
    (tmp_path / "c.csv").write_text("ds,cpu\n2026-01-01,1\n2026-01-02,2\n")
    assert read(str(tmp_path / "**" / "*.csv")).series == ("a/x/cpu.csv", "b/x/cpu.csv", "c")


def test_hidden_files_of_a_folder_are_left_alone(tmp_path):
    (tmp_path / "cpu.csv").write_text("ds,cpu\n2026-01-01,1\n2026-01-02,2\n")
    (tmp_path / "._cpu.csv").write_bytes(b"\x00\x05\x16\x07")
    assert read(tmp_path).series == ("cpu",)


@pytest.mark.parametrize("options", [{"policy": {"gaps": "error"}}, {"policy": Policy(gaps="error")}])
def test_policies_may_be_given_as_a_mapping(options):
    frame = pd.DataFrame({"ds": ["2026-01-01", "2026-01-02", "2026-01-04"], "cpu": 1.0})
    with pytest.raises(DataError, match="1 of 4 time slots are missing"):
        read_frame(frame, **options)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"tgt": "cpu"}, "reading has no option `tgt`", "did you mean `target`?"),
        ({"policy": {"gap": "mask"}}, "reading has no option `gap`", "did you mean `gaps`?"),
        ({"layout": "broad"}, "`layout=broad` is not known", "choose from 'long', 'wide'"),
        ({"policy": {"gaps": "msk"}}, "`gaps=msk` is not known", "did you mean `'mask'`?"),
    ],
)
def test_an_unknown_option_is_refused(options, message, hint):
    with pytest.raises(ConfigError) as caught:
        read_frame(pd.DataFrame({"ds": ["2026-01-01", "2026-01-02"], "cpu": 1.0}), **options)
    assert (caught.value.message, caught.value.hint) == (message, hint)
