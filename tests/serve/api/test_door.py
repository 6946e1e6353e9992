"""Raw sockets: who is slow, lies, floods or never reads is let go, and the next one is answered."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from fake_models import asked, last_value, served, serving_models

from gym_jax.serve.api.limits import USUAL

LIMITS = USUAL._replace(body=20_000, header=4096, connections=40, read_seconds=0.4, idle_seconds=1, write_seconds=0.4)
BODY = json.dumps({"series": [asked()]}).encode()
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def app():
    with serving_models(limits=LIMITS) as app:
        yield app


def answer_of(connection):
    """Return the status and the document that a connection answers; (0, None) when it is only closed."""
    data = b""
    connection.settimeout(10)
    try:
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return 0, None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(
            next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1]
        )
        while len(body) < length:
            body += connection.recv(65536)
    except ConnectionError:
        return 0, None
    return int(head.split()[1]), json.loads(body)


def sent(app, data):
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        connection.sendall(data)
        return answer_of(connection)


def keep_sending(connection, data):
    for _ in range(3000):
        connection.sendall(data)


def healthy(app):
    answer = httpx.post(f"{app.url}/v1/predict", content=BODY, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY, 200, None),
        (HEAD + b"content-length: -1\r\n\r\n", 400, "http.invalid"),
        (HEAD + b"content-length: abc\r\n\r\n", 400, "http.invalid"),
        (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nxxxxx", 400, "http.invalid"),
        (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "http.length"),
        (HEAD + b"content-length: 1000000000000\r\n\r\n", 413, "http.body"),
        (HEAD + b"content-length: 20001\r\n\r\n" + b" " * 20_001, 413, "http.body"),
        (
            HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"4e20\r\n" + b" " * 20_000 + b"\r\n8\r\n        \r\n",
            413,
            "http.body",
        ),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400, "http.invalid"),
        (HEAD + b"transfer-encoding: gzip\r\n\r\n", 400, "http.invalid"),
        (HEAD + b"x: " + b"y" * 5000 + b"\r\n\r\n", 431, "http.header"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 431, "http.header"),
        (b"nonsense\r\n\r\n", 400, "http.invalid"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "http.invalid"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "http.invalid"),
        (b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\x00b\r\n\r\n", 400, "http.invalid"),
        (b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 200, None),
    ],
)
def test_what_lies_or_is_no_http_is_refused_and_the_next_is_answered(app, data, status, code):
    found, document = sent(app, data)
    assert found == status
    assert code is None or document["code"] == code
    healthy(app)


def test_who_sends_too_slowly_is_told_and_let_go(app):
    starts = (
        b"",
        b"GET /hea",
        HEAD,
        HEAD + b"content-length: 100\r\n\r\n{",
        HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{",
    )
    began = time.monotonic()
    connections = [socket.create_connection(("127.0.0.1", app.port), timeout=10) for _ in starts]
    for connection, data in zip(connections, starts, strict=True):
        connection.sendall(data)
    healthy(app)
    answers = [answer_of(connection) for connection in connections]
    for connection in connections:
        connection.close()
    assert time.monotonic() - began < 8
    assert answers[0] == (0, None)  # it never began
    assert [(status, document["code"]) for status, document in answers[1:]] == [(408, "http.slow")] * 4


def test_a_byte_now_and_then_buys_no_time(app):
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        stop = threading.Event()

        def drip():
            for byte in HEAD:
                if stop.wait(0.05):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        assert answer_of(connection)[0] == 408
        stop.set()
        thread.join()


def test_a_body_that_never_ends_is_cut(app):
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        connection.sendall(HEAD + b"content-length: 1000000000000\r\n\r\n")
        assert answer_of(connection)[0] == 413
        with pytest.raises(ConnectionError):
            keep_sending(connection, b" " * 65536)


def test_who_never_reads_is_let_go():
    request = b"GET /docs HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 500
    with serving_models(limits=LIMITS._replace(read_seconds=5)) as app:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", app.port))
            with pytest.raises(ConnectionError):
                keep_sending(connection, request)  # and nobody takes the answers
        healthy(app)


def test_idle_connections_make_room_for_who_asks(app):
    idle = [socket.create_connection(("127.0.0.1", app.port), timeout=10) for _ in range(60)]
    try:
        for _ in range(5):
            healthy(app)
        assert len(app.server.server_state.connections) <= LIMITS.connections + 1
    finally:
        for connection in idle:
            connection.close()


def test_requests_one_behind_the_other_are_all_answered(app):
    one = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        connection.sendall(one * 5)
        data = b""
        while data.count(b"HTTP/1.1 200") < 5:
            part = connection.recv(65536)
            assert part
            data += part


def test_twenty_that_are_being_answered_are_when_it_is_told_to_stop():
    go = threading.Event()

    def slow(window):
        go.wait(10)
        return last_value(window)

    one = served()
    one = replace(one, model=replace(one.model, run=slow))
    with serving_models(one) as app, ThreadPoolExecutor(21) as pool:
        post = lambda: httpx.post(f"{app.url}/v1/predict", json={"series": [asked()]}, timeout=20)  # noqa: E731
        asking = [pool.submit(post) for _ in range(20)]
        while app.server.server_state.total_requests == 0 and len(app.server.server_state.tasks) < 20:
            time.sleep(0.005)
        app.server.should_exit = True
        refused = None
        while refused is None:
            try:
                connection = socket.create_connection(("127.0.0.1", app.port), timeout=1)
                connection.close()
            except OSError as error:
                refused = error
        go.set()
        assert [future.result(20).status_code for future in asking] == [200] * 20


def test_a_connection_that_asks_no_more_is_closed(app):
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
        assert answer_of(connection)[0] == 200
        assert connection.recv(1) == b""
