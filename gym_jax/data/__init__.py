"""Data of every shape to one Panel, and a Panel to examples."""

from gym_jax.data.datasets import DATASETS
from gym_jax.data.formats import FORMATS
from gym_jax.data.grid import make_panel
from gym_jax.data.order import sequential, shuffled
from gym_jax.data.panel import Panel
from gym_jax.data.read import read, read_frame
from gym_jax.data.reading import Policy, Reading, Resample
from gym_jax.data.scale import Scaler, fit_scaler
from gym_jax.data.split import Span, Split, origins, split_by_time
from gym_jax.data.synthetic import generate_frame, generate_panel, quantile_truth
from gym_jax.data.tabular import generate_table
from gym_jax.data.windows import Windows, make_windows

__all__ = [
    "DATASETS",
    "FORMATS",
    "Panel",
    "Policy",
    "Reading",
    "Resample",
    "Scaler",
    "Span",
    "Split",
    "Windows",
    "fit_scaler",
    "generate_frame",
    "generate_panel",
    "generate_table",
    "make_panel",
    "make_windows",
    "origins",
    "quantile_truth",
    "read",
    "read_frame",
    "sequential",
    "shuffled",
    "split_by_time",
]
