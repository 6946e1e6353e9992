"""What a run was made with: versions, devices, git commit, command."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

from gym_jax import __version__
from gym_jax.config.schema import Config
from gym_jax.losses import LOSSES
from gym_jax.metrics import METRICS
from gym_jax.models.registry import MODELS
from gym_jax.plugins import Registry
from gym_jax.track import TRACKERS

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "hydra-core",
)


REGISTRIES: tuple[Registry[Any], ...] = (MODELS, LOSSES, METRICS, TRACKERS)
"""Of what settings may name."""


def plugins_of(config: Config) -> list[dict[str, str]]:
    """Return the plug-ins that a configuration names, as plain JSON."""
    named = ((config.model.kind,), (config.loss.kind,), config.evaluate.metrics, config.track.to)
    found = [registry.plugin(name) for registry, names in zip(REGISTRIES, named, strict=True) for name in names]
    return [plugin.facts for plugin in found if plugin is not None]


def environment() -> dict[str, Any]:
    """Return versions, devices, git commit and command as plain JSON."""
    return {
        "gym_jax": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
        "git": git_commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def package_version(name: str) -> str | None:
    """Return the installed version of a package, None when it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> dict[str, Any] | None:
    """Return the commit of the working directory and whether it has changes; None outside a git checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
