"""How a text table is written: encoding, separator, decimal mark, header and kinds, found in its beginning or said."""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from gym_jax.data.formats.packed import open_bytes, open_text
from gym_jax.data.formats.table import MISSING, is_number, refuse_empty, refuse_repeated
from gym_jax.data.reading import Reading
from gym_jax.data.words import command, named, shown
from gym_jax.errors import ConfigError, DataError

SAMPLE = 1 << 18
"""Characters looked at before a file is read; at least LINES lines."""
LINES, ROWS = 20, 1000
LONGEST = 1 << 26
"""Characters of a line that are looked at."""
SEPARATORS = "\t;|,"
FLAGS = {"true", "false"}
UNNAMED = "unnamed:"
"""A column without a name, such as an index, is not offered."""
BLANKS = " \t"
VALUE = re.compile(r"\d{4}-\d\d-\d\d([ T].*)?|[+-]?\d*\.\d+|-\d+|\d(\.\d*)?[eE][+-]?\d+")
"""What stands in rows and not in a header: dates, fractions."""
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""Fifteen hundred, or one and a half: `1,500`."""


class Dialect(NamedTuple):
    """How a text table is written; `header` counts the lines up to and with the header."""

    separator: str
    decimal: str
    encoding: str
    names: list[str]
    kinds: Mapping[str, Literal["number", "text", "flag"]]
    header: int
    missing: frozenset[str]
    said_missing: tuple[str, ...]
    longest: int
    """Characters of the longest line that was looked at."""
    notes: tuple[str, ...]

    @property
    def offered(self) -> list[str]:
        """The columns that have a name."""
        return [name for name in self.names if not name.lower().startswith(UNNAMED)]


def find_dialect(path: Path, reading: Reading) -> Dialect:
    """Return how a file is written. Raises DataError when it is empty or can be read in two ways."""
    encoding = _encoding(path, reading)
    where = named(path)
    with open_text(path, encoding) as stream:
        try:
            text = stream.read(SAMPLE)
            text += "".join(stream.readline(LONGEST) for _ in range(1 if text.count("\n") > LINES else LINES))
        except UnicodeError as error:
            raise undecodable(path, encoding, error) from error
    if not text.strip():
        raise DataError(f"{where} is empty", hint="it holds no header and no row", code="data.empty")
    if "\0" in text:
        raise refuse_nul(where, text)
    lines = list(io.StringIO(text, newline=""))
    begin = next(place for place, line in enumerate(lines) if line.strip())
    said = re.fullmatch(r'"?sep=(.)"?\s*', lines[begin].lstrip("\ufeff"))
    begin += said is not None  # a line that spreadsheets write for each other
    separator = reading.separator if reading.separator != "auto" else said[1] if said else ""
    separator = separator or _separator([line for line in lines[begin : begin + 50] if line.strip()])
    reader = csv.reader(lines[begin:], delimiter=separator)
    try:
        names = [name.strip().lstrip("\ufeff") or f"{UNNAMED}{place}" for place, name in enumerate(next(reader))]
        header = begin + reader.line_num
        raw = [row for row in itertools.islice(reader, ROWS) if row]
    except csv.Error as error:
        raise lost_quote(where, begin + reader.line_num, str(error)) from error
    refuse_empty(len(raw), where)
    body = [[cell.strip(BLANKS) for cell in row] for row in raw]
    if all(len(row) == len(names) + 1 and not row[-1] for row in body):
        names.append(f"{UNNAMED}{len(names)}")  # every line ends with a separator
    refuse_repeated(names, where)
    _refuse_headless(names, where)
    missing = frozenset({*MISSING, *reading.missing_words})
    cells = {name: [row[i] for row in body if len(row) > i and row[i] not in missing] for i, name in enumerate(names)}
    decimal = reading.decimal if reading.decimal != "auto" else _decimal(cells, separator, where)
    notes = [] if separator == "," else [f"columns are separated by {separator!r}"]
    notes += ["numbers are read with a decimal comma"] if decimal == "," else []
    kinds = {name: _kind(words, decimal) for name, words in cells.items()}
    longest = max(map(len, lines))
    return Dialect(
        separator, decimal, encoding, names, kinds, header, missing, reading.missing_words, longest, tuple(notes)
    )


def rows_of(stream: io.TextIOWrapper, dialect: Dialect, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows after the header with the line each begins in; `strict` raises csv.Error on a lost quote."""
    for _ in range(dialect.header):
        stream.readline()
    reader = csv.reader(stream, delimiter=dialect.separator, strict=strict)
    begin = 1
    for cells in reader:
        if cells or len(dialect.names) == 1:
            yield dialect.header + begin, cells or [""]
        begin = reader.line_num + 1


