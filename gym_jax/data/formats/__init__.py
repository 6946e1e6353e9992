"""File formats by name ending: each opens a file as a Table."""

from collections.abc import Callable
from pathlib import Path

from gym_jax.data.formats.arrow import open_arrow, open_parquet
from gym_jax.data.formats.csv import open_csv
from gym_jax.data.formats.jsonl import open_jsonl
from gym_jax.data.formats.npz import open_npz
from gym_jax.data.formats.table import Table, readable
from gym_jax.data.formats.ts import open_ts
from gym_jax.data.reading import Reading
from gym_jax.data.words import named
from gym_jax.errors import DataError

FORMATS: dict[str, Callable[[Path, Reading], Table]] = {
    ".csv": open_csv,
    ".csv.gz": open_csv,
    ".tsv": open_csv,
    ".tsv.gz": open_csv,
    ".parquet": open_parquet,
    ".pq": open_parquet,
    ".arrow": open_arrow,
    ".feather": open_arrow,
    ".jsonl": open_jsonl,
    ".jsonl.gz": open_jsonl,
    ".npz": open_npz,
    ".ts": open_ts,
    ".ts.gz": open_ts,
}
BEGINNINGS: dict[bytes, tuple[str, tuple[str, ...]]] = {
    b"PAR1": ("Parquet", (".parquet", ".pq")),
    b"ARROW1": ("an Arrow file", (".arrow", ".feather")),
    b"FEA1": ("Feather of version 1", ()),
    b"\x1f\x8b": ("gzip", (".csv.gz", ".tsv.gz", ".jsonl.gz", ".ts.gz")),
    b"PK\x03\x04": ("a zip archive, as an Excel workbook is,", (".npz",)),
    b"\x93NUMPY": ("a NumPy array", ()),
    b"BZh": ("bzip2", ()),
    b"\xfd7zXZ": ("xz", ()),
    b"\x28\xb5\x2f\xfd": ("Zstandard", ()),
    b"\x89HDF": ("HDF5", ()),
    b"SQLite format 3": ("an SQLite database", ()),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", ()),
}
"""First bytes -> what such a file is, and the endings it may have here."""


def suffix_of(path: Path) -> str:
    """Return the ending that tells the format: `.csv.gz` of `cpu.csv.gz`."""
    both = "".join(path.suffixes[-2:]).lower()
    return both if both in FORMATS else path.suffix.lower()


def open_table(path: Path, reading: Reading) -> Table:
    """Open a file by its ending. Raises DataError when it is empty or begins as a file of another format does."""
    suffix = suffix_of(path)
    with readable(named(path)), path.open("rb") as stream:
        begin = stream.read(16)
    if not begin:
        raise DataError(f"{named(path)} is empty", hint="it holds no header and no row", code="data.empty")
    for mark, (what, endings) in BEGINNINGS.items():
        if begin.startswith(mark) and suffix not in endings:
            known = (
                f"name it {' or '.join(endings)}"
                if endings
                else f"it can not be read; choose from {', '.join(FORMATS)}"
            )
            raise DataError(f"{named(path)} is {what} by its first bytes", hint=known, code="data.format")
    return FORMATS[suffix](path, reading)
