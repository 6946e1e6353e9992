"""`gymjax doctor`: does this installation work?"""

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from gym_jax.cli.show import print_json, print_table, size
from gym_jax.errors import RunFailed

ENOUGH_DISK = 1 << 30
PLATFORMS = {"tpu": "libtpu"}
"""The package that an extra of JAX brings, where it is not called `jax-EXTRA-plugin`."""
MADE_OF_OTHERS = ("all", "test", "extras", "dev", "docs", "peers")
"""Extras that only add up others, or are for those who work on this library."""
NEAR = 1e-3
"""How far a sum may be off, relative to the sizes of its terms: an accelerator's products have few bits."""


def doctor(as_json: bool) -> None:
    """Run every check and print them. Raises RunFailed when one fails."""
    checks: list[tuple[str, Callable[[], tuple[str, str]]]] = [
        ("versions", _versions),
        ("devices", _devices),
        ("sums", _sums),
        ("compiled step", _step),
        ("checkpoint", _checkpoint),
        ("disk", _disk),
        ("extras", _extras),
        ("plug-ins", _plugins),
    ]
    rows = []
    for name, check in checks:
        try:
            state, text = check()
        except Exception as error:
            state, text = "red", f"{type(error).__name__}: {error}"
        rows.append({"check": name, "state": state, "text": text})
    bad = [row["check"] for row in rows if row["state"] == "red"]
    if as_json and not bad:
        print_json("doctor", {"checks": rows})
    elif not as_json:
        print_table(("check", "state", "what was seen"), [tuple(row.values()) for row in rows])
    if bad:
        failed = "; ".join(f"{row['check']}: {row['text']}" for row in rows if row["state"] == "red")
        raise RunFailed(f"{len(bad)} of {len(rows)} checks failed: {failed}", hint="reinstall what they name")


def _versions() -> tuple[str, str]:
    from gym_jax.run.environment import environment

    facts = environment()
    packages = facts["packages"]
    same = packages["jax"] == packages["jaxlib"]
    text = f"gym_jax {facts['gym_jax']}, Python {facts['python']}, " + ", ".join(
        f"{k} {v}" for k, v in packages.items() if v
    )
    return ("green" if same else "red"), text


def _devices() -> tuple[str, str]:
    import jax

    from gym_jax.train.parallel import cpu_cores

    return "green", f"{', '.join(str(d) for d in jax.devices())}; {cpu_cores()} CPU cores may be used"


def _sums() -> tuple[str, str]:
    """Compare a program that XLA's CPU compiler is known to get wrong with NumPy in float64."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from gym_jax.train.compile import jit

    def total(x: Any) -> Any:
        return jnp.sum(jnp.einsum("bij,bjk->bik", x, jnp.broadcast_to(jnp.float32(0.5), x.shape)) * x)

    x = np.random.default_rng(0).normal(size=(8, 32, 32)).astype(np.float32)
    terms = 0.5 * x.sum(2, dtype=np.float64, keepdims=True) * x
    truth, near = terms.sum(), NEAR * np.abs(terms).sum()
    guarded, plain = (float(program(x)) for program in (jit(total), jax.jit(total)))
    if not abs(guarded - truth) < near:
        return (
            "red",
            f"a compiled sum is {guarded:.6g} and should be {truth:.6g}: the compiler of this jaxlib is broken",
        )
    if not abs(plain - truth) < near:
        return "green", "as in float64 in every command; in code of your own use gym_jax.jit, plain jax.jit errs here"
    return "green", "as in float64, by plain jax.jit too"


def _train_once() -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp
    import optax

    from gym_jax.losses import mse
    from gym_jax.models import LSTM
    from gym_jax.train.step import init_state, make_train_step
    from gym_jax.types import Batch, Inputs

    model, tx = LSTM(horizon=2, hidden=4), optax.adamw(1e-3)
    batch = Batch(Inputs(past=jnp.ones((2, 8, 1))), jnp.zeros((2, 2, 1)), jnp.ones((2, 2, 1)))
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    return jax.jit(make_train_step(model, mse, tx))(state, batch)


def _step() -> tuple[str, str]:
    import math

    began = time.monotonic()
    _, metrics = _train_once()
    good = math.isfinite(float(metrics["loss"].value))
    return ("green" if good else "red"), f"one LSTM step, compiled and run in {time.monotonic() - began:.1f} s"


def _checkpoint() -> tuple[str, str]:
    import jax
    import numpy as np

    from gym_jax.train.checkpoint import restore_checkpoint, save_checkpoint

    state, _ = _train_once()
    with tempfile.TemporaryDirectory() as folder:
        back = restore_checkpoint(save_checkpoint(folder, 1, state), state)
    same = all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(back.params), strict=True)
    )
    return ("green" if same else "red"), "saved and restored, the same bits" if same else "restored other bits"


def _disk() -> tuple[str, str]:
    free = shutil.disk_usage(".").free
    return ("green" if free > ENOUGH_DISK else "yellow"), f"{size(free)} free here"


def _extras() -> tuple[str, str]:
    """Say which extras have all the packages that the installed distribution names for them."""
    from importlib.metadata import PackageNotFoundError, requires

    from gym_jax.run.environment import package_version

    try:
        lines = requires("gym-jax") or []
    except PackageNotFoundError:
        return "yellow", "gym-jax is not installed: nothing says what its extras need"
    packages: dict[str, list[str]] = {}
    for line in lines:
        extra = re.search(r"""extra == ["']([\w-]+)""", line)
        if extra and extra[1] not in MADE_OF_OTHERS:
            packages.setdefault(extra[1], []).extend(_needed(line))
    there = {name: all(map(package_version, needed)) for name, needed in packages.items()}
    lacking = ", ".join(name for name, whole in there.items() if not whole)
    whole = ", ".join(name for name, whole in there.items() if whole) or "none"
    return "green", whole + (f"; not installed: {lacking}" if lacking else "")


def _needed(line: str) -> list[str]:
    """Return the packages of a requirement; what an extra of JAX brings (`jax[tpu]`) is told by its plug-in."""
    name, inner = re.split(r"[^\w.-]", line, maxsplit=1)[0], re.search(r"\[([\w-]+)\]", line)
    if name == "jax" and inner:
        return [PLATFORMS.get(inner[1], f"jax-{inner[1]}-plugin")]
    return [name]


def _plugins() -> tuple[str, str]:
    """Import every plug-in; one that can not be used disturbs nobody who does not ask for it."""
    from gym_jax.allocate.registry import POLICIES
    from gym_jax.config.schema import SCHEMAS
    from gym_jax.data.datasets import DATASETS
    from gym_jax.metrics import METRICS
    from gym_jax.plugins import SWITCH, Registry, enabled
    from gym_jax.report import PLOTS
    from gym_jax.track import TRACKERS

    if not enabled():
        return "green", f"switched off by {SWITCH}"
    schemas = [registry for registry in SCHEMAS.values() if isinstance(registry, Registry)]
    registries = [*schemas, METRICS, DATASETS, TRACKERS, POLICIES, PLOTS]
    found = [judged for registry in registries for judged in registry.check()]
    packages: dict[str, list[str]] = {}
    for plugin, fault in found:
        if fault is None:
            packages.setdefault(f"{plugin.package} {plugin.version}", []).append(f"{plugin.group}/{plugin.name}")
    lines = [f"{package}: {', '.join(names)}" for package, names in packages.items()]
    faults = [f"the {plugin.words} can not be used: {fault}" for plugin, fault in found if fault is not None]
    return ("yellow" if faults else "green"), "; ".join([*faults, *lines]) or "none"
