"""The client: the same table as `gymjax predict RUN`, every fault of a refusal, and patience with a busy server."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from fake_models import asked, fake_model, served, serving_models, three_levels
from small import small_config, small_csv

from gym_jax.cli import main
from gym_jax.errors import ConfigError, DataError, RunFailed
from gym_jax.inference import Series
from gym_jax.serve.client import Client


@pytest.fixture(scope="module")
def app():
    with serving_models(served(fake_model(three_levels), "cpu")) as app:
        yield app


def test_series_are_answered_in_their_order_however_many_requests_it_takes(app):
    with Client(app.url) as client:
        found = client.predict([asked((10, number), f"s{number}") for number in range(300)])
        assert [one["id"] for one in found] == [f"s{number}" for number in range(300)]
        assert client.model()["name"] == "cpu"
        (one,) = client.recommend([asked((1, 2))], risk=0.1, resource="memory", unit=2**30)
        assert one["request_quantity"] == "4096Mi"


def test_a_refusal_is_an_error_with_every_fault(app):
    with Client(app.url) as client:
        with pytest.raises(DataError, match=r"series\[0\].values.cpus: unknown column `cpus`") as found:
            client.predict([{"values": {"cpus": [1.0]}}])
        assert found.value.hint == "did you mean `cpu`?"
        assert len(found.value.problems) == 3
        with pytest.raises(ConfigError, match="no model `gpu`"):
            client.predict([asked()], "gpu")
        with pytest.raises(ConfigError, match="no model `gpu`"):
            client.model("gpu")


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:99999999", "", "http://x:port"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="no address"):
        Client(url)


def test_nobody_there_is_told():
    with pytest.raises(RunFailed, match="does not answer"):
        Client("http://host..example").models()
    with pytest.raises(RunFailed, match="does not answer"):
        Client("http://127.0.0.1:9", tries=1).models()


def test_a_busy_server_is_asked_again_when_it_says():
    answers = [(503, "0"), (503, "0"), (200, None)]

    class Busy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, wait = answers.pop(0)
            body = b'{"models": []}'
            self.send_response(status)
            if wait:
                self.send_header("retry-after", wait)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{server.server_port}") as client:
                assert client.models() == []
        finally:
            server.shutdown()
            thread.join()
    assert answers == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run with intervals, and its file."""
    from gym_jax.run.calibrate import calibrate_run
    from gym_jax.run.train import train_run

    root = tmp_path_factory.mktemp("runs")
    data = small_csv(root / "usage.csv", rows=200)
    settings = (f"data.path={data}", "data.target=[cpu]", "data.past=[memory]")
    folder = train_run(small_config(root, "linear", *settings, "train.epochs=1", "evaluate.baselines=[]")).folder
    calibrate_run(folder, method="series")
    return folder, data


@pytest.fixture(scope="module")
def real(trained):
    from gym_jax.serve.api.served import open_served, sources_of

    (source,) = sources_of([str(trained[0])])
    with serving_models(open_served(source)) as app:
        yield app


def test_predict_from_a_server_writes_the_table_of_the_run(trained, real, tmp_path, capsys):
    path, data = trained
    tables = [tmp_path / "run.parquet", tmp_path / "url.parquet"]
    assert main(["predict", str(path), "--data", str(data), "--out", str(tables[0])]) == 0
    assert main(["predict", "--url", real.url, "--data", str(data), "--out", str(tables[1])]) == 0
    assert "Traceback" not in capsys.readouterr().err
    expected, found = map(pd.read_parquet, tables)
    assert list(found.columns[4:]) == [f"cpu_{end}{level}" for level in (80, 90, 95, 99) for end in ("lo", "hi")]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_a_model_there_answers_as_one_that_is_here(app):
    values = np.stack([np.linspace(8, 12, 20), np.full(20, 10.0)], axis=1)
    values[3, 0] = np.nan
    series = [Series("m1", values, np.datetime64("2026-03-01T10:00", "ns")), Series(None, values)]
    with Client(app.url) as client:
        there = client.open()
        here = app.shelf.models["cpu"].model
        assert there.spec.fitted is None  # nothing is told of what it was trained on
        for found, expected in zip(there.predict(series), here.predict(series), strict=True):
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_frame_is_answered_with_a_frame(trained, real):
    frame = pd.read_csv(trained[1])
    with Client(real.url) as client:
        found = client.predict(frame)
    assert list(found.columns[:4]) == ["unique_id", "ds", "step", "cpu"]
    assert len(found) == 2 * 4


def test_a_model_of_jax_compiles_nothing_for_a_request(real):
    import jax

    from gym_jax.serve.api.meters import COMPILED

    compiled = []
    listen = lambda event, seconds, **more: compiled.append(event) if event == COMPILED else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        with Client(real.url) as client:
            for count in (1, 2, 7, 8, 9, 33, 128):
                client.predict(
                    [{"id": str(k), "values": {"cpu": [1.0 * k, 2.0], "memory": [1.0, None]}} for k in range(count)]
                )
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


def test_words_that_do_not_belong_together_are_refused(capsys, real, tmp_path):
    for words, code in (
        (["predict"], 2),
        (["predict", "--url", real.url], 2),
        (["predict", "x", "--token-file", "y"], 2),
        (["predict", "nothing-such", "--url", real.url, "--data", str(ROOT / "README.md")], 2),
        (["predict", "--url", "http://127.0.0.1:9", "--data", "x"], 1),
    ):
        assert main(words) == code, words
        assert capsys.readouterr().err.startswith("error: ")


def test_a_served_run_answers_what_it_is_asked_in_batches_or_alone(real):
    one = {"id": "a", "values": {"cpu": [1.0, 2.0, 1.5], "memory": [100.0] * 3}}
    alone = httpx.post(f"{real.url}/v1/predict", json={"series": [one]}).json()["series"][0]
    others = [{"values": {"cpu": [k / 7, 2.0], "memory": [k, 1.0]}} for k in range(100)]
    among = httpx.post(f"{real.url}/v1/predict", json={"series": [*others[:50], one, *others[50:]]}).json()["series"][
        50
    ]
    assert alone == among
