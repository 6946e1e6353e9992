"""Small panels, windows and configurations that several tests use."""

import numpy as np
import optax
import pandas as pd

from gym_jax.config.load import load_config
from gym_jax.data import Windows, fit_scaler, generate_panel, make_windows, origins, split_by_time
from gym_jax.models import LSTM, MLP, Transformer

CONTEXT, HORIZON = 24, 4
MODELS = {
    "mlp": MLP(horizon=HORIZON, hidden=(16,), dropout=0.2),
    "lstm": LSTM(horizon=HORIZON, hidden=8, layers=2, dropout=0.2),
    "transformer": Transformer(horizon=HORIZON, width=8, heads=2, layers=1, feedforward=16, dropout=0.2),
}


def small_windows(stride: int = 9) -> Windows:
    """Return about a hundred training windows with gaps."""
    panel = generate_panel(series=3, days=1.5, gaps=0.05)
    split = split_by_time(panel)
    rows, series = origins(panel, split.train, context=CONTEXT, horizon=HORIZON, stride=stride)
    return make_windows(panel, fit_scaler(panel, split.train), rows, series, context=CONTEXT, horizon=HORIZON)


def without_dropout(model):
    """Return the model with dropout 0: the masks of a split batch are drawn apart."""
    return model.clone(dropout=0.0)


def sgd():
    """Return an optimiser that does not blow rounding up, for parity."""
    return optax.sgd(0.05)


def small_config(root, model="mlp", *overrides):
    """Return a configuration that trains in a second or two on a generated panel."""
    settings = {
        "mlp": ["model.hidden=[16]", "model.dropout=0.2"],
        "lstm": ["model.hidden=8", "model.dropout=0.2"],
        "transformer": [
            "model.width=8",
            "model.heads=2",
            "model.layers=1",
            "model.feedforward=16",
            "model.dropout=0.2",
        ],
    }
    return load_config(
        [],
        [
            f"model={model}",
            *settings.get(model, []),
            "data.synthetic.series=3",
            "data.synthetic.days=3",
            "data.stride=8",
            "task.context=24",
            "task.horizon=4",
            "train.batch_size=16",
            "train.epochs=4",
            "train.chunk=3",
            "train.patience=null",
            "evaluate.baselines=[last]",
            *overrides,
        ],
        {"run.root": str(root)},
    )


def small_frame(rows=400, series=("a", "b"), seed=0):
    """Return a long frame of a slow wave with noise."""
    generator = np.random.default_rng(seed)
    times = pd.date_range("2026-03-01", periods=rows, freq="5min")
    frames = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": times,
                "cpu": 2 + np.sin(np.arange(rows) / 20) + 0.1 * generator.normal(size=rows),
                "memory": 100.0,
            }
        )
        for name in series
    ]
    return pd.concat(frames)


def small_csv(path, rows=400, series=("a", "b"), seed=0):
    """Write `small_frame` as CSV; return its path."""
    small_frame(rows, series, seed).to_csv(path, index=False)
    return path
