"""Data of every shape to one Panel, or to Cases, and these to examples.

Names are resolved on first use: who only scales and cuts windows loads neither JAX nor pandas.
"""

from typing import TYPE_CHECKING

from gym_jax.lazy import lazily

if TYPE_CHECKING:
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
    from gym_jax.data.store import Piece, Store, open_store, read_piece, read_pieces
    from gym_jax.data.synthetic import generate_frame, generate_panel, quantile_truth
    from gym_jax.data.tabular import generate_table
    from gym_jax.data.windows import Windows, make_windows

_HOMES = {
    "DATASETS": "datasets",
    "FORMATS": "formats",
    "Asked": "read_cases",
    "Cases": "cases",
    "Learnt": "learn",
    "Panel": "panel",
    "Parts": "divide",
    "Piece": "store",
    "Policy": "reading",
    "Reading": "reading",
    "Resample": "reading",
    "Samples": "samples",
    "Scaler": "scale",
    "Span": "split",
    "Split": "split",
    "Splitting": "split",
    "Store": "store",
    "Windows": "windows",
    "cases_of_tables": "read_cases",
    "divide": "divide",
    "fit_scaler": "scale",
    "generate_frame": "synthetic",
    "generate_panel": "synthetic",
    "generate_table": "tabular",
    "learn": "learn",
    "make_panel": "grid",
    "make_samples": "samples",
    "make_windows": "windows",
    "open_store": "store",
    "origins": "split",
    "quantile_truth": "synthetic",
    "read": "read",
    "read_cases": "read_cases",
    "read_frame": "read",
    "read_piece": "store",
    "read_pieces": "store",
    "sequential": "order",
    "shuffled": "order",
    "split_by_time": "split",
}

__all__ = [*_HOMES]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
