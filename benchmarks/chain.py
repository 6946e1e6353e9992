"""The products of one training step and nothing else: what a step would take without any elementwise work.

python benchmarks/chain.py S3 [--quick]

All cores work at once: a process pinned to each takes an equal share of the batch, so no product is split over cores
and nothing is summed over them. Every product runs in a compiled loop as often as in a step. An element of the answer
is written into the next operand, so that no product is left out or shared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from clock import cores, repeat
from scenarios import Product, Scenario, find, flops, products

LONG = 2e10
"""Operations of a repetition, so that dispatch is not to be seen."""


def make_loop(shape: Product) -> tuple[Any, tuple[Any, Any]]:
    """Return a compiled function of two operands that multiplies them `count` times, and the operands."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    batch = () if shape.many == 1 else (shape.many,)
    first = (0,) * (len(batch) + 2)

    def once(left: Any, right: Any) -> Any:
        return lax.optimization_barrier(jnp.matmul(left, right))

    @jax.jit
    def loop(left: Any, right: Any) -> Any:
        def body(_: Any, carry: Any) -> Any:
            left, out = carry
            out = once(left, right)
            return left.at[first].set(out[first]), out

        return lax.fori_loop(0, shape.count, body, (left, jnp.zeros((*batch, shape.rows, shape.columns))))

    keys = jax.random.split(jax.random.key(0))
    return loop, (
        jax.random.normal(keys[0], (*batch, shape.rows, shape.inner)) * 1e-2,
        jax.random.normal(keys[1], (*batch, shape.inner, shape.columns)) * 1e-2,
    )


def measure(shapes: list[Product], quick: bool) -> float:
    """Return the median milliseconds of one step's products on the core that this process is pinned to."""
    import jax

    again = 1 if quick else max(1, int(LONG // sum(one.flops for one in shapes)))
    loops = [make_loop(one._replace(count=one.count * again)) for one in shapes]

    def run(_: int) -> None:
        jax.block_until_ready([loop(*operands) for loop, operands in loops])

    run(0)
    return 1e3 * statistics.median(repeat(run, range(10**6), quick=quick)) / again


def together(scenario: Scenario, quick: bool) -> dict[str, Any]:
    """Return what a process on every core at once takes; the slowest counts."""
    command = [sys.executable, __file__, scenario.name, *(["--quick"] if quick else [])]
    places = sorted(os.sched_getaffinity(0))
    running = [subprocess.Popen([*command, "--core", str(core)], stdout=subprocess.PIPE, text=True) for core in places]
    found = [json.loads(one.communicate()[0].splitlines()[-1])["ms"] for one in running]
    work = flops(scenario, scenario.batch // len(places)) * len(places)
    return {"scenario": scenario.name, "cores": len(places), "ms": max(found), "gflops": work / max(found) / 1e6}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("--core", type=int)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    one = find(given.scenario, given.quick)
    if given.core is None:
        print(json.dumps(together(one, given.quick)))
    else:
        share = one.batch // cores()
        os.sched_setaffinity(0, {given.core})
        print(json.dumps({"core": given.core, "ms": measure(products(one, share), given.quick)}))
