"""What the networks have in common: windows normalised and restored, side information, head and decoder."""

from collections.abc import Mapping
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


def clean(parts: Parts, window: Window) -> tuple[Any, Any]:
    """Return the past, 0 where it was not observed, and 1 where it was."""
    seen = parts.ops.number(window.mask)
    return parts.ops.where(seen, window.past, np.float32(0)), seen  # even NaN is no value there


def last_seen(ops: Any, past: Any, seen: Any) -> Any:
    """Return the last observed value of each channel, 0 where none was: [batch, 1, channels]."""
    age = seen * np.arange(1, past.shape[1] + 1, dtype=np.float32)[None, :, None]
    return ops.sum(past * seen * ops.equal(age, ops.max(age, 1)), 1)


def normalised(parts: Parts, window: Window) -> tuple[Any, Level]:
    """Return the past as the network reads it, and what was taken out."""
    ops, kind = parts.ops, parts.settings["normalise"]
    past, seen = clean(parts, window)
    if kind == "none":
        return past, Level(np.zeros((1, 1, past.shape[-1]), np.float32), None)
    known = 0 if window.future is None else window.future.shape[-1]
    own = np.ones((1, 1, past.shape[-1]), np.float32)
    own[..., own.shape[-1] - known :] = 0
    if kind == "last":
        shift = last_seen(ops, past, seen) * own
        return (past - shift) * seen, Level(shift, None)
    count = ops.maximum(ops.sum(seen, 1), np.float32(1))
    shift = ops.sum(past * seen, 1) / count
    away = past - shift
    scale = ops.sqrt(ops.sum(away * away * seen, 1) / count + np.float32(VARIANCE))
    shift, scale = shift * own, scale * own + (np.float32(1) - own)
    return (past - shift) / scale * seen, Level(shift, scale)


def restored(level: Level, out: Any, targets: int) -> Any:
    """Put back what was taken out, into each output of a value alike."""
    shift, scale = (None if part is None else part[..., :targets] for part in level)
    if len(out.shape) == 4:
        shift, scale = (None if part is None else part[..., None] for part in (shift, scale))
    return (out if scale is None else out * scale) + shift


def side_of(parts: Parts, window: Window) -> Any | None:
    """Return static numbers beside the embedding of each category, None when there is neither."""
    found = [] if window.static is None else [window.static]
    for kind in range(len(parts.settings.get("categories", ()))):
        table = parts.weights.get(f"side/category_{kind}")
        if table is not None:
            unseen = np.zeros((1, table.shape[1]), np.float32)
            codes: Any = window.categories
            found.append(parts.ops.embed(np.concatenate([unseen, table]), codes[:, kind]))
    return parts.ops.concat(found, -1) if found else None


def answer(parts: Parts, window: Window, x: Any, side: Any | None, level: Level) -> Any:
    """Return what the network says, scaled as the window was: its head, formed and restored."""
    targets = parts.settings["targets"]
    return restored(level, formed(parts, head(parts, window, x, side, targets)), targets)


def head(parts: Parts, window: Window, x: Any, side: Any | None, targets: int) -> Any:
    """Return the linear head, and what the decoder adds out of side information and known future."""
    ops, axes = parts.ops, (parts.settings["horizon"], *parts.last_axes(targets))
    out = ops.reshape(parts.dense("head", x), axes)
    if side is None and window.future is None:
        return out
    state = x if side is None else ops.concat([x, side], -1)
    hidden = parts.dense("decoder/state", state)[:, None] + parts.weights["decoder/bias"]
    if window.future is not None:
        hidden = hidden + parts.dense("decoder/future", with_around(ops, window.future, REACH, 2 * REACH + 1))
    return out + ops.reshape(parts.dense("decoder/out", ops.gelu(hidden)), axes)


def formed(parts: Parts, out: Any) -> Any:
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


def in_patches(ops: Any, x: Any, patch: int) -> Any:
    """Return every `patch` rows side by side; the first are filled up with zeros before the window."""
    x = ops.pad(x, -x.shape[1] % patch, 0)
    return ops.reshape(x, (x.shape[1] // patch, patch * x.shape[2]))


def with_around(ops: Any, x: Any, before: int, size: int) -> Any:
    """Return each step beside those around it, `size` in all, 0 outside."""
    steps = x.shape[1]
    padded = ops.pad(x, before, size - 1 - before)
    return ops.concat([padded[:, i : i + steps] for i in range(size)], -1)
