"""Panels by hand, and the doors: every bad input is refused with words that say what to do."""

import gzip

import numpy as np
import pandas as pd
import pytest

from gym_jax.data import make_panel, read, read_frame
from gym_jax.errors import DataError

DAMAGED = "hint: the file is damaged, cut short or of another format than its name says"
EMPTY = "hint: it has a header at most"
UNIT = """hint: say what they count: s, ms, us or ns since 1970, or step for plain counts
try: gymjax train ... data.time_unit="""

DOORS = {
    "duplicates": (
        "ds,value\n2026-01-01,1\n2026-01-02,2\n2026-01-01,3\n",
        {},
        """error: 1 rows repeat the time of another row of their series: series `cpu` at 2026-01-01T00:00:00
hint: keep one row per series and time, or name the column that tells the series apart
try: gymjax train ... data.id=COLUMN""",
    ),
    "infinite": (
        "id,ds,value\na,2026-01-01,1\nb,2026-01-01,-inf\nb,2026-01-02,inf\n",
        {},
        """error: 2 values are infinite: `value` of series `b` at 2026-01-01T00:00:00
hint: write missing values as empty cells or NaN: they are masked""",
    ),
    "text": (
        "ds,value\n2026-01-01,1\n2026-01-02,n.a.\n2026-01-03,\n",
        {"target": ["value"]},
        """error: column `value` of `cpu.csv` is not numeric: `n.a.` in data row 2
hint: 1 values are text; write missing values as empty cells""",
    ),
    "text in a wide file": (
        "ds,a,b\n2026-01-01,1,2\n2026-01-02,1,off\n",
        {"layout": "wide"},
        """error: column `b` of `cpu.csv` is not numeric: `off` in data row 2
hint: 1 values are text; write missing values as empty cells""",
    ),
    "irregular": (
        "ds,value\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n2026-01-01 02:00,3\n2026-01-01 03:07,4\n",
        {},
        """error: 1 of 4 timestamps are off the regular step of 3600 s: series `cpu` at 2026-01-01T03:07:00
hint: every series needs one time step throughout; round or resample the times first
try: pandas: df.groupby(id).resample(step, on=time).mean()""",
    ),
    "unknown column": (
        "ds,cpu_cores\n2026-01-01,1\n",
        {"target": ["cpu_core"]},
        """error: no column `cpu_core` in `cpu.csv`
hint: for `cpu_core`, did you mean `cpu_cores`?""",
    ),
    "unknown columns": (
        "ds,cpu\n2026-01-01,1\n",
        {"target": ["CPU"], "id": "zzz"},
        """error: no column `zzz`, `CPU` in `cpu.csv`
hint: for `zzz`, choose from cpu, ds; for `CPU`, did you mean `cpu`?""",
    ),
    "no target": (
        "ds,cpu,memory\n2026-01-01,1,2\n",
        {},
        """error: which column of `cpu.csv` is to be forecast? numeric: cpu, memory
hint: name it
try: gymjax train ... --target cpu""",
    ),
    "no numeric column": (
        "ds,state\n2026-01-01,on\n",
        {},
        """error: which column of `cpu.csv` is to be forecast? none is numeric
hint: its columns are ds, state
try: gymjax train ... --target COLUMN""",
    ),
    "target is also past": (
        "ds,cpu,memory\n2026-01-01,1,2\n",
        {"target": ["cpu"], "past": ["cpu"]},
        """error: column `cpu` is named twice among id, time, target and past
hint: name each column once""",
    ),
    "past columns of a wide file": (
        "ds,cpu,memory\n2026-01-01,1,2\n",
        {"layout": "wide", "past": ["memory"]},
        """error: the layout wide has no past columns, but `cpu.csv` is to be read with `memory`
hint: every column of a wide file is a series; past columns need the layout long""",
    ),
    "no time column": (
        "when,value\n2026-01-01,1\n",
        {},
        """error: no time column in `cpu.csv`: looked for ds, timestamp, ts, time, datetime, date
hint: its columns are when, value
try: gymjax train ... data.time=COLUMN""",
    ),
    "empty id": (
        "id,ds,value\na,2026-01-01,1\n,2026-01-02,2\n,2026-01-03,2\n",
        {},
        """error: id column `id` of `cpu.csv` is empty in 2 rows, first in data row 2
hint: every row needs the id of its series""",
    ),
    "empty file": ("", {}, "error: `cpu.csv` is empty\nhint: it holds no header and no row"),
    "header only": ("ds,value\n", {}, f"error: `cpu.csv` holds no rows\n{EMPTY}"),
    "header only, named": ("ds,value\n", {"target": ["value"]}, f"error: `cpu.csv` holds no rows\n{EMPTY}"),
    "a comma as decimal point": (
        "ds,value\n2026-01-01,1,9\n2026-01-02,2,5\n",
        {},
        "error: `cpu.csv` can not be read: Length of header or names does not match length of data. "
        f"This leads to a loss of data with index_col=False.\n{DAMAGED}",
    ),
    "stray timestamp": (
        "id,ds,value\nb,2000-01-01 00:00,0\n"
        + "".join(f"{name},2026-01-01 0{hour}:00,1\n" for name in "ab" for hour in range(9)),
        {},
        """error: series `b` spans 227,937 steps of 3600 s from 2000-01-01T00:00:00, but the data hold 19 rows in all
hint: one stray timestamp far from the others is the usual cause""",
    ),
    "blank target": (
        "ds,value\n2026-01-01,\n2026-01-02,\n",
        {},
        "error: target `value` has no value in any row\nhint: every value is missing",
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_bad_file_is_refused_in_words(tmp_path, door):
    text, options, expected = DOORS[door]
    (tmp_path / "cpu.csv").write_text(text)
    assert refusal(lambda: read(tmp_path / "cpu.csv", **options)) == expected


def refusal(action):
    with pytest.raises(DataError) as caught:
        action()
    assert caught.value.exit_code == 3
    assert caught.value.code.startswith("data.")
    return "\n".join(caught.value.lines())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.parquet", "half", "Parquet magic bytes not found in footer"),
        ("text.parquet", b"ds,value\n2026-01-01,1\n", "Parquet magic bytes not found in footer"),
        ("cut.csv.gz", gzip.compress(LONG := b"ds,value\n" + b"2026-01-01,1\n" * 99)[:-9], "Compressed file ended"),
        ("plain.csv.gz", LONG, "Not a gzipped file"),
        ("ragged.csv", b"ds,value\n2026-01-01,1\n2026-01-01,1,3\n", "Error tokenizing data"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, reason):
    if content == "half":
        pd.DataFrame({"ds": ["2026-01-01"] * 99, "value": 1.0}).to_parquet(tmp_path / "whole.parquet")
        content = (tmp_path / "whole.parquet").read_bytes()
        content = content[: len(content) // 2]
    (tmp_path / name).write_bytes(content)
    first, *rest = refusal(lambda: read(tmp_path / name)).split("\n")
    assert first.startswith(f"error: `{name}` can not be read: {reason}")
    assert rest == [DAMAGED]


def test_a_path_without_data_is_refused(tmp_path):
    attempt = "hint: give a file, a folder of files, or a quoted glob\ntry: gymjax generate --out cpu.parquet"
    missing = tmp_path / "none.csv"
    assert refusal(lambda: read(missing)) == f"error: no data at `{missing}`\n{attempt}"
    formats = ".csv, .csv.gz, .parquet, .pq"
    assert refusal(lambda: read(tmp_path)) == f"error: no {formats} file in `{tmp_path}`\n{attempt}"
    (tmp_path / "cpu.xlsx").write_text("x")
    odd = f"error: `cpu.xlsx` is of no format that can be read\nhint: choose from {formats}"
    assert refusal(lambda: read(tmp_path / "cpu.xlsx")) == odd
    assert refusal(lambda: read(tmp_path / "*.xlsx")) == odd


def test_parquet_has_the_same_doors(tmp_path):
    frame = pd.DataFrame({"id": ["a", " ", "b"], "ds": ["2026-01-01"] * 3, "value": ["1", "2", None]})
    frame.to_parquet(tmp_path / "cpu.parquet")
    assert refusal(lambda: read(tmp_path / "cpu.parquet", target=["value"])) == (
        "error: column `value` of `cpu.parquet` is not numeric: `1` in data row 1\n"
        "hint: its numbers are stored as text: store them as numbers"
    )
    frame.assign(value=1.0).to_parquet(tmp_path / "cpu.parquet")
    assert refusal(lambda: read(tmp_path / "cpu.parquet")) == (
        "error: id column `id` of `cpu.parquet` is empty in 1 rows, first in data row 2\n"
        "hint: every row needs the id of its series"
    )
    frame[:0].to_parquet(tmp_path / "cpu.parquet")
    assert refusal(lambda: read(tmp_path / "cpu.parquet")) == f"error: `cpu.parquet` holds no rows\n{EMPTY}"
    assert refusal(lambda: read_frame(frame[:0])) == f"error: the data frame holds no rows\n{EMPTY}"


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("ds,cpu\n2026-01-01,1\n2026-01-02,1\n")
    (tmp_path / "b.csv").write_text("ds,memory\n2026-01-01,1\n2026-01-02,1\n")
    assert refusal(lambda: read(tmp_path)) == (
        "error: `b.csv` has the columns memory, `a.csv` has cpu\n"
        "hint: files that are read together need the same columns; name the target\n"
        "try: gymjax train ... --target COLUMN"
    )
    (tmp_path / "b.csv").write_text("ds,cpu\n2026-01-01T00Z,1\n2026-01-02T00Z,1\n")
    assert refusal(lambda: read(tmp_path)) == (
        "error: the files mix times with and without a zone\nhint: write every file's times alike"
    )


def test_make_panel_by_hand_with_plain_counts():
    panel = make_panel(
        np.array([1, 0, 0]),
        ["a", "b"],
        np.array([5, 14, 10]),
        np.array([[3.0], [2.0], [np.nan]]),
        channels=("v",),
        targets=1,
        clock="step",
    )
    assert (panel.series, panel.step, panel.first.tolist()) == (("a", "b"), 4, [10, 5])
    assert panel.values.ravel().tolist() == [0, 2, 3]
    assert panel.mask.ravel().tolist() == [False, True, True]
    assert panel.times(np.array([1]), np.array([4])).tolist() == [13]
    assert (panel.describe_step(), panel.season()) == ("4 steps", 1)


def test_select_keeps_whole_series():
    panel = read_frame(
        pd.DataFrame({"id": list("aabbbc"), "time": [0, 1, 5, 6, 7, 9], "value": range(6)}), time_unit="step"
    )
    kept = panel.select([2, 1])
    assert kept.series == ("c", "b")
    assert kept.values.ravel().tolist() == [5, 2, 3, 4]
    assert kept.offsets.tolist() == [0, 1, 4]
    assert kept.first.tolist() == [9, 5]


@pytest.mark.parametrize(
    ("step", "words", "season"),
    [
        ("5min", "5min", 288),
        ("1h", "1h", 24),
        ("1D", "1d", 7),
        ("7min", "7min", 1440),
        ("90s", "90s", 960),
        ("1ms", "1000000ns", 86_400_000),
        ("7D", "7d", 1),
        ("11h", "11h", 1),
    ],
)
def test_the_step_in_words_and_its_season(step, words, season):
    frame = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=4, freq=step), "value": 1.0})
    panel = read_frame(frame)
    assert (panel.describe_step(), panel.season()) == (words, season)
