"""Many models in PyTorch: one after the other, a process per core, or a whole search with early stopping.

python benchmarks/arm_torch_many.py S7 --models 16 [--processes 2] [--weights FOLDER] [--quick]
python benchmarks/arm_torch_many.py S8 --models 8
python benchmarks/arm_torch_many.py S9 [--epochs 50] [--processes 2]

Every model has its own seed, learning rate and order of the same windows, tensors indexed, fused Adam. One process
uses all cores; of several, each uses one. FOLDER holds initial weights, S1-0.npz, S1-1.npz and so on by seed
(weights.py makes them); without it PyTorch draws them. A search writes the best weights of every fit.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
import torch
import work
from clock import cores, enough, peak_mb, timed
from model_torch import make_adam, make_model
from scenarios import MANY, SEARCH, Scenario, find, rate_of
from torch.nn.functional import mse_loss
from weights import read

EVALUATED = 1024
"""Windows of a validation batch."""


class Fit(NamedTuple):
    """One fit of the search."""

    seed: int
    fold: int
    rate: float
    given: argparse.Namespace
    folder: str


class Learner:
    """A model with its optimiser."""

    def __init__(self, scenario: Scenario, seed: int, rate: float, folder: str | None) -> None:
        torch.manual_seed(seed)
        self.model = make_model(scenario, read(f"{folder}/{scenario.name}-{seed}.npz") if folder else None)
        self.optimiser = make_adam(self.model, rate)

    def train(self, x: torch.Tensor, y: torch.Tensor, order: np.ndarray) -> None:
        """Make a step on each row of the order."""
        for rows in torch.from_numpy(order).long():
            self.optimiser.zero_grad(set_to_none=True)
            mse_loss(self.model(x[rows]), y[rows]).backward()
            self.optimiser.step()

    @torch.no_grad()
    def judge(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """Return the mean loss."""
        parts = zip(x.split(EVALUATED), y.split(EVALUATED), strict=True)
        return sum(float(mse_loss(self.model(a), b)) * len(b) for a, b in parts) / len(y)


def many(scenario: Scenario, seeds: list[int], given: argparse.Namespace) -> list[float]:
    """Return the seconds of each repetition: `scenario.steps` steps of every model, one model after the other."""
    x, y = map(torch.from_numpy, work.examples(scenario))
    learners = [Learner(scenario, seed, rate_of(seed), given.weights) for seed in seeds]
    orders = [work.chunks(scenario, seed) for seed in seeds]

    def run(rows: list[np.ndarray]) -> None:
        for learner, order in zip(learners, rows, strict=True):
            learner.train(x, y, order)

    times: list[float] = []
    for _ in range(2):
        run([next(order) for order in orders])
    while not enough(times, given.quick):
        times.append(timed(run, [next(order) for order in orders]))
    return times


def part_of_many(seeds: list[int], given: argparse.Namespace) -> float:
    """Return the median seconds of a repetition in one of several processes."""
    torch.set_num_threads(1)
    return statistics.median(many(find(MANY[given.scenario].scenario, given.quick), seeds, given))


def search_one(fit: Fit) -> dict[str, Any]:
    """Train on a fold until the validation loss has not fallen for a while; keep and write the best weights."""
    torch.set_num_threads(1)
    scenario = find(SEARCH.scenario, fit.given.quick)
    x, y = map(torch.from_numpy, work.examples(scenario))
    train, held = list(work.folds(len(x), SEARCH.folds))[fit.fold]
    learner = Learner(scenario, fit.seed, fit.rate, fit.given.weights)
    x_held, y_held = x[held], y[held]
    best, best_epoch, kept = np.inf, 0, {}
    for number in range(fit.given.epochs):
        learner.train(x, y, train[work.epoch(len(train), scenario.batch, number, fit.seed)])
        value = learner.judge(x_held, y_held)
        if value < best:
            best, best_epoch = value, number
            kept = {name: part.clone() for name, part in learner.model.state_dict().items()}
        elif number - best_epoch >= SEARCH.patience:
            break
    torch.save(kept, f"{fit.folder}/{fit.seed}.pt")
    steps = (number + 1) * (len(train) // scenario.batch)
    return {"fold": fit.fold, "rate": fit.rate, "epochs": number + 1, "best": best, "windows": steps * scenario.batch}


def search(given: argparse.Namespace) -> dict[str, Any]:
    """Return how long the whole search takes, from starting the processes to the last weights written."""
    pairs = [(fold, rate) for fold in range(SEARCH.folds) for rate in SEARCH.rates]
    with tempfile.TemporaryDirectory() as folder:
        fits = [Fit(seed, fold, rate, given, folder) for seed, (fold, rate) in enumerate(pairs)]
        began = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
            found = pool.map(search_one, fits, chunksize=1)
        wall = time.perf_counter() - began
    windows = sum(one["windows"] for one in found)
    return {"wall_seconds": wall, "windows_per_second": windows / wall, "fits": found}


def main(given: argparse.Namespace) -> None:
    """Print one line of JSON."""
    facts = {"scenario": given.scenario, "arm": "torch", "processes": given.processes, "cores": cores()}
    if given.scenario == SEARCH.name:
        given.processes = facts["processes"] = given.processes or cores()
        facts |= search(given)
    else:
        given.processes = facts["processes"] = given.processes or 1
        scenario, seeds = find(MANY[given.scenario].scenario, given.quick), list(range(given.models))
        if given.processes == 1:
            torch.set_num_threads(cores())
            seconds = statistics.median(many(scenario, seeds, given))
        else:
            shares = [(seeds[i :: given.processes], given) for i in range(given.processes)]
            with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
                seconds = max(pool.starmap(part_of_many, [share for share in shares if share[0]], chunksize=1))
        windows = given.models * scenario.steps * scenario.batch
        facts |= {
            "models": given.models,
            "ms_per_step_of_all": 1e3 * seconds / scenario.steps,
            "model_windows_per_second": windows / seconds,
        }
    if facts["processes"] == 1:
        facts["peak_mb"] = peak_mb()
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=(*MANY, SEARCH.name))
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--processes", type=int, help="default: one, and one per core for a search")
    parser.add_argument("--epochs", type=int, default=SEARCH.epochs, help="of a search, at most")
    parser.add_argument("--weights")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script and not to measure")
    main(parser.parse_args())
