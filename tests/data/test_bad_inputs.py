"""Bad inputs, one after another: refused in words that say what, where, why and what to type, or repaired aloud."""

import gzip
import io
import json
import re
import shlex
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from gym_jax.config.compose import parse_override
from gym_jax.data import read, read_frame
from gym_jax.data.formats.table import is_number
from gym_jax.data.words import command
from gym_jax.errors import GymJaxError

LONG = "ds,value\n" + "".join(f"2026-01-{day:02},{day}\n" for day in range(1, 29))
DAYS = np.array(["2026-01-01", "2026-01-02", "2026-01-03"])
FRAME = pd.DataFrame({"ds": DAYS, "value": [1.0, 2.0, 3.0]})
JSONL = "".join(f'{{"ds": {1_767_225_600 + 60 * i}, "cpu": {i}}}\n' for i in range(2000))


def parquet(frame, **options):
    out = io.BytesIO()
    frame.to_parquet(out, **options)
    return out.getvalue()


def arrow(frame, **options):
    out = io.BytesIO()
    frame.to_feather(out, **options)
    return out.getvalue()


def pointing_astray():
    """An Arrow file whose last word stands far behind the end of a dictionary of one."""
    words = pa.DictionaryArray.from_arrays(pa.array([0, 0, 305_419_896], pa.int32()), ["a"], safe=False)
    out, table = io.BytesIO(), pa.table({"id": words, "ds": DAYS, "cpu": [1, 2, 3]})
    with ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def flipped(content, place):
    """The same bytes with one bit changed."""
    out = bytearray(content)
    out[place] ^= 1
    return bytes(out)


def case(content, message, file="cpu.csv", **options):
    """A file with its content, how it is read, and the whole message it is refused with."""
    return file, content, options, message


RAGGED = "hint: a separator or a quote is missing or too many; the file may be cut short"
QUOTE = "hint: a quote is missing or too many; the file may be cut short"
DAMAGED = "hint: the file is damaged, cut short or of another format than its name says"
PLAINLY = "hint: numbers are written plainly, such as 1234.5 or 1e-3"
ENCODINGS = "hint: say how it is encoded, such as utf-8, latin-1, cp1252 or utf-16"
EMPTY = "hint: it holds no header and no row"
HEADER = "hint: it has a header at most"
CELLS = "hint: write missing values as empty cells, or null"
STORED = "hint: its numbers are stored as text: store them as numbers"
COMMA = (
    "hint: say so with data.decimal; numbers carry no thousands marks here\ntry: gymjax train ... 'data.decimal=\",\"'"
)
ISO = (
    "hint: times are ISO 8601 (2026-01-31 13:05:00, with or without a zone) or numbers since "
    "1970; others need data.time_format"
)
COUNTS = "hint: say what they count: s, ms, us or ns since 1970, or step for plain counts"
DATES = "hint: say what they are with data.time_format, or data.time_unit for numbers since 1970"
REACH = "hint: times are kept in nanoseconds, which reach from 1678 to 2261"
STRPTIME = "hint: strptime's codes: %Y-%m-%d %H:%M:%S"
STATIC = "hint: static numbers and categories belong to a series as a whole; what changes goes to past or known"
WIDE = "hint: every column of a wide file is a series; covariates need the layout long"
STEP = "hint: every series needs one time step throughout: resample, or round to it with data.policy.irregular=round"
LENGTH = "hint: such as 30s, 5min, 1h or 1d"
ONCE = (
    "hint: keep one row per series and time (data.policy.duplicates=first, last or mean), or "
    "name the column that tells the series apart (data.id)"
)
INFINITE = "hint: write missing values as empty cells or NaN, or mask these with data.policy.infinite=mask"
NEGATIVE = (
    "hint: a counter that wrapped, or a word for missing? data.policy.negative=mask, zero or "
    "keep; data.usage names the columns that can not be negative"
)
BLANK = "hint: leave them out, or let data.policy.blank=drop do it\ntry: gymjax train ... data.policy.blank=drop"
UNIT = "hint: say in which unit to read what is written with one"
ROW = 'hint: every line is a row such as {"unique_id": "a", "ds": "2026-01-01T00:00:00", "cpu": 1.5}'
CASE = "hint: a case reads value,value,...:value,value,...:label"
FORMATS = (
    "hint: choose from .csv, .csv.gz, .tsv, .tsv.gz, .parquet, .pq, .arrow, .feather, .jsonl, "
    ".jsonl.gz, .npz, .ts, .ts.gz"
)
IDS = "hint: every row needs the id of its series"
NAMES = "hint: every column needs a name of its own"
KINDS = "hint: store words, dates, or numbers since 1970"
CLOCKS = "hint: write times in UTC, or with their offset"

