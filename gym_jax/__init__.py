"""Functional JAX training toolkit that forecasts resource use.

Importing this package loads neither JAX nor any device: every public name is resolved on first use.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library that is called prints nothing

if TYPE_CHECKING:
    from gym_jax import allocate as allocate
    from gym_jax import data as data
    from gym_jax import inference as inference
    from gym_jax import losses as losses
    from gym_jax import metrics as metrics
    from gym_jax import models as models
    from gym_jax import optim as optim
    from gym_jax import train as train
    from gym_jax.config.load import load_config as load_config
    from gym_jax.data.panel import Panel as Panel
    from gym_jax.data.read import read as read
    from gym_jax.data.read import read_frame as read_frame
    from gym_jax.data.windows import Windows as Windows
    from gym_jax.models.linear import Linear as Linear
    from gym_jax.models.lstm import LSTM as LSTM
    from gym_jax.models.mlp import MLP as MLP
    from gym_jax.models.naive import Last as Last
    from gym_jax.models.naive import Seasonal as Seasonal
    from gym_jax.models.transformer import Transformer as Transformer
    from gym_jax.run.evaluate import evaluate_run as evaluate_run
    from gym_jax.run.predict import predict_run as predict_run
    from gym_jax.run.train import resume_run as resume_run
    from gym_jax.run.train import train_run as train_run
    from gym_jax.train.average import evaluation_variables as evaluation_variables
    from gym_jax.train.checkpoint import restore_checkpoint as restore_checkpoint
    from gym_jax.train.checkpoint import save_checkpoint as save_checkpoint
    from gym_jax.train.compile import jit as jit
    from gym_jax.train.find_rate import find_rate as find_rate
    from gym_jax.train.many import Pack as Pack
    from gym_jax.train.many import make_many_epoch as make_many_epoch
    from gym_jax.train.many import member as member
    from gym_jax.train.many import stack as stack
    from gym_jax.train.parallel import make_epoch as make_epoch
    from gym_jax.train.parallel import make_evaluation as make_evaluation
    from gym_jax.train.parallel import make_layout as make_layout
    from gym_jax.train.step import init_state as init_state
    from gym_jax.train.step import make_eval_step as make_eval_step
    from gym_jax.train.step import make_train_step as make_train_step
    from gym_jax.types import Batch as Batch
    from gym_jax.types import Inputs as Inputs
    from gym_jax.types import Mean as Mean
    from gym_jax.types import TrainState as TrainState

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
    "make_layout": "train.parallel",
    "jit": "train.compile",
    "make_many_epoch": "train.many",
    "Pack": "train.many",
    "stack": "train.many",
    "member": "train.many",
    "save_checkpoint": "train.checkpoint",
    "restore_checkpoint": "train.checkpoint",
    "load_config": "config.load",
    "train_run": "run.train",
    "resume_run": "run.train",
    "evaluate_run": "run.evaluate",
    "predict_run": "run.predict",
}
_MODULES = ("allocate", "data", "inference", "losses", "metrics", "models", "optim", "train")

__all__ = [*_HOMES, *_MODULES, "__version__"]


if not TYPE_CHECKING:  # type checkers know the names by the imports above, and no others

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
