"""Stores: what is read piece by piece is what is read at once; what can not be is refused, and says what to do."""

import json
import sys
from pathlib import PurePath

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gym_jax.data import generate_frame, index, read
from gym_jax.data.convert import convert
from gym_jax.data.index import KEY
from gym_jax.data.remote import find_place, parquet_files
from gym_jax.data.store import open_store, read_pieces, read_store
from gym_jax.errors import ConfigError, DataError, MissingExtra

TARGET = {"target": ("cpu_cores",)}
SMALL = {"group_rows": 200, "file_rows": 700}


@pytest.fixture(scope="module")
def frame():
    return generate_frame(series=7, days=0.8, gaps=0.05)


@pytest.fixture(scope="module")
def shuffled_file(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "cpu.parquet"
    frame.sample(frac=1, random_state=1).to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(shuffled_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "cpu"
    convert(shuffled_file, out, memory=130_000, **SMALL, **TARGET)
    return out


def assert_same(pieces, whole):
    assert sum((panel.series for panel in pieces), ()) == whole.series
    for name in ("values", "mask", "first"):
        np.testing.assert_array_equal(np.concatenate([getattr(panel, name) for panel in pieces]), getattr(whole, name))
    assert {(p.step, p.clock, p.zone, p.channels) for p in pieces} == {
        (whole.step, whole.clock, whole.zone, whole.channels)
    }


def sorted_panel(path, **options):
    panel = read(path, **options)
    return panel.select(sorted(range(len(panel.series)), key=panel.series.__getitem__))


def test_what_is_converted_is_what_was_there(shuffled_file, folder):
    files = sorted(folder.iterdir())
    assert len(files) > 1
    groups = [pq.read_metadata(file) for file in files]
    assert all(meta.row_group(n).num_rows <= 228 for meta in groups for n in range(meta.num_row_groups))
    assert_same([read(folder, **TARGET)], sorted_panel(shuffled_file, **TARGET))


@pytest.mark.parametrize("rows", [1, 500, 10**6])
def test_pieces_of_any_size_are_the_whole(folder, rows):
    store = open_store(folder, rows=rows, **TARGET)
    assert all(piece.rows <= rows or len(piece.series) == 1 for piece in store.pieces)
    whole = read(folder, **TARGET)
    pieces = [panel for _, panel in read_pieces(store)]
    assert_same(pieces, whole)
    for piece, panel in read_pieces(store):
        assert piece.series == panel.series
        assert piece.first == panel.first.min()
        last = panel.stamps(np.arange(len(panel.series)), panel.offsets[1:] - 1)
        assert piece.last == last.max()
    assert store.series == 7
    assert store.rows == sum(piece.rows for piece in store.pieces)
    assert_same([read_store(folder, **TARGET)], whole)


def test_pieces_may_lie_within_a_row_group(frame, tmp_path):
    frame.to_parquet(tmp_path / "cpu.parquet", index=False)  # one row group, series after series
    store = open_store(tmp_path, rows=500, **TARGET)
    assert len(store.pieces) > 2
    assert_same([panel for _, panel in read_pieces(store)], read(tmp_path, **TARGET))


def test_a_partitioned_folder_is_a_store_whose_folders_name_the_series(frame, tmp_path):
    for name, part in frame.groupby("unique_id"):
        own = tmp_path / "cpu" / f"unique_id={name}"
        own.mkdir(parents=True)
        part.drop(columns="unique_id").to_parquet(own / "part.parquet", index=False)
    (tmp_path / "cpu" / "_SUCCESS").write_text("")
    (tmp_path / "cpu" / ".part.parquet").write_text("left behind")
    frame.to_parquet(tmp_path / "one.parquet", index=False)
    store = open_store(tmp_path / "cpu", **TARGET)
    assert len(store.files) == len(store.pieces) == 7
    assert_same([panel for _, panel in read_pieces(store)], read(tmp_path / "one.parquet", **TARGET))


@pytest.mark.extras
def test_a_store_may_lie_behind_an_address(shuffled_file, folder):
    written = convert(shuffled_file, "memory://written/cpu", **SMALL, **TARGET)
    assert (written.series, written.step) == (7, "5min")
    store = open_store("memory://written/cpu", rows=500, **TARGET)
    assert_same([panel for _, panel in read_pieces(store)], read(folder, **TARGET))
    with pytest.raises(ConfigError, match="is there already"):
        convert(shuffled_file, "memory://written/cpu", **TARGET)
    with pytest.raises(DataError, match="no Parquet file"):
        open_store("memory://nowhere/cpu", **TARGET)
    with pytest.raises(DataError, match="no address"):
        open_store("nothing://bucket/cpu", **TARGET)


def test_an_address_whose_package_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match="s3://bucket/cpu") as caught:
        open_store("s3://bucket/cpu", **TARGET)
    assert caught.value.attempt == "pip install 'gym-jax[remote]'"
    assert caught.value.exit_code == 8


def test_rows_that_lie_among_each_other_are_refused(shuffled_file, frame, tmp_path):
    with pytest.raises(DataError, match="lie among each other") as caught:
        open_store(shuffled_file, rows=500, **TARGET)
    assert caught.value.attempt == "gymjax data convert FOLDER --out SORTED/"
    assert len(open_store(shuffled_file, **TARGET).pieces) == 1  # one piece holds them all
    for day, part in frame.groupby(frame["ds"].dt.hour // 12):
        part.to_parquet(tmp_path / f"{day}.parquet", index=False)
    with pytest.raises(DataError, match=r"series `vm-000` lies in `0.parquet` and in `1.parquet`"):
        open_store(tmp_path, **TARGET)


def test_row_groups_that_are_too_large_are_refused(frame, tmp_path, monkeypatch):
    monkeypatch.setattr("gym_jax.data.store.GROUP", 300)
    frame.to_parquet(tmp_path / "cpu.parquet", index=False)  # one row group
    with pytest.raises(DataError, match="row groups of 1,"):
        open_store(tmp_path, rows=300, **TARGET)


def test_an_index_that_does_not_fit_its_rows_is_refused(folder, tmp_path):
    file = sorted(folder.iterdir())[0]
    table = pq.read_table(file)
    true = json.loads(pq.read_metadata(file).metadata[KEY])
    wrong = [
        b"[]",
        b"{",
        json.dumps({**true, "end": true["end"][:-1]}).encode(),
        json.dumps({**true, "names": [0, *true["names"][1:]]}).encode(),
        json.dumps({**true, "end": [*true["end"][:-1], true["end"][-1] + 1]}).encode(),
        json.dumps({**true, "end": [end + 1 for end in true["end"]]}).encode(),
        json.dumps({**true, "begin": [2**70, *true["begin"][1:]]}).encode(),
    ]
    for kept in wrong:
        pq.write_table(table.replace_schema_metadata({KEY: kept}), tmp_path / "cpu.parquet")
        with pytest.raises(DataError, match=r"the index in `cpu.parquet` does not fit"):
            open_store(tmp_path, **TARGET)
    other = {**true, "names": [f"other-{n}" for n in range(len(true["names"]))]}
    pq.write_table(table.replace_schema_metadata({KEY: json.dumps(other).encode()}), tmp_path / "cpu.parquet")
    with pytest.raises(DataError, match="names other series than its rows"):
        list(read_pieces(open_store(tmp_path, **TARGET)))


def test_a_file_that_changes_or_goes_is_noticed(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    store = open_store(tmp_path, **TARGET)
    (tmp_path / store.files[1].file.path).touch()
    with pytest.raises(DataError, match="changed since it was opened"):
        list(read_pieces(store))
    (tmp_path / store.files[0].file.path).unlink()
    with pytest.raises(DataError, match="is gone since it was opened"):
        list(read_pieces(store))


def test_a_column_that_is_blank_in_one_piece_stays(tmp_path):
    times = pd.date_range("2026-03-01", periods=30, freq="5min")
    parts = [
        pd.DataFrame({"unique_id": name, "ds": times, "cpu": 1.0, "memory": value})
        for name, value in (("a", np.nan), ("b", 2.0))
    ]
    for name, part in zip("ab", parts, strict=True):
        part.to_parquet(tmp_path / f"{name}.parquet", index=False)
    store = open_store(tmp_path, target=("cpu",), past=("memory",))
    assert [panel.channels for _, panel in read_pieces(store)] == [("cpu", "memory")] * 2
    assert_same([panel for _, panel in read_pieces(store)], read(tmp_path, target=("cpu",), past=("memory",)))


def test_wide_columns_are_judged_each_by_its_own_name(tmp_path):
    times = pd.date_range("2026-01-05", periods=4, freq="5min")
    frame = pd.DataFrame({"ds": times, "cpu_usage": [1.0, 2, 3, 4], "temperature": [-1.0, 2, -3, 4]})
    frame.to_csv(tmp_path / "wide.csv", index=False)
    convert(tmp_path / "wide.csv", tmp_path / "out", layout="wide")
    assert_same([read_store(tmp_path / "out")], read(tmp_path / "wide.csv", layout="wide"))
    frame.assign(cpu_usage=-1.0).to_csv(tmp_path / "wide.csv", index=False)
    with pytest.raises(DataError, match="4 values of usage are negative"):
        convert(tmp_path / "wide.csv", tmp_path / "other", layout="wide")


def test_rows_without_times_are_counted_on_from_portion_to_portion(tmp_path, monkeypatch):
    monkeypatch.setattr(index.portions, "__defaults__", (3,))
    (tmp_path / "in").mkdir()
    frame = pd.DataFrame({"unique_id": list("aabab" * 3), "cpu": np.arange(15.0)})
    frame.to_parquet(tmp_path / "in" / "rows.parquet", index=False, row_group_size=3)
    convert(tmp_path / "in", tmp_path / "out", time_unit="step")
    assert_same([read_store(tmp_path / "out", time="step", time_unit="step")], read(tmp_path / "in", time_unit="step"))
    cells = np.arange(10.0)
    wide = pd.DataFrame({"a": cells, "b": np.where((cells == 0) | (cells == 4), np.nan, cells)})
    wide.to_parquet(tmp_path / "in" / "rows.parquet", index=False, row_group_size=5)
    convert(tmp_path / "in", tmp_path / "wide", time_unit="step", layout="wide")
    whole = read(tmp_path / "in", time_unit="step", layout="wide")
    assert_same([read_store(tmp_path / "wide", time="step", time_unit="step")], whole)


@pytest.mark.parametrize("function", [read, read_store])
def test_an_empty_part_beside_others_holds_nothing_and_alone_is_refused(function, frame, tmp_path):
    """Spark writes one for each partition without rows."""
    empty = tmp_path / "part-0.parquet"
    frame[:0].to_parquet(empty)
    with pytest.raises(DataError, match=r"`part-0.parquet` holds no rows"):
        function(tmp_path, **TARGET)
    frame[frame.unique_id < "vm-003"].to_parquet(tmp_path / "part-1.parquet")
    frame[frame.unique_id >= "vm-003"].to_parquet(tmp_path / "part-2.parquet")
    found = function(tmp_path, **TARGET)
    empty.unlink()
    assert_same([found], function(tmp_path, **TARGET))


def test_pieces_of_different_steps_are_refused(tmp_path):
    for name, step in (("a", "5min"), ("b", "10min")):
        frame = pd.DataFrame({"unique_id": name, "ds": pd.date_range("2026-01-05", periods=4, freq=step), "cpu": 1.0})
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
    with pytest.raises(DataError, match="series `b` and others have a step of 10min, those before it one of 5min"):
        read_store(tmp_path)
    assert read_store(tmp_path, step="5min").lengths.tolist() == [4, 7]


def test_a_glob_below_a_hidden_folder_is_what_was_asked_for(tmp_path):
    frame = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2026-01-05", periods=4, freq="5min"), "cpu": 1.0})
    for name in ("_raw/a", "_raw/x/b", "_raw/_old/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
    found = parquet_files(find_place(tmp_path / "_raw" / "**" / "*.parquet"))
    assert [PurePath(file.path).stem for file in found] == ["a", "b"]


def test_static_words_capacities_and_units_are_kept(tmp_path):
    times = pd.date_range("2026-03-01", periods=40, freq="5min", tz="Europe/Amsterdam")
    rows = [
        pd.DataFrame(
            {
                "vm_id": name,
                "ts": times,
                "memory": [f"{1 + n % 3}Gi" for n in range(40)],
                "size": float(number),
                "zone": f"zone-{number % 2}",
            }
        )
        for number, name in enumerate("cab")
    ]
    pd.concat(rows).sort_values("ts").to_csv(tmp_path / "m.csv", index=False)
    options = {"static": ("size",), "categories": ("zone",)}
    read_as = {"target": ("memory",), "units": {"memory": "MiB"}, "capacity": {"memory": 2048.0}}
    with pytest.raises(DataError, match="`memory`"):
        convert(
            tmp_path / "m.csv", tmp_path / "no", memory=2_000, **read_as, **options, policy={"above_capacity": "error"}
        )
    assert not (tmp_path / "no").exists()
    written = convert(tmp_path / "m.csv", tmp_path / "out", memory=2_000, **read_as, **options)
    assert written.rows == 120
    whole = sorted_panel(tmp_path / "m.csv", **read_as, **options)
    back = read(tmp_path / "out", target=("memory",), **options)
    assert_same([back], whole)
    np.testing.assert_array_equal(back.static, whole.static)
    np.testing.assert_array_equal(back.categories, whole.categories)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.csv", "out"]


def test_a_column_without_any_value_is_refused_and_nothing_is_left(tmp_path):
    frame = pd.DataFrame({"unique_id": ["a"] * 3, "ds": pd.date_range("2026", periods=3), "cpu": 1.0, "gpu": np.nan})
    frame.to_parquet(tmp_path / "cpu.parquet", index=False)
    with pytest.raises(DataError, match="`gpu` has no value in any row"):
        convert(tmp_path / "cpu.parquet", tmp_path / "out", every=True)
    assert [path.name for path in tmp_path.iterdir()] == ["cpu.parquet"]
