"""Data of every shape to one Panel, or to Cases, and these to examples.

Names are resolved on first use: who only scales and cuts windows loads neither JAX nor pandas.
"""

from typing import TYPE_CHECKING

from gym_jax.lazy import lazily

if TYPE_CHECKING:
    from gym_jax.data.cases import Cases as Cases
    from gym_jax.data.datasets import DATASETS as DATASETS
    from gym_jax.data.divide import Parts as Parts
    from gym_jax.data.divide import divide as divide
    from gym_jax.data.formats import FORMATS as FORMATS
    from gym_jax.data.grid import make_panel as make_panel
    from gym_jax.data.learn import Learnt as Learnt
    from gym_jax.data.learn import learn as learn
    from gym_jax.data.order import sequential as sequential
    from gym_jax.data.order import shuffled as shuffled
    from gym_jax.data.panel import Panel as Panel
    from gym_jax.data.read import read as read
    from gym_jax.data.read import read_frame as read_frame
    from gym_jax.data.read_cases import Asked as Asked
    from gym_jax.data.read_cases import cases_of_tables as cases_of_tables
    from gym_jax.data.read_cases import read_cases as read_cases
    from gym_jax.data.reading import Policy as Policy
    from gym_jax.data.reading import Reading as Reading
    from gym_jax.data.reading import Resample as Resample
    from gym_jax.data.samples import Samples as Samples
    from gym_jax.data.samples import make_samples as make_samples
    from gym_jax.data.scale import Scaler as Scaler
    from gym_jax.data.scale import fit_scaler as fit_scaler
    from gym_jax.data.split import Span as Span
    from gym_jax.data.split import Split as Split
    from gym_jax.data.split import Splitting as Splitting
    from gym_jax.data.split import origins as origins
    from gym_jax.data.split import split_by_time as split_by_time
    from gym_jax.data.store import Piece as Piece
    from gym_jax.data.store import Store as Store
    from gym_jax.data.store import open_store as open_store
    from gym_jax.data.store import read_piece as read_piece
    from gym_jax.data.store import read_pieces as read_pieces
    from gym_jax.data.synthetic import generate_frame as generate_frame
    from gym_jax.data.synthetic import generate_panel as generate_panel
    from gym_jax.data.synthetic import quantile_truth as quantile_truth
    from gym_jax.data.tabular import generate_table as generate_table
    from gym_jax.data.windows import Windows as Windows
    from gym_jax.data.windows import make_windows as make_windows

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

if not TYPE_CHECKING:  # type checkers know the names by the imports above, and no others
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
