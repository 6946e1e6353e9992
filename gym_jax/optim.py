"""Optimisers and schedules by name; every default stands in a signature, and lengths are optimiser steps."""

from collections.abc import Callable
from typing import Annotated

import jax
import optax
from annotated_types import Ge, Gt
from jaxtyping import PyTree

from gym_jax.types import Share

Rate = Annotated[float, Gt(0)]
Amount = Annotated[float, Ge(0)]


def matrices(params: PyTree) -> PyTree:
    """Return True for what weight decay should shrink: all of two or more dimensions; no biases, norms or scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def adamw(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.999, eps: Rate = 1e-8, weight_decay: Amount = 1e-4
) -> optax.GradientTransformation:
    """Return AdamW that decays matrices only (Loshchilov and Hutter 2019)."""
    return optax.adamw(lr, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay, mask=matrices)


def adam(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.999, eps: Rate = 1e-8
) -> optax.GradientTransformation:
    """Return Adam (Kingma and Ba 2015)."""
    return optax.adam(lr, b1=b1, b2=b2, eps=eps)


def sgd(lr: optax.ScalarOrSchedule, *, momentum: Share = 0.0, nesterov: bool = False) -> optax.GradientTransformation:
    """Return stochastic gradient descent, with momentum when asked for."""
    return optax.sgd(lr, momentum=momentum or None, nesterov=nesterov)


def constant(peak: float, steps: int) -> optax.Schedule:
    """Return the learning rate `peak` at every step."""
    return optax.constant_schedule(peak)


def warmup_cosine(peak: float, steps: int, *, warmup: Share = 0.05, final: Share = 0.01) -> optax.Schedule:
    """Return a linear rise over the share `warmup` of `steps`, then a cosine fall to `final` times the peak.

    The rate stays there when training goes on past `steps`. The first step already learns.
    """
    rise = max(1, round(warmup * steps))
    fall = optax.cosine_decay_schedule(peak, max(1, steps - rise), alpha=final)
    return optax.join_schedules([optax.linear_schedule(peak / rise, peak, max(1, rise - 1)), fall], [rise])


OPTIMISERS: dict[str, Callable[..., optax.GradientTransformation]] = {"adamw": adamw, "adam": adam, "sgd": sgd}
SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {"constant": constant, "warmup_cosine": warmup_cosine}


def clipped(tx: optax.GradientTransformation, norm: float | None) -> optax.GradientTransformation:
    """Return `tx` behind clipping of the global gradient norm; None clips nothing."""
    return tx if norm is None else optax.chain(optax.clip_by_global_norm(norm), tx)
