"""One real workload: what it used, forecasts of each coming hour with their bands, and what it was given.

python experiments/picture/run.py [--smoke] [--out docs/forecast.png]

Data: a workload of the tests of crane (github.com/gocrane/crane), Apache-2.0; on days that nothing was learned from.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gym_jax.allocate.learned import Recipe
from gym_jax.allocate.protocol import Protocol
from gym_jax.config.load import load_config
from gym_jax.data.read import read_frame
from gym_jax.report.forecasts import View, forecast_bands
from gym_jax.report.picture import as_png
from gym_jax.report.style import dress, set_title, theme_of
from gym_jax.run.allocate import Question, read_panel, simulate_data
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.report_run import Asked, open_report
from gym_jax.run.train import train_run
from gym_jax.train.parallel import request_cpu_devices

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data"))
SHOWN, RISK, MOST, LEVELS = "crane-2", 0.01, 0.05, "[0.025,0.1,0.25,0.5,0.75,0.9,0.975]"


def usage() -> pd.DataFrame:
    """Return the means of five minutes of seven workloads."""
    frames = []
    for number in range(1, 8):
        rows = pd.read_csv(DATA / "crane" / f"input{number}.csv.gz")
        values = rows.value.set_axis(pd.to_datetime(rows.ts, unit="s")).resample("5min").mean()
        frames.append(
            pd.DataFrame({"unique_id": f"crane-{number}", "ds": values.index, "cpu_cores": values.to_numpy()})
        )
    return pd.concat(frames)


def main(given: argparse.Namespace) -> None:
    """Train, calibrate, simulate, draw; say what came of it."""
    request_cpu_devices("auto")
    rows = usage()
    with tempfile.TemporaryDirectory() as folder:
        rows.to_csv(path := Path(folder) / "usage.csv", index=False)
        words = ["model=mlp", "loss=quantiles", f"loss.levels={LEVELS}", "task.context=288", "task.horizon=12"]
        words += ["data.calendar=[day,week]", "evaluate.baselines=[last,seasonal]", f"data.path={path}"]
        short = ["train.epochs=1", "data.stride=50"] if given.smoke else ["train.epochs=20"]
        run = train_run(load_config([], [*words, *short, "data.target=[cpu_cores]"], {}), folder=Path(folder) / "run")
        held = calibrate_run(run.folder, levels=(0.8, 0.95))["intervals"]["adaptive"]["cpu_cores"]
        report = open_report(RunFolder(run.folder), "mlp", Asked(series=(SHOWN,)))
    recipe = Recipe(hidden=(8,), epochs=1) if given.smoke else Recipe(batch_size=128, epochs=50, patience=6)
    question = Question(Protocol(test_days=5, val_days=7, share=MOST), policies=("vpa",), recipe=recipe)
    found = simulate_data(read_panel(read_frame(rows)), question).simulation.test
    print("intervals held:", {f"{one['level']:.0%}": f"{one['coverage']:.1%}" for one in held})
    for policy, of in found.items():
        [one] = [one for one in of[RISK] if one.name == SHOWN]
        above, cost = np.mean(one.usage > one.allocation), one.allocation.sum() / one.usage.sum()
        print(f"{SHOWN}, five days, {policy}: {above:.1%} of the time above, allocation over usage {cost:.2f}")
    [view] = report.sampled.views
    [learned] = [one for one in found["learned"][RISK] if one.name == SHOWN]
    times = pd.date_range(end=rows[rows.unique_id == SHOWN].ds.max(), periods=len(learned.usage), freq="5min")
    shown = (times >= view.times[0]) & (times <= view.times[-1])
    Path(given.out).write_bytes(as_png(draw(view, times[shown], learned.allocation[shown])))


def draw(view: View, times: pd.DatetimeIndex, allocation: np.ndarray) -> Any:
    """Return the forecasts of a workload with its allocation over them."""
    figure = forecast_bands([view], quantity="CPU", unit="cores")
    [panel] = figure.axes
    panel.step(times, allocation, where="post", color=theme_of(False).colours[3], label="allocation", linewidth=1.6)
    panel.set_ylim(0, None)
    set_title(panel, f"{view.name}: forecast each hour for the hour to come, and what it was given")
    for old in figure.legends:
        old.remove()
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=8.5)
    figure.set_size_inches(8.4, 3.2)
    return dress(figure, False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=str(ROOT / "docs" / "forecast.png"))
    parser.add_argument("--smoke", action="store_true")
    main(parser.parse_args())
