"""Which of our models is best on the UCR and UEA sets at hand, chosen without the test part, and does it beat 1-NN?

python experiments/ucr/run.py [SET ...] [--smoke]
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from gym_jax.cli.show import print_table
from gym_jax.config.load import load_config
from gym_jax.data import Asked, Cases, Reading, read_cases
from gym_jax.run.train import train_run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data")) / "ucr"
SETS = ("GunPoint", "ItalyPowerDemand", "BasicMotions", "ArrowHead", "ACSF1")
FOLDS, SEEDS, STEPS, BATCH = 4, 5, 1000, 16
"""Folds of the train file, seeds of a model (three in the folds), optimiser steps, cases of a step."""
LONG = 500
"""Sequences of more steps are not given to the LSTM, and have one seed a fold: it would take an hour."""
ALL = [
    "task.kind=classify",
    f"train.batch_size={BATCH}",
    "train.patience=null",
    "data.split.val=0",
    "train.placement=one",
]
CANDIDATES = {
    "mlp": ["model=mlp", "model.dropout=0.2"],
    "mlp, strong dropout": ["model=mlp", "model.hidden=[500,500]", "model.dropout=0.5"],
    "transformer": ["model=transformer", "model.dropout=0.2"],
    "lstm, both ways": ["model=lstm", "model.bidirectional=true", "model.dropout=0.2"],
    "fcn": ["model=fcn", "model.filters=[32,64,32]"],
}


def scores_of(overrides: list[str], path: Path) -> dict:
    """Train one run, or a group, in a folder that is thrown away, and return its scores."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config([], [*ALL, *overrides], {"data.path": str(path)})
        return train_run(config, folder=Path(folder) / "run").scores


def of_label(targets: dict) -> dict:
    """Return the block of the only target."""
    return next(iter(targets.values()))


def validated(overrides: list[str], path: Path, folds: int) -> tuple[float, float]:
    """Return the mean accuracy and log loss over folds of the train file, and over seeds where there are several."""
    parts = []
    for fold in range(folds):
        split = ["data.split.kind=fold", f"data.split.folds={FOLDS}", f"data.split.fold={fold}"]
        scores = scores_of([*overrides, *split], path)
        several = of_label(scores["members"]["targets"]) if "members" in scores else None
        one = of_label(scores["model"]["targets"])
        parts.append([several[k]["mean"] if several else one[k] for k in ("accuracy", "log_loss")])
    accuracy, loss = np.mean(parts, axis=0)
    return float(accuracy), float(loss)


def main(sets: list[str], smoke: bool) -> None:
    """Choose by the folds, train on the whole train file with several seeds, and only then look at the test file."""
    rows = []
    for name in sets or (SETS[:1] if smoke else SETS):
        train, test = (DATA / name / f"{name}_{part}.ts.gz" for part in ("TRAIN", "TEST"))
        cases: Cases = read_cases(train, Reading(), Asked("classify"))
        long, tried = cases.values.shape[1] > LONG, {}
        epochs = [f"train.epochs={2 if smoke else max(1, round(STEPS * BATCH / len(cases)))}"]
        for kind, overrides in CANDIDATES.items():
            if not (long and "model=lstm" in overrides):
                seeds = f"train.seeds={1 if long or smoke else 3}"
                tried[kind] = validated([*overrides, *epochs, seeds], train, 1 if smoke else FOLDS)
                print(f"{name}, {kind}: accuracy {tried[kind][0]:.3f}, log loss {tried[kind][1]:.3f}", file=sys.stderr)
        best = min(tried, key=lambda kind: (-round(tried[kind][0], 3), tried[kind][1]))
        whole = [f"train.seeds={2 if smoke else SEEDS}", f"data.test_path={test}"]
        scores = scores_of([*CANDIDATES[best], *epochs, *whole], train)
        alone, near = of_label(scores["members"]["targets"]), of_label(scores["baselines"]["nearest"])
        own = f"{alone['accuracy']['mean']:.3f} ({alone['accuracy']['sd']:.3f})"
        together = of_label(scores["model"]["targets"])["accuracy"]
        rows.append((name, best, f"{tried[best][0]:.3f}", own, together, near["accuracy"]))
    print_table(("set", "chosen", "folds", "test, mean (sd) of seeds", "their mean together", "1-NN"), rows)


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "--smoke"], "--smoke" in sys.argv[1:])
