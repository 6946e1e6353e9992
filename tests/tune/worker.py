"""A process that works on a search and is killed at an event: `worker.py ROOT BATCH TRIALS KIND COUNT`."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from small import small_config

from gym_jax.tune.space import split_words
from gym_jax.tune.tune import begin_tune, tune

SPACE = ("optim.lr=tag(log, interval(1e-4, 1e-1))", "model.dropout=interval(0, 0.5)", "optim.b1=0.8,0.9")
FEW = ("model.hidden=[8]", "data.synthetic.days=2", "train.epochs=3", "train.chunk=null", "run.save_seconds=0")


def search(root, batch, *overrides, trials=8, space=SPACE, **asked):
    """Return a search of tiny trials in `root`."""
    config = small_config(root, "mlp", *FEW, "run.name=search", *overrides)
    return begin_tune(config, split_words(space)[0], trials=trials, seed=3, batch=batch, **asked)[0]


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
