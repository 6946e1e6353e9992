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
from itertools import pairwise
from pathlib import Path
from typing import Any

import machine
import numpy as np
from pages import markdown, put, where
from scaling_model import Compute, Link, Network, all_reduce, fit_compute, fit_link, step
from table import aligned

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
RESULTS = HERE / "results"
CONTEXT, HORIZON, WINDOWS = 96, 12, 8192
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


H100 = Network(4.4e-6, Link(1e-6, 450e9), Link(5e-6, 50e9))
"""NVLink 900 GB/s in both directions together, a ConnectX-7 of 400 Gb/s for each GPU; latencies as NCCL reckons."""
PEAK, REACHED, LAUNCH = 494.7e12, 0.1, 100e-6
"""TF32 without sparsity; what share of it small products reach, and what a step takes however small: assumed."""
HOSTS, GPUS = (1, 2, 4, 8, 16, 32, 64), 8
MODELS = {"MLP 512, 512": (96, (512, 512)), "MLP 2048, 2048": (96, (2048, 2048))}
SHARES = (256, 4096)
"""Windows of a step on each device."""
WORKLOADS = 1e6
NAMES = {"one": "1 device", "devices": "2 devices, 1 process", "processes": "2 processes, gloo"}


def parameters(context: int, hidden: tuple[int, ...]) -> int:
    """Return how many parameters an MLP of one channel has."""
    sizes = (context, *hidden, HORIZON)
    return sum(a * b + b for a, b in pairwise(sizes))


