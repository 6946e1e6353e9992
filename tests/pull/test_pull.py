"""A pull is the whole range, once, the same bytes however often it breaks off; what can not be had is said."""

import gzip
import json
import math
import threading
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_prometheus import BAD_QUERY, TOO_MANY, Fake, serving

from gym_jax.config.load import load_config
from gym_jax.errors import ConfigError, DataError, RunInUse
from gym_jax.locks import try_lock
from gym_jax.pull import prometheus as own_prometheus
from gym_jax.pull import pull as own_pull
from gym_jax.pull.http import make_server
from gym_jax.pull.pages import Pages
from gym_jax.pull.prometheus import Page
from gym_jax.pull.pull import pull_prometheus
from gym_jax.pull.request import make_request
from gym_jax.run.check import check_data

NOW = 1_772_366_400.0
"""2026-03-01T12:00:00Z."""
STEP = 300_000


def wave(phase):
    """A value at any time, of which three are known by heart."""
    return lambda time: f"{2 + math.sin(time / 3.6e6 + phase):.6f}"


def labels(pod, **more):
    return {"namespace": "shop", "pod": pod, "container": "app", **more}


@pytest.fixture
def fake():
    own = Fake()
    own.series["cpu"] = [(labels("web-1"), wave(0)), (labels("web-0"), wave(1))]
    return own


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(own_pull, "FIRST", 7)
    monkeypatch.setattr(own_pull, "VALUES", 40)


def stop_at(begin):
    """Return a watcher that breaks a pull off when it is told what begins so."""

    def watch(words):
        if words.startswith(begin):
            raise KeyboardInterrupt

    return watch


def ask(queries=("cpu",), *, span=100 * 300, step=300, end=NOW, presets=()):
    return make_request(queries, presets, span=span, step=step, end=end, now=NOW)


def pulled(fake, path, request=None, **settings):
    with serving(fake) as url:
        return pull_prometheus(make_server(url), request or ask(), path, wait=lambda seconds: None, **settings)


def columns_of(path):
    table = pq.read_table(path)
    return {name: table[name].to_pylist() for name in table.column_names}


