"""Modules with random weights and random windows for them, for tests that need no run."""

import functools
from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.inference.window import Window
from gym_jax.models import FCN, LSTM, MLP, Last, Linear, Seasonal, Transformer
from gym_jax.run.describe import NOT_SETTINGS
from gym_jax.types import Inputs

CONTEXT, HORIZON = 10, 3
SMALL = {
    "mlp": (MLP, {"hidden": (7, 5)}),
    "lstm": (LSTM, {"hidden": 4, "layers": 2}),
    "transformer": (Transformer, {"width": 8, "heads": 2, "layers": 2, "feedforward": 12, "patch": 4}),
    "fcn": (FCN, {"filters": (4, 6), "sizes": (4, 3)}),
    "linear": (Linear, {}),
    "last": (Last, {}),
    "seasonal": (Seasonal, {"season": 4}),
}
SIDE = {"future": True, "static": True, "categories": (3, 1)}
VARIANTS = {
    **{kind: (kind, {}, {}) for kind in SMALL},
    **{
        f"{kind} beside everything": (kind, {"targets": 2}, SIDE)
        for kind, (build, _) in SMALL.items()
        if "categories" in {field.name for field in fields(build)}
    },
    "mlp, none": ("mlp", {"normalise": "none"}, {"future": True}),
    "lstm, standard": ("lstm", {"normalise": "standard", "targets": 2}, {"future": True}),
    "lstm, both directions, patches": ("lstm", {"bidirectional": True, "patch": 3}, {}),
    "lstm, one layer backwards too": ("lstm", {"bidirectional": True, "layers": 1}, {"static": True}),
    "transformer, separate": ("transformer", {"channels": "separate", "targets": 2}, SIDE),
    "transformer, separate, bare": ("transformer", {"channels": "separate", "targets": 2}, {}),
    "transformer, separate, quantiles": ("transformer", {"channels": "separate", "targets": 2, "outputs": 3}, {}),
    "quantiles": ("mlp", {"outputs": 3, "normalise": "standard"}, SIDE),
    "quantiles around": ("mlp", {"outputs": 5, "form": "around", "targets": 2}, {}),
    "quantiles around, two": ("mlp", {"outputs": 2, "form": "around"}, {}),
    "gaussian": ("lstm", {"outputs": 2, "form": "rising"}, {"future": True}),
    "classes": ("transformer", {"outputs": 4, "normalise": "none", "horizon": 1}, {"static": True}),
    "linear, standard": ("linear", {"normalise": "standard", "targets": 2}, {}),
    **{
        f"{kind}, {statistic}": (kind, {"statistic": statistic, "window": 5, "horizon": 1}, {})
        for kind in ("last", "seasonal")
        for statistic in ("max", "mean", "p95")
    },
}
"""Name -> kind of model, settings, what stands beside the past."""
QUICK = (
    *("mlp beside everything", "fcn beside everything", "lstm, standard", "lstm, both directions, patches"),
    *("transformer, separate, quantiles", "quantiles around", "linear, standard", "last, p95", "seasonal, mean"),
)
QUICK += tuple(name for name in VARIANTS if VARIANTS[name][0] not in {VARIANTS[quick][0] for quick in QUICK})
"""Those that together see every line, and all of a new kind; compiling the others costs more than they tell."""


@functools.cache
def made(name, batch=5, missing=0.2, seed=0):
    """Return settings, weights by path, a window and what JAX says of it."""
    kind, own, side = VARIANTS[name]
    build, small = SMALL[kind]
    given = {"horizon": HORIZON, **small, **own}
    if side.get("categories"):
        given["categories"] = side["categories"]
    module = build(**given)
    window = random_window(module, side, batch, missing, seed)
    inputs = inputs_of(window)
    draw = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), inputs)  # drawn by hand, so that nothing is compiled for it
    variables = jax.tree.map(lambda x: (0.4 * draw.normal(size=x.shape)).astype(np.float32), shapes)
    said = np.asarray(jax.jit(module.apply)(variables, inputs))
    return settings_of(kind, module), flat(variables.get("params", {})), window, said


def random_window(module, side, batch, missing, seed):
    """Return windows of which a share is missing; of the first nothing was seen, in one channel."""
    draw = np.random.default_rng(seed)
    future = draw.normal(size=(batch, module.horizon, 2)) if side.get("future") else None
    channels = module.targets + 1 + (2 if side.get("future") else 0)
    mask = draw.random((batch, CONTEXT, channels)) >= missing
    mask[0, :, 0] = False
    past = np.where(mask, draw.normal(1, 2, (batch, CONTEXT, channels)), 0)
    static = draw.normal(size=(batch, 2)) if side.get("static") else None
    words = side.get("categories")
    codes = None if words is None else np.stack([draw.integers(0, n + 1, batch) for n in words], axis=1)
    numbers = (None if part is None else part.astype(np.float32) for part in (future, static))
    return Window(past.astype(np.float32), mask, *numbers, None if codes is None else codes.astype(np.int32))


def inputs_of(window):
    return Inputs(**{name: None if part is None else jnp.asarray(part) for name, part in window._asdict().items()})


def settings_of(kind, module):
    own = {item.name: getattr(module, item.name) for item in fields(module) if item.name not in NOT_SETTINGS}
    return {"kind": kind, **own}


def flat(params):
    return {
        jax.tree_util.keystr(place, simple=True, separator="/"): np.asarray(leaf)
        for place, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
