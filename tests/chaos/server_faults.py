"""Rows E5 to E11: a model server under clients that dawdle, damaged versions, floods, and a stop."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from harness import Bench, Outcome, Row
from servers import KIND, Served, environment, exported, pace, serving

LETS_GO = 10.0
"""Seconds after which a client that dawdles must have been let go."""
ESTABLISHED = 1
GROWN = 0.05
"""By how much memory may grow under a flood, after its first third."""
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def dawdling(bench: Bench, number: int) -> Outcome:
    """Let clients dawdle while an honest one asks."""
    name, begin = list(DAWDLERS.items())[number]
    with serving(bench) as one:
        pace(one, 100)
        before = min(pace(one)[0] for _ in range(2))
        opened = begin(one)
        began = time.monotonic()
        during, wrong = min(pace(one) for _ in range(2))
        threads = len(list(Path(f"/proc/{one.process.pid}/task").iterdir()))
        gone = sum(_is_let_go(connection, began) for connection in opened)
        faults = [f"p99 {1000 * before:.1f} -> {1000 * during:.1f} ms"] if during > 2 * before + 0.002 else []
        faults += [f"{wrong} wrong answers"] if wrong else []
        faults += [f"{threads} threads"] if threads > 40 else []
        faults += (
            [f"{len(opened) - gone} of {len(opened)} still there after {LETS_GO:g} s"] if gone < len(opened) else []
        )
        faults += ["not ready"] if one.get("/readyz")[0] != 200 else []
    return Outcome(number, not faults, f"{name}: {'; '.join(faults)}", silent=wrong > 0)


def _is_let_go(connection: socket.socket, began: float) -> bool:
    """Return whether the other side closes a connection in time, of which nothing is read here."""
    try:
        while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED:
            if time.monotonic() - began > LETS_GO:
                return False
            time.sleep(0.05)
    finally:
        connection.close()
    return True


def _opened(one: Served, count: int, data: bytes = b"") -> list[socket.socket]:
    found = [socket.create_connection(("127.0.0.1", one.port), timeout=15) for _ in range(count)]
    for connection in found:
        connection.sendall(data)
    return found


def _dripping(one: Served) -> list[socket.socket]:
    """Open connections that send a byte every half second."""
    found = _opened(one, 50, b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ")

    def drip() -> None:
        for _ in range(40):
            time.sleep(0.5)
            for connection in found:
                with suppress(OSError):
                    connection.send(b"y")

    threading.Thread(target=drip, daemon=True).start()
    return found


def _unread(one: Served) -> list[socket.socket]:
    """Open connections that ask for more pages than any buffer holds and read none."""
    found = []
    for _ in range(10):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", one.port))
        connection.setblocking(False)
        with suppress(OSError):
            connection.send(b"GET /docs HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 1000)
        found.append(connection)
    return found


DAWDLERS: dict[str, Callable[[Served], list[socket.socket]]] = {
    "500 idle connections": lambda one: _opened(one, 500),
    "50 heads, a byte at a time": _dripping,
    "100 bodies that stop": lambda one: _opened(
        one,
        100,
        HEAD % 900 + b"{",
    ),
    "10 that never read": _unread,
}


def badly_begun(bench: Bench, number: int) -> Outcome:
    """Serve, or put in place while it serves, an export that is damaged; it must be refused."""
    harms = list(HARMS.items())
    name, harm = harms[number % len(harms)]
    bad = bench.fresh() / "bad"
    shutil.copytree(exported(bench)[1], bad)
    harm(bad)
    faults: list[str] = []
    if number < len(harms):
        done = subprocess.run(
            [sys.executable, "-m", "gym_jax", "serve", str(bad), "--port", "0"],
            capture_output=True, text=True, env=environment(), timeout=60,
        )  # fmt: skip
        faults += [f"status {done.returncode}"] if done.returncode != 4 else []
        faults += ["a traceback"] if "Traceback" in done.stderr else []
        return Outcome(number, not faults, f"begun with {name}: {'; '.join(faults)}")
    with serving(bench, "--reload", "0.2") as one:
        aside = one.export.with_name("aside")
        one.export.rename(aside)
        bad.rename(one.export)
        text = _until(lambda: one.get("/metrics")[1].decode(), lambda text: 'result="refused"} 1' in text)
        faults += [] if text else ["never refused"]
        faults += ["other answers"] if one.ask() != (200, one.truth) else []
        faults += ["not ready"] if one.get("/readyz")[0] != 200 else []
        shutil.rmtree(one.export)
        shutil.copytree(exported(bench)[1], one.export)
        text = _until(lambda: one.get("/metrics")[1].decode(), lambda text: 'result="taken"} 1' in text)
        faults += [] if text and one.ask()[1] != one.truth else ["the sound one was not taken"]
    return Outcome(number, not faults, f"swapped for {name}: {'; '.join(faults)}", silent="other answers" in faults)


def _until(look: Callable[[], str], right: Callable[[str], bool], seconds: float = 20) -> str | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if right(found := look()):
            return found
        time.sleep(0.1)
    return None


def _cut(folder: Path, name: str, share: float) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(share * len(data))])


def _flip(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


def _version(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))


HARMS: dict[str, Callable[[Path], None]] = {
    "weights cut short": lambda folder: _cut(folder, "weights.npz", 0.7),
    "weights of nothing": lambda folder: _cut(folder, "weights.npz", 0),
    "one bit of the weights": lambda folder: _flip(folder, "weights.npz"),
    "a manifest cut short": lambda folder: _cut(folder, "manifest.json", 0.5),
    "one bit of the manifest": lambda folder: _flip(folder, "manifest.json"),
    "a later version": _version,
}


def overloaded(bench: Bench, number: int) -> Outcome:
    """Ask from ten times as many clients as may wait, for a while: 503 or the right answer, and calm afterwards."""
    seconds = 60.0 if number else 15.0
    with serving(bench) as one:
        calm, _ = pace(one, 200)
        wide = json.dumps({"series": [{"id": "m1", "values": {"cpu": [1.0, 2.0, 1.5] * 16}}] * 64}).encode()
        until, codes, wrong = time.monotonic() + seconds, dict.fromkeys((200, 503), 0), [0]
        truth = one.ask(body=wide)[1]

        def flood() -> None:
            while time.monotonic() < until:
                with suppress(OSError, http.client.HTTPException):
                    status, body = one.ask(body=wide)
                    codes[status] = codes.get(status, 0) + 1
                    wrong[0] += status == 200 and body != truth

        threads = [threading.Thread(target=flood) for _ in range(600)]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 3)
        memory = _memory(one)
        for thread in threads:
            thread.join()
        began = time.monotonic()
        while pace(one, 50)[0] > 3 * calm + 0.002 and time.monotonic() - began < 10:
            pass
        faults = [f"{wrong[0]} wrong answers"] if wrong[0] else []
        faults += [f"statuses {codes}"] if set(codes) - {200, 503} or not codes[200] else []
        faults += ["not calm within 5 s"] if time.monotonic() - began > 5 else []
        faults += ["not ready"] if one.get("/readyz")[0] != 200 else []
        grown = _memory(one) / memory - 1
        words = f"{seconds:g} s: {codes}, memory {grown:+.1%}"
        faults += ["memory grows"] if grown > GROWN else []
        print(f"    E9: {words}", flush=True)
    return Outcome(number, not faults, f"{words}; {'; '.join(faults)}", silent=wrong[0] > 0)


def _memory(one: Served) -> int:
    text = Path(f"/proc/{one.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS")))


def stopped(bench: Bench, number: int) -> Outcome:
    """Tell it to stop while twenty requests are being answered."""
    with serving(bench) as one, ThreadPoolExecutor(20) as pool:
        wide = json.dumps(
            {"series": [{"id": "m1", "values": {"cpu": [1.0, 2.0, 1.5] * 1000}}] * (20 + number)}
        ).encode()
        connections = [http.client.HTTPConnection("127.0.0.1", one.port, timeout=20) for _ in range(20)]
        for connection in connections:  # sent whole, before the signal
            connection.request("POST", "/v1/predict", wide, KIND)
        _until(lambda: "", lambda _: time.sleep(0.05) is None, 1)
        one.process.send_signal(signal.SIGTERM)
        began = time.monotonic()

        def read(connection: http.client.HTTPConnection) -> int:
            try:
                answer = connection.getresponse()
                return answer.status if len(answer.read()) > 100 else 0
            except (OSError, http.client.HTTPException):
                return 0

        codes = list(pool.map(read, connections))
        refused = False
        with suppress(OSError):
            refused = True
            with socket.create_connection(("127.0.0.1", one.port), timeout=1):
                refused = False
        code = one.process.wait(20)
        seconds = time.monotonic() - began
    faults = [f"{codes.count(200)} of 20 answered"] if codes.count(200) < 20 else []
    faults += ["a new one was taken"] if not refused else []
    faults += [f"status {code}"] if code != 143 else []
    faults += [f"{seconds:.1f} s"] if seconds > 10 else []
    return Outcome(number, not faults, "; ".join(faults))


ROWS = {
    "E5": Row(
        "clients that dawdle: let go, others not slowed", lambda bench: list(range(len(DAWDLERS))), dawdling, every=0
    ),
    "E7": Row(
        "damaged models, at the start and while it serves",
        lambda bench: list(range(2 * len(HARMS))),
        badly_begun,
        every=0,
    ),
    "E9": Row("ten times too much: 503 or right, calm afterwards", lambda bench: [0, 1], overloaded, every=0),
    "E11": Row("told to stop with twenty being answered", lambda bench: list(range(10)), stopped, every=0),
}
