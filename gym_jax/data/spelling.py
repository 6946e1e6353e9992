"""Spellings of times beside ISO 8601: which strptime format reads all of some words."""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from itertools import islice

DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d"),
    *("%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d/%b/%Y", "%d-%b-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y"),
)
HOURS = ("", "%H", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H:%M:%S,%f", "%I:%M %p", "%I:%M:%S %p", "%H.%M", "%H.%M.%S")
FORMATS = tuple(
    dict.fromkeys(
        f"{date}{gap if hour else ''}{hour}{zone}"
        for zone in ("", " %Z", " %z")
        for gap in (" ", "T", ":", ", ")
        for hour in HOURS
        for date in DATES
    )
)
DIGITS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""How many digits a date in digits has."""
MANY = 1000


def fitting_format(words: Iterable[object]) -> str | None:
    """Return the first usual format that reads every one of the first thousand words, if there is one."""
    first = [str(word).strip() for word in islice(words, MANY)]
    if all(word.isdecimal() and word.isascii() for word in first):
        formats = [DIGITS[len(first[0])]] if first and len(first[0]) in DIGITS else []
    else:
        formats = _by_shape().get(_shape(first[0]), []) if first else []
    return next((form for form in formats if all(_reads(word, form) for word in first)), None)


def other_reading(words: Iterable[object], form: str) -> str | None:
    """Return the format with day and month exchanged, if it reads the words too."""
    other = form.translate(str.maketrans("dm", "md"))
    first = (str(word).strip() for word in islice(words, MANY))
    return other if other in FORMATS and all(_reads(word, other) for word in first) else None


@cache
def _by_shape() -> dict[str, list[str]]:
    shapes: dict[str, list[str]] = {}
    for form in FORMATS:
        digits = re.sub(r"%[bpZ]", "A", re.sub(r"%[YmdHMSfIy]", "0", form)).replace(" %z", " +0000")
        shapes.setdefault(_shape(digits), []).append(form)
    return shapes


def _shape(word: str) -> str:
    """Return a word with one 0 for digits, one A for letters, one z for an offset: trying every format is slow."""
    word = re.sub(r" [+-]\d\d:?\d\d$", " z", word)
    return re.sub(r"[a-yA-Z]+", "A", re.sub(r"\d+", "0", word))


def _reads(word: str, form: str) -> bool:
    try:
        year = datetime.strptime(word, form).year
    except ValueError:
        return False
    return 1990 <= year <= 2100 and ("%Y" not in form or str(year) in word)
