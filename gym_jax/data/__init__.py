"""Data of every shape to one Panel, or to Cases, and these to examples."""

from gym_jax.data.cases import Cases
from gym_jax.data.datasets import DATASETS
from gym_jax.data.divide import Parts, divide
from gym_jax.data.formats import FORMATS
from gym_jax.data.grid import make_panel
from gym_jax.data.learn import Learnt, learn
from gym_jax.data.order import sequential, shuffled
from gym_jax.data.panel import Panel
from gym_jax.data.read import read, read_frame
from gym_jax.data.read_cases import Asked, cases_of_tables, read_cases
from gym_jax.data.reading import Policy, Reading, Resample
from gym_jax.data.samples import Samples, make_samples
from gym_jax.data.scale import Scaler, fit_scaler
from gym_jax.data.split import Span, Split, Splitting, origins, split_by_time
from gym_jax.data.synthetic import generate_frame, generate_panel, quantile_truth
from gym_jax.data.tabular import generate_table
from gym_jax.data.windows import Windows, make_windows

__all__ = [
    "DATASETS",
    "FORMATS",
    "Asked",
    "Cases",
    "Learnt",
    "Panel",
    "Parts",
    "Policy",
    "Reading",
    "Resample",
    "Samples",
    "Scaler",
    "Span",
    "Split",
    "Splitting",
    "Windows",
    "cases_of_tables",
    "divide",
    "fit_scaler",
    "generate_frame",
    "generate_panel",
    "generate_table",
    "learn",
    "make_panel",
    "make_samples",
    "make_windows",
    "origins",
    "quantile_truth",
    "read",
    "read_cases",
    "read_frame",
    "sequential",
    "shuffled",
    "split_by_time",
]
