"""How much of a run's steady wall time is spent inside compiled programs, all its doings on.

    python benchmarks/overhead.py [--scenario S1 S3 S5] [--epochs 40] [--saves]

Trains about 20,480 windows of a scenario's model as `gymjax train` does: validation each epoch, best weights, metrics
and logs, checkpoints. Every program is waited for as soon as it was called, so the share is that of a run that never
works ahead: a lower bound. The last validation falls behind the last mark. With `--saves` every epoch is saved, synced
and verified, and what that takes is told as a share of the wall time and in milliseconds a save.
"""

import argparse
import json
import tempfile
import time

import jax

from gym_jax.config.load import load_config
from gym_jax.run import fit
from gym_jax.run.session import Session
from gym_jax.run.train import train_run

MODELS = {
    "S1": ["model=mlp", "model.hidden=[64,64]", "task.context=96", "train.batch_size=64"],
    "S3": ["model=lstm", "model.hidden=64", "task.context=60", "train.batch_size=64"],
    "S5": [
        "model=transformer",
        "model.width=64",
        "model.heads=4",
        "model.feedforward=256",
        "model.patch=1",
        "task.context=96",
        "train.batch_size=64",
    ],
}
COMMON = [
    "model.dropout=0",
    "task.horizon=12",
    "optim=adam",
    "loss=mse",
    "schedule=constant",
    "train.patience=null",
    "evaluate.baselines=[]",
    "data.synthetic.series=8",
    "data.synthetic.days=14",
    "data.stride=1",
    "data.split.val=0.1",
    "data.synthetic.gaps=0",
]


def timed(inside, name, make):
    """Return `make`, whose program is waited for at once; the seconds of its calls are added up under `name`."""

    def made(*args, **kwargs):
        program = make(*args, **kwargs)

        def call(*args):
            begin = time.perf_counter()
            result = jax.block_until_ready(program(*args))
            inside[name] = inside.get(name, 0.0) + time.perf_counter() - begin
            return result

        return call

    return made


def measure(scenario, epochs, saves=False):
    """Train once; return the share and its parts, in seconds of all epochs but the first."""
    inside, marks = {}, []
    whole = fit.make_epoch, fit.make_evaluation, fit.settle_layout

    def settled(*args):
        plan, epoch = whole[2](*args)
        return plan, timed(inside, "train", lambda: epoch)()

    def watch(event):
        if event.kind == "epoch":
            marks.append(time.perf_counter())
            if len(marks) == 1:
                inside.clear()

    own, save = [], Session.save

    def saving(session):
        begin = time.perf_counter()
        save(session)
        own.append(time.perf_counter() - begin)

    every = ["run.save_seconds=0", "train.chunk=100000"] if saves else []
    fit.make_evaluation, fit.settle_layout = timed(inside, "validate", whole[1]), settled
    Session.save = saving
    try:
        with tempfile.TemporaryDirectory() as root:
            config = load_config([], [*MODELS[scenario], *COMMON, *every, f"train.epochs={epochs}"], {"run.root": root})
            train_run(config, watch=watch)
    finally:
        fit.make_epoch, fit.make_evaluation, fit.settle_layout = whole
        Session.save = save
    wall = marks[-1] - marks[0]
    found = {"scenario": scenario, "epochs": epochs - 1, "wall": wall, **inside, "share": sum(inside.values()) / wall}
    if saves:  # those between the first mark and the last
        kept = own[: epochs - 1]
        found |= {"saves": len(kept), "save_ms": 1e3 * sum(kept) / len(kept), "save_share": sum(kept) / wall}
    return found


def main():
    """Print one JSON line per scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--saves", action="store_true", help="save every epoch")
    options = parser.parse_args()
    for scenario in options.scenario:
        print(json.dumps(measure(scenario, options.epochs, options.saves)), flush=True)


if __name__ == "__main__":
    main()
