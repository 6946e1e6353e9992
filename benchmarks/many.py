"""Many models in one program: S7 (MLPs), S8 (LSTMs) against one after another, and the search S9 to its end.

python benchmarks/many.py S7 S8 S9 [--rounds 5] [--no-torch] [--quick]

S7 and S8 measure model-windows per second of every packing and of single runs one after another, each at its best
placement, interleaved in one process. S9 is 5 folds x 4 learning rates with early stopping, validation each epoch and
the best weights written, from a fresh process to the last file; PyTorch's runs one process per core. Results go to
benchmarks/results/many.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import work
from machine import facts
from model_gymjax import fresh_state, make_examples, make_model, step_for
from scenarios import MANY, SEARCH, find, rate_of

from gym_jax.losses import mse
from gym_jax.train.checkpoint import save_checkpoint
from gym_jax.train.compile import quickest
from gym_jax.train.many import Pack, make_many_epoch, make_many_evaluation, member, stack
from gym_jax.train.parallel import make_epoch, make_layout, request_cpu_devices
from gym_jax.train.step import make_eval_step, make_train_step

HERE = Path(__file__).parent
EVALUATED = 1024


def packs():
    """Return the packings to race."""
    compile = quickest()
    several = ["cores", "turns"] if len(jax.devices()) > 1 or jax.default_backend() == "cpu" else []
    layouts = {name: make_layout("one" if name == "vmap" else "cores", compile=compile) for name in ("vmap", *several)}
    return [Pack(name, layout) for name, layout in layouts.items()]


def rated(scenario):
    """Return the step of a member with a learning rate of its own."""
    model = make_model(scenario)
    return lambda rate, axis_name: make_train_step(model, mse, optax.adam(rate), axis_name=axis_name)


def throughput(many, models, rounds, quick):
    """Return model-windows per second of each way, the median of interleaved rounds."""
    scenario = find(many.scenario, quick)
    examples = make_examples(*work.examples(scenario))
    orders = np.stack([next(work.chunks(scenario, seed)) for seed in range(models)], axis=1)
    rates = jnp.array([rate_of(model) for model in range(models)])
    states = [fresh_state(scenario, seed=seed) for seed in range(models)]
    ways = {}
    for placement in ("one", "cores"):
        layout = make_layout(placement, compile=quickest())
        ways[f"one after another, {placement}"] = sequence(scenario, layout, states, examples, orders)
    for pack in packs():
        if models > 1:
            ways[pack.packing] = packed(scenario, pack, states, examples, orders, rates)
    times = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            began = time.perf_counter()
            run()
            if number:
                times[name].append(time.perf_counter() - began)
    windows = models * scenario.steps * scenario.batch
    return {name: windows / statistics.median(each) for name, each in times.items()}


def sequence(scenario, layout, states, examples, orders):
    """Return a function that trains every model for a repetition, one after the other, in one compiled program."""
    epoch = make_epoch(step_for(scenario), layout)
    placed, here = [layout.replicate(jax.tree.map(jnp.copy, state)) for state in states], layout.replicate(examples)

    def run():
        for model in range(len(placed)):
            placed[model], metrics = epoch(placed[model], here, orders[:, model])
            jax.block_until_ready(metrics)

    return run


def packed(scenario, pack, states, examples, orders, rates):
    """Return a function that trains all models for a repetition at once."""
    epoch = make_many_epoch(rated(scenario), pack, rates)
    held, here = pack.place(stack(states)), pack.replicate(examples)

    def run():
        nonlocal held
        held, metrics = epoch(held, here, orders)
        jax.block_until_ready(metrics)

    return run


def search(quick, epochs):
    """Return how the search went: early stop, best weights and files of every fit; the fits left are packed anew.

    The fastest packing of one chunk is taken.
    """
    began = time.perf_counter()
    scenario = find(SEARCH.scenario, quick)
    examples = make_examples(*work.examples(scenario))
    folds = list(work.folds(scenario.windows, SEARCH.folds))
    fits = [(fold, rate) for fold in range(SEARCH.folds) for rate in SEARCH.rates]
    rates = jnp.array([rate for _, rate in fits])

    def order(m, number):
        train = folds[fits[m][0]][0]
        return train[work.epoch(len(train), scenario.batch, number, m)]

    rows = EVALUATED if not quick else 16
    held_out = [np.pad(held, (0, -len(held) % rows), constant_values=-1).reshape(-1, rows) for _, held in folds]
    first = pack = None
    states = [fresh_state(scenario, seed=m) for m in range(len(fits))]
    times = {}
    for candidate in packs():
        epoch = make_many_epoch(rated(scenario), candidate, rates)
        placed, here = candidate.place(stack(states)), candidate.replicate(examples)
        part = np.stack([order(m, 0) for m in range(len(fits))], axis=1)[:8]
        placed, _ = epoch(placed, here, part)
        mark = time.perf_counter()
        jax.block_until_ready(epoch(placed, here, part))
        times[candidate.packing] = time.perf_counter() - mark
        if pack is None or times[candidate.packing] < times[pack.packing]:
            pack, first = candidate, epoch
    validate = make_many_evaluation(lambda axis_name: make_eval_step(make_model(scenario), mse), pack)
    placed, here = pack.place(stack(states)), pack.replicate(examples)
    live, epoch = list(range(len(fits))), first
    best = dict.fromkeys(live, (np.inf, 0))
    last, windows = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(epochs):
            placed, _ = epoch(placed, here, np.stack([order(m, number) for m in live], axis=1))
            windows += (
                len(live) * (scenario.windows * (SEARCH.folds - 1) // SEARCH.folds) // scenario.batch * scenario.batch
            )
            count = len(jax.tree.leaves(placed)[0])
            judged = np.stack([held_out[fits[live[i % len(live)]][0]] for i in range(count)], axis=1)
            loss = jax.device_get(validate(placed, here, judged)["loss"])
            values = loss.total.sum(0) / loss.count.sum(0)
            for place, m in enumerate(live):
                last[m] = number + 1
                if values[place] < best[m][0]:
                    best[m] = (float(values[place]), number)
                    kept = jax.device_get(member(placed.params, place))
                    save_checkpoint(f"{folder}/{m}", number, kept)
            left = [m for m in live if number - best[m][1] < SEARCH.patience]
            if len(left) < len(live) and (not left or 2 * len(left) <= count or pack.packing == "turns"):
                placed = None if not left else pack.place(stack([member(placed, live.index(m)) for m in left]))
                live = left
                if not live:
                    break
                epoch = make_many_epoch(rated(scenario), pack, rates[np.array(live)])
    return {
        "wall_seconds": time.perf_counter() - began,
        "packing": pack.packing,
        "race": times,
        "windows": windows,
        "fits": [{"fold": f, "rate": r, "epochs": last[m], "best": best[m][0]} for m, (f, r) in enumerate(fits)],
    }


def torch_arm(*words):
    """Return what PyTorch's arm prints, with its own import left out of nothing: a fresh process."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, HERE / "arm_torch_many.py", *map(str, words)], capture_output=True, text=True, check=True
    )
    return {**json.loads(done.stdout.splitlines()[-1]), "process_seconds": time.perf_counter() - began}


