"""How well is the next hour of a virtual machine forecast that was never seen?

python experiments/planetlab/run.py [--models mlp,lstm,transformer] [--seeds 3] [--smoke]

The days of one machine stay together: no machine of the test, on whatever day, was trained or chosen on.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gym_jax.cli.show import print_table
from gym_jax.config.load import load_config
from gym_jax.run.train import train_run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data")) / "planetlab" / "planetlab_7days.parquet"
ERRORS = ("mae", "rmse", "r2")
COMMON = [
    "data.target=[cpu_pct]",
    "data.split.kind=series",
    "data.split.group='[^/]+$'",
    "data.stride=16",
    "task.context=48",
    "task.horizon=12",
    "train.epochs=10",
    "evaluate.baselines=[last,linear]",
]
SIZES = {"mlp": [], "lstm": [], "transformer": ["model.patch=4"]}


def run(kind: str, seed: int, folder: Path, smoke: bool) -> Mapping[str, Any]:
    """Return the scores of one run."""
    words = [*COMMON, *SIZES[kind], f"train.seed={seed}", *(["train.epochs=1", "data.stride=97"] if smoke else [])]
    given = {"model": kind, "data.path": str(DATA)}
    result = train_run(load_config([], words, given), folder=folder / f"{kind}-{seed}")
    print(f"{kind}, seed {seed}: {result.scores['verdict']}", file=sys.stderr)
    return result.scores


def main(given: argparse.Namespace) -> None:
    """Print a table of errors, mean and deviation over seeds, of all windows of the machines of the test."""
    rows, baselines = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.models.split(","):
            seeds = range(1 if given.smoke else given.seeds)
            scores = [run(kind, seed, Path(folder), given.smoke) for seed in seeds]
            own = [one["model"]["targets"]["cpu_pct"] for one in scores]
            rows.append((kind, *(show([one[name] for one in own]) for name in ERRORS)))
            baselines = {name: block["cpu_pct"] for name, block in scores[0]["baselines"].items()}
    rows += [(name, *(show([block[error]]) for error in ERRORS)) for name, block in baselines.items()]
    print_table(("model", *ERRORS), rows)


def show(values: list[float]) -> str:
    """Return mean and deviation."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="mlp,lstm,transformer")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true")
    main(parser.parse_args())
