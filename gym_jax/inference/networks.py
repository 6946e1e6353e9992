"""Every network as plain array operations, written once: `ops` says whether they are computed or become a graph.

`Arrays` (`arrays.py`) computes them with NumPy, `Graph` (`graph.py`) writes them down as ONNX. Both know the operators
of Python, and what stands in `Arrays`. Weights are the parameters by their paths, such as `layer_0/kernel`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gym_jax.inference.layers import (
    Parts,
    answer,
    clean,
    formed,
    head,
    in_patches,
    last_seen,
    normalised,
    restored,
    side_of,
    with_around,
)
from gym_jax.inference.window import Window


def run_network(ops: Any, settings: Mapping[str, Any], weights: Mapping[str, Any], window: Window) -> Any:
    """Return what the network says of windows, scaled: [batch, steps, targets] or with an axis of outputs behind."""
    return NETWORKS[settings["kind"]](Parts(ops, settings, weights), window)


def _mlp(parts: Parts, window: Window) -> Any:
    ops = parts.ops
    past, level = normalised(parts, window)
    side = side_of(parts, window)
    x = ops.concat([ops.flat(part) for part in (past, window.future, side) if part is not None], -1)
    for i in range(len(parts.settings["hidden"])):
        x = ops.relu(parts.dense(f"layer_{i}", x))
    return answer(parts, window, x, side, level)


def _lstm(parts: Parts, window: Window) -> Any:
    ops, own = parts.ops, parts.settings
    x, level = normalised(parts, window)
    side = side_of(parts, window)
    x = in_patches(ops, x, own["patch"])
    if side is not None:
        x = ops.concat([x, ops.repeat(side, x.shape[1])], -1)
    endings = {"": False, "_reverse": True} if own["bidirectional"] else {"": False}
    for i in range(own["layers"]):
        cells = [
            (
                [parts.weights[f"layer_{i}{end}/cell/{name}"] for name in ("input_kernel", "recurrent_kernel", "bias")],
                back,
            )
            for end, back in endings.items()
        ]
        x = ops.lstm(x, cells, last=i + 1 == own["layers"])
    return answer(parts, window, x, side, level)


def _transformer(parts: Parts, window: Window) -> Any:
    ops, own, targets = parts.ops, parts.settings, parts.settings["targets"]
    x, level = normalised(parts, window)
    future, side, separate = window.future, side_of(parts, window), parts.settings["channels"] == "separate"
    if separate:  # each target becomes a window of its own, with the known channels behind it
        known = 0 if future is None else future.shape[-1]
        own_past = ops.merge(ops.transpose(x[..., :targets], (0, 2, 1)))[..., None]
        x = ops.concat([own_past, ops.each(x[..., x.shape[-1] - known :], targets)], -1) if known else own_past
        future, side = (None if part is None else ops.each(part, targets) for part in (future, side))
    x = parts.dense("embed", in_patches(ops, x, own["patch"])) + parts.weights["position"]
    if side is not None:
        x = x + parts.dense("embed_side", side)[:, None]
    for i in range(own["layers"]):
        x = x + _attention(parts, f"block_{i}/attention", parts.norm(f"block_{i}/norm_attention", x))
        y = ops.gelu(parts.dense(f"block_{i}/up", parts.norm(f"block_{i}/norm_feedforward", x)))
        x = x + parts.dense(f"block_{i}/down", y)
    x = ops.flat(parts.norm("norm", x))
    out = head(parts, window._replace(future=future), x, side, 1 if separate else targets)
    if separate:
        out = ops.apart(out, targets)  # [batch, targets, horizon, 1, ...]
        behind = tuple(range(4, len(out.shape)))
        out = ops.transpose(out, (0, 2, 1, 3, *behind))
        out = ops.reshape(out, (own["horizon"], *parts.last_axes(targets)))
    return restored(level, formed(parts, out), targets)


def _attention(parts: Parts, name: str, x: Any) -> Any:
    ops, heads = parts.ops, parts.settings["heads"]
    tokens, width = x.shape[1:]
    qkv = ops.transpose(ops.reshape(parts.dense(f"{name}/qkv", x), (tokens, heads, 3 * width // heads)), (0, 2, 1, 3))
    size = width // heads
    q, k, v = (qkv[..., i * size : (i + 1) * size] for i in range(3))
    weights = ops.softmax((q @ ops.transpose(k, (0, 1, 3, 2))) * np.float32(size**-0.5))
    mixed = ops.reshape(ops.transpose(weights @ v, (0, 2, 1, 3)), (tokens, width))
    return parts.dense(f"{name}/out", mixed)


def _fcn(parts: Parts, window: Window) -> Any:
    ops, own = parts.ops, parts.settings
    x, level = normalised(parts, window)
    side = side_of(parts, window)
    for i, size in enumerate(own["sizes"]):
        if size * x.shape[-1] != parts.weights[f"layer_{i}/kernel"].shape[0]:
            raise ValueError(f"layer_{i} has no {size:,} steps")  # before so many are laid side by side
        x = parts.dense(f"layer_{i}", with_around(ops, x, (size - 1) // 2, size))
        if side is not None and i == 0:
            x = x + parts.dense("embed_side", side)[:, None]
        x = ops.relu(parts.norm(f"norm_{i}", x))
    return answer(parts, window, ops.mean(x, 1, keep=False), side, level)


def _linear(parts: Parts, window: Window) -> Any:
    ops, targets = parts.ops, parts.settings["targets"]
    past, level = normalised(parts, window)
    out = parts.dense("head", ops.transpose(past[..., :targets], (0, 2, 1)))
    return restored(level, ops.transpose(out, (0, 2, 1)), targets)


def _last(parts: Parts, window: Window) -> Any:
    own, targets, rows = parts.settings, parts.settings["targets"], window.past.shape[1]
    found = last_seen(parts.ops, *clean(parts, window))[..., :targets]
    if own["statistic"] != "none":
        found = _reduced(parts, window, np.arange(max(rows - own["window"], 0), rows), found)
    return parts.ops.concat([found] * own["horizon"], 1)


def _seasonal(parts: Parts, window: Window) -> Any:
    ops, own, targets, rows = parts.ops, parts.settings, parts.settings["targets"], window.past.shape[1]
    past, seen = clean(parts, window)
    last = last_seen(ops, past, seen)[..., :targets]
    span = own["horizon"] if own["statistic"] == "none" else own["window"]
    lag = rows - own["season"] + np.arange(span) % own["season"]
    if own["statistic"] == "none":
        values, known = (ops.rows(part[..., :targets], lag) for part in (past, seen))
        return known * values + (np.float32(1) - known) * last
    last = _reduced(parts, window, np.arange(max(rows - own["window"], 0), rows), last)
    return ops.concat([_reduced(parts, window, lag, last)] * own["horizon"], 1)


def _reduced(parts: Parts, window: Window, lag: np.ndarray, otherwise: Any) -> Any:
    """Return the statistic of what was observed at the rows `lag`, `otherwise` where nothing was."""
    ops, own, far = parts.ops, parts.settings, np.float32(3e38)
    values, seen = (ops.rows(part[..., : own["targets"]], lag) for part in clean(parts, window))
    count = ops.sum(seen, 1)
    some = ops.minimum(count, np.float32(1))
    if own["statistic"] == "mean":
        found = ops.sum(values * seen, 1) / ops.maximum(count, np.float32(1))
    elif own["statistic"] == "max":
        found = ops.max(values * seen - far * (np.float32(1) - seen), 1)
    else:
        ordered = ops.sort(values * seen + far * (np.float32(1) - seen), 1)
        top = ops.maximum(count - np.float32(1), np.float32(0))
        place = np.float32(0.95) * top
        below = ops.floor(place)
        above = ops.minimum(below + np.float32(1), top)
        low, high = (ops.pick(ordered, at) for at in (below, above))
        found = low + (high - low) * (place - below)
    return ops.where(some, found, otherwise)


NETWORKS: dict[str, Callable[[Parts, Window], Any]] = {
    "mlp": _mlp,
    "lstm": _lstm,
    "transformer": _transformer,
    "fcn": _fcn,
    "linear": _linear,
    "last": _last,
    "seasonal": _seasonal,
}
"""Every kind of model."""