def undecodable(path: Path, encoding: str, error: UnicodeError) -> DataError:
    """Return the error of bytes that are not of the encoding."""
    byte = f"byte 0x{error.object[error.start]:02x} can" if isinstance(error, UnicodeDecodeError) else "its bytes can"
    other = "latin-1" if encoding.lower().startswith("utf") else "utf-8"
    return DataError(
        f"{named(path)} is not {encoding.upper()}: {byte} not be decoded",
        hint="say how it is encoded, such as utf-8, latin-1, cp1252 or utf-16",
        attempt=command({"encoding": other}),
        code="data.encoding",
    )


def refuse_nul(where: str, text: str) -> DataError:
    """Return the error of NUL characters in a text, which is UTF-16 when every other one is NUL."""
    wide = 3 * text.count("\0") > len(text) > 0
    return DataError(
        f"{where} holds NUL characters",
        hint="it looks like UTF-16 without a byte-order mark" if wide else "the file is damaged: no text holds them",
        attempt=command({"encoding": "utf-16-be" if text[0] == "\0" else "utf-16-le"}) if wide else None,
        code="data.encoding",
    )


def lost_quote(where: str, line: int, what: str) -> DataError:
    """Return the error of a quoted value that goes wrong in a line."""
    return DataError(
        f"{where} line {line:,}: {what}",
        hint="a quote is missing or too many; the file may be cut short",
        code="data.ragged",
    )


def _refuse_headless(names: Sequence[str], where: str) -> None:
    """Raise DataError when the first line holds values; whole numbers may be names."""
    given = [name for name in names if not name.startswith(UNNAMED)]
    values = [name for name in given if VALUE.fullmatch(name)]
    if values and all(VALUE.fullmatch(name) or is_number(name) for name in given):
        raise DataError(
            f"the first line of {where} holds values, not names: `{shown(values[0])}`",
            hint="write a header, such as ds,cpu",
            code="data.no_header",
        )


def _encoding(path: Path, reading: Reading) -> str:
    if reading.encoding != "auto":
        try:
            "".encode(reading.encoding)
        except (LookupError, ValueError):
            raise ConfigError(
                f"`data.encoding={shown(reading.encoding)}` is no encoding",
                hint="such as utf-8, latin-1, cp1252 or utf-16",
                code="data.encoding",
            ) from None
        return reading.encoding
    with open_bytes(path) as stream:
        begin = stream.read(4)
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return "utf-8"


def _separator(lines: Sequence[str]) -> str:
    """Return the mark that parts the header and stands as often in most lines below it; a comma when none does."""
    header, *rows = (Counts(line) for line in lines or [""])
    found = [mark for mark in SEPARATORS if header[mark]]
    if ";" in found and "\t" in found and header[";"] >= header["\t"]:
        found.remove("\t")  # `;` with padding tabs
    return max(found, key=lambda mark: sum(row[mark] == header[mark] for row in rows), default=",")


class Counts(dict[str, int]):
    """How often each separator stands in a line, outside quotes."""

    def __init__(self, line: str) -> None:
        bare = "".join(line.split('"')[::2])
        super().__init__({mark: bare.count(mark) for mark in SEPARATORS})


def _decimal(cells: Mapping[str, list[str]], separator: str, where: str) -> str:
    """Return the decimal mark. Raises DataError when `1,500` may be fifteen hundred or one and a half."""
    with_comma = [words for words in cells.values() if any("," in w for w in words)]
    commas = [w for words in with_comma if all(is_number(w, ",") for w in words) for w in words if "," in w]
    if separator == "," or not commas:
        return "."
    dot = next((w for words in cells.values() if all(map(is_number, words)) for w in words if "." in w), None)
    if dot is not None or all(THOUSANDS.fullmatch(word) for word in commas):
        seen = f"`{commas[0]}`" + (f" and `{dot}`" if dot is not None else "")
        raise DataError(
            f"{where} holds {seen}: is the comma a decimal mark?",
            hint="say so with data.decimal; numbers carry no thousands marks here",
            attempt=command({"decimal": ","}),
            code="data.decimal",
        )
    return ","


def _kind(words: Sequence[str], decimal: str) -> Literal["number", "text", "flag"]:
    if words and all(word.lower() in FLAGS for word in words):
        return "flag"
    return "number" if all(is_number(word, decimal) for word in words) else "text"
