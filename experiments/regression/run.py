"""Do our models learn the generated table of workloads as well as gradient-boosted trees do?

python experiments/regression/run.py [--smoke]; the trees need scikit-learn, which is no dependency of the project
"""

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np

from gym_jax.cli.show import print_table
from gym_jax.config.load import load_config
from gym_jax.data import generate_table
from gym_jax.run.task import task_of
from gym_jax.run.train import train_run

try:
    from sklearn.ensemble import HistGradientBoostingRegressor
except ImportError:
    HistGradientBoostingRegressor = None

SPLITS, SEEDS = (0, 1, 2), 5
ALL = ["task.kind=regress", "train.batch_size=64", "train.epochs=60", "train.patience=15", "optim.lr=2e-3"]
MODELS = {"mlp": ["model=mlp"], "transformer": ["model=transformer", "model.patch=1"], "lstm": ["model=lstm"]}
GRID = {"learning_rate": (0.03, 0.06, 0.1), "max_leaf_nodes": (8, 15, 31), "l2_regularization": (0.0, 1.0)}


def r2(said: np.ndarray, truth: np.ndarray) -> float:
    """Return the coefficient of determination."""
    return float(1 - np.square(said - truth).sum() / np.square(truth - truth.mean()).sum())


def trees(x: np.ndarray, y: np.ndarray, parts: tuple, smoke: bool) -> dict[str, float]:
    """Return test R2 of trees at their defaults, and of those that a grid and early stopping on val choose."""
    train, val, test = parts
    plain = HistGradientBoostingRegressor(random_state=0).fit(x[train], y[train])
    tried = []
    for values in itertools.islice(itertools.product(*GRID.values()), 1 if smoke else None):
        model = HistGradientBoostingRegressor(
            **dict(zip(GRID, values, strict=True)),
            max_iter=600,
            early_stopping=True,
            n_iter_no_change=20,
            random_state=0,
        )
        model.fit(x[train], y[train], X_val=x[val], y_val=y[val])
        tried.append((r2(model.predict(x[val]), y[val]), r2(model.predict(x[test]), y[test])))
    return {"trees, defaults": r2(plain.predict(x[test]), y[test]), "trees, tuned on val": max(tried)[1]}


def main(smoke: bool) -> None:
    """Train every model on every split with several seeds, and print one table."""
    expected = generate_table(truth=True)["cpu_share_mean"].to_numpy()
    rows: dict[str, list[float]] = {}
    losses: dict[str, list[float]] = {}
    for split in SPLITS[:1] if smoke else SPLITS:
        own = [*ALL, f"data.split.seed={split}", f"train.seeds={2 if smoke else SEEDS}"]
        for kind, overrides in MODELS.items():
            config = load_config([], [*own, *overrides, *(["train.epochs=1"] if smoke else [])])
            with tempfile.TemporaryDirectory() as folder:
                result = train_run(config, folder=Path(folder) / "run")
            block = result.scores["members"]["targets"]["cpu_share"]["r2"]["values"]
            rows.setdefault(kind, []).extend(block)
            rows.setdefault(f"{kind}, mean of {len(block)} seeds", []).append(
                result.scores["model"]["targets"]["cpu_share"]["r2"]
            )
            losses.setdefault(kind, []).append(result.best["mean_val_loss"])
        prepared = task_of(config).prepare(config)
        x, y = prepared.cases.values[:, 0], prepared.cases.targets[:, 0]
        test = prepared.parts.test
        rows.setdefault("ridge", []).append(result.scores["baselines"]["ridge"]["cpu_share"]["r2"])
        rows.setdefault("the mean that generated it", []).append(r2(expected[test], y[test]))
        if HistGradientBoostingRegressor is not None:
            for name, value in trees(x, y, prepared.parts, smoke).items():
                rows.setdefault(name, []).append(value)
    deviation = {name: float(np.std(values, ddof=1)) if len(values) > 1 else None for name, values in rows.items()}
    table = [
        (
            name,
            float(np.mean(values)),
            deviation[name],
            len(values),
            float(np.mean(losses[name])) if name in losses else None,
        )
        for name, values in sorted(rows.items(), key=lambda pair: -np.mean(pair[1]))
    ]
    print_table(("model", "test R2", "sd", "values", "val loss"), table)


if __name__ == "__main__":
    main("--smoke" in sys.argv[1:])