REFUSED = {
    # CSV: how it is written
    "a short row": case(
        "ds,value\n2026-01-01,1\n2026-01-02\n", f"error: `cpu.csv` line 3 has 1 field, its header has 2\n{RAGGED}"
    ),
    "a long row": case(
        "ds,value\n2026-01-01,1\n2026-01-02,2,3\n", f"error: `cpu.csv` line 3 has 3 fields, its header has 2\n{RAGGED}"
    ),
    "a comma as decimal mark between commas": case(
        "ds,value\n2026-01-01,1,9\n2026-01-02,2,5\n",
        f"error: `cpu.csv` line 2 has 3 fields, its header has 2\n{RAGGED}",
    ),
    "a file cut within its last row": case(
        "ds,cpu,memory\n2026-01-01,1,10\n2026-01-02,2",
        f"error: `cpu.csv` line 3 has 2 fields, its header has 3\n{RAGGED}",
        target=["cpu"],
    ),
    "text among numbers": case(
        "ds,value\n2026-01-01,1\n2026-01-02,n.a.\n2026-01-03,\n",
        "error: column `value` of `cpu.csv` is not numeric: `n.a.` in data row 2\n"
        f"{CELLS}\ntry: gymjax train ... 'data.missing_words=[n.a.]'",
        target=["value"],
    ),
    "text among numbers of two columns": case(
        "ds,cpu,memory\n2026-01-01,1,-\n2026-01-02,off,2\n2026-01-03,3,-\n",
        "error: column `memory` of `cpu.csv` is not numeric: `-` in data row 1 and 1 more; column `cpu` "
        "of `cpu.csv` is not numeric: `off` in data row 2\n"
        f"{CELLS}\ntry: gymjax train ... 'data.missing_words=[\"-\",off]'",
        target=["cpu", "memory"],
    ),
    "text with quotes": case(
        "ds,value\n2026-01-01,1\n2026-01-02,it's \\\n",
        "error: column `value` of `cpu.csv` is not numeric: `it's \\` in data row 2\n"
        f"{CELLS}\ntry: gymjax train ... 'data.missing_words=[\"it'\"'\"'s \\\\\"]'",
        target=["value"],
    ),
    "text that is a number to Hydra": case(
        "ds,value\n2026-01-01,1\n2026-01-02,true\n2026-01-03,2\n",
        "error: column `value` of `cpu.csv` is not numeric: `true` in data row 2\n"
        "hint: truth values and numbers stand in one column",
        target=["value"],
    ),
    "text in a wide file": case(
        "ds,a,b\n2026-01-01,1,2\n2026-01-02,1,off\n",
        "error: column `b` of `cpu.csv` is not numeric: `off` in data row 2\n"
        f"{CELLS}\ntry: gymjax train ... 'data.missing_words=[off]'",
        layout="wide",
    ),
    "text after a thousand rows": case(
        "ds,value\n" + "".join(f"{1_767_225_600 + 60 * i},{i if i != 1500 else chr(120)}\n" for i in range(2000)),
        "error: column `value` of `cpu.csv` is not numeric: `x` in data row 1,501\n"
        f"{CELLS}\ntry: gymjax train ... 'data.missing_words=[x]'",
    ),
    "the header again": case(
        "ds,value\n2026-01-01,1\nds,value\n2026-01-02,2\n",
        "error: column `value` of `cpu.csv` is not numeric: `value` in data row 2\n"
        "hint: the header stands in the file again: was it joined of several?",
    ),
    "no numeric column": case(
        "ds,state\n2026-01-01,on\n2026-01-02,off\n",
        "error: column `state` of `cpu.csv` is not numeric: `on` in data row 1 and 1 more\n"
        "hint: none of its values is a number",
    ),
    "no numeric column but several of text": case(
        "ds,state,note\n2026-01-01,on,x\n",
        "error: which column of `cpu.csv` is to be forecast? none is numeric\n"
        "hint: its columns are ds, state, note\ntry: gymjax train ... --target COLUMN",
    ),
    "a thousands mark, quoted": case(
        """ds,value\n2026-01-01,"1,500"\n2026-01-02,"2,500"\n""",
        "error: column `value` of `cpu.csv` is not numeric: `1,500` in data row 1 and 1 more\n"
        "hint: is its comma a decimal mark? numbers carry no thousands marks here\n"
        "try: gymjax train ... 'data.decimal=\",\"'",
        target=["value"],
    ),
    "a thousands mark or a decimal comma": case(
        "ds;value\n2026-01-01;1,500\n2026-01-02;2,500\n",
        f"error: `cpu.csv` holds `1,500`: is the comma a decimal mark?\n{COMMA}",
    ),
    "decimal commas beside decimal points": case(
        "ds;cpu;memory\n2026-01-01;1,5;2.5\n2026-01-02;2,5;3.5\n",
        f"error: `cpu.csv` holds `1,5` and `2.5`: is the comma a decimal mark?\n{COMMA}",
        target=["cpu"],
    ),
    "thousands points and a decimal comma": case(
        "ds;value\n2026-01-01;1.500,5\n2026-01-02;2.500,5\n",
        f"error: column `value` of `cpu.csv` is not numeric: `1.500,5` in data row 1 and 1 more\n{PLAINLY}",
    ),
    "thousands commas and a decimal point": case(
        """ds,value\n2026-01-01,"1,500.5"\n2026-01-02,"2,500.5"\n""",
        f"error: column `value` of `cpu.csv` is not numeric: `1,500.5` in data row 1 and 1 more\n{PLAINLY}",
    ),
    "thousands apostrophes": case(
        "ds,value\n2026-01-01,1'500\n",
        f"error: column `value` of `cpu.csv` is not numeric: `1'500` in data row 1\n{PLAINLY}",
    ),
    "a currency": case(
        "ds,value\n2026-01-01,$5\n2026-01-02,7\n",
        f"error: column `value` of `cpu.csv` is not numeric: `$5` in data row 1\n{PLAINLY}",
    ),
    "an underscore among digits": case(
        "ds,value\n2026-01-01,1_000\n2026-01-02,7\n",
        f"error: column `value` of `cpu.csv` is not numeric: `1_000` in data row 1\n{PLAINLY}",
    ),
    "a blank that is none": case(
        "ds,value\n2026-01-01,\u00a05\n2026-01-02,7\n",
        f"error: column `value` of `cpu.csv` is not numeric: `\\xa05` in data row 1\n{PLAINLY}",
    ),
    "a column name twice": case("ds,cpu,cpu\n2026-01-01,1,2\n", f"error: `cpu.csv` has 2 columns named `cpu`\n{NAMES}"),
    "a quote that does not end": case(
        """ds,value,note\n2026-01-01,1,"x\n2026-01-02,2,y\n2026-01-03,3,z\n""",
        f"error: `cpu.csv` line 2: a quoted value does not end\n{QUOTE}",
        target=["value"],
    ),
    "quotes that swallow rows": case(
        """ds,value,note\n2026-01-01,1,"x\n2026-01-02,2,y\n2026-01-03,3,"\n2026-01-04,4,z\n""",
        f"error: `cpu.csv` line 2: a quoted value holds line breaks and whole rows\n{QUOTE}",
        target=["value"],
    ),
    "quotes that hide each other": case(
        """ds,value,disk,note\n2026-01-01,1,5","x\n2026-01-02,2,6,y\n2026-01-03,3,7,"z"\n""",
        f"error: `cpu.csv` line 2: a quoted value goes on behind its quote\n{QUOTE}",
        target=["value"],
    ),
    "text after a quote": case(
        """ds,value,note\n2026-01-01,1,"x\n2026-01-02,2,y\n2026-01-03,3,"x"y\n""",
        f"error: `cpu.csv` line 2: a quoted value goes on behind its quote\n{QUOTE}",
        target=["value"],
    ),
    "an empty file": case("", f"error: `cpu.csv` is empty\n{EMPTY}"),
    "blank lines only": case("\n  \n\n", f"error: `cpu.csv` is empty\n{EMPTY}"),
    "a header only": case("ds,value\n", f"error: `cpu.csv` holds no rows\n{HEADER}"),
    "a header only, named": case("ds,value\n", f"error: `cpu.csv` holds no rows\n{HEADER}", target=["value"]),
    "no header": case(
        "2026-01-01,1.5\n2026-01-02,2.5\n",
        "error: the first line of `cpu.csv` holds values, not names: `2026-01-01`\n"
        "hint: write a header, such as ds,cpu",
    ),
    "no header of a wide file": case(
        "1.5,2\n3,4\n",
        "error: the first line of `cpu.csv` holds values, not names: `1.5`\nhint: write a header, such as ds,cpu",
        layout="wide",
        time_unit="step",
    ),
    "nothing in a gzip file": case(gzip.compress(b""), f"error: `cpu.csv.gz` is empty\n{EMPTY}", file="cpu.csv.gz"),
    "a gzip file cut short": case(
        gzip.compress(LONG.encode())[:-9],
        "error: `cpu.csv.gz` can not be read: Compressed file ended before the end-of-stream marker was "
        f"reached\n{DAMAGED}",
        file="cpu.csv.gz",
    ),
    "a gzip file with a wrong bit": case(
        flipped(gzip.compress(LONG.encode()), -7),
        f"error: `cpu.csv.gz` can not be read: CRC check failed 0x31284db7 != 0x31284cb7\n{DAMAGED}",
        file="cpu.csv.gz",
    ),
    "plain text called gzip": case(
        LONG, f"error: `cpu.csv.gz` can not be read: Not a gzipped file (b'ds')\n{DAMAGED}", file="cpu.csv.gz"
    ),
    "gzip called plain": case(
        gzip.compress(LONG.encode()),
        "error: `cpu.csv` is gzip by its first bytes\nhint: name it .csv.gz or .tsv.gz or .jsonl.gz or .ts.gz",
    ),
    "Parquet called CSV": case(
        parquet(FRAME), "error: `cpu.csv` is Parquet by its first bytes\nhint: name it .parquet or .pq"
    ),
    "an Excel workbook called CSV": case(
        b"PK\x03\x04 and so on",
        "error: `cpu.csv` is a zip archive, as an Excel workbook is, by its first bytes\nhint: name it .npz",
    ),
    "UTF-16 without its mark": case(
        LONG.encode("utf-16-le"),
        "error: `cpu.csv` holds NUL characters\nhint: it looks like UTF-16 without a byte-order mark\n"
        "try: gymjax train ... data.encoding=utf-16-le",
    ),
    "a NUL in a number": case(
        "ds,value\n2026-01-01,1\x00\n2026-01-02,2\n",
        "error: `cpu.csv` holds NUL characters\nhint: the file is damaged: no text holds them",
    ),
    "a NUL in an id below the sample": case(
        "id,ds,value\n" + "".join(f"a,{1_767_225_600 + 60 * i},{i}\n" for i in range(30_000)) + "a\x00,1769999940,1\n",
        "error: `cpu.csv` holds NUL characters\nhint: the file is damaged: no text holds them",
    ),
    "Latin-1": case(
        "id,ds,value\nKöln,2026-01-01,1\nKöln,2026-01-02,2\n".encode("latin-1"),
        "error: `cpu.csv` is not UTF-8: byte 0xf6 can not be decoded\n"
        f"{ENCODINGS}\ntry: gymjax train ... data.encoding=latin-1",
    ),
    "Latin-1 below the sample": case(
        (
            "id,ds,value\n" + "".join(f"a,{1_767_225_600 + 60 * i},{i}\n" for i in range(30_000)) + "ö,1769999940,1\n"
        ).encode("latin-1"),
        "error: `cpu.csv` is not UTF-8: byte 0xf6 can not be decoded\n"
        f"{ENCODINGS}\ntry: gymjax train ... data.encoding=latin-1",
    ),
    "another encoding than said": case(
        "id,ds,value\nKöln,2026-01-01,1\nKöln,2026-01-02,2\n".encode(),
        "error: `cpu.csv` is not ASCII: byte 0xc3 can not be decoded\n"
        f"{ENCODINGS}\ntry: gymjax train ... data.encoding=utf-8",
        encoding="ascii",
    ),
    "an unknown encoding": case(
        LONG,
        "error: `data.encoding=utf-88` is no encoding\nhint: such as utf-8, latin-1, cp1252 or utf-16",
        encoding="utf-88",
    ),
    # Columns
    "a misspelt column": case(
        "ds,cpu_cores\n2026-01-01,1\n",
        "error: no column `cpu_core` in `cpu.csv`\nhint: for `cpu_core`, did you mean `cpu_cores`?",
        target=["cpu_core"],
    ),
    "misspelt columns": case(
        "ds,cpu\n2026-01-01,1\n",
        "error: no column `zzz`, `CPU`, `memory` in `cpu.csv`\n"
        "hint: for `zzz`, choose from cpu, ds; for `CPU`, did you mean `cpu`?; for `memory`, choose from "
        "cpu, ds",
        target=["CPU"],
        id="zzz",
        past=["memory"],
    ),
    "a misspelt column among many": case(
        "ds," + ",".join(f"vm{i}" for i in range(30)) + "\n2026-01-01" + ",1" * 30 + "\n",
        "error: no column `zzz` in `cpu.csv`\nhint: for `zzz`, choose from ds, vm0, vm1, vm2, vm3, vm4, "
        "vm5, vm6, vm7, vm8, vm9, vm10, vm11, vm12, vm13, vm14, vm15, vm16, vm17, vm18 ... (31 in all)",
        target=["zzz"],
    ),
    "a unit for a column that is not there": case(
        "ds,cpu\n2026-01-01,1\n",
        "error: no column `memory` in `cpu.csv`\nhint: for `memory`, choose from cpu, ds",
        units={"memory": "MiB"},
    ),
    "no target": case(
        "ds,cpu,memory\n2026-01-01,1,2\n2026-01-02,3,4\n",
        "error: which column of `cpu.csv` is to be forecast? numeric: cpu, memory\n"
        "hint: name it; data.layout=wide when each column is a machine\ntry: gymjax train ... --target cpu",
    ),
    "no target with a blank in its name": case(
        "ds,CPU usage [MHZ],memory\n2026-01-01,1,2\n2026-01-02,3,4\n",
        "error: which column of `cpu.csv` is to be forecast? numeric: CPU usage [MHZ], memory\n"
        "hint: name it; data.layout=wide when each column is a machine\n"
        "try: gymjax train ... --target 'CPU usage [MHZ]'",
    ),
    "a target that is also past": case(
        "ds,cpu,memory\n2026-01-01,1,2\n",
        "error: column `cpu` is named twice among id, time, target, past, known, static and categories\n"
        "hint: name each column once",
        target=["cpu"],
        past=["cpu"],
    ),
    "past columns of a wide file": case(
        "ds,cpu,memory\n2026-01-01,1,2\n",
        f"error: the layout wide has no further columns, but `cpu.csv` is to be read with `memory`\n{WIDE}",
        layout="wide",
        past=["memory"],
    ),
    "an id of a wide file": case(
        "ds,cpu,memory\n2026-01-01,1,2\n",
        f"error: the layout wide has no further columns, but `cpu.csv` is to be read with `memory`\n{WIDE}",
        layout="wide",
        id="memory",
    ),
    "a wide file of times only": case(
        "ds\n2026-01-01\n",
        "error: `cpu.csv` has no column but its times\nhint: every column is a series",
        layout="wide",
    ),
    "no time column": case(
        "when,value\n2026-01-01,1\n",
        "error: no time column in `cpu.csv`: looked for ds, timestamp, ts, time, datetime, date, epoch, "
        "unix_time\nhint: its columns are when, value; to count rows that have no times, "
        "data.time_unit=step\ntry: gymjax train ... data.time=COLUMN",
    ),
    "a capacity that is the id": case(
        "id,ds,cpu\na,2026-01-01,1\n",
        "error: column `id` can not be a capacity and id, time or category at once\n"
        "hint: a capacity is a column of numbers, or a number",
        capacity={"cpu": "id"},
    ),
    "an empty id": case(
        "id,ds,value\na,2026-01-01,1\n,2026-01-02,2\n,2026-01-03,2\n",
        f"error: id column `id` of `cpu.csv` is empty in 2 rows, first in data row 2\n{IDS}",
    ),
    "a static number that changes": case(
        "id,ds,value,size\na,2026-01-01,1,4\na,2026-01-02,2,\na,2026-01-03,2,8\n",
        f"error: column `size` of `cpu.csv` changes within series `a`: `4`, then `8` in data row 3\n{STATIC}",
        target=["value"],
        static=["size"],
    ),
    "a category that changes": case(
        "id,ds,value,tier\na,2026-01-01,1,gold\na,2026-01-02,2,\na,2026-01-03,2,tin\n",
        f"error: column `tier` of `cpu.csv` changes within series `a`: `gold`, then `tin` in data row 3\n{STATIC}",
        categories=["tier"],
    ),
    # Times
    "an empty time": case(
        "ds,value\n2026-01-01,1\n,2\n",
        "error: time column `ds` of `cpu.csv` is empty in 1 row, first in data row 2\nhint: every row needs its time",
    ),
    "a date of two readings": case(
        "ds,value\n01/02/2026,1\n02/02/2026,2\n",
        "error: time column `ds` of `cpu.csv` holds `01/02/2026` in data row 1\n"
        f"{ISO}, here %d/%m/%Y or %m/%d/%Y\ntry: gymjax train ... data.time_format=%d/%m/%Y",
    ),
    "an American date": case(
        "ds,value\n01/31/2026 10:00,1\n01/31/2026 11:00,2\n",
        "error: time column `ds` of `cpu.csv` holds `01/31/2026 10:00` in data row 1\n"
        f"{ISO}\ntry: gymjax train ... 'data.time_format=\"%m/%d/%Y %H:%M\"'",
    ),
    "a twelve-hour clock": case(
        "ds,value\n2026-01-01 11:00 AM,1\n2026-01-01 12:00 PM,2\n",
        "error: time column `ds` of `cpu.csv` holds `2026-01-01 11:00 AM` in data row 1\n"
        f"{ISO}\ntry: gymjax train ... 'data.time_format=\"%Y-%m-%d %I:%M %p\"'",
    ),
    "a month in words": case(
        "ds,value\n12 Jan 2026 10:00,1\n12 Jan 2026 11:00,2\n",
        "error: time column `ds` of `cpu.csv` holds `12 Jan 2026 10:00` in data row 1\n"
        f"{ISO}\ntry: gymjax train ... 'data.time_format=\"%d %b %Y %H:%M\"'",
    ),
    "a zone in words": case(
        "ds,value\n2026-01-01 10:00 UTC,1\n2026-01-01 11:00 UTC,2\n",
        "error: time column `ds` of `cpu.csv` holds `2026-01-01 10:00 UTC` in data row 1\n"
        f"{ISO}\ntry: gymjax train ... 'data.time_format=\"%Y-%m-%d %H:%M %Z\"'",
    ),
    "hour 24": case(
        "ds,value\n2026-01-01 23:00,1\n2026-01-01 24:00,2\n",
        f"error: time column `ds` of `cpu.csv` holds `2026-01-01 24:00` in data row 2\n{ISO}",
    ),
    "30 February": case(
        "ds,value\n2026-02-28,1\n2026-02-30,2\n",
        f"error: time column `ds` of `cpu.csv` holds `2026-02-30` in data row 2\n{ISO}",
    ),
    "a time cut short": case(
        "ds,value\n2026-01-01 10:00,1\n2026-01-0,2\n",
        f"error: time column `ds` of `cpu.csv` holds `2026-01-0` in data row 2\n{ISO}",
    ),
    "the word now": case(
        "ds,value\n2026-01-01,1\nnow,2\n", f"error: time column `ds` of `cpu.csv` holds `now` in data row 2\n{ISO}"
    ),
    "another format than said": case(
        "ds,value\n01/02/2026,1\n31/01/2026,2\n",
        "error: time column `ds` of `cpu.csv` holds `31/01/2026` in data row 2\nhint: it does not read as %m/%d/%Y",
        time_format="%m/%d/%Y",
    ),
    "leave to guess the format": case(
        "ds,value\n01/02/2026,1\n31/01/2026,2\n",
        f"error: `data.time_format=mixed` is no format: it has no %\n{STRPTIME}",
        time_format="mixed",
    ),
    "a format of no known code": case(
        "ds,value\n01/02/2026,1\n31/01/2026,2\n",
        f"error: `data.time_format=%Q` is no format: 'Q' is a bad directive in format '%Q'\n{STRPTIME}",
        time_format="%Q",
    ),
    "the year 1": case(
        "ds,value\n0001-01-01,1\n2026-01-01,2\n",
        f"error: time column `ds` of `cpu.csv` holds `0001-01-01T00:00:00` in data row 1\n{REACH}",
    ),
    "the year 9999": case(
        "ds,value\n2026-01-01,1\n9999-12-31,2\n",
        f"error: time column `ds` of `cpu.csv` holds `9999-12-31T00:00:00` in data row 2\n{REACH}",
    ),
    "five hundred years": case(
        "ds,value\n1700-01-01,1\n2200-01-01,2\n",
        "error: times reach from 1700-01-01T00:00:00 to 2200-01-01T00:00:00\n"
        "hint: one stray timestamp far from the others is the usual cause",
    ),
    "counts of seconds from 0": case(
        "ds,value\n0,1\n300,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 0 (data row 1) to 300 (data row 2): no "
        f"unit since 1970 fits them\n{COUNTS}\ntry: gymjax train ... data.time_unit=step",
    ),
    "Excel's days": case(
        "ds,value\n46023,1\n46024,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 46023 (data row 1) to 46024 (data row "
        f"2): no unit since 1970 fits them\n{COUNTS}\n"
        "try: gymjax train ... data.time_unit=step",
    ),
    "dates in digits": case(
        "ds,value\n20260101,1\n20260102,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 20260101 (data row 1) to 20260102 (data "
        f"row 2): they look like dates (%Y%m%d)\n{DATES}\n"
        "try: gymjax train ... data.time_format=%Y%m%d",
    ),
    "hours in digits, which are seconds of 2034": case(
        "ds,value\n2026010100,1\n2026010101,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 2026010100 (data row 1) to 2026010101 "
        "(data row 2): they may be dates (%Y%m%d%H), or s since 1970\n"
        f"{DATES}\ntry: gymjax train ... data.time_format=%Y%m%d%H",
    ),
    "years": case(
        "ds,value\n2024,1\n2025,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 2024 (data row 1) to 2025 (data row 2): "
        f"they look like dates (%Y)\n{DATES}\ntry: gymjax train ... data.time_format=%Y",
    ),
    "seconds and milliseconds": case(
        "ds,value\n1767225600,1\n1767225900000,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 1767225600 (data row 1) to 1767225900000 "
        "(data row 2): s and ms since 1970 are mixed\n"
        "hint: write all in one unit",
    ),
    "a missing time written as 0": case(
        "ds,value\n1767225600,1\n0,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 0 (data row 2) to 1767225600 (data row "
        f"1): no unit since 1970 fits them\n{COUNTS}",
    ),
    "milliseconds called seconds": case(
        "ds,value\n1767225600000,1\n1767225900000,2\n",
        "error: time column `ds` of `cpu.csv` holds the numbers 1767225600000 (data row 1) to "
        "1767225900000 (data row 2): too large for s\n"
        f"{COUNTS}\ntry: gymjax train ... data.time_unit=ms",
        time_unit="s",
    ),
    "half steps": case(
        "t,value\n0,1\n0.5,2\n",
        "error: time column `t` of `cpu.csv` holds `0.5` in data row 2: no whole step\n"
        "hint: with time_unit step, times are whole counts",
        time="t",
        time_unit="step",
    ),
    "dates called counts": case(
        LONG,
        "error: time column `ds` of `cpu.csv` holds dates, but data.time_unit=step says that they are "
        "counts\nhint: leave data.time_unit out, or name another column with data.time\n"
        "try: gymjax train ... data.time_unit=auto",
        time_unit="step",
    ),
    "times with and without a zone": case(
        "ds,value\n2026-01-01T00:00,1\n2026-01-01T01:00Z,2\n",
        "error: time column `ds` of `cpu.csv` mixes times with and without a zone\nhint: write every time alike",
    ),
    "several zones": case(
        "ds,value\n2026-01-01T00:00+01:00,1\n2026-01-01T00:00+02:00,2\n",
        "error: time column `ds` of `cpu.csv` mixes several zones\n"
        "hint: name the zone of the calendar: every time has its offset\n"
        "try: gymjax train ... data.time_zone=UTC",
    ),
    "an unknown zone": case(
        LONG,
        "error: `Europe/Amsterdm` is no time zone\nhint: did you mean `Europe/Amsterdam`?",
        time_zone="Europe/Amsterdm",
    ),
    "an hour that is there twice": case(
        "ds,value\n2026-10-25 01:00,1\n2026-10-25 02:00,2\n2026-10-25 03:00,3\n",
        "error: time column `ds` of `cpu.csv` holds `2026-10-25 02:00:00` in data row 2, which "
        "Europe/Amsterdam has twice or never: clocks change\n"
        f"{CLOCKS}",
        time_zone="Europe/Amsterdam",
    ),
    "an hour that never was": case(
        "ds,value\n2026-03-29 01:00,1\n2026-03-29 02:00,2\n2026-03-29 03:00,3\n",
        "error: time column `ds` of `cpu.csv` holds `2026-03-29 02:00:00` in data row 2, which "
        "Europe/Amsterdam has twice or never: clocks change\n"
        f"{CLOCKS}",
        time_zone="Europe/Amsterdam",
    ),
    "the hour that is there twice, without a zone": case(
        "ds,value\n2026-10-25 01:00,1\n2026-10-25 02:00,2\n2026-10-25 02:00,3\n2026-10-25 03:00,4\n",
        "error: 1 rows repeat the time of another row of their series: series `cpu` at "
        f"2026-10-25T02:00:00\n{ONCE}\ntry: gymjax train ... data.policy.duplicates=first",
    ),
    # The time step
    "a single row": case(
        "ds,value\n2026-01-01,1\n",
        "error: no series has two rows: the time step can not be told\n"
        "hint: declare it; or is the column of the times, or of the series' ids, another one?\n"
        "try: gymjax train ... data.step=5min",
    ),
    "a time off the step": case(
        "ds,value\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n2026-01-01 02:00,3\n2026-01-01 03:07,4\n",
        "error: 1 of 4 timestamps are off the regular step of 1h: series `cpu` at 2026-01-01T03:07:00\n"
        f"{STEP}\ntry: gymjax data resample FILE --step 1h --out REGULAR.parquet",
    ),
    "a count off the step": case(
        "t,value\n0,1\n3,2\n6,3\n8,4\n",
        "error: 1 of 4 timestamps are off the regular step of 3 steps: series `cpu` at 8\n"
        f"{STEP}\ntry: gymjax data resample FILE --step 3 --out REGULAR.parquet",
        time="t",
        time_unit="step",
    ),
    "a series of another step": case(
        "id,ds,value\n"
        + "".join(f"a,2026-01-01 00:{m:02},1\n" for m in range(0, 60, 5))
        + "".join(f"b,2026-01-01 00:{m:02},1\n" for m in range(0, 60, 10)),
        "error: 1 of 2 series has another time step than 5min: `b` has 10min\n"
        "hint: series that are read together need one time step: resample, or declare it with data.step\n"
        "try: gymjax data resample FILE --step 5min --out REGULAR.parquet",
    ),
    "times off a declared step": case(
        "ds,value\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n2026-01-01 02:00,3\n",
        "error: 2 of 3 timestamps are off the regular step of 90min: series `cpu` at 2026-01-01T01:00:00\n"
        f"{STEP}\ntry: gymjax data resample FILE --step 90min --out REGULAR.parquet",
        step="90min",
    ),
    "a stray time": case(
        "id,ds,value\nb,2000-01-01 00:00,0\n"
        + "".join(f"{name},2026-01-01 0{hour}:00,1\n" for name in "ab" for hour in range(9)),
        "error: series `b` spans 227,937 steps of 1h from 2000-01-01T00:00:00, but the data hold 19 rows "
        "in all\nhint: one stray timestamp far from the others is the usual cause, or a step that is too "
        "short",
    ),
    "a step that is no length of time": case(LONG, f"error: a step of `5` is no length of time\n{LENGTH}", step="5"),
    "a month as step": case(LONG, f"error: a step of `1M` is no length of time\n{LENGTH}", step="1M"),
    "a resampling step of nothing": case(
        LONG, f"error: a step of `0s` is no length of time\n{LENGTH}", resample={"step": "0s"}
    ),
    "a length of time for counts": case(
        "t,value\n0,1\n3,2\n",
        "error: a step of `5min` is no count of steps\nhint: a whole number, as the times are counts",
        time="t",
        time_unit="step",
        step="5min",
    ),
    "a repeated time": case(
        "ds,value\n2026-01-01,1\n2026-01-02,2\n2026-01-01,3\n",
        "error: 1 rows repeat the time of another row of their series: series `cpu` at "
        f"2026-01-01T00:00:00\n{ONCE}\ntry: gymjax train ... data.policy.duplicates=first",
    ),
    "machines in one series": case(
        "rack,ds,value\na,2026-01-01,1\nb,2026-01-01,2\na,2026-01-02,3\nb,2026-01-02,4\n",
        "error: 2 rows repeat the time of another row of their series: series `cpu` at "
        "2026-01-01T00:00:00\nhint: no column was found that tells the series apart; is it one of these? rack\n"
        "try: gymjax train ... data.id=rack",
    ),
    "machines in one series, without their names": case(
        "ds,value\n2026-01-01,1\n2026-01-01,2\n2026-01-02,3\n2026-01-02,4\n",
        "error: 2 rows repeat the time of another row of their series: series `cpu` at "
        f"2026-01-01T00:00:00\n{ONCE}\ntry: gymjax train ... data.id=COLUMN",
    ),
    "rows out of order": case(
        "ds,value\n2026-01-02,1\n2026-01-01,2\n",
        "error: 1 rows are not sorted by series and time, first series `cpu` at 2026-01-01T00:00:00\n"
        "hint: the policy unsorted=error refuses them\n"
        "try: gymjax train ... data.policy.unsorted=sort",
        policy={"unsorted": "error"},
    ),
    "gaps": case(
        "ds,value\n2026-01-01,1\n2026-01-02,2\n2026-01-04,2\n",
        "error: 1 of 4 time slots are missing: series `cpu` after 2026-01-02T00:00:00\n"
        "hint: the policy gaps=error refuses them\n"
        "try: gymjax train ... data.policy.gaps=mask",
        policy={"gaps": "error"},
    ),
    # Values
    "infinite values": case(
        "id,ds,value\na,2026-01-01,1\nb,2026-01-01,-Infinity\nb,2026-01-02,inf\nb,2026-01-03,1e999\nb,2026-01-04,NaN\nb,2026-01-05,1\n",
        "error: 3 values are infinite: `value` of series `b` at 2026-01-01T00:00:00\n"
        f"{INFINITE}\ntry: gymjax train ... data.policy.infinite=mask",
    ),
    "negative usage": case(
        "ds,cpu\n2026-01-01,1\n2026-01-02,-0.5\n2026-01-03,-1\n",
        "error: 2 values of usage are negative: `cpu` of series `cpu` at 2026-01-02T00:00:00 is -0.5\n"
        f"{NEGATIVE}\ntry: gymjax train ... data.policy.negative=mask",
    ),
    "usage above capacity": case(
        "ds,cpu_pct\n2026-01-01,1\n2026-01-02,130\n",
        "error: 1 of 2 values (50.0%) are above capacity: `cpu_pct` of series `cpu` at "
        "2026-01-02T00:00:00 is 130, its capacity 100\n"
        "hint: it is real on many platforms: data.policy.above_capacity=keep, clip or mask\n"
        "try: gymjax train ... data.policy.above_capacity=keep",
        policy={"above_capacity": "error"},
    ),
    "missing values": case(
        "ds,cpu,memory\n2026-01-01,1,\n2026-01-02,NA,2\n",
        "error: 1 target values and 1 other values are missing (NaN): `cpu` of series `cpu` at "
        "2026-01-02T00:00:00\nhint: the policy missing=error refuses them\n"
        "try: gymjax train ... data.policy.missing=mask",
        target=["cpu"],
        past=["memory"],
        policy={"missing": "error"},
    ),
    "a blank target": case(
        "ds,value\n2026-01-01,\n2026-01-02,NA\n",
        "error: target `value` has no value in any row\nhint: every value is missing",
    ),
    "a blank column": case(
        "ds,cpu,memory\n2026-01-01,1,\n2026-01-02,2,\n",
        f"error: column `memory` has no value in any row\n{BLANK}",
        target=["cpu"],
        past=["memory"],
    ),
    "a blank series": case(
        "id,ds,cpu\na,2026-01-01,1\na,2026-01-02,2\nb,2026-01-01,\nb,2026-01-02,\n",
        f"error: series `b` has no value in any row\n{BLANK}",
    ),
    "blank columns of a wide file": case(
        "ds,a,b,c\n2026-01-01,1,,\n2026-01-02,2,,\n",
        f"error: columns `b`, `c` of `cpu.csv` have no value in any row\n{BLANK}",
        layout="wide",
    ),
    "a wide file of blank columns": case(
        "ds,a\n2026-01-01,\n2026-01-02,\n",
        "error: column `a` of `cpu.csv` has no value in any row\nhint: every value is missing",
        layout="wide",
    ),
    "an id that does not tell series apart alone": case(
        "namespace,pod,container,ds,cpu\na,web,app,2026-01-01,1\nb,web,app,2026-01-01,2\na,web,app,2026-01-02,3\n",
        "error: 1 rows repeat the time of another row of their series: series `app` at 2026-01-01T00:00:00\n"
        "hint: does `container` tell them apart alone? If not, write a column that joins it with namespace, pod; "
        "else keep one row per series and time (data.policy.duplicates=first, last or mean)\n"
        "try: gymjax explain data.duplicates",
    ),
    "several problems at once": case(
        "id,ds,cpu\na,2026-01-01,-1\na,2026-01-01,inf\na,2026-01-02,2\na,2026-01-04,\n",
        "error: 1 values are infinite: `cpu` of series `a` at 2026-01-01T00:00:00; 1 values of usage are "
        "negative: `cpu` of series `a` at 2026-01-01T00:00:00 is -1; 2 target values are missing (NaN): "
        "`cpu` of series `a` at 2026-01-01T00:00:00; 1 rows repeat the time of another row of their "
        "series: series `a` at 2026-01-01T00:00:00; 1 of 4 time slots are missing: series `a` after "
        f"2026-01-02T00:00:00\n{INFINITE}; a counter that wrapped, or a word for missing? "
        "data.policy.negative=mask, zero or keep; data.usage names the columns that can not be negative; "
        "the policy missing=error refuses them; keep one row per series and time "
        "(data.policy.duplicates=first, last or mean), or name the column that tells the series apart "
        "(data.id); the policy gaps=error refuses them\n"
        "try: gymjax train ... data.policy.infinite=mask data.policy.negative=mask "
        "data.policy.missing=mask data.policy.duplicates=first data.policy.gaps=mask",
        policy={"gaps": "error", "missing": "error"},
    ),
    "several problems and no step": case(
        "ds,cpu\n2026-01-01 00:00,-1\n2026-01-01 01:00,inf\n2026-01-01 02:00,2\n2026-01-01 02:30,3\n",
        "error: 1 values are infinite: `cpu` of series `cpu` at 2026-01-01T01:00:00; 1 values of usage "
        "are negative: `cpu` of series `cpu` at 2026-01-01T00:00:00 is -1; 1 of 4 timestamps are off the "
        "regular step of 1h: series `cpu` at 2026-01-01T02:30:00\n"
        f"{INFINITE}; a counter that wrapped, or a word for missing? data.policy.negative=mask, zero or "
        "keep; data.usage names the columns that can not be negative; every series needs one time step "
        "throughout: resample, or round to it with data.policy.irregular=round\n"
        "try: gymjax train ... data.policy.infinite=mask data.policy.negative=mask",
    ),
    # Units
    "thousandths of cores": case(
        "ds,cpu\n2026-01-01,250m\n2026-01-02,1\n",
        "error: column `cpu` of `cpu.csv` is not numeric: `250m` in data row 1\n"
        f"{UNIT}\ntry: gymjax train ... 'data.units={{cpu: cores}}'",
    ),
    "binary bytes": case(
        "ds,memory\n2026-01-01,1.5Gi\n2026-01-02,512Mi\n",
        "error: column `memory` of `cpu.csv` is not numeric: `1.5Gi` in data row 1 and 1 more\n"
        f"{UNIT}\ntry: gymjax train ... 'data.units={{memory: MiB}}'",
    ),
    "per cent": case(
        "ds,CPU usage [x y]\n2026-01-01,5%\n2026-01-02,7%\n",
        "error: column `CPU usage [x y]` of `cpu.csv` is not numeric: `5%` in data row 1 and 1 more\n"
        f"{UNIT}\ntry: gymjax train ... 'data.units={{CPU usage \\[x y\\]: %}}'",
    ),
    "an unknown unit": case(
        "ds,memory_kib\n2026-01-01,5\n2026-01-02,7\n",
        "error: `MiBs` of column `memory_kib` is no unit that is known\nhint: did you mean `mib`?",
        units={"memory_kib": "MiBs"},
    ),
    "a unit of another kind": case(
        "ds,memory_kib\n2026-01-01,5\n2026-01-02,7\n",
        "error: column `memory_kib` is in `kib`, which is no `cores`\nhint: `kib` counts bytes, `cores` cores",
        units={"memory_kib": "cores"},
    ),
    "a rate for an amount": case(
        "ds,memory_kib\n2026-01-01,5\n2026-01-02,7\n",
        "error: column `memory_kib` is in `kib`, which is no `KiB/s`\nhint: `kib` counts bytes, `KiB/s` bytes a second",
        units={"memory_kib": "KiB/s"},
    ),
    "a column without a unit": case(
        "ds,memory\n2026-01-01,5\n2026-01-02,7\n",
        "error: column `memory` is to be read in `MiB`, but its name tells no unit\n"
        "hint: the unit stands at the end of the name: memory_kib, Memory usage [KB]",
        units={"memory": "MiB"},
    ),
    "megabits or megabytes": case(
        "ds,traffic [Mb]\n2026-01-01,5\n2026-01-02,7\n",
        "error: `Mb` of column `traffic [Mb]` is no unit that is known\n"
        "hint: it may be megabits or megabytes: write MB or MiB",
        units={"traffic [Mb]": "MiB"},
    ),
    "a word among quantities": case(
        "ds,memory\n2026-01-01,5Gi\n2026-01-02,n.a.\n2026-01-03,\n",
        "error: column `memory` of `cpu.csv` is no quantity: `n.a.` in data row 2\n"
        "hint: a quantity is a number with or without a unit: 250m, 1.5Gi, 12\n"
        "try: gymjax train ... 'data.missing_words=[n.a.]'",
        units={"memory": "MiB"},
    ),
    "megas of cores": case(
        "ds,cpu\n2026-01-01,250m\n2026-01-02,2M\n",
        "error: column `cpu` is in `M`, which is no `cores`\nhint: `M` counts bytes, `cores` cores",
        units={"cpu": "cores"},
    ),
    # Other formats
    "half a Parquet file": case(
        parquet(FRAME)[:300],
        "error: `cpu.parquet` can not be read: Parquet magic bytes not found in footer. Either the file "
        "is corrupted or this is not a parquet file.\n"
        f"{DAMAGED}",
        file="cpu.parquet",
    ),
    "text called Parquet": case(
        LONG,
        "error: `cpu.parquet` can not be read: Parquet magic bytes not found in footer. Either the file "
        "is corrupted or this is not a parquet file.\n"
        f"{DAMAGED}",
        file="cpu.parquet",
    ),
    "Arrow called Parquet": case(
        arrow(FRAME),
        "error: `cpu.parquet` is an Arrow file by its first bytes\nhint: name it .arrow or .feather",
        file="cpu.parquet",
    ),
    "no rows in Parquet": case(parquet(FRAME[:0]), f"error: `cpu.parquet` holds no rows\n{HEADER}", file="cpu.parquet"),
    "numbers stored as text": case(
        parquet(FRAME.assign(value=["1", "2", None])),
        f"error: column `value` of `cpu.parquet` is not numeric: `1` in data row 1\n{STORED}",
        file="cpu.parquet",
        target=["value"],
    ),
    "text in Parquet": case(
        parquet(FRAME.assign(value=["1", "n.a.", "x"])),
        f"error: column `value` of `cpu.parquet` is not numeric: `n.a.` in data row 2 and 1 more\n{CELLS}",
        file="cpu.parquet",
        target=["value"],
    ),
    "quantities in Parquet": case(
        parquet(FRAME.assign(value=["1Gi", None, "1.5Gi"])),
        "error: column `value` of `cpu.parquet` is not numeric: `1Gi` in data row 1 and 1 more\n"
        f"{UNIT}\ntry: gymjax train ... 'data.units={{value: MiB}}'",
        file="cpu.parquet",
        target=["value"],
    ),
    "an id of blanks in Parquet": case(
        parquet(FRAME.assign(id=["a", " ", None])),
        f"error: id column `id` of `cpu.parquet` is empty in 2 rows, first in data row 2\n{IDS}",
        file="cpu.parquet",
    ),
    "lists in Parquet": case(
        parquet(FRAME.assign(id=[["a"], ["b"], ["c"]])),
        f"error: column `id` of `cpu.parquet` holds `list<element: string>`, which is neither text nor a time\n{KINDS}",
        file="cpu.parquet",
    ),
    "an Arrow file that points out of itself": case(
        pointing_astray(),
        "error: `cpu.feather` can not be read: Column 1: In chunk 0: Invalid: Dictionary indices "
        "invalid: Invalid: Value at position 2 out of bounds: 305419896 (should be in [0, 0])\n"
        f"{DAMAGED}",
        file="cpu.feather",
    ),
    "half an Arrow file": case(
        arrow(FRAME)[:300], f"error: `cpu.arrow` can not be read: Not an Arrow file\n{DAMAGED}", file="cpu.arrow"
    ),
    "text called Feather": case(
        LONG,
        "error: `cpu.feather` is no Arrow file by its first bytes\n"
        "hint: it is damaged, or of another format than its name says",
        file="cpu.feather",
    ),
    "a nested value": case(
        '{"ds": "2026-01-01", "cpu": 1}\n{"ds": "2026-01-02", "cpu": {"user": 1}}\n',
        f"error: `cpu.jsonl` line 2 is no flat row: `cpu` is nested\n{ROW}",
        file="cpu.jsonl",
    ),
    "a JSON array": case(
        '[{"ds": "2026-01-01", "cpu": 1}]\n', f"error: `cpu.jsonl` line 1 is no object\n{ROW}", file="cpu.jsonl"
    ),
    "JSON over several lines": case(
        '{\n"ds": "2026-01-01",\n"cpu": 1}\n',
        "error: `cpu.jsonl` line 1 is not JSON: Expecting property name enclosed in double quotes "
        f"(character 3)\n{ROW}",
        file="cpu.jsonl",
    ),
    "half a JSON line": case(
        '{"ds": "2026-01-01", "cpu": 1}\n{"ds": "2026-01-02", "cp',
        f"error: `cpu.jsonl` line 2 is not JSON: Unterminated string starting at (character 22)\n{ROW}",
        file="cpu.jsonl",
    ),
    "a name twice in a JSON line": case(
        '{"ds": "2026-01-01", "cpu": 1, "cpu": 2}\n',
        f"error: `cpu.jsonl` line 1 says `cpu` twice\n{ROW}",
        file="cpu.jsonl",
    ),
    "a name twice below the sample": case(
        JSONL + '{"ds": 1767346000, "cpu": 1, "cpu": 2}\n',
        f"error: `cpu.jsonl` line 2,001 says `cpu` twice\n{ROW}",
        file="cpu.jsonl",
    ),
    "brackets without end": case(
        JSONL + "[" * 100_000 + "\n",
        f"error: `cpu.jsonl` line 2,001 is not JSON: its brackets nest too deep\n{ROW}",
        file="cpu.jsonl",
    ),
    "text in JSON": case(
        '{"ds": "2026-01-01", "cpu": 1}\n{"ds": "2026-01-02", "cpu": "n.a."}\n',
        "error: column `cpu` of `cpu.jsonl` is not numeric: `n.a.` in data row 2\n"
        f"{CELLS}\ntry: gymjax train ... 'data.missing_words=[n.a.]'",
        file="cpu.jsonl",
        target=["cpu"],
    ),
    "a number as text in JSON": case(
        '{"ds": "2026-01-01", "cpu": "1.5"}\n{"ds": "2026-01-02", "cpu": 2}\n',
        f"error: column `cpu` of `cpu.jsonl` is not numeric: `1.5` in data row 1\n{STORED}",
        file="cpu.jsonl",
        target=["cpu"],
    ),
    "JSON in UTF-16": case(
        '{"ds": "2026-01-01", "cpu": 1}\n'.encode("utf-16"),
        "error: `cpu.jsonl` can not be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid "
        f"start byte\n{DAMAGED}",
        file="cpu.jsonl",
    ),
    "infinity in JSON": case(
        '{"ds": "2026-01-01", "cpu": Infinity}\n{"ds": "2026-01-02", "cpu": 1}\n',
        "error: 1 values are infinite: `cpu` of series `cpu` at 2026-01-01T00:00:00\n"
        f"{INFINITE}\ntry: gymjax train ... data.policy.infinite=mask",
        file="cpu.jsonl",
    ),
    "blank JSON lines": case("\n\n", f"error: `cpu.jsonl` holds no rows\n{HEADER}", file="cpu.jsonl"),
    "Python objects": case(
        npz(ds=DAYS, cpu=np.array([1, None, "x"], object)),
        "error: array `cpu` of `cpu.npz` holds Python objects\n"
        "hint: they can run code when read: store numbers, datetime64 or text",
        file="cpu.npz",
    ),
    "arrays of other lengths": case(
        npz(ds=DAYS, cpu=np.ones(4)),
        "error: the arrays of `cpu.npz` differ in length: ds 3, cpu 4\n"
        "hint: every array is a column with one value a row",
        file="cpu.npz",
    ),
    "an array of four axes": case(
        npz(ds=DAYS, cpu=np.ones((3, 2, 2, 2))),
        "error: array `cpu` of `cpu.npz` has 4 axes\n"
        "hint: an array is a column [rows], several [rows, columns], or sequences [cases, steps, channels]",
        file="cpu.npz",
    ),
    "complex numbers": case(
        npz(ds=DAYS, cpu=np.ones(3, complex)),
        "error: array `cpu` of `cpu.npz` is of type complex128\nhint: store numbers, datetime64 or text",
        file="cpu.npz",
    ),
    "a name twice in an archive": case(
        npz(ds=DAYS, cpu=np.ones((3, 2)), cpu_1=np.ones(3)),
        f"error: `cpu.npz` has 2 columns named `cpu_1`\n{NAMES}",
        file="cpu.npz",
    ),
    "an archive without arrays": case(npz(), f"error: `cpu.npz` holds no rows\n{HEADER}", file="cpu.npz"),
    "half an archive": case(
        npz(ds=DAYS, cpu=np.ones(3))[:200],
        f"error: `cpu.npz` can not be read: File is not a zip file\n{DAMAGED}",
        file="cpu.npz",
    ),
    "an array called archive": case(
        b"\x93NUMPY and so on",
        "error: `cpu.npz` is a NumPy array by its first bytes\n"
        "hint: it can not be read; choose from .csv, .csv.gz, .tsv, .tsv.gz, .parquet, .pq, .arrow, "
        ".feather, .jsonl, .jsonl.gz, .npz, .ts, .ts.gz",
        file="cpu.npz",
    ),
    "text called archive": case(
        LONG, f"error: `cpu.npz` can not be read: File is not a zip file\n{DAMAGED}", file="cpu.npz"
    ),
    "cases without @data": case(
        "@classLabel false\n1,2,3\n", f"error: `cpu.ts` line 2: a case stands before @data\n{CASE}", file="cpu.ts"
    ),
    "a header of cases only": case(
        "@classLabel false\n@data\n", f"error: `cpu.ts` holds no rows\n{HEADER}", file="cpu.ts"
    ),
    "a case without its class": case(
        "@classLabel true a b\n@data\n1,2,3:a\n1,2,3\n",
        f"error: `cpu.ts` line 4: it ends in `1,2,3`, not in one of a, b\n{CASE}",
        file="cpu.ts",
    ),
    "a case cut before its class": case(
        "@classLabel true\n@data\n1,2,3:a\n1,2,3:\n",
        f"error: `cpu.ts` line 4: it ends in ``, not in a class\n{CASE}",
        file="cpu.ts",
    ),
    "text in a case": case(
        "@classLabel false\n@data\n1,x,3\n", f"error: `cpu.ts` line 3: `x` is no number\n{CASE}", file="cpu.ts"
    ),
    "a case cut short": case(
        "@equalLength true\n@seriesLength 3\n@classLabel false\n@data\n1,2,3\n1,2\n",
        f"error: `cpu.ts` line 6: 2 values, @seriesLength says 3\n{CASE}",
        file="cpu.ts",
    ),
    "fewer channels than said": case(
        "@dimensions 2\n@classLabel false\n@data\n1,2\n",
        f"error: `cpu.ts` line 4: 1 channels, @dimensions says 2\n{CASE}",
        file="cpu.ts",
    ),
    "channels of other lengths": case(
        "@classLabel false\n@data\n1,2,3:1,2\n",
        f"error: `cpu.ts` line 3: its channels have 3, 2 values\n{CASE}",
        file="cpu.ts",
    ),
    "a channel less": case(
        "@classLabel false\n@data\n1,2:1,2\n1,2\n",
        f"error: `cpu.ts` line 4: 1 channels, the cases before have 2\n{CASE}",
        file="cpu.ts",
    ),
    "cases with their own times": case(
        "@timeStamps true\n@classLabel false\n@data\n(0,1),(1,2)\n",
        f"error: `cpu.ts` line 4: cases with their own timestamps are not read\n{CASE}",
        file="cpu.ts",
    ),
    "no format": case("x", f"error: `cpu.xlsx` is of no format that can be read\n{FORMATS}", file="cpu.xlsx"),
}
"""Name -> file, content, options and the whole message."""