def main():
    """Measure what was asked for, print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*MANY, SEARCH.name])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=SEARCH.epochs)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    request_cpu_devices("cores")
    quick = ["--quick"] if given.quick else []
    path = HERE / "results" / ("quick_many.json" if given.quick else "many.json")
    found = {**(json.loads(path.read_text()) if path.exists() else {}), "machine": facts()}
    for name in given.names:
        if name == SEARCH.name:
            found[name] = {"gymjax": search(given.quick, given.epochs)}
            if not given.no_torch:
                found[name]["torch"] = torch_arm("S9", "--epochs", given.epochs, *quick)
                found[name]["ratio"] = found[name]["torch"]["wall_seconds"] / found[name]["gymjax"]["wall_seconds"]
            print(name, json.dumps({k: v for k, v in found[name].items() if k == "ratio"}), flush=True)
            print("  ", json.dumps({k: v for k, v in found[name]["gymjax"].items() if k != "fits"}), flush=True)
            continue
        for models in MANY[name].models:
            rates = throughput(MANY[name], models, given.rounds, given.quick)
            single = max(rate for way, rate in rates.items() if "after another" in way)
            packed_best = max(rates, key=rates.get)
            row = {"model_windows_per_second": rates, "best": packed_best, "ratio": max(rates.values()) / single}
            found[f"{name} x {models}"] = row
            print(f"{name} x {models}: best {packed_best}, {row['ratio']:.2f} x one after another", flush=True)
            for way, rate in rates.items():
                print(f"    {way:28s} {rate:12,.0f} model-windows/s", flush=True)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
