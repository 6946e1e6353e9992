"""Row 18: a model server under requests that lie, and what the other rows of servers use too.

Right is: no status of 500 but the meant 503, no answer later than a second, the neighbour's answer the same bits, and
health that says what is.
"""

import atexit
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from harness import ROOT, Bench, Outcome, Row
from hostile_requests import requests

SLOW = 1.0
"""Seconds after which an answer hangs."""
QUESTION = json.dumps({"series": [{"id": "m1", "values": {"cpu": [1.0, 2.0, 1.5] * 16}}]}).encode()
KIND = {"content-type": "application/json"}


class Served(NamedTuple):
    """A server in a process of its own."""

    process: "subprocess.Popen[str]"
    port: int
    export: Path
    truth: bytes
    """What it answers to the honest question."""

    def ask(self, path: str = "/v1/predict", body: bytes | None = QUESTION, seconds: float = 20) -> tuple[int, bytes]:
        """Return status and body of a question over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("POST" if body is not None else "GET", path, body, KIND if body is not None else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page."""
        return self.ask(path, None)


def shell(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "gym_jax", *words], check=True, env=environment(), capture_output=True)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


def exported(bench: Bench) -> list[Path]:
    """Return two exports of different training, made once."""
    made = bench.root / "served"
    if not made.exists():
        made.mkdir()
        small = ["-m", "mlp", "model.hidden=[16]", "task.context=24", "task.horizon=4", "evaluate.baselines=[]"]
        times = [f"2026-03-{1 + k // 288:02d}T{k // 12 % 24:02d}:{5 * (k % 12):02d}" for k in range(576)]
        lines = [f"m1,{time},{2 + k % 7 / 7}" for k, time in enumerate(times)]
        (made / "usage.csv").write_text("\n".join(["unique_id,ds,cpu", *lines]))
        small += ["--data", str(made / "usage.csv"), "--target", "cpu", "train.epochs=1"]
        for seed in (0, 1):
            shell("train", *small, "--run-dir", str(made / f"run-{seed}"), f"train.seed={seed}")
            shell("export", str(made / f"run-{seed}"), "--out", str(made / f"export-{seed}"))
    return [made / "export-0", made / "export-1"]


@contextmanager
def serving(bench: Bench, *options: str, export: Path | None = None) -> Iterator[Served]:
    """Serve a copy of an export in a process."""
    place = bench.fresh() / "model"
    shutil.copytree(export or exported(bench)[0], place)
    command = [sys.executable, "-m", "gym_jax", "serve", str(place), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        one = Served(process, port, place, b"")
        status, truth = one.ask()
        assert status == 200, truth
        yield one._replace(truth=truth)
    finally:
        process.kill()
        process.communicate()


def alone(bench: Bench) -> Served:
    """Return the server of row 18, begun with its first fault."""
    if "served" not in bench.known:
        holder = serving(bench)
        bench.known["served"] = {"holder": holder, "one": holder.__enter__()}
        atexit.register(bench.known["served"]["one"].process.kill)
    one: Served = bench.known["served"]["one"]
    return one


def hostile(bench: Bench, number: int) -> Outcome:
    """Send one hostile request beside an honest one."""
    one, data = alone(bench), requests()[number]
    faults: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        honest = pool.submit(_timed, one.ask)
        status, seconds = _sent(one.port, data)
        (found, body), took = honest.result(30)
    faults += [f"status {status}"] if status >= 500 and status != 503 else []
    faults += [f"{seconds:.1f} s"] if seconds > SLOW else []
    faults += [f"the neighbour: status {found}"] if found != 200 else []
    faults += ["the neighbour: other bits"] if found == 200 and body != one.truth else []
    faults += [f"the neighbour: {took:.1f} s"] if took > SLOW else []
    faults += ["not ready"] if one.get("/readyz")[0] != 200 or one.process.poll() is not None else []
    return Outcome(number, not faults, f"{data[:60]!r}: {'; '.join(faults)}", silent="other bits" in str(faults))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _sent(port: int, data: bytes) -> tuple[int, float]:
    """Send bytes, and no more; return the status that comes (0: none) and how long it took after the last byte."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        with suppress(OSError):  # it may be cut while it is sent
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)  # nothing more will come
        began = time.perf_counter()
        answer = b""
        with suppress(OSError):
            while b"\r\n" not in answer:
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        words = answer.split(None, 2)
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, time.perf_counter() - began


def pace(one: Served, count: int = 400) -> tuple[float, int]:
    """Return the 99th percentile of the seconds of an honest client, and how many of its answers were not right."""
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    seconds, wrong = [], 0
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", "/v1/predict", QUESTION, KIND)
        answer = connection.getresponse()
        wrong += answer.read() != one.truth
        seconds.append(time.perf_counter() - began)
    connection.close()
    return sorted(seconds)[int(0.99 * count)], wrong


ROWS = {
    "18": Row(
        "hostile requests: no 5xx, no hang, right neighbours, honest health", lambda bench: list(range(500)), hostile
    ),
}
