"""Forecasts of an exported model, with NumPy alone or onnxruntime: neither JAX nor Orbax is loaded.

Names are resolved on first use.
"""

from typing import TYPE_CHECKING

from gym_jax.lazy import lazily

if TYPE_CHECKING:
    from gym_jax.inference.answer import Answer, answers
    from gym_jax.inference.batches import answer_types, predict_batch, predict_batches
    from gym_jax.inference.frame import score_file
    from gym_jax.inference.model import Model, check_golden, load_export
    from gym_jax.inference.spec import Spec
    from gym_jax.inference.window import Series, Window, join, pad, prepare

_HOMES = {
    "Answer": "answer",
    "Model": "model",
    "Series": "window",
    "Spec": "spec",
    "Window": "window",
    "answer_types": "batches",
    "answers": "answer",
    "check_golden": "model",
    "join": "window",
    "load_export": "model",
    "pad": "window",
    "predict_batch": "batches",
    "predict_batches": "batches",
    "prepare": "window",
    "score_file": "frame",
}

__all__ = [*_HOMES]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
