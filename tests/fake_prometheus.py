"""A server in this process that speaks Prometheus' HTTP API, with faults on demand."""

import json
import math
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock
from urllib.parse import parse_qs, urlsplit

from gym_jax.pull.presets import PRESETS, preset_query

TOO_MANY = {
    "status": "error",
    "errorType": "execution",
    "error": "query processing would load too many samples into memory in query execution",
}
BAD_QUERY = {
    "status": "error",
    "errorType": "bad_data",
    "error": 'invalid parameter "query": 1:6: parse error: unexpected end of input in aggregation',
}
NOTHING = (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}, {})
GRAFANA = b"<!DOCTYPE html><html><head><title>Grafana</title></head></html>"


LONGEST = 8000
"""Characters of an address: what usual servers and proxies allow."""


class Fake:
    """What the server knows, and what it was asked.

    `series` maps a query to a list of labels and a function from milliseconds to a value as text, None for no sample.
    `faults` are used up one by one, an answer each: (status, document or bytes, headers) or a function of the handler.
    """

    def __init__(self):
        self.series, self.faults, self.ranges, self.headers = {}, [], [], []
        self.greeting = None

    def answer(self, path, parameters):
        """Return status, body and headers."""
        if path.endswith("/api/v1/query"):
            if self.greeting is not None:
                return self.greeting
            return 200, {"status": "success", "data": {"resultType": "vector", "result": []}}, {}
        begin, end, step = (round(1000 * float(parameters[name])) for name in ("start", "end", "step"))
        self.ranges.append((parameters["query"], begin, end, step))
        if self.faults:
            return self.faults.pop(0)
        result = []
        for labels, value in self.series.get(parameters["query"], []):
            samples = [(time, value(time)) for time in range(begin, end + 1, step)]
            kept = [[time / 1000, text] for time, text in samples if text is not None]
            if kept:
                result.append({"metric": labels, "values": kept})
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}, {}


@contextmanager
def serving(fake, context=None):
    """Yield the address of a server that answers as `fake` says, over TLS with a `context`."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self):
            fake.headers.append(dict(self.headers))
            if len(self.path) > LONGEST:
                self.send_error(414)
                return
            length = int(self.headers.get("Content-Length", 0))
            asked = urlsplit(self.path)
            words = self.rfile.read(length).decode() if length else asked.query
            answer = fake.answer(asked.path, {key: value[0] for key, value in parse_qs(words).items()})
            if callable(answer):
                answer(self)
                return
            status, body, headers = answer
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with mock.patch.dict(os.environ, {"no_proxy": "*"}):
            yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def prometheus(step=300_000):
    """Yield the address of one that watches three workloads, each with days that are alike, at any time."""
    fake = Fake()
    named = [("web", 0.8), ("cart", 0.3), ("search", 1.5)]
    fake.series[preset_query(PRESETS["cpu-workload"], step)] = [
        ({"namespace": "shop", "workload": name, "container": "app"}, day(place, mean))
        for place, (name, mean) in enumerate(named)
    ]
    with serving(fake) as url:
        yield url


def day(phase, mean):
    """Return the usage at a time in milliseconds: a day's wave, and one of some twenty minutes."""
    turn = 2 * math.pi / 86_400_000
    return lambda time: f"{mean * (1.2 + math.sin(turn * time + phase) + 0.15 * math.sin(70 * turn * time)):.6f}"
