"""One arm, ours: a chunk of an epoch as one compiled program, on one device or on one per core.

python benchmarks/arm_gymjax.py S3 [--placement one|cores] [--compile safe|fast|wide] [--kernel auto|plain|fast]
    [--weights FILE] [--quick]
"""

import argparse
import time

import work
from clock import repeat, report, timed
from scenarios import CHECKED, find
from weights import read


def main(given: argparse.Namespace) -> None:
    """Print one line of JSON."""
    began = time.perf_counter()
    import jax
    import numpy as np
    from model_gymjax import fresh_state, make_examples, step_for

    from gym_jax.train.parallel import make_epoch, make_layout, request_cpu_devices

    imported = time.perf_counter() - began
    scenario = find(given.scenario, given.quick)
    request_cpu_devices(given.placement)
    layout = make_layout(given.placement)._replace(compile=given.compile)
    examples = layout.replicate(make_examples(*work.examples(scenario)))
    state = layout.replicate(fresh_state(scenario, read(given.weights) if given.weights else None))
    epoch = make_epoch(step_for(scenario, given.kernel), layout)
    orders, losses = work.chunks(scenario), []

    def run(order: np.ndarray) -> None:
        nonlocal state, losses
        state, metrics = epoch(state, examples, order)
        losses = losses or np.asarray(metrics["loss"].value)[:CHECKED].tolist()
        jax.block_until_ready(metrics)

    first = timed(run, next(orders))
    times = repeat(run, orders, quick=given.quick)
    arm = f"gymjax {given.placement} {given.compile} {given.kernel}"
    report(scenario, arm, imported=imported, first=first, times=times, losses=losses)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("--placement", choices=("one", "cores"), default="one")
    parser.add_argument("--compile", choices=("safe", "fast", "wide"), default="safe")
    parser.add_argument("--kernel", choices=("auto", "plain", "fast"), default="auto")
    parser.add_argument("--weights")
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args())