FRAMES = {
    "no frame": (
        lambda: [1, 2, 3],
        "error: `list` is no data frame\nhint: give a pandas data frame, or one that speaks Arrow "
        "(polars, DuckDB, pyarrow)",
    ),
    "columns of one name": (
        lambda: pa.table([[1], [2]], names=["ds", "ds"]),
        f"error: the data frame has 2 columns named `ds`\n{NAMES}",
    ),
    "an index without a name": (
        lambda: FRAME.set_index("ds").rename_axis(None),
        "error: no time column in the data frame: looked for ds, timestamp, ts, time, datetime, date, "
        "epoch, unix_time\nhint: its columns are value; an index counts when it has a name, `frame.rename_axis('ds')`; "
        "to count rows that have no times, data.time_unit=step\ntry: gymjax train ... data.time=COLUMN",
    ),
    "seconds in 32 bits": (
        lambda: FRAME.assign(ds=np.arange(3, dtype=np.float32) + np.float32(1.7672256e9)),
        "error: time column `ds` of the data frame holds the numbers 1767225600 (data row 1) to "
        "1767225600 (data row 1) in float32, which can not tell seconds apart\n"
        "hint: store times in 64 bits",
    ),
    "a zone that is none": (
        lambda: pa.table({"ds": pa.array([1, 2], pa.timestamp("s", "Mars/Base")), "cpu": [1, 2]}),
        "error: `Mars/Base` is no time zone\nhint: such as UTC or Europe/Amsterdam",
    ),
    "lengths of time as times": (
        lambda: pa.table({"ds": pa.array([1, 2], pa.duration("s")), "cpu": [1, 2]}),
        f"error: column `ds` of the data frame holds `duration[s]`, which is neither text nor a time\n{KINDS}",
    ),
    "times that are all null": (
        lambda: FRAME.assign(ds=[None, None, None]),
        "error: time column `ds` of the data frame is empty in 3 rows, first in data row 1\n"
        "hint: every row needs its time",
    ),
    "numbers beyond every clock": (
        lambda: FRAME.assign(ds=1e308),
        "error: time column `ds` of the data frame holds the numbers 1e+308 (data row 1) to 1e+308 (data "
        f"row 1): no unit since 1970 fits them\n{COUNTS}",
    ),
    "a null time": (
        lambda: pa.table({"ds": pa.array([1_767_225_600, None], pa.timestamp("s")), "cpu": [1, 2]}),
        "error: time column `ds` of the data frame is empty in 1 row, first in data row 2\n"
        "hint: every row needs its time",
    ),
    "times of Python with and without a zone": (
        lambda: pd.DataFrame(
            {"ds": pd.Series([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2)], dtype=object), "cpu": [1, 2]}
        ),
        "error: time column `ds` of the data frame mixes times with and without a zone\nhint: write every time alike",
    ),
    "a null among words": (
        lambda: FRAME.assign(ds=["2026-01-01", None, "2026-01-02"]),
        "error: time column `ds` of the data frame is empty in 1 row, first in data row 2\n"
        "hint: every row needs its time",
    ),
    "a word that is null in a dictionary": (
        lambda: pa.table(
            {
                "id": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None])),
                "ds": ["2026-01-01", "2026-01-02"],
                "cpu": [1, 2],
            }
        ),
        f"error: id column `id` of the data frame is empty in 1 row, first in data row 2\n{IDS}",
    ),
    "complex numbers in a frame": (
        lambda: FRAME.assign(value=[1j, 2j, 3j]),
        f"error: column `value` of the data frame is not numeric: `1j` in data row 1 and 2 more\n{PLAINLY}",
    ),
    "bytes that are no text": (
        lambda: pa.table({"id": [b"\xff", b"a"], "ds": ["2026-01-01", "2026-01-02"], "cpu": [1, 2]}),
        "error: the data frame can not be read: Invalid UTF8 payload\n"
        "hint: a column of it can not be converted to Arrow",
    ),
    "an empty frame": (
        lambda: FRAME[:0],
        f"error: the data frame holds no rows\n{HEADER}",
    ),
}
"""Name -> frame and the whole message."""

