"""Pictures and pages from data: nothing here knows a run, loads a model or reads a file.

Every function of `PLOTS` takes plain data and `dark`, and returns a matplotlib figure on an Agg canvas; matplotlib is
loaded when the first one is drawn.
"""

from collections.abc import Callable
from typing import Any

from gym_jax.plugins import Registry, function
from gym_jax.report.allocation import allocation_frontier, worst_workloads
from gym_jax.report.breakdown import error_by_hour, error_by_series, error_by_step
from gym_jax.report.comparison import model_comparison, significance
from gym_jax.report.coverage import calibration, interval_width
from gym_jax.report.explanation import explanation, importance
from gym_jax.report.forecasts import forecast_bands, predicted_actual
from gym_jax.report.labels import confusion_matrix, roc
from gym_jax.report.residuals import residual_autocorrelation, residual_distribution
from gym_jax.report.searching import search_history, search_importance
from gym_jax.report.speed import speeds
from gym_jax.report.training import seed_spread, throughput, training_curves

PLOTS: Registry[Callable[..., Any]] = Registry(
    "plots",
    {
        "training_curves": training_curves,
        "throughput": throughput,
        "seed_spread": seed_spread,
        "forecast_bands": forecast_bands,
        "predicted_actual": predicted_actual,
        "error_by_step": error_by_step,
        "error_by_hour": error_by_hour,
        "error_by_series": error_by_series,
        "residual_distribution": residual_distribution,
        "residual_autocorrelation": residual_autocorrelation,
        "calibration": calibration,
        "interval_width": interval_width,
        "model_comparison": model_comparison,
        "significance": significance,
        "allocation_frontier": allocation_frontier,
        "worst_workloads": worst_workloads,
        "confusion_matrix": confusion_matrix,
        "roc": roc,
        "importance": importance,
        "explanation": explanation,
        "search_history": search_history,
        "search_importance": search_importance,
        "speeds": speeds,
    },
    function,
)
"""Plots by name; the laws of tests/report/test_laws.py hold for each."""
