"""Our models in Keras 3: its own layers with the same settings. Imported only in the process of such an arm."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from gym_jax.errors import ConfigError

keras: Any = import_module("keras")
layers, ops = keras.layers, keras.ops


def make_keras(settings: Mapping[str, Any], shape: Any) -> Any:
    """Return the functional model of a kind: [batch, context, channels] to [batch, horizon, targets].

    Raises ConfigError for channels=separate, which it has not.
    """
    own = {name: value for name, value in settings.items() if name not in ("kind", "normalise", "kernel")}
    past = layers.Input((shape.context, shape.channels))
    x, shift, scale = _Level(settings["normalise"], shape.targets)(past)
    bodies: dict[str, Callable[..., Any]] = {"mlp": _mlp, "lstm": _lstm, "transformer": _transformer}
    body = bodies[settings["kind"]](x, **own)
    out = layers.Dense(shape.horizon * shape.targets, dtype="float32")(body)
    out = layers.Reshape((shape.horizon, shape.targets), dtype="float32")(out)
    return keras.Model(past, _Restored(dtype="float32")([out, shift, scale]))


class _Level(layers.Layer):
    """Takes the level of each window out; what it took stands beside."""

    def __init__(self, kind: str, targets: int) -> None:
        super().__init__(dtype="float32")
        self.kind, self.targets = kind, targets

    def call(self, x: Any) -> Any:
        shift, scale = ops.zeros_like(x[:, :1]), ops.ones_like(x[:, :1])
        if self.kind == "last":
            shift = x[:, -1:]
        elif self.kind == "standard":
            shift = ops.mean(x, 1, keepdims=True)
            scale = ops.sqrt(ops.var(x, 1, keepdims=True) + 1e-5)
        return (x - shift) / scale, shift[..., : self.targets], scale[..., : self.targets]


class _Restored(layers.Layer):
    def call(self, parts: Any) -> Any:
        out, shift, scale = parts
        return out * scale + shift


class _Position(layers.Layer):
    """A trained vector for every token."""

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="position")

    def call(self, x: Any) -> Any:
        return x + self.table


class _Heads(layers.Layer):
    """Keras' own attention on a fused projection whose columns stand head by head."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def call(self, qkv: Any) -> Any:
        _, tokens, wide = qkv.shape
        split = ops.reshape(qkv, (-1, tokens, self.heads, wide // self.heads))
        return ops.reshape(ops.dot_product_attention(*ops.split(split, 3, axis=-1)), (-1, tokens, wide // 3))


def _mlp(x: Any, hidden: list[int], dropout: float) -> Any:
    x = layers.Flatten()(x)
    for width in hidden:
        x = layers.Dropout(dropout)(layers.Dense(width, activation="relu")(x))
    return x


def _in_patches(x: Any, patch: int) -> Any:
    if patch == 1:
        return x
    x = layers.ZeroPadding1D((-x.shape[1] % patch, 0))(x)
    return layers.Reshape((x.shape[1] // patch, patch * x.shape[2]))(x)


def _lstm(x: Any, hidden: int, layers: int, bidirectional: bool, patch: int, dropout: float) -> Any:
    kinds = keras.layers
    x = _in_patches(x, patch)
    for i in range(layers):
        layer = kinds.LSTM(hidden, return_sequences=i + 1 < layers)
        x = kinds.Dropout(dropout)((kinds.Bidirectional(layer) if bidirectional else layer)(x))
    return x


def _gelu(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=True)


def _transformer(
    x: Any, width: int, heads: int, layers: int, feedforward: int, patch: int, channels: str, dropout: float
) -> Any:
    if channels == "separate":
        raise ConfigError("keras is compared with model.channels=mixed only")
    kinds = keras.layers
    x = _in_patches(x, patch)
    x = _Position()(kinds.Dense(width)(x))
    for _ in range(layers):
        y = kinds.Dense(3 * width, use_bias=False)(kinds.LayerNormalization(epsilon=1e-6)(x))
        x = x + kinds.Dropout(dropout)(kinds.Dense(width)(_Heads(heads)(y)))
        y = kinds.Dense(feedforward, activation=_gelu)(kinds.LayerNormalization(epsilon=1e-6)(x))
        x = x + kinds.Dropout(dropout)(kinds.Dense(width)(y))
    return kinds.Flatten()(kinds.LayerNormalization(epsilon=1e-6)(x))
