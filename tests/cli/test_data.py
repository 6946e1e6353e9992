"""`gymjax data`: judged as training judges, one JSON document, nothing lost on the way to another format."""

import json

import numpy as np
import pandas as pd
import pytest
from small import small_csv

from gym_jax.cli import main
from gym_jax.data import read
from gym_jax.data.write import WRITERS


def ran(capsys, *arguments):
    """The exit code, stdout and stderr of a command."""
    code = main([str(word) for word in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def messy(tmp_path):
    """A file that is refused for three reasons at once."""
    path = tmp_path / "messy.csv"
    frame = pd.read_csv(small_csv(tmp_path / "cpu.csv", rows=300))
    frame.loc[[3, 9], "cpu"] = [-1.0, np.inf]
    pd.concat([frame, frame.iloc[[5]]]).to_csv(path, index=False)
    return path


def test_check_says_what_was_looked_for_and_what_training_gets(tmp_path, capsys):
    path = small_csv(tmp_path / "cpu.csv", rows=300)
    code, out, err = ran(capsys, "data", "check", path, "--target", "cpu", "--context", 24, "--horizon", 4)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["looked", "for", "found", "of", "policy"]
    found = {line[:14].strip(): line[14:].split() for line in lines[2:-1]}
    assert found["duplicates"] == ["0", "600", "rows", "error"]
    assert found["gaps"] == ["0", "600", "time", "slots", "mask"]
    assert found["negative"] == ["0", "600", "values", "of", "usage", "error"]
    assert lines[-1] == "ok: 366 train, 54 val and 114 test windows"


def test_check_leaves_with_every_problem_of_the_data(messy, capsys):
    code, out, err = ran(capsys, "data", "check", messy, "--target", "cpu")
    assert code == 3
    assert "duplicates" in out
    error, hint, attempt = err.splitlines()
    assert error == (
        "error: 1 values are infinite: `cpu` of series `a` at 2026-03-01T00:45:00; "
        "1 values of usage are negative: `cpu` of series `a` at 2026-03-01T00:15:00 is -1; "
        "1 rows repeat the time of another row of their series: series `a` at 2026-03-01T00:25:00"
    )
    assert hint.startswith("hint: ")
    repairs = "data.policy.infinite=mask data.policy.negative=mask data.policy.duplicates=first"
    assert attempt == f"try: gymjax data check ... {repairs}"


@pytest.mark.parametrize("command", [("describe",), ("convert", "--out", "x.csv")], ids=" ".join)
def test_what_is_told_to_type_is_the_command_that_was_typed(command, messy, capsys):
    code, _, err = ran(capsys, "data", command[0], messy, *command[1:], "data.policy.duplicates=first")
    assert code == 3
    assert f"try: gymjax data {command[0]} ... data.policy." in err


def test_the_file_that_is_read_is_not_replaced(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = small_csv(tmp_path / "cpu.csv")
    before = path.read_bytes()
    for words in (
        ("data", "convert", path),
        ("data", "resample", ".", "--step", "15min"),
        ("predict", "x", "--data", path),
    ):
        code, _, err = ran(capsys, *words, "--out", "cpu.csv")
        assert code == 2
        assert err.splitlines()[0] == "error: `cpu.csv` is read, and --out would replace it"
        assert err.splitlines()[2] == "try: gymjax ... --out cpu-2.csv"
    assert path.read_bytes() == before


def test_check_and_train_refuse_alike(messy, tmp_path, capsys):
    _, _, checked = ran(capsys, "data", "check", messy, "--target", "cpu")
    code, out, trained = ran(capsys, "train", "--data", messy, "--target", "cpu", "--run-dir", tmp_path / "run")
    assert (code, out) == (3, "")
    assert trained.replace("gymjax train ...", "gymjax data check ...") == checked
    assert not (tmp_path / "run").exists()


def test_check_prints_one_document_also_when_it_refuses(messy, tmp_path, capsys):
    code, out, err = ran(capsys, "data", "check", messy, "--target", "cpu", "--json")
    document = json.loads(out)
    assert (code, err, document["status"], document["exit_code"]) == (3, "", "error", 3)
    assert [p["code"] for p in document["problems"]] == ["data.infinite", "data.negative", "data.duplicates"]
    assert {f["policy"]: f["count"] for f in document["findings"]}["duplicates"] == 1
    repaired = ["data.policy.infinite=mask", "data.policy.negative=zero", "data.policy.duplicates=mean"]
    code, out, err = ran(capsys, "data", "check", messy, *repaired, "--target", "cpu", "--json")
    document = json.loads(out)
    assert (code, err, document["status"]) == (0, "", "ok")
    assert document["notes"] == [
        "1 values are infinite: masked",
        "1 values of usage are negative: set to 0",
        "1 target values are missing (NaN): masked",
        "rows were not sorted by series and time: sorted",
        "1 rows repeat the time of another row of their series: their mean is taken",
    ]
    assert document["windows"]["test"] > 0


def test_check_names_series_that_are_too_short(tmp_path, capsys):
    path = small_csv(tmp_path / "cpu.csv", rows=50)
    code, out, err = ran(capsys, "data", "check", path, "--target", "cpu")
    assert code == 3
    assert "duplicates" in out
    assert err.startswith("error: 2 of 2 series are too short: `a` (50), `b` (50)")


def test_describe_is_numpys_word(tmp_path, capsys):
    path = tmp_path / "cpu.csv"
    path.write_text(
        "id,ds,cpu,tier,size\n"
        + "".join(
            f"{name},2026-01-01T{hour:02}:00,{hour + (name == 'b')},t{name},{len(name)}\n"
            for name in "ab"
            for hour in range(9)
        )
        + "b,2026-01-01T10:00,,tb,1\n"
    )
    options = ["data.categories=tier", "data.static=size", "--target", "cpu"]
    code, out, _ = ran(capsys, "data", "describe", path, *options, "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["series"], facts["rows"], facts["step"]) == (2, 20, "1h")
    assert (facts["from"], facts["to"]) == ("2026-01-01T00:00:00", "2026-01-01T10:00:00")
    assert facts["rows_per_series"] == {"min": 9, "median": 10.0, "max": 11}
    values = np.array([*range(9), *range(1, 10)], float)
    (channel,) = facts["channels"]
    assert channel["missing"] == pytest.approx(0.1)
    expected = {"min": 0, "mean": values.mean(), "median": np.median(values), "max": 9, "zero": 1 / 18, "negative": 0}
    assert {key: channel[key] for key in expected} == pytest.approx(expected)
    assert channel["p95"] == pytest.approx(np.quantile(values, 0.95))
    assert facts["categories"] == [{"name": "tier", "words": 2, "most_common": {"ta": 1, "tb": 1}}]
    assert facts["static"] == [{"name": "size", "missing": 0, "min": 1.0, "max": 1.0}]
    code, out, err = ran(capsys, "data", "describe", path, *options)
    assert (code, err) == (0, "")
    assert "rows per series  9 to 11, median 10" in out
    assert out.splitlines()[-1] == "note: 1 of 20 time slots are missing: masked"


@pytest.mark.parametrize("suffix", WRITERS)
def test_convert_keeps_every_value_in_every_format(tmp_path, capsys, suffix):
    path = small_csv(tmp_path / "cpu.csv", rows=40)
    frame = pd.read_csv(path).drop(index=[7, 60]).assign(tier="a1", size=2.5)
    frame.loc[3, "cpu"] = np.nan
    frame.to_csv(path, index=False)
    options = {"target": ["cpu"], "past": ["memory"], "static": ["size"], "categories": ["tier"]}
    words = ["data.past=memory", "data.static=size", "data.categories=tier", "--target", "cpu"]
    out = tmp_path / f"other{suffix}"
    code, text, err = ran(capsys, "data", "convert", path, *words, "--out", out)
    assert (code, err) == (0, "")
    assert text.splitlines()[-1] == f"78 rows of 2 series at 5min in {out}"
    before, after = read(path, **options), read(out, **options)
    for name in ("series", "channels", "targets", "step", "clock", "zone", "static_names", "category_names"):
        assert getattr(before, name) == getattr(after, name), name
    for name in ("values", "mask", "offsets", "first", "static", "categories"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_convert_writes_a_folder_that_is_read_in_portions(tmp_path, capsys):
    path = small_csv(tmp_path / "cpu.csv", rows=60)
    code, text, err = ran(capsys, "data", "convert", path, "--target", "cpu", "--out", tmp_path / "cpu")
    assert (code, err) == (0, "")
    assert text.splitlines()[-1] == f"120 rows of 2 series at 5min in 1 file of {tmp_path / 'cpu'}"
    assert [file.name for file in (tmp_path / "cpu").iterdir()] == ["part-00000.parquet"]
    before, after = read(path, target=["cpu"]), read(tmp_path / "cpu", target=["cpu"])
    np.testing.assert_array_equal(before.values, after.values)
    code, text, err = ran(capsys, "data", "convert", path, "--target", "cpu", "--out", f"{tmp_path / 'cpu'}/")
    assert (code, text) == (2, "")
    assert err == (
        f"error: `{tmp_path / 'cpu'}/` is there already\n"
        "hint: what is converted goes into a new folder; nothing is written over\n"
        f"try: gymjax data convert ... --out {tmp_path / 'cpu'}-2/\n"
    )
    code, text, err = ran(capsys, "data", "convert", path, "--out", tmp_path / "other", "--json")
    document = json.loads(text)
    assert (code, document["rows"], document["series"], document["files"]) == (0, 120, 2, 1)
    assert document["columns"] == ["unique_id", "ds", "cpu", "memory"]


def test_resample_brings_rows_to_a_step(tmp_path, capsys):
    path = tmp_path / "cpu.csv"
    path.write_text("ds,cpu\n2026-01-01 00:01,1\n2026-01-01 00:03,3\n2026-01-01 00:07,5\n2026-01-01 00:16,7\n")
    out = tmp_path / "regular.csv"
    code, text, _ = ran(capsys, "data", "resample", path, "--step", "5min", "--out", out)
    assert code == 0
    assert text.splitlines()[0] == "note: rows are resampled to 5min (mean)"
    frame = pd.read_csv(out)
    assert frame.cpu.tolist() == [2, 5, 7]
    assert frame.ds.tolist() == ["2026-01-01 00:00:00", "2026-01-01 00:05:00", "2026-01-01 00:15:00"]
    code, text, _ = ran(
        capsys, "data", "resample", path, "--step", "5min", "--aggregate", "max", "--out", out, "--json"
    )
    document = json.loads(text)
    assert (document["command"], document["rows"], document["series"]) == ("data resample", 3, 1)
    assert pd.read_csv(out).cpu.tolist() == [3, 5, 7]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["resample", "--step", "soon", "--out", "x.csv"], 2, "error: a step of `soon` is no length of time"),
        (["resample", "--step", "5min", "--aggregate", "maen", "--out", "x.csv"], 2, "hint: did you mean `mean`?"),
        (["convert", "--out", "x.xlsx"], 2, "error: `x.xlsx` is of no format that can be written"),
        (["check", "--target", "cpuu"], 3, "hint: for `cpuu`, did you mean `cpu`?"),
        (["describe", "data.polcy.gaps=mask"], 2, "hint: did you mean `data.policy`?"),
    ],
)
def test_wrong_words_are_answered(tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    path = small_csv(tmp_path / "cpu.csv", rows=30)
    command, *rest = arguments
    left, out, err = ran(capsys, "data", command, path, *rest)
    assert (left, out) == (code, "")
    assert words in err.splitlines()
    assert [file.name for file in tmp_path.iterdir()] == ["cpu.csv"]
