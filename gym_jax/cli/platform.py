"""Which backend JAX opens, where it keeps programs, what it may print: `--platform`, `--compile-cache`."""

import os
import sys

from gym_jax.errors import MissingExtra


def choose_platform(platform: str | None, compile_cache: str | None = None) -> None:
    """Make JAX compute on the named backend, and keep what it compiles in a folder, if one is named.

    Raises MissingExtra when this installation or machine has no such backend, and what `keep_programs` raises.
    """
    if compile_cache is not None:
        from gym_jax.train.cache import keep_programs

        keep_programs(compile_cache)
    if platform is None:
        return
    import jax

    # behind an accelerator the CPU stays: it answers what an export is held against
    jax.config.update("jax_platforms", {"gpu": "cuda,cpu", "tpu": "tpu,cpu"}.get(platform, platform))
    if platform == "cpu":  # always there; and opening it now would settle the number of its devices
        return
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts where a plug-in is not installed at all
        extra = {"gpu": "cuda", "tpu": "tpu"}[platform]
        reason = (str(error).splitlines() or ["JAX has no such backend"])[0]
        raise MissingExtra(
            f"no {platform} can be used here: {reason[:160]}",
            hint=f"it needs the hardware and the extra: pip install 'gym-jax[{extra}]'",
            attempt="gymjax doctor",
            code="extra.platform",
        ) from error


def keep_stdout() -> None:
    """Keep standard output to Python: Gloo, by which several processes talk, tells on it who has met."""
    sys.stdout.flush()
    own, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    sys.stdout = os.fdopen(own, "w", encoding=sys.stdout.encoding)
