"""Clocks of zones, against the standard library and by hand."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gym_jax.data.zone import local_times
from gym_jax.errors import DataError

SECOND = 10**9


def shown(text, zone):
    stamp = np.array([text], "datetime64[ns]").astype(np.int64)
    return str(local_times(stamp, zone).view("M8[ns]")[0])[:19]


def test_clocks_go_on_by_hand():
    assert shown("2026-03-29T00:59:59", "Europe/Amsterdam") == "2026-03-29T01:59:59"
    assert shown("2026-03-29T01:00:00", "Europe/Amsterdam") == "2026-03-29T03:00:00"
    assert shown("2026-10-25T01:00:00", "Europe/Amsterdam") == "2026-10-25T02:00:00"
    assert shown("2026-01-01T00:00:00", "Asia/Kathmandu") == "2026-01-01T05:45:00"


@pytest.mark.parametrize("name", ["Europe/Amsterdam", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_every_time_is_what_the_standard_library_says(name):
    seconds = np.random.default_rng(0).integers(-(10**9), 4 * 10**9, 300)
    wanted = [datetime.fromtimestamp(int(s), UTC).astimezone(ZoneInfo(name)).replace(tzinfo=UTC) for s in seconds]
    found = local_times(seconds * SECOND + 7, name)
    assert found.tolist() == [int(time.timestamp()) * SECOND + 7 for time in wanted]


def test_a_zone_that_is_none_is_named():
    with pytest.raises(DataError, match="`Europe/Amsterdm` is no time zone"):
        local_times(np.zeros(1, np.int64), "Europe/Amsterdm")
