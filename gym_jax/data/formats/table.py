"""A table before it is read: its columns and their kinds, and a function that reads some of them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from gym_jax.data.units import QUANTITY, kinds_of, usual_unit
from gym_jax.data.words import SENTENCE, command, shown
from gym_jax.errors import DataError, GymJaxError

Kind = Literal["number", "text", "time"]
Wanted = Mapping[str, Kind]
"""Column -> how it is wanted: `number` is float64, `text` words, `time` as it is stored."""
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "NULL", "null", "None", "#N/A", "<NA>")
"""Words that stand for a missing number."""
MANY = 10
"""More words than these do not stand for missing values."""
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII)


class Table(NamedTuple):
    """`load` returns a pyarrow Table of the wanted columns, text dictionary-encoded."""

    kinds: dict[str, Kind]
    load: Callable[[Wanted], Any]
    defaults: Mapping[str, Any] = {}
    """What the format itself says of its columns, as fields of Reading."""
    notes: tuple[str, ...] = ()


def coded(column: Any) -> tuple[np.ndarray, list[str | None]]:
    """Return the code of every row of a column of words, -1 where it has none, and the words."""
    import pyarrow as pa

    column = column.combine_chunks()
    codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, column.dictionary.to_pylist()


def first_rows(codes: np.ndarray, count: int) -> np.ndarray:
    """Return the first row of each of so many words; 0 of one that no row has."""
    rows = np.zeros(count + 1, np.int64)  # the last for -1, which is no word
    rows[codes[::-1]] = np.arange(len(codes))[::-1]
    return rows[:-1]


class readable:
    """Turn what readers raise on a damaged file into one DataError; `where` names it."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception) or isinstance(error, GymJaxError | MemoryError):
            return
        hint = "the file is damaged, cut short or of another format than its name says"
        if isinstance(error, PermissionError):
            hint = "allow this user to read it"
        elif self.where == FRAME:
            hint = "a column of it can not be converted to Arrow"
        reason = shown((str(error).strip() or kind.__name__).splitlines()[0], SENTENCE)
        raise DataError(f"{self.where} can not be read: {reason}", hint=hint, code="data.unreadable") from error


FRAME = "the data frame"


def refuse_empty(rows: int, where: str) -> None:
    """Raise DataError when there is no row."""
    if not rows:
        raise DataError(f"{where} holds no rows", hint="it has a header at most", code="data.empty")


def refuse_repeated(names: list[str], where: str) -> None:
    """Raise DataError when two columns have one name."""
    if repeated := [(name, count) for name, count in Counter(names).items() if count > 1]:
        name, count = repeated[0]
        raise DataError(
            f"{where} has {count:,} columns named `{shown(name)}`",
            hint="every column needs a name of its own",
            code="data.repeated_column",
        )


def is_number(word: str, decimal: str = ".") -> bool:
    """Return whether a word without blanks around it is a number; thousands marks are none."""
    if decimal != ".":
        word = "?" if "." in word else word.replace(decimal, ".")
    return NUMBER.fullmatch(word) is not None


def not_numeric(
    name: str,
    where: str,
    word: str,
    row: int,
    count: int,
    numbers: int,
    *,
    decimal: bool = False,
    missing: Sequence[str] = (),
) -> DataError:
    """Return the error of `count` words beside `numbers`, `word` in data row `row` (from 1) the first of them.

    What may be offered: `decimal` the option of that name, `missing` all words that may stand for missing values.
    """
    attempt, unit = None, QUANTITY.match(word)
    if is_number(word):
        hint = "its numbers are stored as text: store them as numbers"
    elif word == name:
        hint = "the header stands in the file again: was it joined of several?"
    elif word.lower() in ("true", "false"):
        hint = "truth values and numbers stand in one column"
    elif unit is not None and kinds_of(unit[2]):
        hint = "say in which unit to read what is written with one"
        attempt = command({"units": {name: usual_unit(unit[2])}})
    elif is_number(word, ","):
        hint = "is its comma a decimal mark? numbers carry no thousands marks here"
        attempt = command({"decimal": ","}) if decimal else None
    elif re.search(r"\d", word):
        hint = "numbers are written plainly, such as 1234.5 or 1e-3"
    elif not numbers:
        hint = "none of its values is a number"
    else:
        hint = "write missing values as empty cells, or null"
        attempt = command({"missing_words": list(missing)}) if missing else None
    more = f" and {count - 1:,} more" if count > 1 else ""
    return DataError(
        f"column `{shown(name)}` of {where} is not numeric: `{shown(word)}` in data row {row:,}{more}",
        hint=hint,
        attempt=attempt,
        code="data.text",
    )


def missing_words(words: Iterable[str], said: Iterable[str]) -> list[str]:
    """Return the words that `missing_words` would have to hold, beside what was `said`; none when they are many."""
    new = [word for word in dict.fromkeys(words) if not re.search(r"\d", word) and word not in MISSING]
    return [*said, *(word for word in new if word not in said)] if len(new) <= MANY else []
