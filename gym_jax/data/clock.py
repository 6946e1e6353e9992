"""Times of any spelling to whole nanoseconds, without guessing wrong in silence."""

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gym_jax.data.formats.table import coded, first_rows
from gym_jax.data.panel import Clock
from gym_jax.data.reading import Reading, TimeUnit
from gym_jax.data.spelling import fitting_format, other_reading
from gym_jax.data.words import command, shown
from gym_jax.data.zone import zone_of
from gym_jax.errors import DataError

SCALE = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
EARLIEST, LATEST = 631_152_000, 4_102_444_800
"""Seconds of 1990 and 2100: an epoch unit is taken only when it puts every time between them."""
FARTHEST = 2**63 // 10**9 - 1
"""Seconds around 1970 that nanoseconds in 64 bits reach."""
UNITS = "say what they count: s, ms, us or ns since 1970, or step for plain counts"


class Times(NamedTuple):
    """Times as integers, with what they count, their zone and what was assumed."""

    stamps: np.ndarray
    clock: Clock
    zone: str | None
    note: str | None


class Place(NamedTuple):
    """Where a column stands, for messages; `rows[i]` is the first data row (from 0) of its i-th distinct value."""

    name: str
    said: str
    rows: np.ndarray | None = None

    def row(self, i: int) -> str:
        """Return the data row of value `i`, counted from 1."""
        return f"{int(i if self.rows is None else self.rows[i]) + 1:,}"


def read_times(column: Any, name: str, reading: Reading | None = None, *, where: str = "the data") -> Times:
    """Return the times of a pandas or Arrow column: dates, text, or numbers since 1970.

    Raises DataError when a time is missing, unreadable, or a number whose unit can not be told.
    """
    reading = reading or Reading()
    said = f"time column `{shown(name)}` of {where}"
    values, codes = _distinct(column)
    place = Place(name, said, None if codes is None else first_rows(codes, len(values)))
    blank = np.asarray(values.isna())
    if codes is not None or values.dtype == object:
        blank = blank | np.asarray(values == "")
    if blank.any() or (codes is not None and (codes < 0).any()):
        empty = blank if codes is None else np.append(blank, True)[codes]
        count = int(empty.sum())
        if count:
            raise DataError(
                f"{said} is empty in {count:,} {'row' if count == 1 else 'rows'}, "
                f"first in data row {int(np.argmax(empty)) + 1:,}",
                hint="every row needs its time",
                code="data.time_missing",
            )
    times = _read(values, reading, place)
    return times if codes is None else times._replace(stamps=times.stamps[codes])


def _distinct(column: Any) -> tuple[pd.Series, np.ndarray | None]:
    """Return the distinct values of a dictionary column with the codes of its rows; of others all values and None."""
    if not hasattr(column, "chunks"):
        return pd.Series(column).reset_index(drop=True), None
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.tz and not re.fullmatch(r"[+-]\d\d:\d\d", column.type.tz):
        zone_of(column.type.tz)
    if not pa.types.is_dictionary(column.type):
        return column.to_pandas().reset_index(drop=True), None
    codes, words = coded(column)
    return pd.Series(words, dtype=object), codes


