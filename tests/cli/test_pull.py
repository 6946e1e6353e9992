"""`gymjax data pull` from outside: one line to a file, three lines when it can not be."""

import json
import os
import socket
import ssl
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT
from fake_prometheus import BAD_QUERY, GRAFANA, NOTHING, Fake, serving

from gym_jax.cli import main
from gym_jax.cli.parse import parse_seconds
from gym_jax.pull import prometheus as own_prometheus
from gym_jax.pull import pull as own_pull


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_prometheus, "DELAYS", ())
    own = Fake()
    own.series["up"] = [({"pod": "web-0"}, lambda time: "1.5"), ({"pod": "web-1"}, lambda time: "NaN")]
    return own


LINE = ("--query", "up", "--range", "1h", "--end", "2026-03-01", "--out", "up.parquet")


def pulled(capsys, url, *words):
    code = main(["data", "pull", "--prometheus", url, *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_line_pulls_a_file(fake, tmp_path, capsys):
    with serving(fake) as url:
        code, out, err = pulled(capsys, url, *LINE)
    assert code == 0, err
    assert out.splitlines() == [
        "note: 12 of 24 values of `up` are NaN: left out",
        "12 rows of 1 series: up",
        f"2026-02-28T23:05:00Z to 2026-03-01T00:00:00Z every 5m in {tmp_path}/up.parquet",
    ]
    assert len(pd.read_parquet("up.parquet")) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["up.parquet"]


def test_json_is_one_document(fake, capsys):
    with serving(fake) as url:
        code, out, err = pulled(capsys, url, *LINE, "--json", "-q")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert (document["command"], document["rows"], document["series"]) == ("data pull", 12, 1)
    assert (document["step_seconds"], document["labels"]) == (300.0, ["pod"])


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def refused(capsys, url, *words):
    """Run a pull that must fail and leave nothing; return its exit code and its three lines."""
    code, out, err = pulled(capsys, url, *(words or LINE), "-q")
    lines = err.splitlines()
    assert out == ""
    assert [line.split(":")[0] for line in lines] == ["error", "hint", "try"]
    assert {*os.listdir()} <= {"token", "key.pem", "certificate.pem"}, "nothing is written"
    return code, *lines


def test_nobody_there(fake, capsys):
    url = f"http://127.0.0.1:{free_port()}"
    code, error, hint, _ = refused(capsys, url)
    assert (code, error) == (3, f"error: {url} can not be reached: connection refused")
    assert hint == "hint: is it the right address, and is the server up?"


def test_a_wrong_query(fake, capsys):
    fake.faults = [(400, BAD_QUERY, {})]
    with serving(fake) as url:
        code, error, _, _ = refused(capsys, url)
    assert code == 2
    assert error == f"error: Prometheus refuses the query: {BAD_QUERY['error']}"


def test_nothing_to_be_had(fake, capsys):
    with serving(fake) as url:
        code, error, hint, _ = refused(capsys, url, *(word.replace("up", "down") for word in LINE))
    assert code == 3
    assert error == f"error: {url} has nothing of down from 2026-02-28T23:05:00Z to 2026-03-01T00:00:00Z"
    assert "scraped" in hint


def test_nothing_of_a_preset_names_its_metric(fake, capsys):
    with serving(fake) as url:
        code, error, hint, attempt = refused(capsys, url, "--preset=cpu-workload", *LINE[2:])
    assert (code, "nothing of cpu_cores" in error) == (3, True)
    assert "`container_cpu_usage_seconds_total` scraped" in hint
    assert attempt == f"try: curl '{url}/api/v1/query?query=count(container_cpu_usage_seconds_total)'"


def test_a_page_of_grafana(fake, capsys):
    fake.greeting = (200, GRAFANA, {"Content-Type": "text/html"})
    with serving(fake) as url:
        code, error, hint, _ = refused(capsys, url)
    assert (code, error) == (3, f"error: {url} does not answer as Prometheus does: Grafana")
    assert "/api/datasources/proxy/uid/UID" in hint


def test_no_right_to_it(fake, capsys):
    fake.greeting = (401, b"Unauthorized", {})
    with serving(fake) as url:
        code, error, _, attempt = refused(capsys, url)
    assert (code, error) == (3, f"error: {url} lets nobody in without a right to it (status 401)")
    assert attempt.endswith("--token-file FILE")


def test_another_host_is_sent_nothing(fake, capsys, tmp_path):
    other = Fake()
    (tmp_path / "token").write_text("secret-token")
    with serving(fake) as url, serving(other) as elsewhere:
        fake.greeting = (302, b"", {"Location": f"{elsewhere}/api/v1/query"})
        code, error, _, attempt = refused(capsys, url, *LINE, "--token-file", "token")
        assert other.headers == []
    assert (code, error) == (3, f"error: {url} sends on to {elsewhere}; nothing was sent there")
    assert elsewhere in attempt
    assert fake.headers[0]["Authorization"] == "Bearer secret-token"


def test_a_token_is_kept_nowhere(fake, capsys, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("secret-token")
    monkeypatch.setattr(own_pull, "FIRST", 5)
    with serving(fake) as url:
        fake.faults = [NOTHING, (500, b"{}", {})]
        pulled(capsys, url, *LINE, "--token-file", "token", "--header", "X-Scope-OrgID: team")
        left = b"".join(path.read_bytes() for path in (tmp_path / ".up.parquet.pull").iterdir())
        assert b"secret" not in left
        assert b"team" not in left
        assert pulled(capsys, url, *LINE, "--token-file", "token")[0] == 0
    assert b"secret" not in (tmp_path / "up.parquet").read_bytes()
    assert {"secret-token", "team"} <= {word.split()[-1] for word in fake.headers[0].values()}


def test_a_step_too_small_and_a_clock_in_the_future(fake, capsys):
    words = [word.replace("2026-03-01", "2999-01-01") for word in LINE]
    code, error, hint, attempt = refused(capsys, "http://127.0.0.1:1", *words, "--step", "0.1s")
    assert code == 2
    assert error == "error: --step 0.1s is too small; --end 2999-01-01T00:00:00+00:00 lies in the future"
    assert "is this clock right?" in hint
    assert attempt.startswith("try: gymjax data pull --prometheus")


def test_a_name_of_another_format(fake, capsys):
    code, error, _, _ = refused(capsys, "http://127.0.0.1:1", *LINE[:-1], "up.csv")
    assert (code, error) == (2, "error: `up.csv` is no name of a Parquet file")


@pytest.mark.extras
def test_a_certificate_that_nobody_vouches_for_is_refused(fake, tmp_path, capsys):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    where = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*line.split(), *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(fake, context) as url:
        assert url.startswith("https://")
        code, error, hint, _ = refused(capsys, url)
        assert code == 3
        assert "its certificate is not trusted: self-signed certificate" in error
        assert "SSL_CERT_FILE" in hint
        assert fake.headers == []
        os.environ["SSL_CERT_FILE"] = str(certificate)
        try:
            assert pulled(capsys, url, *LINE)[0] == 0
        finally:
            del os.environ["SSL_CERT_FILE"]


def test_pulling_loads_no_jax_and_ctrl_c_says_how_to_go_on(fake, tmp_path):
    code = (
        "import sys; from gym_jax.cli import main\n"
        "from gym_jax.pull import pull\n"
        "def stop(*words, **more): raise KeyboardInterrupt\n"
        "pull.ask_range = stop\n"
        "code = main(sys.argv[1:])\n"
        "assert not {'jax', 'pandas'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    with serving(fake) as url:
        words = ["data", "pull", "--prometheus", url, *LINE]
        own = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=own)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-3:-1] == [
        "error: stopped by Ctrl-C; what was pulled lies beside up.parquet",
        "hint: the same line goes on with it",
    ]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1h30m", 5400), ("2w", 1209600), (".5H", 1800)])
def test_lengths_of_time_are_written_as_in_prometheus(text, seconds):
    assert parse_seconds(text) == seconds
