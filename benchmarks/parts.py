"""What a state takes with its parameters whole on every device, and in parts: `python benchmarks/parts.py`.

An MLP of two hidden layers of 2,048 with adamw, on four CPU devices of one process, each way in a process of its own.
"""

import json
import os
import resource
import subprocess
import sys

HIDDEN, DEVICES, STEPS = 2048, 4, 8


def measured(parameters: str) -> dict[str, float]:
    """Return MB of the state on the first device, and the most that the process had, before and while it trained."""
    import functools

    import jax
    import jax.numpy as jnp
    import optax

    from gym_jax import losses
    from gym_jax.data import fit_scaler, generate_panel, make_windows, origins, shuffled, split_by_time
    from gym_jax.models import MLP
    from gym_jax.train.parallel import make_epoch, make_layout
    from gym_jax.train.step import init_state, make_train_step

    panel = generate_panel(series=4, days=2)
    split = split_by_time(panel)
    rows, series = origins(panel, split.train, context=96, horizon=12, stride=4)
    layout = make_layout("shard", DEVICES, parameters=parameters)  # type: ignore[arg-type]
    examples = layout.replicate(
        make_windows(panel, fit_scaler(panel, split.train), rows, series, context=96, horizon=12)
    )
    model, tx = MLP(horizon=12, hidden=(HIDDEN, HIDDEN), dropout=0.0), optax.adamw(1e-3)
    begin = _peak()
    state = layout.place(init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs))
    first = jax.devices()[0]
    shards = [part for leaf in jax.tree.leaves(state._replace(key=())) for part in leaf.addressable_shards]
    held = sum(part.data.nbytes for part in shards if part.device == first)
    epoch = make_epoch(functools.partial(make_train_step, model, losses.mae, tx), layout)
    state, metrics = epoch(state, examples, shuffled(0, 0, len(examples), 64)[:STEPS])
    jax.block_until_ready(metrics)
    return {"state": held / 2**20, "before": begin, "peak": _peak(), "loss": float(metrics["loss"].value[-1])}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure both ways and print a table."""
    print(f"{'':>10} {'state per device':>18} {'peak of the process':>20} {'loss':>10}")
    for parameters in ("replicate", "shard"):
        environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(DEVICES), "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, __file__, parameters]
        found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
        shown = f"{found['state']:.1f} MiB", f"{found['peak']:.0f} MiB", f"{found['loss']:.6f}"
        print(f"{parameters:>10} {shown[0]:>18} {shown[1]:>20} {shown[2]:>10}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measured(sys.argv[1])))
    else:
        main()
