"""Pure Flax Linen modules: `init(key, inputs)`, `apply(variables, inputs, train=...)`."""

from gym_jax.models.fcn import FCN
from gym_jax.models.linear import Linear, solve_linear
from gym_jax.models.lstm import LSTM, LSTMCell, LSTMLayer
from gym_jax.models.mlp import MLP
from gym_jax.models.naive import Last, Seasonal
from gym_jax.models.registry import MODELS, Kind
from gym_jax.models.transformer import Transformer

__all__ = [
    "FCN",
    "LSTM",
    "MLP",
    "MODELS",
    "Kind",
    "LSTMCell",
    "LSTMLayer",
    "Last",
    "Linear",
    "Seasonal",
    "Transformer",
    "solve_linear",
]
