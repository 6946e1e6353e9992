"""Functional JAX training toolkit that forecasts resource use.

Importing this package loads neither JAX nor any device: every public name is resolved on first use.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library that is called prints nothing

if TYPE_CHECKING:
    from gym_jax import allocate, data, inference, losses, metrics, models, optim
    from gym_jax.config.load import load_config
    from gym_jax.data.panel import Panel
    from gym_jax.data.read import read, read_frame
    from gym_jax.data.windows import Windows
    from gym_jax.models.linear import Linear
    from gym_jax.models.lstm import LSTM
    from gym_jax.models.mlp import MLP
    from gym_jax.models.naive import Last, Seasonal
    from gym_jax.models.transformer import Transformer
    from gym_jax.run.evaluate import evaluate_run
    from gym_jax.run.predict import predict_run
    from gym_jax.run.train import resume_run, train_run
    from gym_jax.train.average import evaluation_variables
    from gym_jax.train.checkpoint import restore_checkpoint, save_checkpoint
    from gym_jax.train.compile import jit
    from gym_jax.train.find_rate import find_rate
    from gym_jax.train.loop import train
    from gym_jax.train.many import Pack, make_many_epoch, member, stack
    from gym_jax.train.parallel import make_epoch, make_evaluation
    from gym_jax.train.step import init_state, make_eval_step, make_train_step
    from gym_jax.types import Batch, Inputs, Mean, TrainState

_HOMES = {
    "Batch": "types",
    "Inputs": "types",
    "Mean": "types",
    "TrainState": "types",
    "MLP": "models.mlp",
    "LSTM": "models.lstm",
    "Transformer": "models.transformer",
    "Last": "models.naive",
    "Seasonal": "models.naive",
    "Linear": "models.linear",
    "Panel": "data.panel",
    "Windows": "data.windows",
    "read": "data.read",
    "read_frame": "data.read",
    "init_state": "train.step",
    "make_train_step": "train.step",
    "make_eval_step": "train.step",
    "evaluation_variables": "train.average",
    "find_rate": "train.find_rate",
    "make_epoch": "train.parallel",
    "make_evaluation": "train.parallel",
    "jit": "train.compile",
    "make_many_epoch": "train.many",
    "Pack": "train.many",
    "stack": "train.many",
    "member": "train.many",
    "train": "train.loop",
    "save_checkpoint": "train.checkpoint",
    "restore_checkpoint": "train.checkpoint",
    "load_config": "config.load",
    "train_run": "run.train",
    "resume_run": "run.train",
    "evaluate_run": "run.evaluate",
    "predict_run": "run.predict",
}
_MODULES = ("allocate", "data", "inference", "losses", "metrics", "models", "optim")

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"gym_jax.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"gym_jax.{name}")
    else:
        raise AttributeError(f"module 'gym_jax' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
