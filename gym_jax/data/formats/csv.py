"""Text tables read by Arrow, and read again line by line to say what is wrong: strict about every line."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.findings import raise_all
from gym_jax.data.formats.dialect import (
    BLANKS,
    FLAGS,
    Dialect,
    find_dialect,
    lost_quote,
    refuse_nul,
    rows_of,
    undecodable,
)
from gym_jax.data.formats.packed import is_packed, open_bytes, open_text
from gym_jax.data.formats.table import Table, Wanted, is_number, missing_words, not_numeric, readable, refuse_empty
from gym_jax.data.reading import Reading
from gym_jax.data.words import named
from gym_jax.errors import DataError

BLOCK, LARGEST = 1 << 20, 1 << 28
"""Bytes that Arrow reads at once, at first and when a row is longer than that."""


def open_csv(path: Path, reading: Reading) -> Table:
    """Open a text table, plain or gzipped, with one header line. Raises DataError that names the line."""
    where = named(path)
    with readable(where):
        dialect = find_dialect(path, reading)

    def load(wanted: Wanted) -> Any:
        import pyarrow as pa

        with readable(where):
            try:
                table = _trimmed(_read(path, dialect, wanted), where)
            except (pa.ArrowInvalid, UnicodeError):
                _explain(path, dialect, wanted)
                table = _patiently(path, dialect, wanted, where)
        refuse_empty(len(table), where)
        return table

    kinds = {name: dialect.kinds[name] for name in dialect.offered}
    return Table(
        {name: "text" if kind == "text" else "number" for name, kind in kinds.items()}, load, {}, dialect.notes
    )


class Watched:
    """A stream of bytes that notices line breaks inside quotes, where a lost quote would swallow rows."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self.stream, self.quoted, self.quotes, self.broken = stream, False, False, False
        self.feeds = self.returns = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, looked at."""
        data: bytes = self.stream.read(size)
        self.feeds, self.returns = self.feeds + data.count(b"\n"), self.returns + data.count(b"\r")
        if not data:
            self.broken |= self.quoted
        elif self.quoted or b'"' in data:
            self.quotes = True
            array = np.frombuffer(data, np.uint8)
            inside = np.logical_xor.accumulate(array == ord('"')) ^ self.quoted
            self.broken |= bool((inside & ((array == ord("\n")) | (array == ord("\r")))).any())
            self.quoted = bool(inside[-1])
        return data

    def suspects(self, lines: int) -> bool:
        """Return whether a quoted value may hold more than it should, when `lines` lines have become rows."""
        return self.broken or (self.quotes and lines < (self.feeds or self.returns))


def _read(path: Path, dialect: Dialect, wanted: Wanted) -> Any:
    """Read once, and again when values hold line breaks or rows are longer than a block."""
    import pyarrow as pa

    block = max(BLOCK, 8 * dialect.longest)
    try:
        table, broken = _parse(path, dialect, wanted, block, spanning=False)
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error) and "out of sync" not in str(error):
            raise
        table, broken, block = None, True, LARGEST
    if not broken:
        return table
    _refuse_swallowed(path, dialect)
    return _parse(path, dialect, wanted, block, spanning=True)[0]


def _parse(path: Path, dialect: Dialect, wanted: Wanted, block: int, *, spanning: bool) -> tuple[Any, bool]:
    import pyarrow as pa
    from pyarrow import csv as pc

    word = pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.float64() if kind == "number" else word for name, kind in wanted.items()}
    types |= {n: pa.bool_() for n, kind in wanted.items() if kind == "number" and dialect.kinds[n] == "flag"}
    with pa.PythonFile(open_bytes(path), "r") if is_packed(path) else pa.input_stream(str(path)) as stream:
        if dialect.encoding != "utf-8":
            stream = pa.transcoding_input_stream(stream, dialect.encoding, "utf-8")
        watched = Watched(stream)
        table = pc.read_csv(
            watched,
            pc.ReadOptions(column_names=dialect.names, skip_rows=dialect.header, block_size=block),
            pc.ParseOptions(
                delimiter=dialect.separator,
                newlines_in_values=spanning,
                ignore_empty_lines=len(dialect.names) > 1,  # in a single column they are missing values
            ),
            pc.ConvertOptions(
                column_types=types,
                include_columns=list(wanted),
                null_values=sorted(dialect.missing),
                strings_can_be_null=False,
                decimal_point=dialect.decimal,
            ),
        )
    for place, column in enumerate(table.schema):
        if column.type == pa.bool_():
            table = table.set_column(place, column.name, table[column.name].cast(pa.int8()).cast(pa.float64()))
    return table, watched.suspects(len(table) + dialect.header)


def _trimmed(table: Any, where: str) -> Any:
    """Return the table with words of one spelling each, without blanks around them. Raises DataError on NUL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type) and len(table):
            words = table[column.name].unify_dictionaries()
            found = words.chunk(0).dictionary
            if pc.any(pc.match_substring(found, "\0")).as_py():
                raise refuse_nul(where, "")
            trimmed = pc.ascii_trim(found, characters=BLANKS)
            if not trimmed.equals(found):
                words = pc.ascii_trim(words.cast(pa.string()), characters=BLANKS).dictionary_encode()
            table = table.set_column(place, column.name, words)
    return table