def test_pages_join_without_a_seam_or_a_doubled_point(fake, tmp_path, small_pages):
    facts = pulled(fake, tmp_path / "cpu.parquet")
    assert facts["rows"] == 200
    assert facts["columns"] == ["unique_id", "ds", "cpu"]
    asked = fake.ranges
    assert [(end - begin) // STEP + 1 for _, begin, end, _ in asked] == [7, 20, 20, 20, 20, 13]
    assert all(after[1] - before[2] == STEP for before, after in pairwise(asked))
    assert asked[-1][2] == NOW * 1000
    found = columns_of(tmp_path / "cpu.parquet")
    assert found["unique_id"] == ["shop/web-0/app"] * 100 + ["shop/web-1/app"] * 100
    times = [round(moment.timestamp() * 1000) for moment in found["ds"]]
    grid = [int(NOW * 1000) - (99 - k) * STEP for k in range(100)]
    assert times == grid * 2
    assert found["cpu"] == [float(wave(1)(t)) for t in grid] + [float(wave(0)(t)) for t in grid]


def test_an_interrupted_pull_goes_on_to_the_same_bytes(fake, tmp_path, small_pages):
    with serving(fake) as url:
        server = make_server(url)
        pull_prometheus(server, ask(), tmp_path / "whole.parquet")
        whole, fake.ranges = list(fake.ranges), []
        with pytest.raises(KeyboardInterrupt):
            pull_prometheus(server, ask(), tmp_path / "cpu.parquet", watch=stop_at("cpu: 27 "))
        assert not (tmp_path / "cpu.parquet").exists()
        assert fake.ranges == whole[:2]
        later = make_request(("cpu",), (), span=100 * 300, step=300, end=NOW + 3000, now=NOW + 3000)
        facts = pull_prometheus(server, later, tmp_path / "cpu.parquet")
    assert fake.ranges == whole, "only what was missing is asked for, with the end of before"
    assert "2 pages were there" in facts["notes"][-1]
    assert (tmp_path / "cpu.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu.parquet", "whole.parquet"]


def test_the_pages_of_a_query_stay_its_own_when_the_queries_are_said_in_another_order(fake, tmp_path, small_pages):
    fake.series["memory"] = [(labels("web-1"), wave(2)), (labels("web-0"), wave(3))]
    with serving(fake) as url:
        server, queries = make_server(url), ("cpu", "memory")
        pull_prometheus(server, ask(queries), tmp_path / "whole.parquet")
        with pytest.raises(KeyboardInterrupt):
            pull_prometheus(server, ask(queries), tmp_path / "cpu.parquet", watch=stop_at("memory: 7 "))
        pull_prometheus(server, ask(queries[::-1]), tmp_path / "cpu.parquet")
    assert (tmp_path / "cpu.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_damaged_page_is_pulled_again(fake, tmp_path, small_pages):
    pulled(fake, tmp_path / "whole.parquet")
    with serving(fake) as url:
        server = make_server(url)
        with pytest.raises(KeyboardInterrupt):
            pull_prometheus(server, ask(), tmp_path / "cpu.parquet", watch=stop_at("cpu: 27 "))
        first = min((tmp_path / ".cpu.parquet.pull").glob("0-*.parquet"))
        raw = bytearray(first.read_bytes())
        raw[len(raw) // 3] ^= 1
        first.write_bytes(raw)
        pull_prometheus(server, ask(), tmp_path / "cpu.parquet")
    found = columns_of(tmp_path / "cpu.parquet")
    assert found == columns_of(tmp_path / "whole.parquet")


def test_no_damaged_page_is_taken_for_a_whole_one(tmp_path):
    labels, numbers = ({"pod": "a"}, {"pod": "b"}), np.arange(40)
    page = Page(labels, (numbers // 20).astype(np.int32), 1000 * numbers, np.sin(numbers), ("partly",))
    pages = Pages(tmp_path)
    pages.keep(0, 0, 20, page)
    (path,) = tmp_path.iterdir()
    raw = path.read_bytes()
    for place in range(0, len(raw), 7):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert pages.at(0, 0) is None, place
    path.write_bytes(raw)
    found, count = pages.at(0, 0)
    assert (count, found.labels) == (20, labels)
    assert found.warnings == page.warnings
    for mine, theirs in zip(page[1:4], found[1:4], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_question_that_is_too_large_is_asked_in_parts(fake, tmp_path):
    pulled(fake, tmp_path / "whole.parquet")
    fake.ranges = []
    resolution = {"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution of 11,000 points"}
    late = {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"}
    fake.faults = [(422, TOO_MANY, {}), (400, resolution, {}), (503, late, {})]
    pulled(fake, tmp_path / "cpu.parquet")
    assert [(end - begin) // STEP + 1 for _, begin, end, _ in fake.ranges] == [
        100,
        50,
        25,
        12,
        12,
        12,
        12,
        12,
        12,
        12,
        12,
        4,
    ]
    assert columns_of(tmp_path / "cpu.parquet") == columns_of(tmp_path / "whole.parquet")


def test_an_answer_is_bounded_packed_or_not(fake, tmp_path):
    body = gzip.compress(b" " * 5_000_000)
    fake.faults = [(200, body, {"Content-Encoding": "gzip"}), (200, b" " * 7000, {})]
    with serving(fake) as url:
        server = make_server(url)._replace(largest=6000)
        facts = pull_prometheus(server, ask(), tmp_path / "cpu.parquet")
    assert [(end - begin) // STEP + 1 for _, begin, end, _ in fake.ranges][:4] == [100, 50, 25, 25]
    assert facts["rows"] == 200


def hang_up(handler):
    """Break off within an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status": "succ')


def test_what_passes_is_waited_for_and_asked_again(fake, tmp_path):
    waits = []
    fake.faults = [
        (503, b"starting", {}),
        (429, b"", {"Retry-After": "7"}),
        (429, b"", {"Retry-After": "9999"}),
        hang_up,
    ]
    with serving(fake) as url:
        pull_prometheus(make_server(url), ask(), tmp_path / "cpu.parquet", wait=waits.append)
    assert waits == [1.0, 7.0, 60.0, 8.0]
    fake.faults = [(502, b"", {})] * 6
    with pytest.raises(DataError, match="is busy or not up \\(status 502\\)"):
        pulled(fake, tmp_path / "again.parquet")


def test_a_server_that_does_not_answer_in_time_is_asked_for_less(fake, tmp_path, monkeypatch):
    late, patient, asked = threading.Event(), own_prometheus.fetch, []
    fake.faults = [lambda handler: late.wait()]

    def fetch(server, path, parameters):
        """The question after the greeting is asked without patience."""
        asked.append(path)
        return patient(server._replace(seconds=1.0) if len(asked) == 2 else server, path, parameters)

    monkeypatch.setattr(own_prometheus, "fetch", fetch)
    with serving(fake) as url:
        facts = pull_prometheus(make_server(url), ask(), tmp_path / "cpu.parquet")
        late.set()
    assert [(end - begin) // STEP + 1 for _, begin, end, _ in fake.ranges] == [100, 50, 50]
    assert facts["rows"] == 200


def test_gaps_stay_gaps_and_what_is_no_number_is_counted(fake, tmp_path):
    begin = int(NOW * 1000) - 9 * STEP
    special = {begin: "NaN", begin + STEP: "+Inf", begin + 2 * STEP: "-Inf", begin + 5 * STEP: None}
    fake.series["cpu"] = [(labels("web-0"), lambda time: special.get(time, "1.5"))]
    facts = pulled(fake, tmp_path / "cpu.parquet", ask(span=3000))
    found = columns_of(tmp_path / "cpu.parquet")
    rows = [(round(t.timestamp() * 1000) - begin) // STEP for t in found["ds"]]
    assert rows == [3, 4, 6, 7, 8, 9]
    assert found["cpu"] == [1.5] * 6
    assert facts["notes"] == [
        "1 of 9 values of `cpu` are NaN: left out",
        "2 of 9 values of `cpu` are infinite: left out",
    ]


def test_queries_become_columns_on_common_rows(fake, tmp_path):
    begin = int(NOW * 1000) - 9 * STEP
    fake.series["memory"] = [(labels("web-0"), lambda time: None if time == begin else "3"), (labels("db-0"), wave(2))]
    request = ask(("cpu_cores=cpu", "memory_bytes=memory"), span=3000)
    facts = pulled(fake, tmp_path / "both.parquet", request)
    assert facts["columns"] == ["unique_id", "ds", "cpu_cores", "memory_bytes"]
    found = columns_of(tmp_path / "both.parquet")
    assert found["unique_id"][::10] == ["shop/db-0/app", "shop/web-0/app", "shop/web-1/app"]
    assert found["memory_bytes"][10:12] == [None, 3.0]
    assert found["cpu_cores"][0] is None
    assert found["cpu_cores"][10] == float(wave(1)(begin))
    said = json.loads(pq.read_schema(tmp_path / "both.parquet").metadata[b"gym_jax"])
    assert said["queries"] == {"cpu_cores": "cpu", "memory_bytes": "memory"}


def test_ids_are_of_the_labels_that_are_named(fake, tmp_path):
    """Pages stay where they are when they can not be joined: other labels need no second pull."""
    fake.series["cpu"] = [(labels("web-0", node="a"), wave(0)), (labels("web-0", node="b"), wave(1))]
    with serving(fake) as url:
        server, path = make_server(url), tmp_path / "cpu.parquet"
        with pytest.raises(DataError) as refused:
            pull_prometheus(server, ask(), path)
        assert "both `shop/web-0/app` at 2026-03-01T03:45:00: they differ in node" in refused.value.message
        assert refused.value.attempt == "gymjax data pull ... --labels namespace,pod,container,node"
        with pytest.raises(DataError, match="no series has a label `nod`") as refused:
            pull_prometheus(server, ask(), path, labels=["nod"])
        assert refused.value.hint == "did you mean `node`?"
        assert pull_prometheus(server, ask(), path, labels=["node", "pod"])["series"] == 2
    assert len(fake.ranges) == 1
    assert columns_of(path)["unique_id"][::100] == ["a/web-0", "b/web-0"]


def test_a_series_whose_labels_change_goes_on(fake, tmp_path):
    middle = int(NOW * 1000) - 50 * STEP
    fake.series["cpu"] = [
        (labels("web-0", id="1"), lambda time: "1" if time <= middle else None),
        (labels("web-0", id="2"), lambda time: "2" if time > middle else None),
    ]
    assert pulled(fake, tmp_path / "cpu.parquet")["series"] == 1
    assert columns_of(tmp_path / "cpu.parquet")["cpu"] == [1.0] * 50 + [2.0] * 50


def test_series_without_the_usual_labels_are_named_by_what_they_have(fake, tmp_path):
    fake.series["node_load1"] = [({"__name__": "node_load1", "instance": "a:9100", "job": "node"}, wave(0))]
    pulled(fake, tmp_path / "load.parquet", ask(("node_load1",)))
    found = columns_of(tmp_path / "load.parquet")
    assert found["unique_id"][0] == "a:9100/node"
    assert "node_load1" in found
    fake.series["sum(node_load1)"] = [({}, wave(0))]
    pulled(fake, tmp_path / "sum.parquet", ask(("sum(node_load1)",)))
    found = columns_of(tmp_path / "sum.parquet")
    assert (found["unique_id"][0], len(found["value"])) == ("all", 100)


def test_a_pull_for_something_else_does_not_take_the_pages(fake, tmp_path, small_pages):
    with serving(fake) as url:
        server = make_server(url)
        with pytest.raises(KeyboardInterrupt):
            pull_prometheus(server, ask(), tmp_path / "cpu.parquet", watch=stop_at(""))
        with pytest.raises(ConfigError, match="was asked for something else"):
            pull_prometheus(server, ask(("other",)), tmp_path / "cpu.parquet")
        with (tmp_path / ".cpu.parquet.pull/.lock").open("a") as file:
            assert try_lock(file)
            with pytest.raises(RunInUse, match="another process pulls into"):
                pull_prometheus(server, ask(), tmp_path / "cpu.parquet")
        assert pull_prometheus(server, ask(), tmp_path / "cpu.parquet")["rows"] == 200


def test_what_was_pulled_trains_without_further_settings(fake, tmp_path):
    pulled(fake, tmp_path / "cpu.parquet", ask(("cpu_cores=cpu",)))
    config = load_config([], [], {"data.path": str(tmp_path / "cpu.parquet"), "task.context": 12, "task.horizon": 2})
    document, error = check_data(config)
    assert error is None
    assert document["windows"]["train"] == 2 * (70 - 12 - 2 + 1)
    assert document["notes"] == []


def test_a_query_that_is_refused_is_told_in_the_servers_words(fake, tmp_path):
    fake.faults = [(400, BAD_QUERY, {})]
    with pytest.raises(ConfigError, match="parse error: unexpected end of input in aggregation") as refused:
        pulled(fake, tmp_path / "cpu.parquet")
    assert (refused.value.exit_code, refused.value.code) == (2, "pull.query")


STRANGE = {
    "text": (200, b"ok", {}),
    "a list": (200, b"[]", {}),
    "no matrix": (200, {"status": "success", "data": {"resultType": "vector", "result": []}}, {}),
    "no values": (200, {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}}]}}, {}),
    "a word": (
        200,
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "x"]]}]}},
        {},
    ),
    "a label that is no text": (
        200,
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"a": 1}, "values": []}]}},
        {},
    ),
    "deep": (200, b"[" * 100_000, {}),
    "half a letter": (
        200,
        b'{"status": "success", "data": {"resultType": "matrix", '
        b'"result": [{"metric": {"a": "\\ud800"}, "values": []}]}}',
        {},
    ),
    "gone": (404, b"404 page not found", {}),
}


@pytest.mark.parametrize("answer", STRANGE)
def test_something_else_than_prometheus_is_told(answer, fake, tmp_path):
    fake.faults = [STRANGE[answer]]
    with pytest.raises(DataError, match="does not answer as Prometheus does"):
        pulled(fake, tmp_path / "cpu.parquet")
    assert not (tmp_path / "cpu.parquet").exists()


def test_times_that_were_not_asked_for_and_histograms_are_refused(fake, tmp_path):
    def of(values):
        return (200, {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, **values}]}}, {})

    fake.faults = [of({"values": [[NOW + 1, "1"]]})]
    with pytest.raises(DataError, match=r"a time that was not asked for: 1772366401\.000"):
        pulled(fake, tmp_path / "cpu.parquet")
    fake.faults = [of({"histograms": [[NOW, {}]]})]
    with pytest.raises(DataError, match="native histograms"):
        pulled(fake, tmp_path / "cpu.parquet")


def test_what_the_server_says_besides_is_told_once(fake, tmp_path, small_pages):
    matrix = {"resultType": "matrix", "result": [{"metric": labels("web-0"), "values": [[NOW - 99 * 300, "1"]]}]}
    partly = {"status": "success", "data": matrix, "warnings": ["a store did not\nanswer"], "infos": ["no counter"]}
    fake.faults = [(200, partly, {})]
    assert pulled(fake, tmp_path / "cpu.parquet")["notes"] == [
        "the server says: a store did not answer",
        "the server says: no counter",
    ]


@pytest.mark.parametrize(
    ("url", "header", "notes"),
    [
        ("http://prometheus:9090", "authorization: Bearer token", 1),
        ("https://prometheus", "authorization: Bearer token", 0),
        ("http://localhost:9090", "Authorization: Bearer token", 0),
        ("http://prometheus:9090", "X-Scope-OrgID: team", 0),
    ],
)
def test_a_token_that_goes_unencrypted_is_told_however_its_header_is_written(url, header, notes):
    assert len(own_pull._open_note(make_server(url, [header]))) == notes


def test_a_long_query_is_sent_as_a_form(fake, tmp_path):
    query = "cpu + " + " + ".join(["cpu"] * 1500)
    fake.series[query] = fake.series["cpu"]
    assert pulled(fake, tmp_path / "cpu.parquet", ask((query,)))["rows"] == 200


def test_the_values_of_a_huge_matrix_are_those_of_numpy(fake, tmp_path):
    words = ["0", "1e-300", "1.7976931348623157e+308", "0.1", "123456789.123456789"]
    fake.series["cpu"] = [(labels("web-0"), lambda time: words[time // STEP % 5])]
    pulled(fake, tmp_path / "cpu.parquet")
    found = columns_of(tmp_path / "cpu.parquet")["cpu"]
    assert np.isin(found, np.array(words, np.float64)).all()