MIDNIGHT = "2026-01-01T00:00:00"
SECONDS = "time column `ds` read as {} since 1970 (the only unit that gives dates of 1990-2100)"
REPAIRED = {
    "semicolons and decimal commas": (
        "cpu.csv",
        "ds;cpu\n2026-01-01;1,5\n2026-01-02;2\n",
        {},
        ([1.5, 2.0], MIDNIGHT, ("columns are separated by ';'", "numbers are read with a decimal comma")),
    ),
    "a separator that is said in the file": (
        "cpu.csv",
        "sep=;\r\nds;cpu\r\n2026-01-01;1,5\r\n2026-01-02;2\r\n",
        {},
        ([1.5, 2.0], MIDNIGHT, ("columns are separated by ';'", "numbers are read with a decimal comma")),
    ),
    "UTF-16": ("cpu.csv", "ds,cpu\n2026-01-01,1\n2026-01-02,2\n".encode("utf-16"), {}, ([1.0, 2.0], MIDNIGHT, ())),
    "a byte-order mark": ("cpu.csv", "\ufeffds,cpu\n2026-01-01,1\n2026-01-02,2\n", {}, ([1.0, 2.0], MIDNIGHT, ())),
    "returns only": ("cpu.csv", b"ds,cpu\r2026-01-01,1\r2026-01-02,2\r", {}, ([1.0, 2.0], MIDNIGHT, ())),
    "line ends of all kinds": (
        "cpu.csv",
        b"ds,cpu\r\n2026-01-01,1\n2026-01-02,2\r2026-01-03,3",
        {},
        ([1.0, 2.0, 3.0], MIDNIGHT, ()),
    ),
    "blank lines": ("cpu.csv", "\n\nds,cpu\n\n2026-01-01,1\n\n2026-01-02,2\n\n", {}, ([1.0, 2.0], MIDNIGHT, ())),
    "blanks around values": (
        "cpu.csv",
        "ds, id ,\tcpu\n 2026-01-01 , a ,\t+1\n2026-01-02 ,a, 2 \n",
        {"target": ["cpu"]},
        ([1.0, 2.0], MIDNIGHT, ()),
    ),
    "separators at line ends": ("cpu.csv", "ds,cpu\n2026-01-01,1,\n2026-01-02,2,\n", {}, ([1.0, 2.0], MIDNIGHT, ())),
    "an index without a name": ("cpu.csv", ",ds,cpu\n0,2026-01-01,1\n1,2026-01-02,2\n", {}, ([1.0, 2.0], MIDNIGHT, ())),
    "an index of pandas": (
        "cpu.csv",
        "Unnamed: 0,ds,cpu\n0,2026-01-01,1\n1,2026-01-02,2\n",
        {},
        ([1.0, 2.0], MIDNIGHT, ()),
    ),
    "line breaks in quotes": (
        "cpu.csv",
        'ds,"cpu\n[cores]",note\n2026-01-01,1,"x\r\ny, z"\n2026-01-02,"2",""\n',
        {},
        ([1.0, 2.0], MIDNIGHT, ()),
    ),
    "a quote that stands for inches": (
        "cpu.csv",
        'ds,cpu,disk\n2026-01-01,1,5" disk\n2026-01-02,2,x\n',
        {},
        ([1.0, 2.0], MIDNIGHT, ()),
    ),
    "words for missing values": (
        "cpu.csv",
        "ds,cpu\n2026-01-01,1\n2026-01-02,\n2026-01-03,NA\n2026-01-04,NaN\n2026-01-05,n.a.\n2026-01-06,2\n",
        {"missing_words": ["n.a."]},
        ([1.0, None, None, None, None, 2.0], MIDNIGHT, ("4 target values are missing (NaN): masked",)),
    ),
    "a blank line in a single column": (
        "cpu.csv",
        "cpu\n1\n\n3\n",
        {"time_unit": "step"},
        (
            [1.0, None, 3.0],
            0,
            (
                "there is no time column: rows are counted in the order of the data",
                "1 target values are missing (NaN): masked",
            ),
        ),
    ),
    "truth values": ("cpu.csv", "ds,up\n2026-01-01,true\n2026-01-02,False\n", {}, ([1.0, 0.0], MIDNIGHT, ())),
    "milliseconds": (
        "cpu.csv",
        "ds,cpu\n1767225600000,1\n1767225600500,2\n",
        {},
        ([1.0, 2.0], MIDNIGHT, (SECONDS.format("ms"),)),
    ),
    "seconds called milliseconds": (
        "cpu.csv",
        "Timestamp [ms],cpu\n1767225600,1\n1767225900,2\n",
        {},
        (
            [1.0, 2.0],
            MIDNIGHT,
            (
                "time column `Timestamp [ms]` read as s since 1970, although its name says ms "
                "(the only unit that gives dates of 1990-2100)",
            ),
        ),
    ),
    "seconds read as milliseconds": (
        "cpu.csv",
        "ds,cpu\n1767225600,1\n1767225900,2\n",
        {"time_unit": "ms"},
        (
            [1.0, 2.0],
            "1970-01-21T10:53:45.600",
            ("time column `ds` read as ms since 1970 begins in the year 1970; read as s it would be after 1990",),
        ),
    ),
    "dates in digits, said": (
        "cpu.csv",
        "ds,cpu\n20260101,1\n20260102,2\n",
        {"time_format": "%Y%m%d"},
        ([1.0, 2.0], MIDNIGHT, ()),
    ),
    "a year long ago": (
        "cpu.csv",
        "ds,cpu\n1926-01-01,1\n1926-01-02,2\n",
        {},
        ([1.0, 2.0], "1926-01-01T00:00:00", ("time column `ds` reaches from the year 1926 to 1926",)),
    ),
    "several zones, with one for the calendar": (
        "cpu.csv",
        "ds,cpu\n2026-01-01T01:00+01:00,1\n2026-01-01T00:00-01:00,2\n",
        {"time_zone": "Europe/Amsterdam"},
        ([1.0, 2.0], MIDNIGHT, ()),
    ),
    "numbers that are too small": (
        "cpu.csv",
        "ds,cpu\n2026-01-01,1e-999\n2026-01-02,2\n",
        {},
        ([0.0, 2.0], MIDNIGHT, ()),
    ),
    "NaN and missing names in JSON": (
        "cpu.jsonl",
        '{"ds": "2026-01-01", "cpu": NaN}\n{"ds": "2026-01-02"}\n{"cpu": 3, "ds": "2026-01-03"}\n',
        {},
        ([None, None, 3.0], MIDNIGHT, ("2 target values are missing (NaN): masked",)),
    ),
    "a missing word in JSON": (
        "cpu.jsonl",
        '{"ds": "2026-01-01", "cpu": 1}\n{"ds": "2026-01-02", "cpu": "-"}\n{"ds": "2026-01-03", "cpu": 2.5}\n',
        {"missing_words": ["-"], "target": ["cpu"]},
        ([1.0, None, 2.5], MIDNIGHT, ("1 target values are missing (NaN): masked",)),
    ),
}
"""Name -> file, content, options; and values (None is masked), the first time, notes."""