def _read(values: pd.Series, reading: Reading, place: Place) -> Times:
    if reading.time_format is not None and pd.api.types.is_integer_dtype(values):
        values = values.astype(str)  # 20260131 with %Y%m%d
    if not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_datetime64_any_dtype(values):
        if reading.time_format is None and (numbers := _as_numbers(values)) is not None:
            values = numbers
        else:
            values = _text(values, reading, place)
    if pd.api.types.is_numeric_dtype(values):
        times = _numbers(values.to_numpy(), reading.time_unit, place)
        return times._replace(zone="UTC") if reading.time_zone and times.clock == "ns" else times
    if reading.time_unit == "step":
        raise DataError(
            f"{place.said} holds dates, but data.time_unit=step says that they are counts",
            hint="leave data.time_unit out, or name another column with data.time",
            attempt=command({"time_unit": "auto"}),
            code="data.time_unit",
        )
    if reading.time_zone:
        zone_of(reading.time_zone)
    if values.dt.tz is None and reading.time_zone:
        values = _localised(values, reading.time_zone, place)
    zone = str(values.dt.tz) if values.dt.tz is not None else None
    if zone:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    stamps = values.to_numpy()
    seconds = stamps.astype("datetime64[s]").astype(np.int64)
    far = np.abs(seconds) > FARTHEST
    if far.any():
        i = int(np.argmax(far))
        raise DataError(
            f"{place.said} holds `{str(stamps[i])[:19]}` in data row {place.row(i)}",
            hint="times are kept in nanoseconds, which reach from 1678 to 2261",
            code="data.time_format",
        )
    notes = [f"times of zone {zone} are kept in UTC"] if zone and zone != "UTC" else []
    if seconds.min() < EARLIEST or seconds.max() > LATEST:
        years = [str(stamps[at])[:4] for at in (seconds.argmin(), seconds.argmax())]
        notes.append(f"time column `{shown(place.name)}` reaches from the year {years[0]} to {years[1]}")
    stamps = stamps.astype("datetime64[ns]").astype(np.int64)
    return Times(stamps, "ns", "UTC" if zone else None, "; ".join(notes) or None)


def _localised(values: pd.Series, zone: str, place: Place) -> pd.Series:
    options: Any = {"ambiguous": "NaT", "nonexistent": "NaT"}
    local = values.dt.tz_localize(zone, **options)
    if local.isna().any():
        i = int(np.argmax(local.isna()))
        raise DataError(
            f"{place.said} holds `{str(values.iloc[i])[:19]}` in data row {place.row(i)}, "
            f"which {zone} has twice or never: clocks change",
            hint="write times in UTC, or with their offset",
            code="data.time_zone",
        )
    return local


def _as_numbers(words: pd.Series) -> pd.Series | None:
    """Return text as numbers when all of it is numbers; whole ones stay whole."""
    number = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*", re.ASCII)
    if not all(isinstance(word, str) and number.fullmatch(word) for word in words):
        return None
    if all(re.fullmatch(r"\s*[+-]?\d{1,19}\s*", word) and abs(int(word)) < 2**63 for word in words):
        return pd.Series(np.array([int(word) for word in words], np.int64))
    return pd.Series(np.array([float(word) for word in words]))