def many_hosts(context: int, hidden: tuple[int, ...], share: int, hosts: int) -> dict[str, float]:
    """Return what the model says of so many hosts with eight GPUs, when each GPU takes `share` windows a step."""
    count = parameters(context, hidden)
    compute = Compute(LAUNCH, 6 * count / (PEAK * REACHED))
    seconds = step(compute, H100, 4 * count, share * GPUS * hosts, GPUS, hosts)
    return {
        "step": seconds,
        "all_reduce": all_reduce(H100, 4 * count, GPUS, hosts),
        "windows_per_second": share * GPUS * hosts / seconds,
        "efficiency": compute.seconds(share) / seconds,
    }


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw predicted against measured, and efficiency over hosts."""
    from gym_jax.report.picture import save_figure
    from gym_jax.report.style import add_legend, dress, new_figure, set_title, theme_of

    theme = theme_of(False)
    figure, (left, right) = new_figure(1, 2, size=(10.4, 4.2))
    for (way, name), colour in zip(NAMES.items(), theme.colours, strict=False):
        rows = [row for row in document["rows"] if row["way"] == way]
        batches = [row["batch"] for row in rows]
        left.plot(batches, [1e3 * row["predicted"] for row in rows], color=colour, label=name)
        left.plot(batches, [1e3 * row["measured"] for row in rows], "o", color=colour)
    left.set(xscale="log", yscale="log", xlabel="windows of a step, all devices together")
    left.set_ylabel("milliseconds of a step")
    left.set_xticks(batches, [f"{batch:,}" for batch in batches])
    low, high = left.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low <= tick <= high]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    set_title(left, "two cores: predicted (lines), measured (dots)")
    styles = iter(zip(theme.colours, ("-", "--", "-", "--"), strict=False))
    for name, model in MODELS.items():
        for share in SHARES:
            colour, style = next(styles)
            values = [100 * many_hosts(*model, share, hosts)["efficiency"] for hosts in HOSTS]
            right.plot(HOSTS, values, style, marker="o", color=colour, label=f"{name}; {share:,} windows a GPU")
    right.set(xscale="log", xlabel="hosts of 8 GPUs", ylabel="share of a step that computes (%)", ylim=(0, 102))
    right.set_xticks(HOSTS, [str(hosts) for hosts in HOSTS])
    right.minorticks_off()
    set_title(right, "H100: predicted, not measured")
    add_legend(left, False)
    add_legend(right, False, loc="lower left")
    save_figure(dress(figure, False), path)


def write_page(document: dict[str, Any]) -> None:
    """Write the tables of docs/scaling-model.md."""
    compute, links = document["compute"], document["links"]
    two = [f"{1e6 * link['latency']:.0f} us and {link['bandwidth'] / 1e9:.1f} GB/s" for link in links.values()]
    constants = (
        f"On {where(document['machine'])}: `fixed` {1e3 * compute['fixed']:.2f} ms, `window` "
        f"{1e6 * compute['window']:.1f} us; two devices {two[0]}, two processes {two[1]}; gradients of "
        f"{document['bytes'] / 1e6:.2f} MB."
    )
    rows = [("", "batch", "predicted", "measured", "error")]
    for row in document["rows"]:
        cells = (f"{1e3 * row['predicted']:.2f} ms", f"{1e3 * row['measured']:.2f} ms", f"{row['error']:+.0%}")
        rows.append((NAMES[row["way"]], f"{row['batch']:,}", *cells))
    put("scaling-model.md", "scaling", f"{constants}\n\n{markdown(rows)}")
    rows = [("model", "windows a GPU", "hosts", "step", "of it all-reduce", "windows/s", "computes")]
    for name, model in MODELS.items():
        for share in SHARES:
            for hosts in (1, 8, 64):
                one = many_hosts(*model, share, hosts)
                cells = (f"{1e3 * one['step']:.2f} ms", f"{1e3 * one['all_reduce']:.2f} ms")
                cells += (f"{one['windows_per_second'] / 1e6:,.0f} M", f"{one['efficiency']:.0%}")
                rows.append((name, f"{share:,}", str(hosts), *cells))
    put("scaling-model.md", "scaling_hosts", markdown(rows))
    last = many_hosts(*MODELS["MLP 512, 512"], SHARES[1], HOSTS[-1])
    text = (
        f"One core reads and judges {document['read'] / 1e6:.1f} million rows a second (measured here), "
        f"{WORKLOADS * 8640 / HOSTS[-1] / document['read']:.0f} s for the share of a host; "
        f"{HOSTS[-1]} hosts compute the epoch of the smaller model in "
        f"{WORKLOADS * 720 / last['windows_per_second']:.2f} s."
    )
    put("scaling-model.md", "scaling_input", text)


def told(document: dict[str, Any]) -> str:
    """Return the tables."""
    rows = [("way", "batch", "predicted ms", "measured ms", "error")]
    for row in document["rows"]:
        cells = (f"{1e3 * row['predicted']:.2f}", f"{1e3 * row['measured']:.2f}", f"{row['error']:+.0%}")
        rows.append((row["way"], f"{row['batch']:,}", *cells))
    more = [("model, windows a GPU", "hosts", "step ms", "all-reduce ms", "windows/s", "efficiency")]
    for name, model in MODELS.items():
        for share in SHARES:
            for hosts in (1, 8, 64):
                one = many_hosts(*model, share, hosts)
                cells = (f"{1e3 * one['step']:.3f}", f"{1e3 * one['all_reduce']:.3f}")
                cells += (f"{one['windows_per_second']:,.0f}", f"{one['efficiency']:.0%}")
                more.append((f"{name}; {share:,}", str(hosts), *cells))
    compute, links = document["compute"], document["links"]
    lines = [f"compute: {1e3 * compute['fixed']:.3f} ms + {1e6 * compute['window']:.2f} us a window"]
    for way, link in links.items():
        lines.append(f"{way}: {1e6 * link['latency']:.0f} us, {link['bandwidth'] / 1e9:.2f} GB/s")
    lines.append(
        f"gradients: {document['bytes'] / 1e6:.2f} MB; {document['read'] / 1e6:.1f} million rows/s are read by one core"
    )
    return "\n".join([*lines, "", *aligned(rows), "", *aligned(more)])


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