@pytest.fixture
def written(tmp_path):
    """A function that writes a content under a name."""

    def write(file, content):
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / file

    return write


def refusal(action):
    with pytest.raises(GymJaxError) as caught:
        action()
    assert caught.value.exit_code in (2, 3)
    lines = caught.value.lines()
    assert [line.partition(":")[0] for line in lines] in (["error", "hint"], ["error", "hint", "try"])
    assert all("\n" not in line for line in lines)
    return "\n".join(lines)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_in_words(written, name):
    file, content, options, expected = REFUSED[name]
    path = written(file, content)
    assert refusal(lambda: read(path, **options)) == expected


def test_a_file_that_may_not_be_read_is_refused(written, monkeypatch):
    path = written("cpu.csv", LONG)

    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    assert refusal(lambda: read(path)) == (
        "error: `cpu.csv` can not be read: [Errno 13] Permission denied\nhint: allow this user to read it"
    )


@pytest.mark.parametrize("name", FRAMES)
def test_a_bad_frame_is_refused_in_words(name):
    frame, expected = FRAMES[name]
    assert refusal(lambda: read_frame(frame())) == expected


@pytest.mark.parametrize("name", REPAIRED)
def test_an_odd_file_is_read_aloud(written, name):
    file, content, options, (values, first, notes) = REPAIRED[name]
    panel = read(written(file, content), **options)
    seen = [value if there else None for value, there in zip(panel.values[:, 0], panel.mask[:, 0], strict=True)]
    assert seen == values
    assert panel.first.tolist() == [first if first == 0 else int(np.datetime64(first, "ns").astype(int))]
    assert panel.notes == notes


