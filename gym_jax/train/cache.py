"""Compiled programs kept on disk: the second process of the same run begins without compiling."""

import hashlib
import os
import platform
from pathlib import Path

import jax
import jaxlib

from gym_jax.errors import ConfigError, StorageError


def keep_programs(folder: str | Path) -> Path:
    """Keep what this process compiles under `folder`, and take from there what was compiled before; return the place.

    Programs are kept apart by versions and kind of CPU: one that was compiled for another may crash. They are run as
    they are found, so the folder must belong to this user alone; a new one is made so. Raises ConfigError when it is
    open to others, StorageError when it can not be made.
    """
    top = Path(folder).expanduser().absolute()
    path = top / f"{jax.__version__}-{jaxlib.version.__version__}-{_machine()}"
    try:
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        found = top.stat()
    except OSError as error:
        raise StorageError(
            f"compiled programs can not be kept in {top}: {error.strerror or error}",
            hint="choose another folder, or compile anew each time",
            attempt=f"ls -ld {top.parent}",
        ) from error
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise ConfigError(
            f"others can write to {top}, or it is somebody else's",
            hint="compiled programs are run as they are found there",
            attempt=f"chmod 700 {top}",
            code="config.cache",
        )
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return path


def _machine() -> str:
    """Return a short name of the kind of CPU: its model and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kind = sorted({line for line in lines if line.split(":")[0].strip() in ("model name", "flags", "Features")})
    except OSError:
        kind = []
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *kind]).encode()).hexdigest()[:12]
