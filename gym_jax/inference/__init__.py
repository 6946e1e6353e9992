"""Forecasts of an exported model, with NumPy alone or onnxruntime: neither JAX nor Orbax is loaded.

Names are resolved on first use.
"""

from typing import TYPE_CHECKING

from gym_jax.lazy import lazily

if TYPE_CHECKING:
    from gym_jax.inference.answer import Answer as Answer
    from gym_jax.inference.answer import answers as answers
    from gym_jax.inference.batches import answer_types as answer_types
    from gym_jax.inference.batches import predict_batch as predict_batch
    from gym_jax.inference.batches import predict_batches as predict_batches
    from gym_jax.inference.frame import score_file as score_file
    from gym_jax.inference.model import Model as Model
    from gym_jax.inference.model import check_golden as check_golden
    from gym_jax.inference.model import load_export as load_export
    from gym_jax.inference.spec import Spec as Spec
    from gym_jax.inference.window import Series as Series
    from gym_jax.inference.window import Window as Window
    from gym_jax.inference.window import join as join
    from gym_jax.inference.window import pad as pad
    from gym_jax.inference.window import prepare as prepare

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

if not TYPE_CHECKING:  # type checkers know the names by the imports above, and no others
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
