"""How a program is compiled: safely, or as fast as this machine allows.

XLA's CPU compiler hands some sums to a library (YNNPACK's reduce fusion) that reads garbage in a few programs and says
nothing. One option of a `jit` keeps that library to single products. It costs nothing on an LSTM and up to a
third on other programs, so it is what everything is compiled with that has not been compared with such a program.

On a GPU, XLA times several ways to compute a product and takes the fastest, and sums by atomic additions: another
process takes other ones, with other bits. There, safe is without either.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jax import lax

from gym_jax.types import Compile

COMPILES: tuple[Compile, ...] = get_args(Compile)
"""`safe` sums right always, on a GPU to the same bits; `fast` is XLA's default; `wide` has a CPU's widest vectors."""
OPTIONS: dict[str, dict[Compile, dict[str, Any]]] = {
    "cpu": {
        "safe": {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"},
        "wide": {"xla_cpu_prefer_vector_width": "512"},
    },
    "gpu": {"safe": {"xla_gpu_deterministic_ops": True}},
}
"""Of each platform; where nothing is said, XLA's defaults."""


@functools.cache
def compiler_options(compile: Compile) -> dict[str, Any] | None:
    """Return the options of a `jax.jit`; none where this version or platform does not know them. Opens a device."""
    options = OPTIONS.get(jax.default_backend(), {}).get(compile)
    if not options:
        return None
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
    except Exception:  # of whatever type: a version without the option says so in its own way
        return None
    return options


@functools.cache
def quickest() -> Compile:
    """Return what a long run takes that names nothing: on a GPU `safe`, for a resume must have the same bits.

    On a CPU it is `wide` where the widest vectors are faster on a row of exponentials; elsewhere `fast`.
    """
    if jax.default_backend() == "gpu":
        return "safe"
    if compiler_options("wide") is None:
        return "fast"
    times = {}
    x = jnp.ones(1 << 13)
    for compile in COMPILES[1:]:
        program = jit(lambda x: lax.fori_loop(0, 50, lambda _, y: jnp.exp2(y) * 0.5, x), compile=compile)
        program(x).block_until_ready()
        times[compile] = min(_seconds(program, x) for _ in range(20))
    return "wide" if times["wide"] < 0.9 * times["fast"] else "fast"


def _seconds(program: Callable[..., Any], *args: Any) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(program(*args))
    return time.perf_counter() - begin


def jit(function: Callable[..., Any], *, compile: Compile = "safe", **keywords: Any) -> Callable[..., Any]:
    """Return `jax.jit(function, **keywords)`, compiled with the options of `compile`; safe unless asked otherwise.

    Within another transformation the options of the outermost `jit` count, so the function is then called as it is:
    write `jit(jax.grad(f))`, since `jax.grad(jit(f))` has no such options. No device is opened before the first call.

    >>> float(jit(lambda x: 2 * x)(jnp.ones(())))
    2.0
    """
    compiled = functools.cache(lambda: jax.jit(function, compiler_options=compiler_options(compile), **keywords))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            try:
                return compiled()(*args, **kwargs)
            except ValueError as error:  # within a transformation, of constants or of what the function closes over
                if "can only be passed to top-level" not in str(error):
                    raise
        return jax.jit(function, **keywords)(*args, **kwargs)

    call.lower = lambda *args, **kwargs: compiled().lower(*args, **kwargs)  # type: ignore[attr-defined]
    return call
