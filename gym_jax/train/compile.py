"""How a program is compiled: safely, or as fast as this CPU allows.

XLA's CPU compiler hands some sums to a library (YNNPACK's reduce fusion) that reads garbage in a few programs and says
nothing. One option of a `jit` keeps that library to single products. It costs nothing on most programs and up to a
fifth on others, so it is what everything is compiled with that has not been compared with such a program.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax

Compile = Literal["safe", "fast", "wide"]
"""`safe` sums right always; `fast` is XLA's default; `wide` is that with the widest vectors of the CPU."""
COMPILES: tuple[Compile, ...] = get_args(Compile)
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


def jit(function: Callable[..., Any], *, compile: Compile = "safe", **keywords: Any) -> Callable[..., Any]:
    """Return `jax.jit(function, **keywords)`, compiled with the options of `compile`; safe unless asked otherwise.

    Within another transformation the options of the outermost `jit` count, so the function is then called as it is.
    No device is opened before the first call.
    """
    compiled = functools.cache(lambda: jax.jit(function, compiler_options=compiler_options(compile), **keywords))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            return jax.jit(function, **keywords)(*args, **kwargs)
        return compiled()(*args, **kwargs)

    call.lower = lambda *args, **kwargs: compiled().lower(*args, **kwargs)  # type: ignore[attr-defined]
    return call