def _patiently(path: Path, dialect: Dialect, wanted: Wanted, where: str) -> Any:
    """Read numbers as words first: Arrow takes no blanks around missing values, and no `tRuE`."""
    import pyarrow as pa

    table = _trimmed(_read(path, dialect, dict.fromkeys(wanted, "text")), where)
    for place, (name, kind) in enumerate(wanted.items()):
        if kind == "number" and len(table):
            column = table[name].combine_chunks()
            values = [_number(word, dialect) for word in column.dictionary.to_pylist()]
            table = table.set_column(place, name, pa.array(values, pa.float64()).take(column.indices))
    return table


def _number(word: str, dialect: Dialect) -> float | None:
    if word in dialect.missing:
        return None
    return float(word.lower() == "true") if word.lower() in FLAGS else float(word.replace(dialect.decimal, "."))


def _refuse_swallowed(path: Path, dialect: Dialect) -> None:
    """Raise DataError when a quoted value holds whole rows, or does not end: a quote is missing."""
    where = named(path)
    last = dialect.header
    with open_text(path, dialect.encoding) as stream:
        try:
            for line, cells in rows_of(stream, dialect, strict=True):
                last = line
                inner = [part for cell in cells if "\n" in cell or "\r" in cell for part in cell.splitlines()[1:]]
                if any(_is_row(cells, dialect) for cells in csv.reader(inner, delimiter=dialect.separator)):
                    raise lost_quote(where, line, "a quoted value holds line breaks and whole rows")
        except csv.Error as error:
            what = "does not end" if "unexpected end" in str(error) else "goes on behind its quote"
            end = f"a quoted value {what}"
            raise lost_quote(where, last + 1, end) from error


def _is_row(cells: list[str], dialect: Dialect) -> bool:
    """Return whether cells found inside a quoted value would be a row: as many, and numbers where numbers belong."""
    if len(cells) != len(dialect.names):
        return False
    pairs = zip((cell.strip(BLANKS) for cell in cells), dialect.names, strict=True)
    words = [word for word, name in pairs if dialect.kinds[name] == "number" and word not in dialect.missing]
    return bool(words) and all(is_number(word, dialect.decimal) for word in words)


def _explain(path: Path, dialect: Dialect, wanted: Wanted) -> None:
    """Raise DataError with the line or the values at which reading failed, if that can be found."""
    where, width = named(path), len(dialect.names)
    numbers = [(place, name) for place, name in enumerate(dialect.names) if wanted.get(name) == "number"]
    bad: dict[str, tuple[str, int]] = {}
    counts: Counter[str] = Counter()
    given: Counter[str] = Counter()
    words: dict[str, None] = {}
    try:
        with open_text(path, dialect.encoding) as stream:
            for row, (line, cells) in enumerate(rows_of(stream, dialect), 1):
                if len(cells) != width:
                    raise DataError(
                        f"{where} line {line:,} has {len(cells)} {'field' if len(cells) == 1 else 'fields'}, "
                        f"its header has {width}",
                        hint="a separator or a quote is missing or too many; the file may be cut short",
                        code="data.ragged",
                    )
                for place, name in numbers:
                    word = cells[place].strip(BLANKS)
                    if word in dialect.missing:
                        continue
                    given[name] += 1
                    if not _fits(word, dialect, name):
                        counts[name] += 1
                        bad.setdefault(name, (word, row))
                        words[word] = None
    except UnicodeError as error:
        raise undecodable(path, dialect.encoding, error) from error
    except csv.Error as error:
        raise lost_quote(where, dialect.header, str(error)) from error
    missing = missing_words(words, dialect.said_missing)
    raise_all(
        not_numeric(name, where, word, row, counts[name], given[name] - counts[name], decimal=True, missing=missing)
        for name, (word, row) in bad.items()
    )


def _fits(word: str, dialect: Dialect, name: str) -> bool:
    if dialect.kinds[name] == "flag":
        return word.lower() in FLAGS | {"0", "1"}
    return is_number(word, dialect.decimal)
