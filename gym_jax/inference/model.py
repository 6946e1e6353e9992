"""A model that answers, wherever its weights come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from gym_jax.errors import CheckpointError, ConfigError, MissingExtra, did_you_mean
from gym_jax.inference.answer import Answer, answers
from gym_jax.inference.arrays import Arrays
from gym_jax.inference.artefact import DAMAGED, Golden, read_export
from gym_jax.inference.faults import refuse_faults
from gym_jax.inference.networks import run_network
from gym_jax.inference.spec import Spec
from gym_jax.inference.window import Series, Window, fitted_for, make_window, pad

Backend = Literal["auto", "numpy", "onnx"]
BACKENDS: tuple[Backend, ...] = ("auto", "numpy", "onnx")
TOLERANCE = 1e-5
"""How far two ways of one network may lie apart, in scaled units; of a value above 1, as a share of it."""
Run = Callable[[Window], Float[np.ndarray, "batch steps targets *outputs"]]
"""A network: scaled windows to scaled outputs, float32."""


@dataclass(frozen=True)
class Model:
    """A network with everything that stands around it."""

    spec: Spec
    """What it is, all but its weights."""
    run: Run
    """The network: windows to outputs."""
    path: Path
    """The export's folder, or the run's."""
    backend: Literal["numpy", "onnx", "jax"]
    """What computes it."""
    golden: Golden
    """Windows with what came out of them when it was exported."""

    def predict(self, series: Sequence[Series]) -> list[Answer]:
        """Return the answer for each series. Raises DataError as `prepare` does."""
        refuse_faults(self.spec, series)
        return self.answer(series)

    def answer(self, series: Sequence[Series], size: int | None = None) -> list[Answer]:
        """Return what `predict` does of series that nothing is wrong with; the network is asked for `size` at least."""
        fitted = fitted_for(self.spec, series) if self.spec.task == "forecast" else None
        window = make_window(self.spec, series, fitted)
        outputs = self.run(window if size is None else pad(window, size))
        return answers(self.spec, series, window, outputs, fitted)


def load_export(path: str | Path, backend: Backend = "auto") -> Model:
    """Return the model of an export folder, every file of it verified and its golden output reproduced.

    `auto` takes onnxruntime where the extra `onnx` is installed, else NumPy. The graph is made anew of weights and
    manifest, so that nothing of a folder is executed. Raises CheckpointError when the folder is none, damaged, of a
    later version, or answers other than it did; MissingExtra when onnx is asked for and not installed; ConfigError for
    an unknown `backend`.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"unknown backend `{backend}`", hint=did_you_mean(backend, BACKENDS))
    export = read_export(path)
    graphs = backend == "onnx" or (backend == "auto" and can_run_graphs())
    kind: Literal["numpy", "onnx"] = "onnx" if graphs else "numpy"
    own, window = export.spec.model, export.golden.window
    try:
        run = run_of_onnx(own, export.weights, window) if kind == "onnx" else run_of_numpy(own, export.weights)
        model = Model(export.spec, run, export.path, kind, export.golden)
        check_golden(model)
    except DAMAGED as error:
        raise CheckpointError(
            f"{export.path} holds no network: {str(error)[:200] or type(error).__name__}",
            hint="the export is damaged, or was changed",
            attempt=f"gymjax export RUN --out {export.path}-2",
            code="export.damaged",
        ) from error
    return model


def can_run_graphs() -> bool:
    """Return whether the extra `onnx` is installed."""
    try:
        return find_spec("onnx") is not None and find_spec("onnxruntime") is not None
    except ImportError:
        return False


def check_golden(model: Model) -> None:
    """Predict the golden windows and compare. Raises CheckpointError when the outputs are others."""
    far = apart(model.run(model.golden.window), model.golden.outputs)
    if far > TOLERANCE:
        raise CheckpointError(
            f"{model.path} answers its golden windows {far:.1e} off what it answered when it was exported",
            hint=f"up to {TOLERANCE:.0e} is rounding; more is another network, or a machine that computes wrong",
            attempt=f"gymjax export RUN --out {model.path}-2",
            code="export.golden",
        )


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference, of values above 1 as a share of them; infinite where one is not finite."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    difference = np.abs(found.astype(np.float64) - wanted)
    return float((difference / np.maximum(1, np.abs(wanted))).max(initial=0))


def run_of_numpy(settings: Any, weights: dict[str, np.ndarray]) -> Run:
    """Return the network, computed with NumPy."""
    ops = Arrays()

    def run(window: Window) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(run_network(ops, settings, weights, window), np.float32)

    return run


def run_of_onnx(settings: Any, weights: dict[str, np.ndarray], example: Window, graph: bytes | None = None) -> Run:
    """Return the network, computed with onnxruntime on one thread, out of `graph` where there is one already.

    Raises MissingExtra when onnx or onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra(
            "onnxruntime is not installed",
            hint="NumPy alone answers too: backend numpy",
            attempt="pip install 'gym-jax[onnx]'",
        ) from None
    from gym_jax.inference.graph import OUTPUT, make_graph

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        graph or make_graph(settings, weights, example), options, providers=["CPUExecutionProvider"]
    )
    read = [part.name for part in session.get_inputs()]  # a network may not read all of a window

    def run(window: Window) -> np.ndarray:
        return np.asarray(session.run([OUTPUT], {name: getattr(window, name) for name in read})[0])

    return run
