"""From a cluster's Prometheus to YAML for Kubernetes, with the real server: Debian's package `prometheus`."""

import json
import math
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from gym_jax.cli import main

pytestmark = [pytest.mark.extras, pytest.mark.prometheus]
END = 1_772_366_400
"""2026-03-01T12:00:00Z."""
DAYS = 12
PODS = {
    ("shop", "web-5d9f7c6b8d-x7k2p", "app"): (0.8, 0.5),
    ("shop", "web-5d9f7c6b8d-zx9kq", "app"): (0.4, 0.2),
    ("shop", "postgres-0", "postgres"): (1.5, 0.3),
    ("batch", "report-79c4b5d8f6-2l5m4", "worker"): (0.3, 0.25),
}
"""What each container uses: mean and height of its day, in cores."""


def used(pod, moment):
    """CPU seconds used since the beginning: the integral of a daily course."""
    mean, height = PODS[pod]
    since, omega = moment - (END - DAYS * 86400), 2 * math.pi / 86400
    return mean * since + height * (1 - math.cos(omega * since)) / omega


def words(pod):
    return ",".join(f'{name}="{value}"' for name, value in zip(("namespace", "pod", "container"), pod, strict=True))


def history():
    """Twelve days of counters, a sample a minute; one starts anew at 0, one is silent for two hours."""
    lines = ["# TYPE container_cpu_usage_seconds counter"]
    for pod in PODS:
        restart, silent = END - 3 * 86400, (END - 5 * 86400, END - 5 * 86400 + 7200)
        for moment in range(END - DAYS * 86400, END + 1, 60):
            if pod[1] == "postgres-0" and silent[0] < moment < silent[1]:
                continue
            value = used(pod, moment)
            if pod[1].startswith("report") and moment >= restart:
                value -= used(pod, restart)
            lines.append(f"container_cpu_usage_seconds_total{{{words(pod)}}} {value:.4f} {moment}")
    total = 'container_cpu_usage_seconds_total{namespace="shop",pod="web-0",container=""}'
    lines += [f"{total} 9 {moment}" for moment in range(END - 3600, END + 1, 60)]
    lines.append("# TYPE container_memory_working_set_bytes gauge")
    for pod in PODS:
        name = f"container_memory_working_set_bytes{{{words(pod)}}}"
        lines += [f"{name} {2**28 + moment % 3600} {moment}" for moment in range(END - 86400, END + 1, 60)]
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def exporter():
    """A cAdvisor of our own: counters as of now."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self):
            body = "# TYPE container_cpu_usage_seconds_total counter\n" + "".join(
                f'container_cpu_usage_seconds_total{{live="yes",{words(pod)}}} {time.time() % 1e6}\n' for pod in PODS
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """A server with that history, and with an exporter that it scrapes every second; it allows few samples a query."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "history").write_text(history())
    made = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "history", folder / "data"],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    with exporter() as target:
        job = {
            "job_name": "cadvisor",
            "scrape_interval": "1s",
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))
        port = free_port()
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--storage.tsdb.retention.time=20y",
                "--query.max-samples=6000",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: ask(url, "/-/ready") is not None, server)
            wait_until(lambda: b'"value"' in (ask(url, "/api/v1/query?query=up%3D%3D1") or b""), server)
            yield url
        finally:
            server.terminate()
            server.wait()


def ask(url, path):
    try:
        with urllib.request.urlopen(url + path, timeout=5) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError):
        return None


def wait_until(true, server):
    late = time.monotonic() + 60
    while not true():
        assert server.poll() is None, "prometheus has ended"
        assert time.monotonic() < late, "prometheus does not come up"
        time.sleep(0.1)


def pulled(capsys, url, out, *words):
    code = main(["data", "pull", "--prometheus", url, "--out", str(out), "--end", str(END), "-q", *words])
    said, err = capsys.readouterr()
    assert code == 0, err
    return pd.read_parquet(out), said


def test_the_programs_are_there():
    assert shutil.which("prometheus"), "apt-get install prometheus"
    assert shutil.which("promtool")


def test_the_rate_of_every_container_is_what_it_used(prometheus, tmp_path, capsys):
    """The server allows 6,000 samples: the pull has to find out how much it may ask."""
    frame, _ = pulled(capsys, prometheus, tmp_path / "cpu.parquet", "--preset", "cpu", "--range", "10d")
    assert set(frame["unique_id"]) == {"/".join(pod) for pod in PODS}
    assert list(frame.columns) == ["unique_id", "ds", "cpu_cores"]
    for pod in PODS:
        own = frame[frame["unique_id"] == "/".join(pod)]
        moments = own["ds"].dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
        steps = np.diff(moments)
        assert steps[steps != 300].tolist() == ([7500] if pod[1] == "postgres-0" else [])
        assert (moments[0], moments[-1]) == (END - 10 * 86400 + 300, END)
        expected = np.array([(used(pod, moment) - used(pod, moment - 300)) / 300 for moment in moments])
        near = np.abs(own["cpu_cores"].to_numpy() - expected)
        assert np.quantile(near, 0.99) < 0.01, pod


def test_two_presets_are_two_columns_and_gaps_are_gaps(prometheus, tmp_path, capsys):
    frame, _ = pulled(
        capsys, prometheus, tmp_path / "both.parquet", "--preset", "cpu", "--preset", "memory", "--range", "2d"
    )
    assert frame["cpu_cores"].notna().all()
    assert frame["memory_bytes"].notna().mean() == pytest.approx(0.5, abs=0.01)
    assert frame["memory_bytes"].min() >= 2**28


