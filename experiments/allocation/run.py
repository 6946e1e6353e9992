"""Which allocation policy is right on real machines, at equal violation?

python experiments/allocation/run.py bitbrains|crane [--every 1|24] [--unseen K] [--smoke]

Test on the last 28 (crane: 5) days, margins tuned on the 28 (7) days before. `boosted` is gradient-boosted quantile
regression of the coming span's maximum on the same features (scikit-learn, for this experiment alone).
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from gym_jax.allocate.learned import Recipe
from gym_jax.allocate.offers import hours_of
from gym_jax.allocate.protocol import Protocol, spans
from gym_jax.allocate.usage import Workload
from gym_jax.cli.allocate_show import print_simulation
from gym_jax.data.read import read_frame
from gym_jax.run.allocate import Question, Read, read_panel, simulate_data
from gym_jax.run.allocate_chart import draw_frontier
from gym_jax.train.parallel import request_cpu_devices

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data"))
PLANS = {
    "bitbrains": (Protocol(test_days=28, val_days=28), Recipe(batch_size=512, epochs=30)),
    "crane": (Protocol(test_days=5, val_days=7), Recipe(batch_size=128, epochs=50, patience=6)),
}
QUANTILES = (0.5, 0.7, 0.9, 0.97)


def bitbrains() -> Read:
    """Machines that use more than 2 % of their CPU, not more than it can, and are there in the last 45 days."""
    rows = pd.read_parquet(DATA / "bitbrains" / "bitbrains_rnd_200vms.parquet")
    share = rows.cpu_cores / rows.cpu_capacity_cores.where(rows.cpu_capacity_cores > 0)
    last = rows.ds > rows.ds.max() - pd.Timedelta(days=45)
    by = share.groupby(rows.unique_id, observed=True)
    there = rows[last].groupby("unique_id", observed=True).cpu_cores.count() / (45 * 288)
    keep = (by.mean() > 0.02) & (by.quantile(0.99) <= 1.005) & (there.reindex(by.mean().index).fillna(0) > 0.85)
    chosen = rows[rows.unique_id.isin(keep[keep].index)].astype({"unique_id": str})
    return read_panel(read_frame(chosen[["unique_id", "ds", "cpu_cores"]]))


def crane() -> Read:
    """Seven workloads of Kubernetes, by the minute."""
    frames = []
    for number in range(1, 8):
        rows = pd.read_csv(DATA / "crane" / f"input{number}.csv.gz")
        times = pd.to_datetime(rows.ts, unit="s")
        frames.append(pd.DataFrame({"unique_id": f"crane-{number}", "ds": times, "cpu_cores": rows.value}))
    return read_panel(read_frame(pd.concat(frames)))


def boosted(workloads: list[Workload], protocol: Protocol) -> dict[str, object]:
    """Return a policy for each quantile, learned from all that lies before the test."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    parts = spans(workloads, protocol)
    hours = {one.name: hours_of(one, span, protocol) for one, span in zip(workloads, parts, strict=True)}
    inputs, answers = [], []
    for one, span in zip(workloads, parts, strict=True):
        own = hours[one.name]
        end = own.lead + (np.arange(len(own.level)) + protocol.every) * one.per_hour
        keep = own.known & (end <= span.test) & (own.counts.sum(axis=1) > 0)
        inputs.append(own.features[keep])
        answers.append(np.nanmax(own.coming[keep], axis=1))
    policies = {}
    for quantile in QUANTILES:
        model = HistGradientBoostingRegressor(loss="quantile", quantile=quantile, random_state=0)
        model.fit(np.concatenate(inputs), np.concatenate(answers))

        def decide(one: Workload, rows: np.ndarray, model: object = model) -> np.ndarray:
            own = hours[one.name]
            hour = (rows - own.lead) // one.per_hour
            return np.maximum(model.predict(own.features[hour]), 0) * own.level[hour]  # type: ignore[attr-defined]

        policies[f"boosted q{quantile:g}"] = decide
    return policies


def main(given: argparse.Namespace) -> None:
    """Print the tables."""
    request_cpu_devices("auto")
    protocol, recipe = PLANS[given.data]
    protocol = protocol._replace(every=given.every)
    read = {"bitbrains": bitbrains, "crane": crane}[given.data]()
    if given.smoke:
        read, recipe = read._replace(workloads=read.workloads[:4]), recipe._replace(epochs=1, hidden=(8,))
    names = ("vpa", "krr", "autopilot", "max", "percentile", "hour-of-day", "hour-of-day:share=0.95", "oracle")
    more = {} if given.smoke else boosted(read.workloads, protocol)
    question = Question(protocol, names, unseen=given.unseen, recipe=recipe, cold_start=not given.smoke)
    answer = simulate_data(read, question, more=more)
    print_simulation(answer.document)
    if given.chart:
        draw_frontier(answer.simulation, given.chart, title=f"{given.data}, a decision every {given.every} h")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=PLANS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--unseen", type=int, default=0)
    parser.add_argument("--chart")
    parser.add_argument("--smoke", action="store_true")
    main(parser.parse_args())
