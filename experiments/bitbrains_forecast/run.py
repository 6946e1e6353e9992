"""Do the three models beat repeating the last value on real machines, at their defaults?

python experiments/bitbrains_forecast/run.py [--smoke]
"""

import os
import sys
import tempfile
from pathlib import Path

from gym_jax.cli.show import print_table
from gym_jax.config.load import load_config
from gym_jax.run.train import train_run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data")) / "bitbrains" / "bitbrains_24vms_30d.csv.gz"
ERRORS = ("mae", "rmse", "r2", "mase")


def main(smoke: bool) -> None:
    """Train each kind once and print one table."""
    rows, baselines = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("mlp", "lstm", "transformer"):
            overrides = ["train.epochs=1", "data.stride=50"] if smoke else []
            options = {
                "model": kind,
                "data.path": str(DATA),
                "data.target": ["cpu_cores"],
                "task.context": 96,
                "task.horizon": 12,
            }
            result = train_run(load_config([], overrides, options), folder=Path(folder) / kind)
            own = result.scores["model"]["targets"]["cpu_cores"]
            rows.append((kind, result.best["epoch"], *(own[key] for key in ERRORS)))
            baselines = {name: block["cpu_cores"] for name, block in result.scores["baselines"].items()}
            print(f"{kind}: {result.scores['verdict']}", file=sys.stderr)
    rows += [(name, None, *(block[key] for key in ERRORS)) for name, block in baselines.items()]
    print_table(("model", "best epoch", *ERRORS), rows)


if __name__ == "__main__":
    main("--smoke" in sys.argv[1:])