ATTEMPTS = {
    name: expected.partition("\ntry: gymjax train ... ")[2]
    for name, (*_, expected) in REFUSED.items()
    if "\ntry: gymjax train" in expected and "COLUMN" not in expected.partition("\ntry:")[2]
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_is_to_be_typed_helps(written, name):
    file, content, options, _ = REFUSED[name]
    options = {key: dict(value) if isinstance(value, dict) else value for key, value in options.items()}
    words = shlex.split(ATTEMPTS[name])
    if words[0] == "--target":
        options["target"] = [words[1]]
    for override in map(parse_override, words) if words[0] != "--target" else ():
        section, key, *rest = override.path
        assert section == "data"
        if rest:
            options.setdefault(key, {})[rest[0]] = override.value
        else:
            options[key] = override.value
    path = written(file, content)
    if name == "several problems and no step":  # the others are gone, that one needs another command
        assert refusal(lambda: read(path, **options)).startswith("error: 1 of 4 timestamps are off the regular step")
    else:
        read(path, **options)


TEXT = "id,ds,cpu,note\n" + "".join(f'{n},2026-01-01 0{h}:00,{h}.5,"{n}, {h}"\n' for n in "ab" for h in range(6))
ROWS = [json.loads(f'{{"id": "{n}", "ds": "2026-01-01 0{h}:00", "cpu": {h}.5}}') for n in "ab" for h in range(6)]
TABLE = pd.DataFrame(ROWS).assign(ds=lambda frame: pd.to_datetime(frame["ds"]))
LABELLED = "@classLabel true x y\n@data\n" + "1.5,?,3.5,4:5,6,7.25,8:x\n" * 3 + "9,10,11:12,13,14:y\n"
GOOD = {
    "csv": (".csv", TEXT.encode()),
    "csv, semicolons": (".csv", TEXT.replace(",", ";").replace(".", ",").encode()),
    "csv, UTF-16": (".csv", TEXT.encode("utf-16")),
    "csv.gz": (".csv.gz", gzip.compress(TEXT.encode())),
    "jsonl": (".jsonl", "".join(json.dumps(row) + "\n" for row in ROWS).encode()),
    "parquet": (".parquet", parquet(TABLE)),
    "parquet, zstd": (".parquet", parquet(TABLE.astype({"id": "category"}), compression="zstd")),
    "feather": (".feather", arrow(TABLE.astype({"id": "category"}))),
    "feather, plain": (".feather", arrow(TABLE, compression="uncompressed")),
    "npz": (".npz", npz(**{name: TABLE[name].to_numpy(None if name != "id" else str) for name in TABLE})),
    "ts": (".ts", LABELLED.encode()),
    "ts.gz": (".ts.gz", gzip.compress(LABELLED.encode())),
}
"""Name -> ending and bytes of a file that reads."""
BYTES = st.one_of(
    st.binary(min_size=1, max_size=3), st.sampled_from([b'"', b"\n", b",", b";", b"1", b"e9", b"-", b"\0"])
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "insert", "drop", "cut", "twice"]), st.floats(0, 1), BYTES),
    min_size=1,
    max_size=4,
)