def test_the_words_of_the_real_server_are_told(prometheus, tmp_path, capsys):
    line = ["data", "pull", "--prometheus", prometheus, "--out", str(tmp_path / "x.parquet"), "--end", str(END), "-q"]
    assert main([*line, "--query", "sum("]) == 2
    error = capsys.readouterr().err.splitlines()[0]
    assert error.startswith("error: Prometheus refuses the query: ")
    assert error.endswith("1:5: parse error: unclosed left parenthesis")
    assert main([*line, "--query", "nobody_knows"]) == 3
    assert "has nothing of nobody_knows" in capsys.readouterr().err
    many = "container_cpu_usage_seconds_total * on (namespace) container_memory_working_set_bytes"
    assert main([*line, "--query", f"x={many}", "--range", "1h"]) == 3
    assert "many-to-many" in capsys.readouterr().err
    assert main([*line[:3], f"{prometheus}/graph", *line[4:], "--preset", "cpu"]) == 3
    assert "does not answer as Prometheus does" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_scraped_now_is_pulled_now(prometheus, tmp_path, capsys):
    query = 'now=container_cpu_usage_seconds_total{live="yes"}'
    out = str(tmp_path / "now.parquet")
    line = [
        "data",
        "pull",
        "--prometheus",
        prometheus,
        "--query",
        query,
        "--range",
        "60s",
        "--step",
        "1s",
        "--out",
        out,
    ]
    late = time.monotonic() + 30
    while main([*line, "-q"]) != 0 or len(pd.read_parquet(out)) < 3 * len(PODS):
        assert time.monotonic() < late
        time.sleep(0.5)
    capsys.readouterr()
    assert pd.read_parquet(out)["unique_id"].nunique() == len(PODS)


def test_from_a_cluster_to_recommendations(prometheus, tmp_path, capsys, monkeypatch):
    """The commands of docs/prometheus.md, with a range that is there and less training."""
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "prometheus.md").read_text(), re.S)[1]
    shorter = {
        "data": ["--end", str(END), "--range", "12d"],
        "train": ["--epochs", "1", "model.hidden=8"],
        "allocate": ["--val-days", "3", "--epochs", "3"],
    }
    for line in block.replace("http://prometheus:9090", prometheus).splitlines():
        command = shlex.split(line)[1:]
        more = shorter[command[0]] if command[1] not in ("check", "recommend") else []
        assert main([*command, *more, "-q"]) == 0, (line, capsys.readouterr().err)
    frame = pd.read_parquet("cpu.parquet")
    assert set(frame["unique_id"]) == {"shop/web/app", "shop/postgres/postgres", "batch/report/worker"}
    busiest = frame[frame["unique_id"] == "shop/web/app"]["cpu_cores"].to_numpy()
    assert busiest.max() == pytest.approx(1.3, abs=0.02)
    assert main(["evaluate", "latest", "--fail-over", "mae=0.5"]) == 0
    assert main(["drift", "latest"]) == 0
    assert main(["allocate", "recommend", "cpu", "--format", "patch", "--out", "patch.yaml"]) == 0
    scalers = list(yaml.safe_load_all((tmp_path / "recommendations.yaml").read_text()))
    assert {(s["metadata"]["namespace"], s["metadata"]["name"]) for s in scalers} == {
        ("shop", "web"),
        ("shop", "postgres"),
        ("batch", "report"),
    }
    for scaler in scalers:
        assert not wrong(scaler, AUTOSCALER), wrong(scaler, AUTOSCALER)
        (one,) = scaler["status"]["recommendation"]["containerRecommendations"]
        mean, height = max(value for pod, value in PODS.items() if pod[1].startswith(scaler["metadata"]["name"]))
        assert mean < cores(one["target"]["cpu"]) < 2 * (mean + height)
    for patch in yaml.safe_load_all((tmp_path / "patch.yaml").read_text()):
        assert not wrong(patch, PATCH), wrong(patch, PATCH)


def cores(quantity):
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
AMOUNTS = {"cpu": QUANTITY}
METADATA = {"name": NAME, "namespace": NAME}
AUTOSCALER = {
    "apiVersion": re.compile("autoscaling.k8s.io/v1"),
    "kind": re.compile("VerticalPodAutoscaler"),
    "metadata": METADATA,
    "spec": {
        "targetRef": {"apiVersion": re.compile("apps/v1"), "kind": re.compile("Deployment"), "name": NAME},
        "updatePolicy": {"updateMode": re.compile("Off")},
        "recommenders": [{"name": NAME}],
    },
    "status": {
        "recommendation": {
            "containerRecommendations": [
                {
                    "containerName": NAME,
                    **dict.fromkeys(("target", "lowerBound", "upperBound", "uncappedTarget"), AMOUNTS),
                }
            ]
        }
    },
}
"""autoscaling.k8s.io/v1, as the CRD of kubernetes/autoscaler describes it: the keys that may be there."""
PATCH = {
    "apiVersion": re.compile("apps/v1"),
    "kind": re.compile("Deployment"),
    "metadata": METADATA,
    "spec": {
        "template": {"spec": {"containers": [{"name": NAME, "resources": {"requests": AMOUNTS, "limits": AMOUNTS}}]}}
    },
}


def wrong(document, schema, place="$"):
    """Return what of a document is not of a schema."""
    if isinstance(schema, dict):
        if not isinstance(document, dict):
            return [f"{place} is no object"]
        found = [f"{place}.{key} is unknown" for key in document if key not in schema]
        return found + [
            problem
            for key, value in document.items()
            if key in schema
            for problem in wrong(value, schema[key], f"{place}.{key}")
        ]
    if isinstance(schema, list):
        if not isinstance(document, list) or not document:
            return [f"{place} is no list"]
        return [p for i, value in enumerate(document) for p in wrong(value, schema[0], f"{place}[{i}]")]
    return [] if isinstance(document, str) and schema.fullmatch(document) else [f"{place} is {document!r}"]
