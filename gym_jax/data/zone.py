"""Time zones by their names, and what their clocks say."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from jaxtyping import Int

from gym_jax.data.words import shown
from gym_jax.errors import DataError, did_you_mean

QUARTER = 900 * 10**9
"""Nanoseconds between moments at which clocks are changed, or a multiple of it: whole quarters of an hour."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises DataError with the nearest name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        zones = available_timezones()
        hint = did_you_mean(name, zones) if zones else None
        raise DataError(
            f"`{shown(name)}` is no time zone",
            hint=hint if hint and len(hint) < 100 else "such as UTC or Europe/Amsterdam",
            code="data.time_zone",
        ) from None


def local_times(stamps: Int[np.ndarray, " n"], name: str) -> Int[np.ndarray, " n"]:
    """Return what the clock of a zone shows at nanoseconds since 1970, as such nanoseconds.

    Raises DataError when there is no such zone.
    """
    zone = zone_of(name)
    quarters, place = np.unique(stamps // QUARTER, return_inverse=True)
    seconds = [(EPOCH + timedelta(minutes=15 * int(quarter))).astimezone(zone).utcoffset() for quarter in quarters]
    offsets = np.array([int(offset.total_seconds()) for offset in seconds if offset is not None], np.int64)
    return stamps + 10**9 * offsets[place]
