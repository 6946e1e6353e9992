"""How a training step scales: a small model (scaling_model.py), its constants measured here, predicted beside measured.

python benchmarks/scaling.py [--hidden 512,512] [--batches 64,256,1024] [--seconds 1.0] [--save] [--quick]
python benchmarks/scaling.py --draw           draws and writes docs/scaling-model.md again out of the saved results

1. An MLP (96 rows of one channel, 12 ahead) on one device of a process that has one core: seconds of a step by batch,
   to which a fixed part and one for each window are fitted.
2. Two devices in one process, and two processes of one device each that meet over gloo: seconds in which arrays of
   several sizes are added up, to which latency and bandwidth are fitted.
3. The steps of both, with the gradients added up, are then predicted by the model and measured.
4. Rows a second that one core reads and judges from Parquet.

Every number is the fastest of several repetitions: what else the machine does only adds to it.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
from scaling_model import Network, fit_compute, fit_link, step
from scaling_page import CONTEXT, draw, told, write_page

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
RESULTS = HERE / "results"
WINDOWS = 8192
SIZES = (1 << 12, 1 << 16, 1 << 19, 1 << 21, 1 << 23)
"""Bytes of the arrays that are added up."""
REPEATS = 30
"""Sums in one compiled call."""
WAYS = {"one": 1, "devices": 1, "processes": 2}
"""Processes of each way; each has one core, but `devices`, which has two devices on two."""


def work(way: str, hidden: tuple[int, ...], batches: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Measure in this process: steps by batch, and on two devices sums by size."""
    from gym_jax.train.processes import join

    rank = join(join_seconds=60).rank
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding
    from jax.sharding import PartitionSpec as P
    from model_gymjax import fresh_state, make_examples, step_for
    from scenarios import Scenario
    from work import epoch as order_of
    from work import examples

    from gym_jax.train.parallel import AXIS, make_epoch, make_layout

    placement = "one" if way == "one" else "cores"
    layout = make_layout(placement, None if way == "one" else 2)
    scenario = Scenario("scaling", "mlp", {"hidden": hidden}, CONTEXT, 1, 64, WINDOWS, 20)
    windows = layout.replicate(make_examples(*examples(scenario)))
    run = make_epoch(step_for(scenario), layout)
    found: dict[str, Any] = {"rank": rank, "steps": {}, "sums": {}}
    for batch in batches:
        order = order_of(WINDOWS, batch, 0)[: max(2, 4096 // batch)]
        state = layout.replicate(fresh_state(scenario, None))
        found["bytes"] = 4 * sum(leaf.size for leaf in jax.tree.leaves(state.params))

        def steps(state: Any = state, order: Any = order) -> Any:
            # a fresh copy each time: the epoch gives the buffers of its state away
            return jax.block_until_ready(run(jax.tree.map(jnp.copy, state), windows, order)[1])

        found["steps"][batch] = fastest(steps, seconds) / len(order)
    if way == "one":
        return found | {"rows_per_second": read_rows(seconds)}
    for size in SIZES:
        rows = NamedSharding(layout.mesh, P(AXIS))
        values = jax.make_array_from_callback((2 * size // 4,), rows, lambda place, n=size: np.ones(n // 4, np.float32))

        def sums(x: Any) -> Any:
            return jax.lax.fori_loop(0, REPEATS, lambda _, y: jax.lax.psum(y, AXIS) * 0.5, x)

        add = jax.jit(jax.shard_map(sums, mesh=layout.mesh, in_specs=P(AXIS), out_specs=P(AXIS), check_vma=False))
        found["sums"][size] = fastest(lambda: jax.block_until_ready(add(values)), seconds / 2) / REPEATS  # noqa: B023
    return found


def read_rows(seconds: float) -> float:
    """Return how many rows a second are read and judged from Parquet files of 2,000 series of 1,000 rows."""
    from batch_scoring import make_data

    from gym_jax.data.store import open_store, read_pieces

    with tempfile.TemporaryDirectory() as place:
        make_data(Path(place) / "data", 2_000, 1_000 if seconds >= 0.5 else 20)
        store = open_store(Path(place) / "data", step="5min")

        def read() -> None:
            for _ in read_pieces(store):
                pass

        return store.rows / fastest(read, seconds)


def fastest(run: Any, seconds: float) -> float:
    """Return the shortest time of calls, so many that two processes agree on how many."""
    run()
    began = time.perf_counter()
    run()
    calls = max(3, min(200, int(seconds / max(time.perf_counter() - began, 1e-4))))
    calls = 1 << int(np.log2(calls))
    from gym_jax.train.processes import broadcast

    times = []
    for _ in range(broadcast("calls", calls)):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def start(way: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run one way in processes of its own, each on its cores; return what process 0 found."""
    count, cores = WAYS[way], sorted(os.sched_getaffinity(0))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "JAX_PLATFORMS": "cpu"}
    environment["JAX_NUM_CPU_DEVICES"] = "2" if way == "devices" else "1"
    command = [sys.executable, __file__, "--work", way, "--hidden", given.hidden, "--batches", given.batches]
    command += ["--seconds", str(given.seconds)]
    running = []
    for rank in range(count):
        own = cores if way == "devices" else [cores[rank % len(cores)]]
        several = {
            "GYMJAX_COORDINATOR": f"127.0.0.1:{port}",
            "GYMJAX_PROCESSES": str(count),
            "GYMJAX_PROCESS": str(rank),
        }
        running.append(
            subprocess.Popen(
                ["taskset", "-c", ",".join(map(str, own)), *command],
                env=environment | (several if count > 1 else {}),
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outs = [process.communicate(timeout=300)[0] for process in running]
    if failed := [process.returncode for process in running if process.returncode]:
        raise SystemExit(f"{way} ended with {failed}")
    found: dict[str, Any] = json.loads(outs[0].splitlines()[-1])
    return {**found, **{key: {int(k): v for k, v in found[key].items()} for key in ("steps", "sums")}}


def judge(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return constants, and what they predict beside what was measured."""
    one = found["one"]
    compute = fit_compute(list(one["steps"]), list(one["steps"].values()))
    links, rows = {}, []
    for batch, seconds in one["steps"].items():
        rows.append({"way": "one", "batch": batch, "predicted": compute.seconds(batch), "measured": seconds})
    for way in ("devices", "processes"):
        link = fit_link(list(found[way]["sums"]), list(found[way]["sums"].values()))
        links[way] = link._asdict()
        network = Network(0.0, link)
        for batch, seconds in found[way]["steps"].items():
            predicted = step(compute, network, one["bytes"], batch, 2)
            rows.append({"way": way, "batch": batch, "predicted": predicted, "measured": seconds})
    for row in rows:
        row["error"] = row["predicted"] / row["measured"] - 1
    return {
        "compute": compute._asdict(),
        "links": links,
        "bytes": one["bytes"],
        "rows": rows,
        "read": one["rows_per_second"],
    }


def main(given: argparse.Namespace) -> None:
    saved = RESULTS / "scaling.json"
    if given.draw:
        document = json.loads(saved.read_text())
        draw(document, RESULTS / "scaling.png")
        write_page(document)
        print(told(document))
        return
    found = {way: start(way, given) for way in WAYS}
    document = {"machine": machine.facts(), "hidden": given.hidden, **judge(found), "found": found}
    print(told(document))
    if given.save:
        saved.write_text(json.dumps(document, indent=1) + "\n")
        draw(document, RESULTS / "scaling.png")
        write_page(document)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", default="512,512")
    parser.add_argument("--batches", default="64,256,1024")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each number")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--quick", action="store_true", help="tries it and measures nothing")
    parser.add_argument("--work", choices=WAYS, help="measure in this process")
    given = parser.parse_args()
    if given.quick:
        given.hidden, given.batches, given.seconds = "16", "64,128", 0.05
    if given.work:
        several = [tuple(map(int, words.split(","))) for words in (given.hidden, given.batches)]
        print(json.dumps(work(given.work, several[0], several[1], given.seconds)))
    else:
        main(given)
