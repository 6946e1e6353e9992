"""What canonical shards cost: a step with 2, 4 and 8 of them beside one without, on one device and on every core.

python benchmarks/shards.py [--scenarios S1,S3,S5] [--rounds 8]
"""

import argparse
import functools
import statistics
import time

import jax
import work
from model_gymjax import fresh_state, make_examples, step_for
from scenarios import find

from gym_jax.train.parallel import cpu_cores, make_epoch, make_layout

SHARDS = (None, 2, 4, 8)


def measure(scenario, placement, rounds):
    """Return the median milliseconds of a step by its number of shards, in rounds, of which the first two compile."""
    layout = make_layout(placement, None if placement == "one" else cpu_cores(), "wide")
    examples, order = layout.replicate(make_examples(*work.examples(scenario))), next(work.chunks(scenario))
    states = {shards: layout.replicate(fresh_state(scenario)) for shards in SHARDS}
    epochs = {shards: make_epoch(functools.partial(step_for(scenario), shards=shards), layout) for shards in SHARDS}
    times = {shards: [] for shards in SHARDS}
    for _ in range(rounds):
        for shards, epoch in epochs.items():
            begin = time.perf_counter()
            states[shards], metrics = epoch(states[shards], examples, order)
            jax.block_until_ready(metrics)
            times[shards].append(1e3 * (time.perf_counter() - begin) / len(order))
    return {shards: statistics.median(found[2:]) for shards, found in times.items()}


def main():
    """Print a line per scenario and placement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default="S1,S3,S5")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", cpu_cores())
    for name in options.scenarios.split(","):
        for placement in ("one", "cores"):
            found = measure(find(name), placement, options.rounds)
            told = ", ".join(
                f"{s} shards {ms:.3g} ({100 * (ms / found[None] - 1):+.0f} %)" for s, ms in found.items() if s
            )
            print(f"{name} {placement}: {found[None]:.3g} ms a step; {told}", flush=True)


if __name__ == "__main__":
    main()
