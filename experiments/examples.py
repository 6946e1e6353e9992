"""What gym_jax does, example by example: from 5,040 generated samples to an allocation and the reason for it.

python experiments/examples.py                    # all of them, a minute or two on two cores
python experiments/examples.py compare intervals  # some of them
python experiments/examples.py --smoke            # each as short as it can be

The same with pictures: notebooks/gymjax_demo.ipynb.
"""

import argparse
import functools
import tempfile
from pathlib import Path

import pandas as pd

import gym_jax
from gym_jax import data
from gym_jax.allocate import Protocol, Recipe
from gym_jax.config.schema import Config
from gym_jax.run.allocation import recommend_run, train_allocation
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.compare import compare_runs
from gym_jax.run.folder import RunFolder

KINDS = ("mlp", "lstm", "transformer")
DAY = pd.Timedelta("1D")


class Place:
    """The samples, and what several examples use: it is made when it is first asked for."""

    def __init__(self, root: Path, epochs: int) -> None:
        self.root, self.epochs = root, epochs
        cpu = data.generate_frame(series=5, days=14, seed=7).set_index("ds").groupby("unique_id")["cpu_cores"]
        self.usage = cpu.resample("20min").mean().reset_index()

    def config(self, usage: pd.DataFrame, *words: str) -> Config:
        """Return a configuration that forecasts an hour from a day of these samples."""
        usage.to_csv(path := self.root / "usage.csv", index=False)
        ours = [f"data.path={path}", "data.target=[cpu_cores]", f"run.root={self.root}/runs", "task.context=72"]
        return gym_jax.load_config([], [*ours, "task.horizon=3", f"train.epochs={self.epochs}", *words])

    @functools.cache  # noqa: B019 - there is one place
    def run(self, kind: str) -> Path:
        """Return a trained run: three quantiles of each of the next three steps."""
        words = (f"model={kind}", f"run.name={kind}", "loss=quantiles", "data.calendar=[day,week]")
        return gym_jax.train_run(self.config(self.usage, *words)).folder

    @functools.cached_property
    def learned(self) -> RunFolder:
        """A learned allocation of an hour."""
        short = Protocol(val_days=4), Recipe(hidden=(64, 64), epochs=self.epochs)
        config = self.config(self.usage)
        return train_allocation(config, protocol=short[0], recipe=short[1], root=self.root / "runs", name="policy")[0]

    def recommend(self, usage: pd.DataFrame) -> dict[str, float]:
        """Return the cores that each machine should get in the hour after these samples, at a risk of 1 %."""
        found, _, _ = recommend_run(self.learned, self.config(usage), risk=0.01)
        return {one.name: round(one.request, 2) for one in found}


def train(place: Place) -> None:
    """Train the three models and score them on days that they have not seen."""
    for kind in KINDS:
        scores = gym_jax.evaluate_run(place.run(kind))["model"]["targets"]["cpu_cores"]
        print(f"{kind:<12}", "  ".join(f"{name} {scores[name]:.3f}" for name in ("mae", "rmse", "r2", "smape", "mase")))


def compare(place: Place) -> None:
    """Say which model is better, and whether it may be chance."""
    found = compare_runs([place.run(kind) for kind in KINDS], baselines=["last", "seasonal"])
    for row in found["leaderboard"]:
        print(f"{row['name']:<12} mae {row['mae']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")


def intervals(place: Place) -> None:
    """Calibrate the quantiles on held-out days and forecast with intervals that hold."""
    calibrate_run(place.run("mlp"), levels=(0.8, 0.9))
    columns = ["unique_id", "ds", "cpu_cores", "cpu_cores_lo80", "cpu_cores_hi80"]
    print(gym_jax.predict_run(place.run("mlp"))[columns].head(3).to_string(index=False))


def allocate(place: Place) -> None:
    """Recommend: as it is, with twice the load on one machine, for a new machine, and before a weekend."""
    now, first = place.usage, place.usage["unique_id"].min()
    late = now["ds"] > now["ds"].max() - DAY
    doubled, own = now.copy(), now["unique_id"] == first
    doubled.loc[own & late, "cpu_cores"] *= 2
    young = now[~own | (now["ds"] > now["ds"].max() - DAY / 4)]
    friday, saturday = (now[now["ds"] < pd.Timestamp(day)] for day in ("2026-01-16 13:00", "2026-01-17 13:00"))
    print("as it is    ", place.recommend(now))
    print("load doubled", first, place.recommend(doubled)[first])
    print("six hours old", first, place.recommend(young)[first])
    print("Friday 13 h ", place.recommend(friday))
    print("Saturday    ", place.recommend(saturday))


def resume(place: Place) -> None:
    """Stop a run before its time and take it up: it ends with the bytes of one that was not stopped."""
    words = ("model=mlp", "train.epochs=2")
    whole = gym_jax.train_run(place.config(place.usage, *words, "run.name=whole"))
    stopped = gym_jax.train_run(place.config(place.usage, *words, "run.name=stopped"), max_seconds=0.01)
    done = gym_jax.resume_run(RunFolder(stopped.folder))
    same = len({(run.folder / "metrics.jsonl").read_bytes() for run in (whole, done)}) == 1
    print(stopped.status, "at step", stopped.steps, "->", done.status, "at step", done.steps, "the same:", same)


def seeds(place: Place) -> None:
    """Train three seeds in one program: their spread says how much of a difference is luck."""
    found = gym_jax.train_run(place.config(place.usage, "model=mlp", "train.seeds=3", "run.name=seeds"))
    spread = found.scores["members"]["targets"]["cpu_cores"]["mae"]
    print(f"mae of single seeds: {spread['mean']:.3f} +- {spread['sd']:.3f}")


EXAMPLES = {example.__name__: example for example in (train, compare, intervals, allocate, resume, seeds)}


def main(given: argparse.Namespace) -> None:
    """Run the examples that are named, all by default."""
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root), epochs=1 if given.smoke else 12)
        for name in given.examples or EXAMPLES:
            print(f"\n{name}: {EXAMPLES[name].__doc__}")
            EXAMPLES[name](place)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help=", ".join(EXAMPLES))
    parser.add_argument("--smoke", action="store_true", help="an epoch each")
    given = parser.parse_args()
    if unknown := [name for name in given.examples if name not in EXAMPLES]:
        parser.error(f"no example {', '.join(unknown)}; there are {', '.join(EXAMPLES)}")
    main(given)
