"""Times of any spelling to whole nanoseconds, without guessing wrong in silence."""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from gym_jax.data.panel import Clock
from gym_jax.errors import DataError

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "step"]
SCALE = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
EARLIEST, LATEST = 631_152_000, 4_102_444_800
"""Seconds of 1990 and 2100: an epoch unit is taken only when it puts every time between them."""
FARTHEST = 2**63 // 10**9 - 1
"""Seconds around 1970 that nanoseconds in 64 bits reach."""


class Times(NamedTuple):
    """Times as integers, with what they count, their zone and what was assumed."""

    stamps: np.ndarray
    clock: Clock
    zone: str | None
    note: str | None


def read_times(column: Any, name: str, unit: TimeUnit = "auto", *, where: str = "the data") -> Times:
    """Return the times of a column: dates, text, or numbers since 1970.

    Raises DataError when a time is missing, unreadable, or a number whose unit can not be told.
    """
    said = f"time column `{name}` of {where}"
    series = pd.Series(column).reset_index(drop=True)
    if series.isna().any():
        row = int(np.flatnonzero(series.isna())[0])
        raise DataError(
            f"{said} is empty in {series.isna().sum():,} rows, first in data row {row + 1}",
            hint="every row needs its time",
            code="data.time_missing",
        )
    if pd.api.types.is_numeric_dtype(series):
        return _numbers(series.to_numpy(), name, unit, said)
    if not pd.api.types.is_datetime64_any_dtype(series):
        series = _text(series, said)
    zone = str(series.dt.tz) if series.dt.tz is not None else None
    if zone:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    note = f"times of zone {zone} are kept in UTC" if zone and zone != "UTC" else None
    stamps = series.to_numpy()
    far = np.abs(stamps.astype("datetime64[s]").astype(np.int64)) > FARTHEST
    if far.any():
        row = int(np.flatnonzero(far)[0])
        raise DataError(
            f"{said} holds `{str(stamps[row])[:19]}` in data row {row + 1}",
            hint="times are kept in nanoseconds, which reach from 1678 to 2261",
            code="data.time_format",
        )
    return Times(stamps.astype("datetime64[ns]").astype(np.int64), "ns", "UTC" if zone else None, note)


def _text(series: pd.Series, said: str) -> pd.Series:
    bad = pd.to_datetime(series, format="ISO8601", errors="coerce", utc=True).isna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{said} holds `{series.iloc[row]}` in data row {row + 1}",
            hint="times are ISO 8601 (2026-01-31 13:05:00, with or without a zone) or numbers since 1970",
            code="data.time_format",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return pd.to_datetime(series, format="ISO8601")
    except (ValueError, FutureWarning) as error:
        raise DataError(
            f"{said} mixes times with and without a zone, or several zones",
            hint="write every time with the same offset",
            code="data.time_zones",
        ) from error


def _numbers(values: np.ndarray, name: str, unit: TimeUnit, said: str) -> Times:
    low, high = float(values.min()), float(values.max())
    scale = SCALE.get(unit, 1)
    if not max(abs(low), abs(high)) * scale < 2.0**63:
        raise DataError(
            f"{said} holds the numbers {low:.15g} to {high:.15g}: too large for {unit}",
            hint="say what they count: s, ms, us or ns since 1970, or step for plain counts",
            attempt="gymjax train ... data.time_unit=auto",
            code="data.time_unit",
        )
    if unit == "step":
        if (values != np.floor(values)).any():
            row = int(np.flatnonzero(values != np.floor(values))[0])
            raise DataError(
                f"{said} holds `{values[row]:.15g}` in data row {row + 1}: no whole step",
                hint="with time_unit step, times are whole counts",
                code="data.time_unit",
            )
        return Times(values.astype(np.int64), "step", None, None)
    note: str | None
    if unit == "auto":
        fits = [u for u, scale in SCALE.items() if low * scale / 1e9 >= EARLIEST and high * scale / 1e9 <= LATEST]
        if len(fits) != 1:
            raise DataError(
                f"{said} holds the numbers {low:.15g} to {high:.15g}: no unit since 1970 fits them",
                hint="say what they count: s, ms, us or ns since 1970, or step for plain counts",
                attempt="gymjax train ... data.time_unit=step",
                code="data.time_unit",
            )
        unit = fits[0]  # type: ignore[assignment]
        note = f"time column `{name}` read as {unit} since 1970 (the only unit that gives dates of 1990-2100)"
    else:
        year = np.datetime64(int(low * scale), "ns").astype("datetime64[Y]")
        odd = low * scale / 1e9 < EARLIEST or high * scale / 1e9 > LATEST
        note = f"time column `{name}` read as {unit} since 1970 begins in the year {year}" if odd else None
    scale = SCALE[unit]
    whole = values.astype(np.int64)
    if np.issubdtype(values.dtype, np.integer):
        return Times(whole * scale, "ns", None, note)
    micros = np.rint((values - whole) * (scale / 1e3)).astype(np.int64)
    return Times(whole * scale + micros * 1000, "ns", None, note)
