"""How a program is compiled: safely, or as fast as this CPU allows.

XLA's CPU compiler hands some sums to a library (YNNPACK's reduce fusion) that reads garbage in a few programs and says
nothing. One option of a `jit` keeps that library to single products. It costs nothing on an LSTM and up to a
third on other programs, so it is what everything is compiled with that has not been compared with such a program.
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
"""`safe` sums right always; `fast` is XLA's default; `wide` is that with the widest vectors of the CPU."""
OPTIONS: dict[Compile, dict[str, str]] = {
    "safe": {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"},
    "fast": {},
    "wide": {"xla_cpu_prefer_vector_width": "512"},
}


@functools.cache
def compiler_options(compile: Compile) -> dict[str, str] | None:
    """Return the options of a `jax.jit`; none where this version or platform does not know them. Opens a device."""
    options = OPTIONS[compile]
    if not options or jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
    except Exception:  # of whatever type: a version without the option says so in its own way
        return None
    return options


@functools.cache
def quickest() -> Compile:
    """Return `wide` where the widest vectors are faster on a row of exponentials, `fast` elsewhere."""
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
