"""The product peak of one library: square float32 matrices on all cores, in GFLOP/s.

python benchmarks/peak.py jax|torch|numpy [--quick]
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from clock import cores, timed

LIBRARIES = ("jax", "torch", "numpy")
SIZES = (1024, 2048)
TIMES = 12


def product_of(library: str, size: int) -> Callable[[], Any]:
    """Return a function that multiplies two matrices and waits for the answer."""
    left, right = (np.random.default_rng(i).standard_normal((size, size), np.float32) for i in range(2))
    if library == "numpy":
        out = np.empty_like(left)
        return lambda: np.matmul(left, right, out=out)
    if library == "torch":
        import torch

        torch.set_num_threads(cores())
        a, b, c = torch.from_numpy(left), torch.from_numpy(right), torch.empty(size, size)
        return lambda: torch.mm(a, b, out=c)
    import jax

    dot = jax.jit(jax.numpy.dot)
    x, y = jax.device_put(left), jax.device_put(right)
    return lambda: dot(x, y).block_until_ready()


def main(library: str, quick: bool) -> None:
    """Print the fastest of several products of each size."""
    found = {}
    for size in (128,) if quick else SIZES:
        run = product_of(library, size)
        run()
        found[str(size)] = 2e-9 * size**3 / min(timed(run) for _ in range(TIMES))
    print(json.dumps({"library": library, "gflops": found}))


if __name__ == "__main__":
    main(sys.argv[1], "--quick" in sys.argv)
