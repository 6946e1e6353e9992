"""The arms of a comparison: how each is started, and what came of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
LIMIT = 1800
"""Seconds that one process may take."""


class Arm(NamedTuple):
    """A script and its options."""

    script: str
    options: tuple[str, ...] = ()

    platforms: tuple[str, ...] = ("cpu", "gpu")

    @property
    def ours(self) -> bool:
        """Whether it is gym_jax."""
        return self.script == "arm_gymjax.py"


def _ours(placement: str, compile: str, *platforms: str) -> Arm:
    return Arm("arm_gymjax.py", ("--placement", placement, "--compile", compile), platforms)


def _torch(mode: str, *platforms: str) -> Arm:
    return Arm("arm_torch.py", ("--mode", mode), platforms or ("cpu", "gpu"))


ARMS = {
    "gymjax one": _ours("one", "safe", "cpu", "gpu"),
    "gymjax one fast": _ours("one", "fast", "gpu"),
    "gymjax one wide": _ours("one", "wide", "cpu"),
    "gymjax cores": _ours("cores", "safe", "cpu"),
    "gymjax cores wide": _ours("cores", "wide", "cpu"),
    "torch dataloader": _torch("dataloader"),
    "torch eager": _torch("eager"),
    "torch graph": _torch("graph", "gpu"),
    "torch compile": _torch("compile"),
    "keras fit": Arm("arm_keras.py", ("--mode", "fit"), ("cpu",)),
    "keras several": Arm("arm_keras.py", ("--mode", "several"), ("cpu",)),
}
JAX_NAMES = {"cpu": "cpu", "gpu": "cuda,cpu"}
"""What JAX calls a platform, and the CPU behind it."""
HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
AGAIN = " again"
"""Behind the name of an arm that runs a second time in a round: A/A."""


def start(script: str, *options: str, folder: str, huge: bool = False, platform: str = "cpu") -> dict[str, Any]:
    """Return the JSON that a script of this folder prints last, or its error; all have the same surroundings."""
    cores = str(len(os.sched_getaffinity(0)))
    around = {
        **os.environ,
        "OMP_NUM_THREADS": cores,
        "MKL_NUM_THREADS": cores,
        "JAX_PLATFORMS": JAX_NAMES[platform],
        "KERAS_BACKEND": "jax",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor_{'huge' if huge else 'ordinary'}",
        **(HUGE if huge else {}),
    }
    command = [sys.executable, str(HERE / script), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=around, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {LIMIT} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:300]}
    try:
        return json.loads(lines[-1])
    except json.JSONDecodeError:
        return {"error": f"no JSON: {lines[-1][:300]}"}


def run(name: str, scenario: str, *, folder: str, huge: bool, quick: bool, platform: str = "cpu") -> dict[str, Any]:
    """Return what an arm reports on a scenario, begun with the weights in the folder."""
    arm = ARMS[name.removesuffix(AGAIN)]
    small = ("--quick",) if quick else ()
    device = ("--device", "cuda") if platform == "gpu" and not arm.ours else ()
    options = (*arm.options, *device, "--weights", weights(folder, scenario), *small)
    return start(arm.script, scenario, *options, folder=folder, huge=huge, platform=platform)


def weights(folder: str, scenario: str) -> str:
    """Return where the initial weights of a scenario lie."""
    return f"{folder}/{scenario}.npz"


def export(scenario: str, *, folder: str, quick: bool) -> None:
    """Write the initial weights of a scenario. Raises RuntimeError when that does not work."""
    small = ("--quick",) if quick else ()
    command = [sys.executable, str(HERE / "weights.py"), scenario, weights(folder, scenario), *small]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the weights of {scenario} can not be made: {done.stderr[-500:]}")
