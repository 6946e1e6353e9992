"""A scenario in Keras 3: its own layers with the same arithmetic, and names that `weights.for_keras` knows."""

import keras
import numpy as np
from keras import layers, ops
from scenarios import HORIZON, Scenario
from weights import Weights, for_keras, plain_path


@keras.saving.register_keras_serializable()
class Position(layers.Layer):
    """A trained vector for every token."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the vectors."""
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="position")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the tokens with their places."""
        return x + self.table


@keras.saving.register_keras_serializable()
class Heads(layers.Layer):
    """Keras' own attention on a fused projection whose columns stand head by head."""

    def __init__(self, heads: int, **keywords: object) -> None:
        super().__init__(**keywords)
        self.heads = heads

    def call(self, qkv: keras.KerasTensor) -> keras.KerasTensor:
        """Return the mixed values."""
        _, tokens, wide = qkv.shape
        split = ops.reshape(qkv, (-1, tokens, self.heads, wide // self.heads))
        mixed = ops.dot_product_attention(*ops.split(split, 3, axis=-1))
        return ops.reshape(mixed, (-1, tokens, wide // 3))


class Adam(keras.optimizers.Adam):
    """Keras' own step with an epsilon that is corrected for the first steps, as in optax and PyTorch."""

    @property
    def epsilon(self) -> keras.KerasTensor:
        """What stands beside the root of the uncorrected second moment."""
        step = ops.cast(self.iterations + 1, "float32")
        return 1e-8 * ops.sqrt(1 - ops.power(self.beta_2, step))

    @epsilon.setter
    def epsilon(self, value: float) -> None:
        """Take no other value."""


def make_adam(rate: float) -> keras.optimizers.Optimizer:
    """Return Adam as PyTorch and optax have it."""
    return Adam(rate)


def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return the form with the hyperbolic tangent."""
    return keras.activations.gelu(x, approximate=True)


def make_model(scenario: Scenario, weights: Weights | None = None) -> keras.Model:
    """Return the functional model, not compiled, with these weights when there are some."""
    x = inputs = layers.Input((scenario.context, scenario.features))
    settings, names = scenario.settings, {}
    if scenario.kind == "mlp":
        x = layers.Flatten()(x)
        for i, width in enumerate(settings["hidden"]):
            x = layers.Dense(width, activation="relu", name=f"layer_{i}")(x)
    elif scenario.kind == "lstm":
        for i in range(settings["layers"]):
            more = i + 1 < settings["layers"]
            x = layers.LSTM(settings["hidden"], return_sequences=more, name=f"layer_{i}")(x)
    else:
        x, names = _encoder(x, **settings)
    model = keras.Model(inputs, layers.Dense(HORIZON, name="head")(x))
    if weights is not None:
        _assign(model, weights, names)
    return model


def _encoder(
    x: keras.KerasTensor, width: int, heads: int, layers: int, feedforward: int, patch: int
) -> tuple[keras.KerasTensor, dict[str, str]]:
    """Return all tokens in a row, and our folders by the flat names that Keras wants."""
    assert patch == 1
    kinds, names = keras.layers, {"place": ""}

    def called(path: str) -> str:
        names[path.replace("/", "_")] = path
        return path.replace("/", "_")

    x = Position(name="place")(kinds.Dense(width, name="embed")(x))
    for i in range(layers):
        block = f"block_{i}"
        y = kinds.LayerNormalization(epsilon=1e-6, name=called(f"{block}/norm_attention"))(x)
        y = kinds.Dense(3 * width, use_bias=False, name=called(f"{block}/attention/qkv"))(y)
        y = Heads(heads)(y)
        x = x + kinds.Dense(width, name=called(f"{block}/attention/out"))(y)
        y = kinds.LayerNormalization(epsilon=1e-6, name=called(f"{block}/norm_feedforward"))(x)
        y = kinds.Dense(feedforward, activation=gelu, name=called(f"{block}/up"))(y)
        x = x + kinds.Dense(width, name=called(f"{block}/down"))(y)
    return kinds.Flatten()(kinds.LayerNormalization(epsilon=1e-6, name="norm")(x)), names


def _assign(model: keras.Model, weights: Weights, names: dict[str, str]) -> None:
    """Give every variable its value; all values are used."""
    values = for_keras(weights)
    for variable in model.trainable_variables:
        folder, leaf = plain_path(variable.path).rsplit("/", 1)
        path = "/".join(part for part in (names.get(folder, folder), leaf) if part)
        variable.assign(np.array(values.pop(path)))
    assert not values, f"weights without a variable: {sorted(values)}"
