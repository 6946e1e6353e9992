"""Every format gives the same panel of the same content, however it is spelled."""

import decimal
import gzip
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from gym_jax.data import FORMATS, Reading, read, read_frame
from gym_jax.data.write import write_frame
from gym_jax.errors import ConfigError, GymJaxError

HOUR = 3_600 * 10**9
MIDNIGHT = int(np.datetime64("2026-01-01", "ns").astype(np.int64))
ROWS = [
    {"vm_id": "007", "ds": "2026-01-01T00:00:00Z", "cpu": 1.5, "memory": 10, "size": 4, "tier": "gold"},
    {"vm_id": "007", "ds": "2026-01-01T01:00:00Z", "cpu": None, "memory": 20, "size": 4, "tier": "gold"},
    {"vm_id": "007", "ds": "2026-01-01T03:00:00Z", "cpu": 4.25, "memory": 40, "size": 4, "tier": "gold"},
    {"vm_id": "NA", "ds": "2026-01-01T01:00:00Z", "cpu": 7.0, "memory": None, "size": None, "tier": "tin"},
    {"vm_id": "NA", "ds": "2026-01-01T02:00:00Z", "cpu": 8.0, "memory": 80, "size": 0.5, "tier": ""},
]
OPTIONS = {"target": ["memory", "cpu"], "static": ["size"], "categories": ["tier"]}
WIDE = [
    ("2026-01-01 00:00", 1, None),
    ("2026-01-01 01:00", None, 20),
    ("2026-01-01 02:00", 3, 30),
    ("2026-01-01 04:00", None, 50),
]


def check_long(panel):
    """Two series with text ids, two targets in the order of the options, a gap, missing values, static columns, UTC."""
    assert panel.series == ("007", "NA")
    assert (panel.channels, panel.targets, panel.id_name, panel.time_name) == (("memory", "cpu"), 2, "vm_id", "ds")
    assert (panel.step, panel.clock, panel.zone) == (HOUR, "ns", "UTC")
    assert panel.offsets.tolist() == [0, 4, 6]
    assert panel.first.tolist() == [MIDNIGHT, MIDNIGHT + HOUR]
    assert panel.values.tolist() == [[10, 1.5], [20, 0], [0, 0], [40, 4.25], [0, 7], [80, 8]]
    assert panel.mask.astype(int).tolist() == [[1, 1], [1, 0], [0, 0], [1, 1], [0, 1], [1, 1]]
    assert (panel.static_names, panel.static.tolist()) == (("size",), [[4.0], [0.5]])
    assert (panel.category_names, panel.categories.tolist()) == (("tier",), [["gold"], ["tin"]])
    repaired = ("2 target values are missing (NaN): masked", "1 of 6 time slots are missing: masked")
    assert tuple(note for note in panel.notes if "separated" not in note) == repaired


def check_wide(panel):
    """Two series that begin and end where their values do."""
    assert panel.series == ("a", "b")
    assert (panel.channels, panel.targets, panel.id_name) == (("value",), 1, "unique_id")
    assert panel.offsets.tolist() == [0, 3, 7]
    assert panel.first.tolist() == [MIDNIGHT, MIDNIGHT + HOUR]
    assert panel.values.ravel().tolist() == [1, 0, 3, 20, 30, 0, 50]
    assert panel.mask.ravel().astype(int).tolist() == [1, 0, 1, 1, 1, 0, 1]


def long_frame():
    """ROWS with the types a database would give them."""
    frame = pd.DataFrame(ROWS).astype({"memory": "Int64"})
    return frame.assign(ds=pd.to_datetime(frame["ds"]))


def wide_frame():
    return pd.DataFrame(WIDE, columns=["ds", "a", "b"]).assign(ds=lambda frame: pd.to_datetime(frame["ds"]))


def as_text(frame, separator=","):
    def cell(value):
        return "" if value is None or value is pd.NA or value != value else str(value)

    lines = [frame.columns, *(map(cell, row) for row in frame.itertuples(index=False))]
    return "".join(separator.join(line) + "\n" for line in lines).encode()


def as_parquet(frame, **options):
    out = io.BytesIO()
    frame.to_parquet(out, index=False, **options)
    return out.getvalue()


def as_feather(frame):
    out = io.BytesIO()
    frame.to_feather(out)
    return out.getvalue()


