"""Which kernel computes an operation that has two."""

from collections.abc import Collection
from typing import Literal, get_args

import jax

from gym_jax.errors import ConfigError, did_you_mean

Kernel = Literal["auto", "plain", "fast"]
"""`plain` is what autodiff makes of the formula, `fast` is written by hand; `auto` takes what was faster here.

What is written by hand has gradients of every order, but no forward mode: `jax.jvp` and `jax.jacfwd` need `plain`.
"""
KERNELS: tuple[Kernel, ...] = get_args(Kernel)


def choose(kernel: Kernel, faster_on: Collection[str] = ("cpu",)) -> bool:
    """Return whether to compute with the hand-written kernel, which was measured to be faster on these platforms.

    Raises ConfigError for an unknown word.

    >>> choose("fast"), choose("plain")
    (True, False)
    """
    if kernel not in KERNELS:
        raise ConfigError(f"kernel={kernel!r} is no kernel", hint=did_you_mean(str(kernel), KERNELS))
    return kernel == "fast" or (kernel == "auto" and jax.default_backend() in faster_on)
