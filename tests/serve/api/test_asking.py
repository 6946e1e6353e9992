"""From a question to series: columns in their order, times of the last row, every fault with its place."""

import numpy as np
import pytest
from fake_models import HORIZON, asked, fake_spec

from gym_jax.serve.api.asking import series_of
from gym_jax.serve.api.problem import Refused
from gym_jax.serve.api.shapes import Question, judge

KNOWN = {"known": ("planned",), "static": ("cores",), "categories": ("zone",)}


def series(*parts, **spec):
    return series_of(fake_spec(**spec), judge(Question, {"series": list(parts)}))


def faults(*parts, **spec):
    with pytest.raises(Refused) as found:
        series(*parts, **spec)
    assert found.value.status == 422
    return {problem.path: problem for problem in found.value.problems}


def test_columns_come_in_the_order_of_the_model_and_null_is_missing():
    (one,) = series({"values": {"mem": [1.0, 2.0], "cpu": [3.0, None]}})
    np.testing.assert_array_equal(one.values, [[3, 1], [np.nan, 2]])
    assert one.id is None
    assert one.last is None


@pytest.mark.parametrize(
    ("given", "last"),
    [
        ({"last": "2026-03-01T10:00:00Z"}, "2026-03-01T10:00"),
        ({"last": "2026-03-01T11:00:00+01:00"}, "2026-03-01T10:00"),
        ({"last": "2026-03-01T10:00"}, "2026-03-01T10:00"),
        ({"start": "2026-03-01T10:00:00Z"}, "2026-03-01T10:05"),
    ],
)
def test_the_last_row_is_named_or_counted_from_the_first(given, last):
    (one,) = series(asked(**given))
    assert one.last == np.datetime64(last, "ns")


def test_counts_are_whole_numbers():
    (one,) = series(asked(start=100.0), clock="step", step=10)
    assert one.last == 110
    assert "series[0].last" in faults(asked(last=1.5), clock="step")
    assert "series[0].last" in faults(asked(last="2026-03-01"), clock="step")


@pytest.mark.parametrize("word", ["yesterday", 7.0, "9999-01-01", "", True, "2026-13-01"])
def test_what_is_no_time_is_refused(word):
    assert [*faults(asked(last=word))] == ["series[0].last"]


def test_known_columns_and_what_stays_the_same():
    one = {"id": "a", "values": {"cpu": [1.0], "mem": [1.0], "planned": [1.0]}}
    (found,) = series({**one, "future": {"planned": [1.0, 2.0, 3.0]}, "static": {"cores": 4.0, "zone": "a"}}, **KNOWN)
    np.testing.assert_array_equal(found.future, [[1], [2], [3]])
    assert found.static == {"cores": 4.0, "zone": "a"}
    wrong = {**one, "future": {"planned": [1.0]}, "static": {"cores": "4", "zone": 1.0, "core": 1.0}}
    found = faults(wrong, **KNOWN)
    assert set(found) == {"series[0].static.cores", "series[0].static.zone", "series[0].static.core"}
    found = faults({**one, "future": {"planned": [1.0]}}, **KNOWN)
    assert found["series[0].future.planned"].error == f"1 values of `planned`, the horizon has {HORIZON} steps"


def test_everything_that_is_wrong_with_every_series_is_told_at_once():
    found = faults(
        {"values": {"cpuu": [1.0], "mem": [1.0]}},
        {"values": {"cpu": [1.0], "mem": [1.0, 2.0]}},
        {"values": {"cpu": [], "mem": []}},
        asked(start="2026-03-01", last="2026-03-01"),
    )
    assert set(found) == {
        "series[0].values.cpuu",
        "series[0].values.cpu",
        "series[1].values",
        "series[2].values",
        "series[3].start",
    }
    assert found["series[0].values.cpuu"].hint == "did you mean `cpu`?"


def test_a_model_that_reads_the_calendar_needs_a_time():
    from gym_jax.data.preprocess import Preprocessing

    found = faults(asked(), preprocessing=Preprocessing(calendar=("hour",)))
    assert [*found] == ["series[0].last"]
