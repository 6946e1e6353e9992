"""Panels by hand, and files that do not belong together; `test_bad_inputs.py` has what is wrong within one."""

import gzip

import numpy as np
import pandas as pd
import pytest

from gym_jax.data import FORMATS, make_panel, read, read_frame
from gym_jax.errors import DataError

DAMAGED = "hint: the file is damaged, cut short or of another format than its name says"
EMPTY = "hint: it has a header at most"
LONG = b"ds,value\n" + b"2026-01-01,1\n" * 99


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
        (
            "cut.csv.gz",
            gzip.compress(LONG := b"ds,value\n" + b"2026-01-01,1\n" * 99, 9, mtime=0)[:-9],
            "Compressed file ended",
        ),
        ("plain.csv.gz", LONG, "Not a gzipped file"),
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
    formats = ", ".join(FORMATS)
    assert refusal(lambda: read(tmp_path)) == f"error: no {formats} file in `{tmp_path}`\n{attempt}"
    near = tmp_path / "nome.csv"
    near.write_text("ds,value\n")
    assert refusal(lambda: read(missing)) == (
        f"error: no data at `{missing}`\nhint: did you mean `{near}`?\ntry: gymjax data check {near}"
    )
    near.unlink()
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
        "error: id column `id` of `cpu.parquet` is empty in 1 row, first in data row 2\n"
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
        "error: the times of `b.csv` have a zone, those of `a.csv` have no zone\nhint: write every file's times alike"
    )
    assert refusal(lambda: read(tmp_path / "*.csv", time_unit="step", time="cpu", target="ds")).startswith(
        "error: column `ds` of `a.csv` is not numeric"
    )
    (tmp_path / "b.csv").unlink()
    (tmp_path / "b.ts").write_text("@classLabel false\n@data\n1,2\n")
    (tmp_path / "a.csv").write_text("ds,dim_0\n2026-01-01,1\n2026-01-02,1\n")
    assert refusal(lambda: read(tmp_path)) == (
        "error: the times of `b.ts` are counts, those of `a.csv` have no zone\nhint: write every file's times alike"
    )


def test_what_belongs_to_a_series_is_the_same_in_every_file(tmp_path):
    (tmp_path / "a.csv").write_text("id,ds,cpu,size,tier\nx,2026-01-01,1,4,gold\nx,2026-01-02,1,,\ny,2026-01-01,1,,\n")
    (tmp_path / "b.csv").write_text("id,ds,cpu,size,tier\ny,2026-01-02,1,2,tin\nx,2026-01-03,1,,gold\n")
    options = {"target": "cpu", "static": "size", "categories": "tier"}
    panel = read(tmp_path, **options)
    assert (panel.static.tolist(), panel.categories.tolist()) == ([[4], [2]], [["gold"], ["tin"]])
    (tmp_path / "b.csv").write_text("id,ds,cpu,size,tier\nx,2026-01-03,1,8,gold\n")
    hint = "hint: static numbers and categories belong to a series as a whole; what changes goes to past or known"
    assert refusal(lambda: read(tmp_path, **options)) == (
        f"error: column `size` of series `x` is `8.0` in `b.csv`, `4.0` in a file before\n{hint}"
    )
    (tmp_path / "b.csv").write_text("id,ds,cpu,size,tier\nx,2026-01-03,1,4,tin\n")
    assert refusal(lambda: read(tmp_path, **options)) == (
        f"error: column `tier` of series `x` is `tin` in `b.csv`, `gold` in a file before\n{hint}"
    )


def test_notes_of_several_files_are_said_once_each(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("ds;cpu\n1767225600;1,5\n1767225900;2\n")
    assert read(tmp_path).notes == (
        "columns are separated by ';'",
        "numbers are read with a decimal comma",
        "time column `ds` read as s since 1970 (the only unit that gives dates of 1990-2100)",
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


def test_a_panel_says_in_a_line_what_it_is():
    made = make_panel(
        np.zeros(2, int), ["web"], np.arange(2), np.ones((2, 2)), channels=["a", "b"], targets=1, clock="step"
    )
    assert repr(made) == "<Panel: 1 series, 2 rows of 1 step, channels a, b; 1 to forecast>"
    with pytest.raises(TypeError, match="'channels' and 'targets'"):
        make_panel(np.zeros(2, int), ["web"], np.arange(2), np.ones((2, 2)))


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