def changed(content, changes):
    """The same bytes with some put in place, inserted, dropped, repeated, or cut off behind."""
    for kind, share, data in changes:
        at = int(share * len(content))
        begin, end = content[:at], content[at:]
        content = {
            "put": begin + data + end[len(data) :],
            "insert": begin + data + end,
            "drop": begin + end[len(data) * 3 :],
            "cut": begin,
            "twice": begin + end[:20] + end,
        }[kind]
    return content


def numbers_in(content):
    """Every number that stands in a text, with a point or a comma, and what truth values count."""
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    words = [word.replace(",", ".") for marks in (".", ",") for word in re.split(rf"[^0-9eE+{marks}-]", text)]
    return {float(word) for word in words if is_number(word)} | {0.0, 1.0}


@pytest.mark.parametrize("kind", GOOD)
def test_a_damaged_file_is_refused_or_says_what_it_holds(tmp_path, kind):
    suffix, content = GOOD[kind]
    options = {} if ".ts" in suffix else {"target": ["cpu"], "usage": []}
    path = tmp_path / f"cpu{suffix}"
    path.write_bytes(content)
    read(path, **options)

    @settings(max_examples=60, deadline=None)
    @given(changes=CHANGES)
    def check(changes):
        damaged = changed(content, changes)
        path.write_bytes(damaged)
        try:
            panel = read(path, **options)
        except GymJaxError as error:
            lines = error.lines()
            assert not any("\n" in line for line in lines)
            return
        except MemoryError:
            return
        if suffix in (".csv", ".jsonl", ".ts"):
            assert set(panel.values[panel.mask].tolist()) <= numbers_in(damaged)

    check()


