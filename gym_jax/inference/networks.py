"""Every network as plain array operations, written once: `ops` says whether they are computed or become a graph.

`Arrays` (`arrays.py`) computes them with NumPy, `Graph` (`graph.py`) writes them down as ONNX. Both know the operators
of Python, and what stands in `Arrays`. Weights are the parameters by their paths, such as `layer_0/kernel`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gym_jax.inference.window import Window

VARIANCE = 1e-5
"""Added to the variance of a window (`models/normalise.py`)."""
REACH = 2
"""Steps around its own whose known future a step of the forecast sees (`models/side.py`)."""


class Parts(NamedTuple):
    """What a network is made of: the way to compute, the settings of its module, and its weights."""

    ops: Any
    settings: Mapping[str, Any]
    weights: Mapping[str, Any]

    def dense(self, name: str, x: Any) -> Any:
        """Return a product with the kernel of a layer, and its bias where it has one."""
        out = x @ self.weights[f"{name}/kernel"]
        return out + self.weights[f"{name}/bias"] if f"{name}/bias" in self.weights else out

    def norm(self, name: str, x: Any) -> Any:
        """Return the features of each step with mean 0 and variance 1, scaled and shifted."""
        return self.ops.layer_norm(x, self.weights[f"{name}/scale"], self.weights[f"{name}/bias"])

    def last_axes(self, targets: int) -> tuple[int, ...]:
        """Return the axes behind the horizon."""
        outputs = self.settings.get("outputs", 1)
        return (targets,) if outputs == 1 else (targets, outputs)


class Level(NamedTuple):
    """What was taken out of each window, per channel."""

    shift: Any
    scale: Any | None


def run_network(ops: Any, settings: Mapping[str, Any], weights: Mapping[str, Any], window: Window) -> Any:
    """Return what the network says of windows, scaled: [batch, steps, targets] or with an axis of outputs behind."""
    return NETWORKS[settings["kind"]](Parts(ops, settings, weights), window)


def _mlp(parts: Parts, window: Window) -> Any:
    ops = parts.ops
    past, level = _normalised(parts, window)
    side = _side(parts, window)
    x = ops.concat([ops.flat(part) for part in (past, window.future, side) if part is not None], -1)
    for i in range(len(parts.settings["hidden"])):
        x = ops.relu(parts.dense(f"layer_{i}", x))
    return _answer(parts, window, x, side, level)


def _lstm(parts: Parts, window: Window) -> Any:
    ops, own = parts.ops, parts.settings
    x, level = _normalised(parts, window)
    side = _side(parts, window)
    x = _in_patches(ops, x, own["patch"])
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
    return _answer(parts, window, x, side, level)


def _transformer(parts: Parts, window: Window) -> Any:
    ops, own, targets = parts.ops, parts.settings, parts.settings["targets"]
    x, level = _normalised(parts, window)
    future, side, separate = window.future, _side(parts, window), parts.settings["channels"] == "separate"
    if separate:  # each target becomes a window of its own, with the known channels behind it
        known = 0 if future is None else future.shape[-1]
        own_past = ops.merge(ops.transpose(x[..., :targets], (0, 2, 1)))[..., None]
        x = ops.concat([own_past, ops.each(x[..., x.shape[-1] - known :], targets)], -1) if known else own_past
        future, side = (None if part is None else ops.each(part, targets) for part in (future, side))
    x = parts.dense("embed", _in_patches(ops, x, own["patch"])) + parts.weights["position"]
    if side is not None:
        x = x + parts.dense("embed_side", side)[:, None]
    for i in range(own["layers"]):
        x = x + _attention(parts, f"block_{i}/attention", parts.norm(f"block_{i}/norm_attention", x))
        y = ops.gelu(parts.dense(f"block_{i}/up", parts.norm(f"block_{i}/norm_feedforward", x)))
        x = x + parts.dense(f"block_{i}/down", y)
    x = ops.flat(parts.norm("norm", x))
    out = _head(parts, window._replace(future=future), x, side, 1 if separate else targets)
    if separate:
        out = ops.apart(out, targets)  # [batch, targets, horizon, 1, ...]
        behind = tuple(range(4, len(out.shape)))
        out = ops.transpose(out, (0, 2, 1, 3, *behind))
        out = ops.reshape(out, (own["horizon"], *parts.last_axes(targets)))
    return _restored(level, _formed(parts, out), targets)


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
    x, level = _normalised(parts, window)
    side = _side(parts, window)
    for i, size in enumerate(own["sizes"]):
        if size * x.shape[-1] != parts.weights[f"layer_{i}/kernel"].shape[0]:
            raise ValueError(f"layer_{i} has no {size:,} steps")  # before so many are laid side by side
        x = parts.dense(f"layer_{i}", _with_around(ops, x, (size - 1) // 2, size))
        if side is not None and i == 0:
            x = x + parts.dense("embed_side", side)[:, None]
        x = ops.relu(parts.norm(f"norm_{i}", x))
    return _answer(parts, window, ops.mean(x, 1, keep=False), side, level)


def _linear(parts: Parts, window: Window) -> Any:
    ops, targets = parts.ops, parts.settings["targets"]
    past, level = _normalised(parts, window)
    out = parts.dense("head", ops.transpose(past[..., :targets], (0, 2, 1)))
    return _restored(level, ops.transpose(out, (0, 2, 1)), targets)


def _last(parts: Parts, window: Window) -> Any:
    own, targets, rows = parts.settings, parts.settings["targets"], window.past.shape[1]
    found = _last_seen(parts.ops, *_clean(parts, window))[..., :targets]
    if own["statistic"] != "none":
        found = _reduced(parts, window, np.arange(max(rows - own["window"], 0), rows), found)
    return parts.ops.concat([found] * own["horizon"], 1)


def _seasonal(parts: Parts, window: Window) -> Any:
    ops, own, targets, rows = parts.ops, parts.settings, parts.settings["targets"], window.past.shape[1]
    past, seen = _clean(parts, window)
    last = _last_seen(ops, past, seen)[..., :targets]
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
    values, seen = (ops.rows(part[..., : own["targets"]], lag) for part in _clean(parts, window))
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


def _clean(parts: Parts, window: Window) -> tuple[Any, Any]:
    """Return the past, 0 where it was not observed, and 1 where it was."""
    seen = parts.ops.number(window.mask)
    return parts.ops.where(seen, window.past, np.float32(0)), seen  # even NaN is no value there


def _last_seen(ops: Any, past: Any, seen: Any) -> Any:
    """Return the last observed value of each channel, 0 where none was: [batch, 1, channels]."""
    age = seen * np.arange(1, past.shape[1] + 1, dtype=np.float32)[None, :, None]
    return ops.sum(past * seen * ops.equal(age, ops.max(age, 1)), 1)


def _normalised(parts: Parts, window: Window) -> tuple[Any, Level]:
    """Return the past as the network reads it, and what was taken out."""
    ops, kind = parts.ops, parts.settings["normalise"]
    past, seen = _clean(parts, window)
    if kind == "none":
        return past, Level(np.zeros((1, 1, past.shape[-1]), np.float32), None)
    known = 0 if window.future is None else window.future.shape[-1]
    own = np.ones((1, 1, past.shape[-1]), np.float32)
    own[..., own.shape[-1] - known :] = 0
    if kind == "last":
        shift = _last_seen(ops, past, seen) * own
        return (past - shift) * seen, Level(shift, None)
    count = ops.maximum(ops.sum(seen, 1), np.float32(1))
    shift = ops.sum(past * seen, 1) / count
    away = past - shift
    scale = ops.sqrt(ops.sum(away * away * seen, 1) / count + np.float32(VARIANCE))
    shift, scale = shift * own, scale * own + (np.float32(1) - own)
    return (past - shift) / scale * seen, Level(shift, scale)


def _restored(level: Level, out: Any, targets: int) -> Any:
    """Put back what was taken out, into each output of a value alike."""
    shift, scale = (None if part is None else part[..., :targets] for part in level)
    if len(out.shape) == 4:
        shift, scale = (None if part is None else part[..., None] for part in (shift, scale))
    return (out if scale is None else out * scale) + shift


def _side(parts: Parts, window: Window) -> Any | None:
    """Return static numbers beside the embedding of each category, None when there is neither."""
    found = [] if window.static is None else [window.static]
    for kind in range(len(parts.settings.get("categories", ()))):
        table = parts.weights.get(f"side/category_{kind}")
        if table is not None:
            unseen = np.zeros((1, table.shape[1]), np.float32)
            codes: Any = window.categories
            found.append(parts.ops.embed(np.concatenate([unseen, table]), codes[:, kind]))
    return parts.ops.concat(found, -1) if found else None


def _answer(parts: Parts, window: Window, x: Any, side: Any | None, level: Level) -> Any:
    targets = parts.settings["targets"]
    return _restored(level, _formed(parts, _head(parts, window, x, side, targets)), targets)


def _head(parts: Parts, window: Window, x: Any, side: Any | None, targets: int) -> Any:
    """Return the linear head, and what the decoder adds out of side information and known future."""
    ops, axes = parts.ops, (parts.settings["horizon"], *parts.last_axes(targets))
    out = ops.reshape(parts.dense("head", x), axes)
    if side is None and window.future is None:
        return out
    state = x if side is None else ops.concat([x, side], -1)
    hidden = parts.dense("decoder/state", state)[:, None] + parts.weights["decoder/bias"]
    if window.future is not None:
        hidden = hidden + parts.dense("decoder/future", _with_around(ops, window.future, REACH, 2 * REACH + 1))
    return out + ops.reshape(parts.dense("decoder/out", ops.gelu(hidden)), axes)


def _formed(parts: Parts, out: Any) -> Any:
    """Return the outputs of each value as they are, or rising: each above the one before by a softplus."""
    ops, form = parts.ops, parts.settings.get("form", "free")
    if form == "free" or parts.settings.get("outputs", 1) == 1:
        return out
    place = 0 if form == "rising" else (out.shape[-1] - 1) // 2
    first, away = out[..., place : place + 1], ops.softplus(out)
    found = [first]
    if place:
        found = [first - ops.cumsum(away[..., :place], reverse=True), first]
    if place + 1 < out.shape[-1]:
        found.append(first + ops.cumsum(away[..., place + 1 :]))
    return ops.concat(found, -1)


def _in_patches(ops: Any, x: Any, patch: int) -> Any:
    """Return every `patch` rows side by side; the first are filled up with zeros before the window."""
    x = ops.pad(x, -x.shape[1] % patch, 0)
    return ops.reshape(x, (x.shape[1] // patch, patch * x.shape[2]))


def _with_around(ops: Any, x: Any, before: int, size: int) -> Any:
    """Return each step beside those around it, `size` in all, 0 outside."""
    steps = x.shape[1]
    padded = ops.pad(x, before, size - 1 - before)
    return ops.concat([padded[:, i : i + steps] for i in range(size)], -1)


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
