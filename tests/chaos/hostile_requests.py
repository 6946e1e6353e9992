"""Five hundred requests that no honest client sends, each as the bytes of a connection."""

import json
import random
from collections.abc import Iterator

COUNT = 500
SEED = 18


def head(*lines: str, method: str = "POST", path: str = "/v1/predict") -> bytes:
    """Return the head of a request."""
    told = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *lines]
    return ("\r\n".join(told) + "\r\n\r\n").encode("latin-1")


def post(body: bytes, path: str = "/v1/predict", kind: str = "application/json") -> bytes:
    """Return a whole request with a body."""
    return head(f"content-type: {kind}", f"content-length: {len(body)}", path=path) + body


def chunked(*parts: bytes) -> bytes:
    """Return a whole request whose body comes in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head("content-type: application/json", "transfer-encoding: chunked") + body + b"0\r\n\r\n"


def question(values: str, name: str = '"m1"', more: str = "") -> bytes:
    """Return a question whose values are written by hand."""
    return f'{{"series": [{{"id": {name}, "values": {{{values}}}{more}}}]}}'.encode("utf-8", "surrogatepass")


def heads() -> Iterator[bytes]:
    """Yield lies about lengths, odd methods, paths and headers."""
    kind = "content-type: application/json"
    for length in ("-1", "abc", "1" + "0" * 12, "1" + "0" * 30, "0x10", "+5", "5, 6", "", " ", "1.5", "\x00"):
        yield head(kind, f"content-length: {length}") + b"{}"
    yield head(kind, "content-length: 5", "content-length: 6") + b"{}   "
    yield head(kind, "content-length: 2", "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"
    for coding in ("gzip", "chunked, chunked", "chunked, identity", "identity", "xchunked"):
        yield head(kind, f"transfer-encoding: {coding}") + b"2\r\n{}\r\n0\r\n\r\n"
    for size in (b"-1", b"zz", b"ffffffffffffffffffff", b"", b"2;" + b"x" * 30_000):
        yield head(kind, "transfer-encoding: chunked") + size + b"\r\n{}\r\n0\r\n\r\n"
    yield chunked(*[b" " * 65_536] * 40)
    yield chunked(*[b" "] * 3000)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "P" * 3000, "GE T", ""):
        yield head(method=method, path="/v1/models")
    for path in (
        "/v1/../../etc/passwd",
        "//v1/models",
        "/v1/models/..%2f..",
        "/%00",
        "/v1/predict?" + "a=b&" * 500,
        "/" + "a" * 30_000,
        "*",
        "http://evil.example/",
        "/v1/models%0d%0aX: y",
        "/openapi.json/../v1",
        "/healthz/../v1/models",
        "/\xff\xfe",
        "/v1/models#x",
    ):
        yield head(method="GET", path=path)
    for line in (
        "x: " + "y" * 30_000,
        "x" * 20_000 + ": y",
        "x : y",
        ": y",
        "x",
        "x: a\x00b",
        "x:\r\n folded",
        "host: evil.example",
    ):
        yield head(line, method="GET", path="/v1/models")
    yield head(*[f"x-{k}: y" for k in range(3000)], method="GET", path="/v1/models")
    yield b"GET /v1/models HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n"
    yield b"GET /v1/models HTTP/1.1\r\n\r\n"
    yield b"GET /v1/models\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 + b"\r\n\r\n"
    yield b"\x00" * 4000 + b"\r\n\r\n"
    yield b"\r\n" * 4000 + b"x\r\n\r\n"
    yield head("expect: 100-continue", kind, "content-length: 5000000")
    yield head(
        "upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13", method="GET", path="/v1/models"
    )
    yield head("upgrade: h2c", "connection: upgrade, http2-settings", method="GET", path="/v1/models")
    yield head("range: bytes=" + ",".join(f"{k}-{k + 1}" for k in range(2000)), method="GET", path="/docs")
    for kind in (
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=" + "x" * 5000,
        "application/json; charset=utf-16",
        "application/x-python-pickle",
        "application/JSON",
        "application/json;;;",
    ):
        yield post(b'{"series": []}', kind=kind)
    yield head("content-type: application/json", "content-encoding: gzip", "content-length: 2") + b"{}"


def bodies() -> Iterator[bytes]:
    """Yield bodies that are no JSON, or no question."""
    yield from (
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"{}",
        b"nul",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xff"}',
        b"{'a': 1}",
    )
    yield from (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 500_000 + b"]" * 500_000,
        b'{"series":' + b"[" * 900 + b"]" * 900 + b"}",
    )
    yield from (b'{"series": [], "series": [{"values": {}}]}', question('"cpu": [1], "cpu": [2]'))
    yield from (
        b'{"\\ud800": 1}',
        question('"cpu": [1]', r'"\udfff"'),
        question('"cpu": [1]', '"\ud800"'),
        question(r'"\ud8": [1]'),
    )
    for value in (
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "1e400000",
        "9" * 4000,
        "9" * 400_000,
        "0." + "1" * 400_000,
        "1e-999",
        "-0",
        "0x1",
        "01",
        "1.",
        ".5",
        "+1",
        "true",
        '"1"',
        "[1]",
        "{}",
        "1,,2",
        "1e308",
        "-1e308",
        "3.5e38",
    ):
        yield question(f'"cpu": [1, {value}, 2]')
    yield from (
        question('"cpu": []'),
        question(""),
        question('"cpu": [null]'),
        question('"cpu": [null, null, null]'),
        question('"cpu": null'),
    )
    yield from (
        question(f'"cpu": [{",".join(["0"] * 300_000)}]'),
        question(",".join(f'"c{k}": [1]' for k in range(20_000))),
    )
    yield b'{"series": [%s]}' % b",".join([b"{}"] * 100_000)
    yield b'{"series": [%s]}' % b",".join([b'{"values":{"cpu":["x"]}}'] * 30_000)
    yield b'{"series": [%s]}' % b",".join([b'{"id":1,"values":{"cpu":["x"]}}'] * 256)
    yield b"{%s}" % b",".join(b'"k%d":0' % k for k in range(80_000))
    yield b'{"%s": 1}' % (b"k" * 900_000)
    yield b'{"model": "%s", "series": [{"values": {"cpu": [1]}}]}' % (b"../" * 50)
    for name in (
        '"../../etc/passwd"',
        "7",
        '""',
        '"%s"' % ("x" * 100_000),
        r'"\u0000"',
        '"; drop table"',
        '"<script>"',
        "[]",
    ):
        yield question('"cpu": [1, 2, 3]', name)
    for more in (
        '"start": "yesterday"',
        '"start": 7',
        '"last": "9999-12-31"',
        '"start": "2026-01-01", "last": "2026-01-01"',
        '"start": {}',
        '"last": "2026-01-01T00:00:00+99:99"',
        '"future": {"x": [1]}',
        '"future": 7',
        '"static": {"x": "y"}',
        '"static": []',
        '"valeus": {}',
        '"__class__": "os.system"',
        '"last": "%s"' % ("1" * 5000),
        '"last": 1e300',
    ):
        yield question('"cpu": [1, 2, 3]', more=", " + more)


def fuzzed(draw: random.Random) -> bytes:
    """Return an honest request with a few bytes changed, doubled or left out."""
    honest = json.dumps(
        {"series": [{"id": "m1", "values": {"cpu": [1.5, None, 2.5] * 4}, "last": "2026-03-01T00:00:00Z"}]}
    ).encode()
    data = bytearray(post(honest) if draw.random() < 0.5 else honest)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(data))
        kind = draw.randrange(3)
        if kind == 0:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[place : place + draw.randint(1, 5)]
        else:
            data[place:place] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 5)))
    return bytes(data) if data[:4] == b"POST" else post(bytes(data))


def requests() -> list[bytes]:
    """Return all of them, the same ones every time."""
    draw = random.Random(SEED)
    found = [*heads(), *(post(body) for body in bodies()), *(post(body, "/v1/recommend") for body in bodies())]
    return [*found, *(fuzzed(draw) for _ in range(COUNT - len(found)))][:COUNT]
