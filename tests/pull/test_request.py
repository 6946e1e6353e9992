"""What is asked for, before anything is asked: names, times, presets, addresses, headers."""

import base64
import re

import pytest

from gym_jax.errors import ConfigError
from gym_jax.pull.http import make_server
from gym_jax.pull.presets import OF_POD, PRESETS, preset_query
from gym_jax.pull.request import make_request, parse_time

NOW = 1_772_366_400.0


def ask(*queries, presets=(), span=86400.0, step=300.0, end=NOW):
    return make_request(queries, presets, span=span, step=step, end=end, now=NOW)


def test_the_grid_is_of_multiples_of_the_step():
    request = ask("up", span=3600, end=NOW + 7.5 - 300)
    assert (request.end, request.points) == (1_772_366_100_000, 12)
    assert request.first == request.end - 11 * 300_000


NAMES = {
    "cpu=rate(x[5m])": ("cpu", "rate(x[5m])"),
    "cpu = sum(x)": ("cpu", "sum(x)"),
    'up{job="node"}': ("up", 'up{job="node"}'),
    "node_load1": ("node_load1", "node_load1"),
    'sum(up{job="node"})': ("value", 'sum(up{job="node"})'),
    "up == 1": ("value", "up == 1"),
    "job:x:rate5m": ("value", "job:x:rate5m"),
}


@pytest.mark.parametrize("word", NAMES)
def test_a_query_has_a_column(word):
    assert ask(word).queries == dict([NAMES[word]])


WRONG = {
    "no preset `cpy`": {"presets": ["cpy"]},
    "two queries are to be column `value`": {"queries": ["sum(a)", "sum(b)"]},
    "two queries are to be column `cpu_cores`": {"presets": ["cpu", "cpu-workload"]},
    "a column can not be called `ds`": {"queries": ["ds=up"]},
    r"start\(\) and end\(\) in a query": {"queries": ["a=up @ end()"]},
    "--step 0.5s is too small": {"queries": ["up"], "step": 0.5},
    "points a series": {"queries": ["up"], "step": 1.0, "span": 365 * 86400.0},
    "holds no two steps": {"queries": ["up"], "span": 60.0},
    "--end 2026-03-01T13:00:00\\+00:00 lies in the future": {"queries": ["up"], "end": NOW + 3600},
    "nothing is asked for": {},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_can_not_be_asked_is_refused(message):
    settings = dict(WRONG[message])
    with pytest.raises(ConfigError, match=message):
        ask(*settings.pop("queries", ()), **settings)


def test_every_problem_is_said_at_once():
    with pytest.raises(ConfigError) as refused:
        ask("ds=up", presets=["memry"], step=0.1)
    assert [problem.message for problem in refused.value.problems] == [
        "--step 0.1s is too small",
        "no preset `memry`",
        "a column can not be called `ds`",
    ]
    assert "did you mean `memory`?" in refused.value.hint


def test_times_without_a_zone_are_utc():
    assert parse_time("2026-03-01T12:00") == parse_time("2026-03-01T13:00+01:00") == parse_time("1772366400") == NOW
    for word in ("soon", "nan", "inf", "-1", "1772366400000", "9999-12-31", "0000-01-01"):
        with pytest.raises(ConfigError, match=f"--end {word} is no time"):
            parse_time(word)


def test_presets_are_of_containers_alone_and_of_a_window_as_long_as_the_step():
    assert set(PRESETS) == {"cpu", "memory", "cpu-workload", "memory-workload"}
    assert preset_query(PRESETS["cpu"], 300_000) == (
        "sum by (namespace, pod, container) "
        '(rate(container_cpu_usage_seconds_total{container!="",container!="POD"}[300s]))'
    )
    assert "[3600s]" in preset_query(PRESETS["cpu"], 3_600_000)
    assert preset_query(PRESETS["memory"], 300_000) == (
        'max by (namespace, pod, container) (container_memory_working_set_bytes{container!="",container!="POD"})'
    )


PODS = {
    "web-5d9f7c6b8d-x7k2p": "web",
    "my-web-api-5d9f7c6b8d-x7k2p": "my-web-api",
    "postgres-0": "postgres",
    "kafka-broker-12": "kafka-broker",
    "node-exporter-zx9kq": "node-exporter",
    "backup-29012345-q8wlt": "backup-29012345",
    "standalone": None,
    "my-tool": None,
}


@pytest.mark.parametrize("pod", PODS)
def test_a_pods_workload_is_in_its_name(pod):
    found = re.fullmatch(OF_POD, pod)
    assert (found and found[1]) == PODS[pod]


def test_user_and_password_become_a_header_and_leave_the_address():
    server = make_server("https://me:p%40ss@host:9090/prom/")
    assert server.url == "https://host:9090/prom"
    assert base64.b64decode(server.headers["Authorization"].removeprefix("Basic ")) == b"me:p@ss"


def test_a_token_is_read_from_its_file(tmp_path):
    (tmp_path / "token").write_text("abc.def\n")
    headers = make_server("http://host", ["X-Scope-OrgID: team"], str(tmp_path / "token")).headers
    assert headers == {"X-Scope-OrgID": "team", "Authorization": "Bearer abc.def"}


@pytest.mark.parametrize(
    "url",
    [
        "host:9090",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://h/x?y=1",
        "http://[::1",
        "http://h h",
        "file:///etc",
    ],
)
def test_an_address_is_of_a_server(url):
    with pytest.raises(ConfigError, match="is no address of a server"):
        make_server(url)


def test_an_address_without_its_scheme_is_completed():
    with pytest.raises(ConfigError) as refused:
        make_server("prometheus:9090")
    assert refused.value.attempt == "gymjax data pull ... --prometheus http://prometheus:9090"


def test_headers_and_tokens_can_not_smuggle_lines(tmp_path):
    (tmp_path / "token").write_text("abc\r\nX-Evil: 1")
    with pytest.raises(ConfigError) as refused:
        make_server("http://host", ["A: b\r\nC: d", "no colon", "bad name: x"], str(tmp_path / "token"))
    assert len(refused.value.problems) == 4
