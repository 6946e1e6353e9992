"""What one answer costs: p50 and p99 of a single window through NumPy, onnxruntime and JAX, and of a whole question.

python benchmarks/inference.py [--times 2000] [--quick]

A window has 96 rows of one channel and is forecast 12 steps ahead; models are of the default sizes, weights are random.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

KINDS = ("mlp", "lstm", "transformer")
WAYS = ("numpy", "onnx", "jax")


def exported(root, kind):
    """Return a run of one epoch on a small generated panel, and the folder of its export."""
    from gym_jax.config.load import load_config
    from gym_jax.run.export import export_run
    from gym_jax.run.folder import RunFolder
    from gym_jax.run.train import train_run

    overrides = ["data.synthetic.series=2", "data.synthetic.days=3", "data.stride=32", "train.epochs=1"]
    config = load_config([], [f"model={kind}", *overrides, "evaluate.baselines=[]"], {"run.root": str(root)})
    run = RunFolder(train_run(config, folder=root / kind).folder)
    export_run(run, root / f"{kind}-export", onnx=True)
    return run, root / f"{kind}-export"


def timed(ask, times):
    """Return p50 and p99 of a call in milliseconds, after a tenth of them to warm up."""
    for _ in range(max(3, times // 10)):
        ask()
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        ask()
        found.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(found), float(np.quantile(found, 0.99))


def main():
    """Print a line for each model and way; with --json one document."""
    from gym_jax.inference import Series, load_export
    from gym_jax.inference.window import chosen
    from gym_jax.run.describe import open_model

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times, rows = 20 if options.quick else options.times, []
    with tempfile.TemporaryDirectory() as root:
        for kind in KINDS:
            run, folder = exported(Path(root), kind)
            for way in WAYS:
                model = open_model(run) if way == "jax" else load_export(folder, way)
                one = chosen(model.golden.window, np.array([0]))
                asked = [Series(model.spec.series[0], np.linspace(1, 2, 96)[:, None])]
                network = timed(lambda model=model, one=one: model.run(one), times)
                whole = timed(lambda model=model, asked=asked: model.predict(asked), times)
                rows.append({"model": kind, "way": way, "network_ms": network, "question_ms": whole})
                if not options.json:
                    print(
                        f"{kind:12} {way:6} network p50 {network[0]:.3f} ms, p99 {network[1]:.3f}; "
                        f"question p50 {whole[0]:.3f} ms, p99 {whole[1]:.3f}",
                        flush=True,
                    )
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
