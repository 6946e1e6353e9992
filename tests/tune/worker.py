"""A process that works on a search and is killed at an event: `worker.py ROOT BATCH TRIALS KIND COUNT`."""

import math
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from small import small_config

from gym_jax.run.ending import Result
from gym_jax.tune.space import split_words
from gym_jax.tune.tune import begin_tune, tune

WORKER = Path(__file__)
SPACE = ("optim.lr=tag(log, interval(1e-4, 1e-1))", "model.dropout=interval(0, 0.5)", "optim.b1=0.8,0.9")
FEW = ("model.hidden=[8]", "data.synthetic.days=2", "train.epochs=3", "train.chunk=null", "run.save_seconds=0")


def search(root, batch, *overrides, trials=8, space=SPACE, **asked):
    """Return a search of tiny trials in `root`."""
    config = small_config(root, "mlp", *FEW, "run.name=search", *overrides)
    return begin_tune(config, split_words(space)[0], trials=trials, seed=3, batch=batch, **asked)[0]


def told(found):
    """Return what must not depend on kills."""
    keys = ("trial", "state", "value", "epochs", "values")
    return [{key: row[key] for key in keys} for row in found["trials"]]


def quick(config, *, folder, max_seconds=None, **options):
    """Stand in for `train_run` where what a trial learns does not matter."""
    if max_seconds is not None and max_seconds <= 0:
        return Result(folder, "stopped", 0, 0, {}, {})
    solved = config.model.kind in ("last", "linear")
    best = {} if solved else {"epoch": 2, "step": 20, "val_loss": abs(math.log10(config.optim.lr) + 2) + 0.1}
    return Result(folder, "done", 3, 30, best, {})


def killer(kind, count):
    """Return a watcher that kills the process at the `count`-th event of a kind."""
    left = count

    def tell(event):
        nonlocal left
        left -= event.kind == kind
        if left == 0 and event.kind == kind:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


if __name__ == "__main__":
    root, batch, trials, kind, count = sys.argv[1:]
    tune(search(root, int(batch), trials=int(trials)), tell=killer(kind, int(count)))