def as_stream(frame):
    out, table = io.BytesIO(), pa.Table.from_pandas(frame, preserve_index=False)
    with ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


def as_jsonl(frame):
    rows = frame.assign(ds=frame["ds"].astype(str)).astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    return "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()


def as_npz(frame):
    out, columns = io.BytesIO(), {}
    for name in frame:
        text = name in ("vm_id", "tier", "ds")
        columns[name] = frame[name].to_numpy(str if text else float, **({} if text else {"na_value": np.nan}))
    np.savez(out, **columns)
    return out.getvalue()


WRITERS = {
    "cpu.csv": as_text,
    "cpu.CSV": as_text,
    "cpu.csv.gz": lambda frame: gzip.compress(as_text(frame)),
    "cpu.tsv": lambda frame: as_text(frame, "\t"),
    "cpu.tsv.gz": lambda frame: gzip.compress(as_text(frame, "\t")),
    "cpu.parquet": as_parquet,
    "cpu.pq": lambda frame: as_parquet(frame, compression="zstd", use_dictionary=False),
    "cpu.feather": as_feather,
    "cpu.arrow": as_stream,
    "cpu.jsonl": as_jsonl,
    "cpu.jsonl.gz": lambda frame: gzip.compress(as_jsonl(frame)),
    "cpu.npz": as_npz,
}