def _text(words: pd.Series, reading: Reading, place: Place) -> pd.Series:
    form = reading.time_format or "ISO8601"
    bad = words.isin(["now", "today"])  # pandas takes them for the present
    try:
        if reading.time_format is not None and "%" not in form:
            raise ValueError("it has no %")  # pandas takes `mixed` for leave to guess
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            bad |= pd.to_datetime(words, format=form, errors="coerce", utc=True).isna()
    except (ValueError, re.error) as error:
        raise DataError(
            f"`data.time_format={shown(form)}` is no format: {str(error).splitlines()[0]}",
            hint="strptime's codes: %Y-%m-%d %H:%M:%S",
            code="data.time_format",
        ) from error
    if bad.any():
        i = int(np.argmax(bad))
        fits = None if reading.time_format else fitting_format(words)
        iso = "times are ISO 8601 (2026-01-31 13:05:00, with or without a zone) or numbers since 1970"
        doubt = fits and other_reading(words, fits)
        others = (
            f"; others need data.time_format, here {fits} or {doubt}" if doubt else "; others need data.time_format"
        )
        raise DataError(
            f"{place.said} holds `{shown(words.iloc[i])}` in data row {place.row(i)}",
            hint=f"it does not read as {form}" if reading.time_format else iso + others,
            attempt=None if fits is None else command({"time_format": fits}),
            code="data.time_format",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return pd.to_datetime(words, format=form)
    except (ValueError, FutureWarning) as error:
        zoned = [re.search(r"(Z|[+-]\d\d:?(\d\d)?)\s*$", str(word)[10:]) is not None for word in words]
        several = all(zoned)
        if several and reading.time_zone:
            return pd.to_datetime(words, format=form, utc=True)
        raise DataError(
            f"{place.said} mixes {'several zones' if several else 'times with and without a zone'}",
            hint="name the zone of the calendar: every time has its offset" if several else "write every time alike",
            attempt=command({"time_zone": "UTC"}) if several else None,
            code="data.time_zones",
        ) from error


def _numbers(values: np.ndarray, unit: TimeUnit, place: Place) -> Times:
    low, high = (int(v) if np.isfinite(v) and v == int(v) else float(v) for v in (values.min(), values.max()))
    rows = place.row(int(np.argmin(values))), place.row(int(np.argmax(values)))
    span = f"{place.said} holds the numbers {low:.15g} (data row {rows[0]}) to {high:.15g} (data row {rows[1]})"
    if unit == "auto":
        unit, note = _unit_of(values, low, high, span, place)
    else:
        if not max(abs(low), abs(high)) * SCALE.get(unit, 1) < 2.0**63:
            raise _no_unit(f"{span}: too large for {unit}", UNITS, _fits(low, high))
        note = None
    if values.dtype.kind == "f" and values.dtype.itemsize < 8 and unit != "step":
        raise _no_unit(f"{span} in {values.dtype}, which can not tell seconds apart", "store times in 64 bits", [])
    if unit == "step":
        if (values != np.floor(values)).any():
            i = int(np.argmax(values != np.floor(values)))
            raise _no_unit(
                f"{place.said} holds `{values[i]:.15g}` in data row {place.row(i)}: no whole step",
                "with time_unit step, times are whole counts",
                [],
            )
        return Times(values.astype(np.int64), "step", None, None)
    scale = SCALE[unit]
    if note is None and not _within(low, high, scale):
        year = np.datetime64(int(low * scale), "ns").astype("datetime64[Y]")
        other = "".join(f"; read as {fit} it would be after 1990" for fit in _fits(low, high))
        note = f"time column `{shown(place.name)}` read as {unit} since 1970 begins in the year {year}{other}"
    whole = values.astype(np.int64)
    if values.dtype.kind in "iub":
        return Times(whole * scale, "ns", None, note)
    micros = np.rint((values - whole) * (scale / 1e3)).astype(np.int64)
    return Times(whole * scale + micros * 1000, "ns", None, note)


def _unit_of(values: np.ndarray, low: float, high: float, span: str, place: Place) -> tuple[TimeUnit, str]:
    """Return the only unit that gives dates of 1990-2100, and a note. Raises DataError on none, or a doubt."""
    fits = _fits(low, high)
    dates = fitting_format(pd.Series(values).head(1000).astype(str)) if values.dtype.kind in "iu" else None
    if fits and dates is None:
        unit: Any = fits[0]
        named = re.search(r"[\[(_ ](s|ms|us|ns)[\])]?$", place.name)
        says = f", although its name says {named[1]}" if named and named[1] != unit else ""
        found = "the only unit that gives dates of 1990-2100"
        return unit, f"time column `{shown(place.name)}` read as {unit} since 1970{says} ({found})"
    if dates is not None:
        also = f"they may be dates ({dates}), or {fits[0]} since 1970" if fits else f"they look like dates ({dates})"
        raise DataError(
            f"{span}: {also}",
            hint="say what they are with data.time_format, or data.time_unit for numbers since 1970",
            attempt=command({"time_format": dates}),
            code="data.time_unit",
        )
    mixed = [*_fits(low, low), *_fits(high, high)]
    if len(mixed) == 2:
        raise _no_unit(f"{span}: {mixed[0]} and {mixed[1]} since 1970 are mixed", "write all in one unit", [])
    counts = ["step"] if low >= 0 and high < EARLIEST else []
    raise _no_unit(f"{span}: no unit since 1970 fits them", UNITS, counts)


def _fits(low: float, high: float) -> list[str]:
    return [unit for unit, scale in SCALE.items() if _within(low, high, scale)]


def _within(low: float, high: float, scale: int) -> bool:
    return low * scale >= EARLIEST * 10**9 and high * scale <= LATEST * 10**9


def _no_unit(message: str, hint: str, units: list[str]) -> DataError:
    attempt = command({"time_unit": units[0]}) if units else None
    return DataError(message, hint=hint, attempt=attempt, code="data.time_unit")
