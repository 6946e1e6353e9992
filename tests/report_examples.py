"""One call of every plot, by hand on a few numbers."""

import numpy as np

from gym_jax.report.allocation import Given, Line
from gym_jax.report.forecasts import View
from gym_jax.report.speed import Speed

EPOCHS = [
    {"epoch": 1, "loss": 3.0, "val_loss": 2.5, "lr": 0.1, "windows_per_second": 10.0},
    {"epoch": 2, "loss": 2.0, "val_loss": 1.5, "lr": 0.05, "windows_per_second": 30.0},
    {"epoch": 3, "loss": 1.0, "val_loss": 2.0, "lr": 0.0, "windows_per_second": 20.0},
]
TIMES = np.array(["2026-03-01T00:00", "2026-03-01T00:05", "2026-03-01T00:10"], "datetime64[ns]")
BANDS = np.array([[[1.0, 3.0], [0.0, 4.0]], [[2.0, 4.0], [1.0, 5.0]], [[3.0, 5.0], [2.0, 6.0]]])
VIEW = View("web", TIMES, np.array([2.0, 3.0, np.nan]), np.array([2.5, 3.5, 4.5]), (0, 2), (0.5, 0.9), BANDS)
VIOLATION, RATIO = np.array([0.2, 0.1, 0.01]), np.array([1.0, 1.5, 3.0])
FOUND = {
    "run": "runs/a",
    "kind": "mlp",
    "target": "cpu",
    "part": "test",
    "metric": "mae",
    "importance": {
        "base": 1.0,
        "inputs": [{"name": "cpu", "increase": 2.0, "sd": 0.1}, {"name": "day", "increase": 1.0, "sd": 0.1}],
        "lags": [{"name": "1", "increase": 2.0, "sd": 0.1}],
    },
    "attribution": {
        "of": "step 1",
        "inputs": [{"name": "cpu"}],
        "lags": {"lag": [2, 1], "channels": ["cpu"], "size": [[1.0], [3.0]]},
    },
    "by_horizon": {"step": [1, 2, 3], "mae": [1.0, 2.0, 3.0], "bias": [0.1, -0.2, 0.3]},
    "by_hour": {"hour": [0, 1, 2], "mae": [1.0, None, 3.0], "bias": [0.1, None, 0.3]},
    "hours_in": "UTC",
    "by_series": {"id": ["a", "b", "c"], "mae": [1.0, 3.0, None]},
}
PAIRS = [
    {"first": "a", "second": "b", "difference": -1.0, "p": 0.0004, "better": "a"},
    {"first": "a", "second": "c", "difference": -0.1, "p": 0.4, "better": None},
    {"first": "b", "second": "c", "difference": 0.9, "p": 0.01, "better": "c"},
]

EXAMPLES = {
    "training_curves": (({"a": EPOCHS},), {"best": {"a": 2}, "loss": "mae"}),
    "throughput": (({"a": EPOCHS},), {}),
    "seed_spread": (
        ({"0": 1.0, "1": 2.0, "2": 3.0},),
        {"mean": 2.0, "low": 1.2, "high": 2.8, "together": 0.9, "unit": "cores"},
    ),
    "forecast_bands": (([VIEW],), {"quantity": "cpu", "unit": "cores"}),
    "predicted_actual": (([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]), {"quantity": "cpu", "unit": "cores"}),
    "error_by_step": (
        ([1, 2, 3], {"mlp": [1.0, 2.0, 3.0], "last": [2.0, 3.0, None]}),
        {"unit": "cores", "span": "5min"},
    ),
    "error_by_hour": (([0, 1, 2], [1.0, None, 3.0], [0.5, None, -0.5]), {"unit": "cores", "zone": "UTC"}),
    "error_by_series": (
        (["a", "b", "c"], [1.0, 3.0, 2.0]),
        {"beside": [2.0, 2.5, 1.0], "beside_name": "last", "unit": "cores"},
    ),
    "residual_distribution": (([-1.0, 0.0, 4.0],), {"quantity": "cpu", "unit": "cores"}),
    "residual_autocorrelation": (([1, 2, 3], [0.5, -0.2, 0.1]), {"count": 100, "span": "5min"}),
    "calibration": (({"adaptive": [0.5, 0.8, 0.95]}, {"adaptive": [0.6, 0.8, 0.9]}), {}),
    "interval_width": (([1, 2, 3], {"80 %": [1.0, 2.0, 3.0]}), {"unit": "cores", "span": "5min"}),
    "model_comparison": ((["a", "b", "c"], [1.0, 2.0, 3.0], [0.5, 1.5, None], [1.5, 2.5, None]), {"unit": "cores"}),
    "significance": ((PAIRS, ["a", "b", "c"]), {}),
    "allocation_frontier": (
        (
            [Line("vpa", VIOLATION, RATIO, (0.05, 2.0), 0), Line("oracle", VIOLATION, RATIO / 2, (0.0, 1.0), 1, True)],
            [0.01],
        ),
        {"title": "cpu"},
    ),
    "worst_workloads": (
        ([Given("web", np.array([0.0, 0.5, 1.0]), np.array([1.0, 3.0, 1.0]), np.array([2.0, 2.0, 2.0]))],),
        {"unit": "cores"},
    ),
    "confusion_matrix": ((["no", "yes"], [[3, 1], [0, 2]]), {}),
    "roc": (({"yes": ([0.0, 0.0, 1.0], [0.0, 0.5, 1.0])}, {"yes": 0.75}), {}),
    "importance": ((["cpu", "day"], [2.0, 1.0], [0.1, 0.2]), {"unit": "cores"}),
    "explanation": ((FOUND,), {}),
    "search_history": (
        (
            [
                {"trial": 0, "state": "complete", "value": 3.0},
                {"trial": 1, "state": "complete", "value": 1.0},
                {"trial": 2, "state": "pruned", "value": 4.0},
                {"trial": 3, "state": "complete", "value": 2.0},
            ],
        ),
        {"metric": "mae"},
    ),
    "search_importance": (({"optim.lr": 0.8, "model.hidden": 0.2},), {"metric": "mae", "method": "ped-anova"}),
    "speeds": (([Speed("mlp", "batch 4", "one, safe", 10.0), Speed("mlp", "batch 4", "torch", None)],), {}),
}
