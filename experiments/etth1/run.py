"""How good are the models on ETTh1, the long-horizon benchmark, by its exact protocol?

python experiments/etth1/run.py [--models linear,mlp,transformer,lstm] [--horizons 96,192,336,720] [--smoke]

Every column is a series of its own, one model for all of them. 12, 4 and 4 months of 30 days; every window of the test,
errors in units of each column's standard deviation on its train rows. The epoch is chosen by validation.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gym_jax.cli.show import print_table
from gym_jax.config.load import load_config
from gym_jax.run.train import train_run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data")) / "ett" / "ETTh1.csv"
MONTH = 30 * 24
COMMON = [
    "data.layout=wide",
    "data.split.kind=date",
    "data.split.val_from=2017-06-26",
    "data.split.test_from=2017-10-24",
    "data.split.until=2018-02-21",
    "data.scale.kind=standard",
    "data.scale.scope=series",
    "loss=mse",
    "evaluate.baselines=[]",
    "run.save_seconds=600",
]
MODELS = json.loads((Path(__file__).parent / "models.json").read_text())
"""Look-back and settings of each model: chosen by the validation loss at horizons 96 and 720, see the README."""


def deviations() -> dict[str, float]:
    """Return the deviation of every column over the train rows."""
    rows = pd.read_csv(DATA).iloc[: 12 * MONTH, 1:]
    return {name: float(np.std(rows[name].to_numpy())) for name in rows}


def standardised(block: dict[str, Any], scale: dict[str, float]) -> tuple[float, float]:
    """Return MSE and MAE over columns, each in units of its own deviation."""
    (own,) = block.values()
    series = own["per_series"]
    pairs = [
        (m / scale[i] ** 2, a / scale[i]) for i, m, a in zip(series["id"], series["mse"], series["mae"], strict=True)
    ]
    return tuple(map(statistics.fmean, zip(*pairs, strict=True)))  # type: ignore[return-value]


def run(kind: str, horizon: int, seed: int, folder: str, smoke: bool) -> dict[str, Any]:
    """Return the scores of one run."""
    words = [*COMMON, *MODELS[kind]["settings"], f"train.seed={seed}"]
    words += ["train.epochs=1", "data.stride=97"] if smoke else []
    given = {"model": kind, "data.path": str(DATA), "task.context": MODELS[kind]["context"], "task.horizon": horizon}
    return train_run(load_config([], words, given), folder=f"{folder}/{kind}-{horizon}-{seed}").scores


def main(given: argparse.Namespace) -> None:
    """Print a table of MSE/MAE, mean and deviation over seeds."""
    scale, rows = deviations(), []
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.models.split(","):
            cells, means = [], []
            for horizon in map(int, given.horizons.split(",")):
                began = time.monotonic()
                seeds = range(1 if kind == "linear" or given.smoke else given.seeds)
                scores = [run(kind, horizon, seed, folder, given.smoke)["model"]["targets"] for seed in seeds]
                mse, mae = zip(*(standardised(one, scale) for one in scores), strict=True)
                spread = f" ± {statistics.stdev(mse):.3f}" if len(mse) > 1 else ""
                means.append(statistics.fmean(mse))
                cells.append(f"{means[-1]:.3f}{spread} / {statistics.fmean(mae):.3f}")
                print(f"{kind} {horizon}: {cells[-1]} in {time.monotonic() - began:.0f} s", flush=True)
            rows.append((kind, MODELS[kind]["context"], *cells, f"{statistics.fmean(means):.4f}"))
    print_table(("model", "look-back", *(f"H {h}" for h in given.horizons.split(",")), "mean MSE"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="linear,mlp,transformer,lstm")
    parser.add_argument("--horizons", default="96,192,336,720")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true")
    main(parser.parse_args())