def test_every_format_is_tried():
    assert {name.removeprefix("cpu").lower() for name in WRITERS} == set(FORMATS) - {".ts", ".ts.gz"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_long_file_is_the_same_panel(tmp_path, name):
    (tmp_path / name).write_bytes(WRITERS[name](long_frame()))
    check_long(read(tmp_path / name, **OPTIONS))


@pytest.mark.parametrize("name", WRITERS)
def test_a_wide_file_is_the_same_panel(tmp_path, name):
    (tmp_path / name).write_bytes(WRITERS[name](wide_frame()))
    check_wide(read(tmp_path / name, layout="wide"))


class Stream:
    """A frame that speaks nothing but Arrow's stream interface, as polars and DuckDB do."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


FRAMES = {
    "pandas": lambda frame: frame,
    "pandas with a named index": lambda frame: frame.set_index("ds"),
    "pandas, backed by Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, of objects": lambda frame: frame.astype(object).where(frame.notna(), None),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "pyarrow in chunks": lambda frame: pa.concat_tables(
        pa.Table.from_pandas(frame.iloc[i : i + 1], preserve_index=False, schema=pa.Schema.from_pandas(frame))
        for i in range(len(frame))
    ),
    "a stream": lambda frame: Stream(pa.Table.from_pandas(frame, preserve_index=False)),
    "a mapping": lambda frame: {name: frame[name].astype(object).where(frame[name].notna(), None) for name in frame},
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_is_the_same_panel(kind):
    check_long(read_frame(FRAMES[kind](long_frame()), **OPTIONS))
    check_wide(read_frame(FRAMES[kind](wide_frame()), layout="wide"))


TYPES = {
    "dictionary": lambda values: pa.array([str(v) for v in values]).dictionary_encode(),
    "dictionary of uint8": lambda values: (
        pa.array([str(v) for v in values]).dictionary_encode().cast(pa.dictionary(pa.uint8(), pa.string()))
    ),
    "dictionary of large strings": lambda values: pa.array(
        [str(v) for v in values], pa.large_string()
    ).dictionary_encode(),
    "dictionary with a word twice": lambda values: pa.DictionaryArray.from_arrays(
        pa.array(range(len(values)), pa.int32()), [str(v) for v in values]
    ),
    "large_string": lambda values: pa.array([str(v) for v in values], pa.large_string()),
    "string_view": lambda values: pa.array([str(v) for v in values], pa.string_view()),
    "binary": lambda values: pa.array([str(v).encode() for v in values]),
}


@pytest.mark.parametrize("kind", TYPES)
def test_words_of_every_type_are_ids_times_and_categories(tmp_path, kind):
    times = ["2026-01-01", "2026-01-02", "2026-01-01", "2026-01-02"]
    columns = {"id": ["b", "b", "a", "a"], "ds": times, "tier": ["x", "x", "y", "y"]}
    table = pa.table({name: TYPES[kind](values) for name, values in columns.items()} | {"cpu": [1, 2, 3, 4]})
    panels = [read_frame(table, categories=["tier"], target="cpu")]
    if kind not in ("string_view", "dictionary of uint8", "dictionary with a word twice"):
        pq.write_table(table, tmp_path / "cpu.parquet")
        panels.append(read(tmp_path / "cpu.parquet", categories=["tier"], target="cpu"))
    for panel in panels:
        assert panel.series == ("b", "a")
        assert panel.values.ravel().tolist() == [1, 2, 3, 4]
        assert panel.first.tolist() == [MIDNIGHT] * 2
        assert panel.categories.tolist() == [["x"], ["y"]]


NUMBERS = {
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "decimal128": pa.decimal128(20, 3),
    "decimal256": pa.decimal256(40, 3),
    "null": pa.null(),
    "bool": pa.bool_(),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_type(tmp_path, kind):
    values = [1, None, 0]
    if kind == "null":
        values = [None, None, None]
    if kind.startswith("decimal"):
        values = [decimal.Decimal("1.125"), None, decimal.Decimal("0")]
    column = pa.array([bool(v) if v is not None else None for v in values] if kind == "bool" else values, NUMBERS[kind])
    table = pa.table({"ds": ["2026-01-01", "2026-01-02", "2026-01-03"], "cpu": [1.0, 2.0, 3.0], "x": column})
    expected = [0 if v is None else float(v) for v in values]
    options = {"target": "cpu", "past": "x", "policy": {"blank": "drop"}}
    pq.write_table(table, tmp_path / "cpu.parquet")
    for panel in (read_frame(table, **options), read(tmp_path / "cpu.parquet", **options)):
        if kind == "null":
            assert panel.channels == ("cpu",)
            continue
        assert panel.values[:, 1].tolist() == expected
        assert panel.mask[:, 1].tolist() == [v is not None for v in values]
    if kind != "null":
        words = read_frame(table.set_column(2, "x", column.dictionary_encode()), **options)
        assert words.values[:, 1].tolist() == expected


TIMES = {
    "timestamp[s]": pa.array([1_767_225_600, 1_767_225_900], pa.timestamp("s")),
    "timestamp[ns, UTC]": pa.array([1_767_225_600 * 10**9, 1_767_225_900 * 10**9], pa.timestamp("ns", "UTC")),
    "timestamp[us, +02:00]": pa.array([1_767_225_600 * 10**6, 1_767_225_900 * 10**6], pa.timestamp("us", "+02:00")),
    "timestamp of a dictionary": pa.array([1_767_225_600, 1_767_225_900], pa.timestamp("s")).dictionary_encode(),
    "int32": pa.array([1_767_225_600, 1_767_225_900], pa.int32()),
    "uint64": pa.array([1_767_225_600 * 10**9, 1_767_225_900 * 10**9], pa.uint64()),
    "decimal": pa.array([decimal.Decimal(1_767_225_600), decimal.Decimal(1_767_225_900)]),
    "float64": pa.array([1_767_225_600.0, 1_767_225_900.0]),
    "text of numbers": pa.array(["1767225600", "1767225900"]),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_every_type(kind):
    panel = read_frame(pa.table({"ds": TIMES[kind], "cpu": [1, 2]}))
    assert (panel.first.tolist(), panel.step) == ([MIDNIGHT], 300 * 10**9)


def test_a_pandas_index_in_parquet_is_a_column_when_it_has_a_name(tmp_path):
    frame = wide_frame().set_index("ds")
    frame.to_parquet(tmp_path / "named.parquet")
    check_wide(read(tmp_path / "named.parquet", layout="wide"))
    frame.rename_axis(None).reset_index(names="ds").set_axis([5, 6, 7, 8]).to_parquet(tmp_path / "unnamed.parquet")
    check_wide(read(tmp_path / "unnamed.parquet", layout="wide"))


def test_a_folder_may_hold_several_formats(tmp_path):
    for i, name in enumerate(("a.csv", "b.parquet", "c.jsonl.gz", "d.npz", "e.feather")):
        frame = pd.DataFrame({"ds": pd.to_datetime(["2026-01-01", "2026-01-02"]), "cpu": [i, i + 0.5]})
        (tmp_path / name).write_bytes(WRITERS[f"cpu{name[1:]}"](frame))
    assert read(tmp_path).series == ("a", "b", "c", "d", "e")
    assert read(str(tmp_path / "[ce].*")).values.ravel().tolist() == [2, 2.5, 4, 4.5]


DIALECTS = {
    "semicolons": b"ds;id;cpu\n2026-01-01;a;1.5\n2026-01-02;a;\n",
    "decimal commas": b"ds;id;cpu\n2026-01-01;a;1,5\n2026-01-02;a;\n",
    "pipes": b"ds|id|cpu\n2026-01-01|a|1.5\n2026-01-02|a|\n",
    "tabs": b"ds\tid\tcpu\n2026-01-01\ta\t1.5\n2026-01-02\ta\t\n",
    "semicolons padded with tabs": b"ds;\tid;\tcpu\n2026-01-01;\ta;\t1.5\n2026-01-02;\ta;\t\n",
    "a comma in a name": b'ds,id,"cpu, of a core"\n2026-01-01,a,1.5\n2026-01-02,a,\n',
    "semicolons in a name": b'ds,id,"cpu;;;"\n2026-01-01,a,1.5\n2026-01-02,a,\n',
    "semicolons in a name without quotes": b"ds,id,cpu;;;\n2026-01-01,a,1.5\n2026-01-02,a,\n",
    "quotes": b'"ds","id","cpu"\n"2026-01-01","a","1.5"\n"2026-01-02","a",""\n',
    "returns": b"ds,id,cpu\r2026-01-01,a,1.5\r2026-01-02,a,\r",
    "returns and feeds": b"ds,id,cpu\r\n2026-01-01,a,1.5\r\n2026-01-02,a,\r\n",
    "no end": b"ds,id,cpu\n2026-01-01,a,1.5\n2026-01-02,a,",
    "blank lines": b"\n\nds,id,cpu\n\n2026-01-01,a,1.5\n\n\n2026-01-02,a,\n\n",
    "separators at the end": b"ds,id,cpu\n2026-01-01,a,1.5,\n2026-01-02,a,,\n",
    "separators at the end of the header too": b"ds,id,cpu,\n2026-01-01,a,1.5,\n2026-01-02,a,,\n",
    "an index": b",ds,id,cpu\n0,2026-01-01,a,1.5\n1,2026-01-02,a,\n",
    "a byte-order mark": b"\xef\xbb\xbfds,id,cpu\n2026-01-01,a,1.5\n2026-01-02,a,\n",
    "UTF-16": "ds,id,cpu\n2026-01-01,a,1.5\n2026-01-02,a,\n".encode("utf-16"),
    "a flag beside": b"ds,id,cpu,up\n2026-01-01,a,1.5,true\n2026-01-02,a,,\n",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("packed", [False, True])
def test_text_tables_of_every_dialect(tmp_path, dialect, packed):
    path = tmp_path / ("cpu.csv.gz" if packed else "cpu.csv")
    path.write_bytes(gzip.compress(DIALECTS[dialect]) if packed else DIALECTS[dialect])
    names = {"a comma in a name": "cpu, of a core", "semicolons in a name": "cpu;;;"}
    panel = read(path, target=names.get(dialect.removesuffix(" without quotes"), "cpu"))
    assert panel.series == ("a",)
    assert panel.values.ravel().tolist() == [1.5, 0]
    assert panel.mask.ravel().tolist() == [True, False]
    assert panel.first.tolist() == [MIDNIGHT]


@pytest.mark.parametrize(
    ("encoding", "word"), [("latin-1", "Köln"), ("cp1252", "€uro"), ("utf-16-le", "Köln"), ("shift_jis", "機械")]
)
def test_another_encoding_may_be_said(tmp_path, encoding, word):
    path = tmp_path / "cpu.csv"
    path.write_bytes(f'id,ds,cpu,"note"\n{word},2026-01-01,1,"x"\n{word},2026-01-02,2,"y\nz"\n'.encode(encoding))
    assert read(path, encoding=encoding).series == (word,)


@pytest.mark.parametrize(("separator", "decimal"), [(";", "."), ("|", ","), (",", ",")])
def test_separator_and_decimal_mark_may_be_said(tmp_path, separator, decimal):
    path = tmp_path / "cpu.csv"
    path.write_text(f'ds{separator}cpu\n2026-01-01{separator}"1{decimal}500"\n2026-01-02{separator}2\n')
    assert read(path, separator=separator, decimal=decimal).values.ravel().tolist() == [1.5, 2]


def blocks(rows=60_000):
    """More than a megabyte of rows, with what changes after the first block."""
    for i in range(rows):
        late = i > rows - 10
        yield i, f"b{i}" if late else "a", i + 0.5 if late else i, "x\ny, z" if i % 20_000 == 19_999 else "-" * 20


def test_what_changes_after_the_first_block_of_a_text_table(tmp_path):
    with (tmp_path / "cpu.csv").open("w", newline="") as file:
        file.write("t,id,cpu,note\n")
        file.writelines(f'{i},{name},{value},"{note}"\n' for i, name, value, note in blocks())
    panel = read(tmp_path / "cpu.csv", time="t", time_unit="step", step="1", target="cpu")
    assert len(panel.series) == 10
    assert panel.values[:59_991, 0].tolist() == list(range(59_991))
    assert panel.values[59_991:, 0].tolist() == [i + 0.5 for i in range(59_991, 60_000)]


def test_line_breaks_in_quotes_wherever_a_block_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("gym_jax.data.formats.csv.LARGEST", 1 << 20)
    with (tmp_path / "cpu.csv").open("w", newline="") as file:
        file.write("t,cpu,note\n")
        file.writelines(f'{i},{i}.5,"line {i}\nand, another"\n' for i in range(60_000))
    panel = read(tmp_path / "cpu.csv", time="t", time_unit="step", target="cpu")
    assert panel.values[:, 0].tolist() == [i + 0.5 for i in range(60_000)]


def test_what_changes_after_the_first_block_of_json_lines(tmp_path):
    with (tmp_path / "cpu.jsonl").open("w") as file:
        for i, name, value, note in blocks():
            file.write(json.dumps({"t": i, "id": name, "cpu": value, "note": note}) + "\n")
    panel = read(tmp_path / "cpu.jsonl", time="t", time_unit="step", step="1", target="cpu")
    assert len(panel.series) == 10
    assert panel.values[59_990:, 0].tolist() == [59_990, *(i + 0.5 for i in range(59_991, 60_000))]


def test_ids_that_are_numbers_at_first_stay_words(tmp_path):
    rows = [{"t": i, "id": 7 if i < 1500 else "x", "cpu": i} for i in range(3000)]
    (tmp_path / "cpu.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(tmp_path / "cpu.jsonl", time="t", time_unit="step", target="cpu").series == ("7", "x")


def test_a_row_longer_than_a_block(tmp_path):
    names = [f"machine {i} of a cluster with a very long name" for i in range(40_000)]
    with (tmp_path / "wide.csv").open("w") as file:
        file.write(",".join(["ds", *names]) + "\n")
        for day in (1, 2, 3):
            file.write(f"2026-01-0{day}" + "".join(f",{day * 10**15 + i}.125" for i in range(40_000)) + "\n")
    panel = read(tmp_path / "wide.csv", layout="wide")
    assert panel.series == tuple(names)
    days, machines = np.tile([1, 2, 3], 40_000), np.repeat(np.arange(40_000), 3)
    assert (panel.values[:, 0] == days * 1e15 + machines + 0.125).all()


def test_json_has_no_word_for_infinity_and_nothing_is_left(tmp_path):
    frame = pd.DataFrame({"cpu": [1.0, np.inf]})
    with pytest.raises(ConfigError, match="column `cpu` holds infinite values"):
        write_frame(frame, tmp_path / "cpu.jsonl")
    assert not list(tmp_path.iterdir())
    assert pd.read_csv(write_frame(frame, tmp_path / "cpu.csv")).equals(frame)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".feather", ".jsonl"])
def test_many_rows_are_the_rows_of_python(tmp_path, suffix):
    count, names = 300_000, ["a", "007", "NA"]
    rng = np.random.default_rng(0)
    values = np.round(rng.lognormal(size=count) * 10.0 ** rng.integers(-3, 6, count), 7)
    values[rng.random(count) < 0.01] = np.nan
    seconds, owner = 1_767_225_600 + 60 * (np.arange(count) // 3), np.arange(count) % 3
    lines = [
        (names[who], int(at), None if np.isnan(value) else float(value))
        for who, at, value in zip(owner, seconds, values, strict=True)
    ]
    path = tmp_path / f"cpu{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": n, "ds": t, "cpu": v}) + "\n" for n, t, v in lines))
    elif suffix.startswith(".csv"):
        text = "id,ds,cpu\n" + "".join(f"{n},{t},{'' if v is None else repr(v)}\n" for n, t, v in lines)
        path.write_bytes(gzip.compress(text.encode(), 1) if suffix.endswith(".gz") else text.encode())
    else:
        frame = pd.DataFrame(lines, columns=["id", "ds", "cpu"])
        frame.to_parquet(path) if suffix == ".parquet" else frame.to_feather(path)
    panel = read(path, target="cpu")
    assert panel.series == tuple(names)
    assert (panel.lengths == count // 3).all()
    for i in range(3):
        own = slice(panel.offsets[i], panel.offsets[i + 1])
        np.testing.assert_array_equal(np.where(panel.mask[own, 0], panel.values[own, 0], np.nan), values[i::3])


def test_arrays_of_every_kind(tmp_path):
    np.savez(
        tmp_path / "cpu.npz",
        ds=np.array(["2026-01-01T00:00", "2026-01-01T00:05"], "datetime64[m]"),
        id=np.array([b"a", b"a"]),
        big=np.array([1, 2], ">i4"),
        long=np.array([1.5, 2.5], np.longdouble),
        half=np.array([1.5, 2.5], np.float16),
        flag=np.array([True, False]),
        pair=np.array([[1, 2], [3, 4]], ">f8"),
    )
    panel = read(tmp_path / "cpu.npz", every=True)
    assert (panel.series, panel.first.tolist(), panel.step) == (("a",), [MIDNIGHT], 300 * 10**9)
    assert panel.channels == ("big", "long", "half", "flag", "pair_0", "pair_1")
    assert panel.values.tolist() == [[1, 1.5, 1.5, 1, 1, 2], [2, 2.5, 2.5, 0, 3, 4]]


def test_periods_and_sparse_columns_of_pandas():
    frame = pd.DataFrame({"ds": pd.period_range("2026-01-01", periods=3, freq="D"), "cpu": [0.0, 2.0, 0.0]})
    panel = read_frame(frame.astype({"cpu": pd.SparseDtype(float, 0.0)}))
    assert (panel.step, panel.values.ravel().tolist()) == (24 * HOUR, [0, 2, 0])


@pytest.mark.parametrize(
    ("name", "values", "series"),
    [
        ("host", ["a", "b", "a", "b"], ("a", "b")),
        ("machine_id", ["7x", "7y", "7x", "7y"], ("7x", "7y")),
        ("vm_id", [2, 1, 2, 1], ("2", "1")),
        ("ID", [2, 1, 2, 1], ("2", "1")),
        ("pod", [1, 2, 3, 4], ("series",)),
    ],
)
def test_the_id_is_found_by_its_name_and_hosts_by_words(name, values, series):
    times = (
        ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02"]
        if len(series) > 1
        else [f"2026-01-0{d}" for d in (1, 2, 3, 4)]
    )
    assert read_frame(pd.DataFrame({name: values, "ds": times, "cpu": 1.0}), target="cpu").series == series


CASES = """#comment
@problemName Walk
@timeStamps false
@classLabel true slow fast
@data
1,2,3:4,5,6:slow
1,?:3,4:fast

"""


@pytest.mark.parametrize("name", ["Walk_TRAIN.ts", "Walk_TRAIN.ts.gz", "Walk_TRAIN.ts.GZ"])
def test_labelled_cases_by_hand(tmp_path, name):
    (tmp_path / name).write_bytes(CASES.encode() if name.endswith(".ts") else gzip.compress(CASES.encode()))
    panel = read(tmp_path / name)
    assert panel.series == ("Walk_TRAIN-0", "Walk_TRAIN-1")
    assert (panel.channels, panel.targets, panel.clock, panel.step) == (("dim_0", "dim_1"), 2, "step", 1)
    assert panel.offsets.tolist() == [0, 3, 5]
    assert panel.values.tolist() == [[1, 4], [2, 5], [3, 6], [1, 3], [0, 4]]
    assert panel.mask.tolist() == [[True, True]] * 4 + [[False, True]]
    assert (panel.category_names, panel.categories.tolist()) == (("label",), [["slow"], ["fast"]])
    assert read(tmp_path / name, target="dim_1", categories=()).values.ravel().tolist() == [4, 5, 6, 3, 4]


def test_cases_of_one_channel_and_no_class(tmp_path):
    (tmp_path / "one.ts").write_text("@classLabel false\n@data\n1,2,3\n-4e-1,5\n")
    panel = read(tmp_path / "one.ts")
    assert (panel.channels, panel.categories) == (("dim_0",), None)
    assert panel.values.ravel().tolist() == [1, 2, 3, -0.4, 5]


def test_train_and_test_cases_are_read_together(tmp_path):
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Walk_{part}.ts").write_text(CASES)
    assert read(tmp_path).series == ("Walk_TEST-0", "Walk_TEST-1", "Walk_TRAIN-0", "Walk_TRAIN-1")


VALUES = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**6).map(float),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.decimals(-1000, 1000, places=2, allow_nan=False).map(float),
)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r\n", exclude_categories=["Cs"]), min_size=1, max_size=6
)


@st.composite
def tables(draw):
    """Rows of some series, and a way to write them: separator, decimal mark, quotes, encoding, times, order."""
    ids = draw(
        st.lists(WORDS.map(lambda word: word.strip(" \t")).filter(str.strip), min_size=1, max_size=3, unique=True)
    )
    step, count = draw(st.sampled_from([60, 300, 3600])), draw(st.integers(2, 6))
    rows = [(name, 1_767_225_600 + step * k, draw(VALUES), draw(VALUES)) for name in ids for k in range(count)]
    style = {
        "separator": draw(st.sampled_from(",;\t|")),
        "decimal": draw(st.sampled_from(".,")),
        "always": draw(st.booleans()),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "times": draw(st.sampled_from(["s", "ms", "iso", "date", "zone"])),
    }
    return rows, draw(st.permutations(rows)), style


def written(rows, style):
    def cell(value):
        text = "" if value is None else repr(value) if isinstance(value, float) else str(value)
        if isinstance(value, float):
            text = text.replace(".", style["decimal"])
        risky = any(mark in text for mark in (style["separator"], '"')) or text != text.strip()
        return '"' + text.replace('"', '""') + '"' if style["always"] or risky else text

    def time(seconds):
        stamp = str(np.datetime64(seconds, "s"))
        spelled = {
            "s": seconds,
            "ms": 1000 * seconds,
            "iso": stamp,
            "date": stamp.replace("T", " "),
            "zone": stamp + "Z",
        }
        return str(spelled[style["times"]])

    lines = [["id", "ds", "cpu", "x"], *([name, time(at), a, b] for name, at, a, b in rows)]
    return "".join(style["separator"].join(map(cell, line)) + style["end"] for line in lines).encode(style["encoding"])


def check_table(path, case, said):
    """Return whether the table was read, and then exactly; refused it may be, with words."""
    rows, shuffled, style = case
    path.write_bytes(written(shuffled, style))
    options = {"separator": style["separator"], "decimal": style["decimal"]} if said else {}
    try:
        panel = read(path, Reading(target=("cpu", "x"), usage=(), **options))
    except GymJaxError:
        return False
    series = np.repeat(np.arange(len(panel.series)), panel.lengths)
    stamps = panel.stamps(series, np.arange(len(series)))
    got = {}
    for i, (who, at) in enumerate(zip(series, stamps, strict=True)):
        pair = zip(panel.values[i], panel.mask[i], strict=True)
        got[panel.series[who], int(at)] = tuple(float(value) if there else None for value, there in pair)
    assert got == {(name, at * 10**9): (a, b) for name, at, a, b in rows}
    return True


def test_a_random_table_reads_back_exactly_or_is_refused(tmp_path):
    outcomes = []

    @settings(max_examples=300, deadline=None)
    @given(case=tables(), said=st.booleans())
    def check(case, said):
        outcomes.append(check_table(tmp_path / "cpu.csv", case, said))

    check()
    assert sum(outcomes) > 0.5 * len(outcomes), "most tables are read"
