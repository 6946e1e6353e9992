"""A model server asked by 64 clients at once, in batches and one at a time. `python benchmarks/serve.py [--save]`

For models of the size of S3 and S5, served from a run with JAX: requests of one series each over kept connections, from
another process. Unbatched is the same server with one size of a batch, 1, that answers one request after the other.
The two are measured in turns, so that what else the machine does falls on both. Writes results/serve.json with --save.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np
import pandas as pd
from scenarios import HORIZON, SCENARIOS

HERE = Path(__file__).parent
CLIENTS = 64
WAYS = {"batched": (8, 32, 128), "unbatched": (1,)}


def train(root: Path, name: str) -> Path:
    """Train a model of that size for one short epoch; return its run folder."""
    scenario = SCENARIOS[name]
    draw, rows = np.random.default_rng(0), 2_000
    frame = pd.DataFrame(
        {f"c{k}": 2 + np.sin(np.arange(rows) / 20 + k) + 0.1 * draw.normal(size=rows) for k in range(scenario.features)}
    )
    frame.insert(0, "ds", pd.date_range("2026-03-01", periods=rows, freq="5min"))
    frame.insert(0, "unique_id", "m1")
    frame.to_csv(root / f"{name}.csv", index=False)
    words = ["train", "-m", scenario.kind, "--data", root / f"{name}.csv", "--target", "c0", "--run-dir", root / name]
    words += [
        f"data.past=[{','.join(f'c{k}' for k in range(1, scenario.features))}]",
        f"task.context={scenario.context}",
    ]
    words += [f"task.horizon={HORIZON}", "data.stride=16", "train.epochs=1", "evaluate.baselines=[]", "model.dropout=0"]
    words += [f"model.{key}={value}" for key, value in scenario.settings.items()]
    subprocess.run(
        [sys.executable, "-m", "gym_jax", *map(str, words)], check=True, env=environment(), capture_output=True
    )
    return root / name


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent), "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}


def serve(run: str, way: str) -> None:
    """Serve a run in this process, in one of the two ways, until it is killed."""
    import jax  # noqa: F401

    from gym_jax.serve.api.app import make_app
    from gym_jax.serve.api.batch import Batcher
    from gym_jax.serve.api.door import make_model_server
    from gym_jax.serve.api.limits import USUAL
    from gym_jax.serve.api.meters import Meters
    from gym_jax.serve.api.served import open_served, sources_of
    from gym_jax.serve.api.shelf import Shelf
    from gym_jax.serve.server import bind

    (source,) = sources_of([run])
    meters, rungs = Meters(), WAYS[way]
    batcher = Batcher(meters, together=rungs[-1], wait=0.002 if way == "batched" else 0.0)
    batcher.start()
    app = make_app(Shelf({source.name: open_served(source, rungs)}, meters), batcher)
    with bind("127.0.0.1", 0) as listening:
        print(listening.getsockname()[1], flush=True)
        make_model_server(app, USUAL).run(sockets=[listening])


def question(name: str) -> bytes:
    """Return a request of one series, as bytes."""
    scenario = SCENARIOS[name]
    draw = np.random.default_rng(1)
    values = {f"c{k}": draw.normal(2, 1, scenario.context).round(4).tolist() for k in range(scenario.features)}
    body = json.dumps({"series": [{"id": "m1", "values": values}]}).encode()
    lines = ("POST /v1/predict HTTP/1.1", "host: 127.0.0.1", "content-type: application/json")
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


async def client(port: int, request: bytes, until: float, seconds: list[float]) -> None:
    """Ask over one connection, one request after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        seconds.append(time.perf_counter() - began)
    writer.close()


async def load(port: int, request: bytes, clients: int, duration: float) -> dict[str, float]:
    """Return requests a second and how long they took."""
    seconds: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(client(port, request, began + duration, seconds) for _ in range(clients)))
    spent, ordered = time.perf_counter() - began, sorted(seconds)
    return {
        "per_second": len(seconds) / spent,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[int(0.99 * len(ordered))],
    }


def measure(name: str, run: Path, turns: int, duration: float) -> dict[str, object]:
    """Return how both ways did, in turns, and by how much batches are faster."""
    request, ports, processes = question(name), {}, []
    for way in WAYS:
        command = [sys.executable, __file__, "--serve", str(run), "--way", way]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        processes.append(process)
        ports[way] = int(process.stdout.readline())
    try:
        for port in ports.values():
            asyncio.run(load(port, request, CLIENTS, 1.0))
        found = {way: [] for way in WAYS}
        alone = {way: asyncio.run(load(ports[way], request, 1, 2.0)) for way in WAYS}
        for _ in range(turns):
            for way in WAYS:
                found[way].append(asyncio.run(load(ports[way], request, CLIENTS, duration)))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    ratios = sorted(a["per_second"] / b["per_second"] for a, b in zip(*found.values(), strict=True))
    middle = {
        way: {key: statistics.median(one[key] for one in turns) for key in turns[0]} for way, turns in found.items()
    }
    return {"clients_64": middle, "client_1": alone, "ratio": statistics.median(ratios), "ratios": ratios}


def main(given: argparse.Namespace) -> None:
    found = {}
    with tempfile.TemporaryDirectory() as root:
        for name in given.scenarios.split(","):
            found[name] = measure(name, train(Path(root), name), given.turns, given.seconds)
            for way, one in found[name]["clients_64"].items():
                alone = found[name]["client_1"][way]
                print(
                    f"{name} {way:9}: 64 clients {one['per_second']:7.0f}/s, p50 {one['p50_ms']:6.1f} ms, "
                    f"p99 {one['p99_ms']:6.1f} ms; 1 client p50 {alone['p50_ms']:.1f} ms, p99 {alone['p99_ms']:.1f} ms",
                    flush=True,
                )
            print(
                f"{name} batched / unbatched: {found[name]['ratio']:.2f} "
                f"({', '.join(f'{ratio:.2f}' for ratio in found[name]['ratios'])})"
            )
    if given.save:
        document = {"machine": machine.facts(), "clients": CLIENTS, "scenarios": found}
        (HERE / "results" / "serve.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default="S3,S5")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--serve", help="serve this run in this process")
    parser.add_argument("--way", choices=WAYS, default="batched")
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.way)
    else:
        main(given)
