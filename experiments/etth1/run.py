"""How good are the models on ETTh1, the long-horizon benchmark, by its exact protocol?

python experiments/etth1/run.py [--models linear,mlp,transformer,lstm] [--horizons 96,192,336,720] [--smoke]

Every column is a series of its own, one model for all of them. 12, 4 and 4 months of 30 days; every window of the test,
errors in units of each column's standard deviation on its train rows. The epoch is chosen by validation.
"""

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

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
    "train.placement=one",
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


class Cell(NamedTuple):
    """What the seeds of one model reached at one horizon."""

    mse: tuple[float, ...]
    mae: tuple[float, ...]
    together: tuple[float, float]
    """Of the mean of their forecasts."""
    val: float
    """Mean validation loss of the best epochs; infinite where nothing was validated."""

    def text(self) -> str:
        """Return MSE with its deviation, MAE, and the MSE of all together."""
        if len(self.mse) == 1:
            return f"{self.mse[0]:.3f} / {self.mae[0]:.3f}"
        spread = (
            f"{statistics.fmean(self.mse):.3f} ± {statistics.stdev(self.mse):.3f} / {statistics.fmean(self.mae):.3f}"
        )
        return f"{spread} ({self.together[0]:.3f} / {self.together[1]:.3f})"


def run(kind: str, horizon: int, seeds: int, folder: str, smoke: bool, scale: dict[str, float]) -> Cell:
    """Train the seeds of a model at a horizon, and score each and all together."""
    words = [*COMMON, *MODELS[kind]["settings"], f"train.seeds={seeds}"]
    words += ["train.epochs=1", "data.stride=97"] if smoke else []
    given = {"model": kind, "data.path": str(DATA), "task.context": MODELS[kind]["context"], "task.horizon": horizon}
    result = train_run(load_config([], words, given), folder=f"{folder}/{kind}-{horizon}")
    folders = sorted((result.folder / "members").iterdir()) if seeds > 1 else [result.folder]
    own = [json.loads((one / "scores.json").read_text())["model"]["targets"] for one in folders]
    best = [json.loads((one / "status.json").read_text())["best"].get("val_loss", math.inf) for one in folders]
    mse, mae = zip(*(standardised(one, scale) for one in own), strict=True)
    return Cell(mse, mae, standardised(result.scores["model"]["targets"], scale), statistics.fmean(best))


def main(given: argparse.Namespace) -> None:
    """Print a table of MSE/MAE: mean and deviation over seeds, and what the seeds reach together."""
    scale, horizons = deviations(), [int(horizon) for horizon in given.horizons.split(",")]
    found: dict[str, list[Cell]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.models.split(","):
            for horizon in horizons:
                began = time.monotonic()
                seeds = 1 if kind == "linear" else given.seeds
                cell = run(kind, horizon, seeds, folder, given.smoke, scale)
                found.setdefault(kind, []).append(cell)
                passed = f"val {cell.val:.4f}, in {time.monotonic() - began:.0f} s"
                print(f"{kind} {horizon}: {cell.text()}, {passed}", flush=True)
    trained = [kind for kind in found if kind != "linear"]
    rows = [(kind, MODELS[kind]["context"], *_row(cells)) for kind, cells in found.items()]
    if len(trained) > 1:
        best = [
            min((found[kind][place] for kind in trained), key=lambda cell: cell.val) for place in range(len(horizons))
        ]
        rows.append(("chosen by validation", None, *_row(best)))
    print_table(("model", "look-back", *(f"H {h}" for h in horizons), "mean MSE", "together"), rows)


def _row(cells: list[Cell]) -> tuple[str, ...]:
    means = [statistics.fmean(cell.mse) for cell in cells], [cell.together[0] for cell in cells]
    return (*(cell.text() for cell in cells), *(f"{statistics.fmean(part):.4f}" for part in means))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="linear,mlp,transformer,lstm")
    parser.add_argument("--horizons", default="96,192,336,720")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true")
    main(parser.parse_args())