@settings(max_examples=300, deadline=None)
@given(word=st.text(max_size=8), name=st.text(max_size=8))
def test_what_is_to_be_typed_is_read_by_hydra_as_it_was_meant(word, name):
    for options in ({"missing_words": [word, "-"]}, {"time_format": word}, {"units": {name: "MiB/s"}}):
        typed = command(options)
        if typed is None:
            continue
        (text,) = shlex.split(typed.removeprefix("gymjax train ... "))
        override = parse_override(text)
        (key, value), *_ = options.items()
        assert override.path == ("data", key)
        assert override.value == value or (key == "units" and override.value == {name.strip(): "MiB/s"} == value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"policy.duplicates": "first"}, "data.policy.duplicates=first"),
        ({"units": {"memory_kib": "MiB"}}, "'data.units={memory_kib: MiB}'"),
        ({"units": {"CPU usage [%]": "%"}}, r"'data.units={CPU usage \[%\]: %}'"),
        ({"missing_words": ["n.a.", "-", "null"]}, """'data.missing_words=[n.a.,"-","null"]'"""),
        ({"decimal": ","}, """'data.decimal=","'"""),
        ({"time_format": "%d/%m/%Y %H:%M"}, """'data.time_format="%d/%m/%Y %H:%M"'"""),
        ({"units": {"7": "MiB"}}, None),
        ({"units": {"größe": "MiB"}}, None),
        ({"missing_words": ["a\nb"]}, None),
    ],
)
def test_options_as_they_are_typed(options, expected):
    assert command(options) == (expected and f"gymjax train ... {expected}")


CELLS = [
    None,
    1,
    -2.5,
    True,
    10**20,
    1e308,
    float("inf"),
    "x",
    "NA",
    "",
    "1,5",
    "250m",
    "2026-01-01",
    1_767_225_600,
    b"x",
    [1],
]
CHOICES = {
    **dict.fromkeys(("past", "known", "static", "categories"), st.sampled_from([["cpu"], ["x"], ["id"], ["ds"]])),
    "id": st.sampled_from(["id", "x"]),
    "time": st.sampled_from(["ds", "x"]),
    "layout": st.just("wide"),
    "time_unit": st.sampled_from(["s", "ms", "step"]),
    "time_zone": st.just("Europe/Amsterdam"),
    "time_format": st.sampled_from(["%Y", "%d/%m/%Y", "%"]),
    "units": st.sampled_from([{"cpu": "cores"}, {"x": "MiB"}]),
    "capacity": st.sampled_from([{"cpu": 4}, {"cpu": "x"}, {"cpu": "id"}]),
    "usage": st.just(["cpu"]),
    "missing_words": st.just(["x"]),
    "step": st.sampled_from(["1h", "5min", "2"]),
    "resample": st.sampled_from([{"step": "2h", "aggregate": "p95"}, {"step": "3", "aggregate": "last"}]),
    "policy": st.fixed_dictionaries(
        {},
        optional={
            "duplicates": st.sampled_from(["first", "last", "mean"]),
            "irregular": st.just("round"),
            "infinite": st.just("mask"),
            "negative": st.sampled_from(["mask", "zero"]),
            "above_capacity": st.sampled_from(["clip", "mask"]),
            "blank": st.just("drop"),
        },
    ),
}
COLUMNS = st.lists(st.sampled_from(CELLS), min_size=4, max_size=4) | st.just([1.0, 2.0, 3.0, 4.0])


@settings(max_examples=300, deadline=None)
@given(
    columns=st.fixed_dictionaries({"cpu": COLUMNS}, optional={"id": COLUMNS, "x": COLUMNS}),
    times=COLUMNS | st.just(pd.date_range("2026-01-01", periods=4, freq="h")),
    options=st.fixed_dictionaries({}, optional=CHOICES),
    target=st.sampled_from([{}, {"target": ["cpu"]}, {"every": True}]),
)
def test_whatever_is_asked_of_whatever_frame_is_answered_or_refused(columns, times, options, target):
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()}).assign(ds=times)
    try:
        panel = read_frame(frame.infer_objects(), **options, **target)
    except GymJaxError as error:
        refused = error.lines()
        assert not any("\n" in line for line in refused)
        return
    assert np.isfinite(panel.values).all()
    assert not panel.values[~panel.mask].any()


def test_there_are_many():
    assert len(REFUSED) + len(FRAMES) + len(REPAIRED) >= 180
    assert len(ATTEMPTS) >= 45
