"""Optimisers by name; every default stands in a signature. Weight decay shrinks matrices only, times the rate."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from annotated_types import Ge, Gt, Lt
from jaxtyping import Array, Float, Int, PyTree

from gym_jax.types import Positive, Share

Rate = Annotated[float, Gt(0)]
Amount = Annotated[float, Ge(0)]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Muon's quintic iteration: five rounds take singular values from 0.005 to 1 to about 0.7 to 1.2."""
ROUNDS = 5


def matrices(params: PyTree) -> PyTree:
    """Return True for what weight decay should shrink: all of two or more dimensions; no biases, norms or scales.

    >>> matrices(params)
    {'bias': False, 'kernel': True}
    """
    return jax.tree_util.tree_map_with_path(lambda path, leaf: leaf.ndim > 1 and _names(path)[-1] != "bias", params)


def _names(path: tuple[Any, ...]) -> list[str]:
    return jax.tree_util.keystr(path, simple=True, separator="/").split("/")


def adamw(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.999, eps: Rate = 1e-8, weight_decay: Amount = 1e-4
) -> optax.GradientTransformation:
    """Return AdamW that decays matrices only (Loshchilov and Hutter 2019).

    >>> stepped(adamw(0.1, weight_decay=0.5))
    {'bias': 0.9, 'kernel': 0.85}
    """
    return optax.adamw(lr, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay, mask=matrices)


def adam(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.999, eps: Rate = 1e-8
) -> optax.GradientTransformation:
    """Return Adam (Kingma and Ba 2015).

    >>> stepped(adam(0.1))
    {'bias': 0.9, 'kernel': 0.9}
    """
    return optax.adam(lr, b1=b1, b2=b2, eps=eps)


def nadamw(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.999, eps: Rate = 1e-8, weight_decay: Amount = 1e-4
) -> optax.GradientTransformation:
    """Return AdamW with Nesterov's momentum (Dozat 2016).

    >>> stepped(nadamw(0.1, weight_decay=0.5))
    {'bias': 0.853, 'kernel': 0.803}
    """
    return optax.nadamw(lr, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay, mask=matrices)


def sgd(
    lr: optax.ScalarOrSchedule, *, momentum: Share = 0.0, nesterov: bool = False, weight_decay: Amount = 0.0
) -> optax.GradientTransformation:
    """Return stochastic gradient descent, with momentum when asked for.

    The decay stands beside the momentum and not inside (SGDW, Loshchilov and Hutter 2019).

    >>> stepped(sgd(0.1, momentum=0.9))
    {'bias': 0.9, 'kernel': 0.9}
    """
    follow = optax.trace(momentum, nesterov) if momentum else optax.identity()
    return optax.chain(follow, *_decay_and_rate(lr, weight_decay))


def lion(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.99, weight_decay: Amount = 1e-3
) -> optax.GradientTransformation:
    """Return Lion: steps by the sign of a momentum (Chen et al. 2023); a tenth to a third of Adam's rate suits it.

    >>> stepped(lion(0.01))
    {'bias': 0.99, 'kernel': 0.99}
    """
    return optax.chain(optax.scale_by_lion(b1=b1, b2=b2), *_decay_and_rate(lr, weight_decay))


def lamb(
    lr: optax.ScalarOrSchedule, *, b1: Share = 0.9, b2: Share = 0.999, eps: Rate = 1e-6, weight_decay: Amount = 1e-4
) -> optax.GradientTransformation:
    """Return LAMB: Adam's step of each matrix, as long as the matrix itself (You et al. 2020).

    Biases, norms and scales keep Adam's step, as in the authors' code: a bias that starts at zero could never grow.

    >>> stepped(lamb(0.1))
    {'bias': 0.9, 'kernel': 0.9}
    """
    return optax.chain(
        optax.scale_by_adam(b1=b1, b2=b2, eps=eps),
        optax.add_decayed_weights(weight_decay, matrices),
        optax.masked(optax.scale_by_trust_ratio(), matrices),
        optax.scale_by_learning_rate(lr),
    )


def adafactor(
    lr: optax.ScalarOrSchedule,
    *,
    decay: Annotated[float, Gt(0), Lt(1)] = 0.8,
    clipping: Annotated[float, Ge(1)] = 1.0,
    step: Literal["absolute", "relative"] = "absolute",
    factored: Positive = 128,
    weight_decay: Amount = 0.0,
) -> optax.GradientTransformation:
    """Return Adafactor: second moments by rows and columns, no first moment (Shazeer and Stern 2018).

    The average of squares forgets as `1 - t ** -decay`, and `clipping` bounds the root mean square of a step. An
    `absolute` step wants Adam's rates; a `relative` one is a share of the parameter's own root mean square, at least of
    0.001, and wants rates near the paper's 0.01. Arrays are factored whose two longest sides reach `factored`.

    >>> stepped(adafactor(0.1))
    {'bias': 0.9, 'kernel': 0.9}
    """

    def remembered(count: Int[Array, ""], exponent: float) -> Float[Array, ""]:
        return 1 - (count + 1.0) ** -exponent

    relative = [optax.scale_by_param_block_rms()] if step == "relative" else []
    return optax.chain(
        optax.scale_by_factored_rms(
            decay_rate=decay, min_dim_size_to_factor=factored, epsilon=1e-30, decay_rate_fn=remembered
        ),
        optax.clip_by_block_rms(clipping),
        *relative,
        *_decay_and_rate(lr, weight_decay),
    )


def muon(
    lr: optax.ScalarOrSchedule,
    *,
    momentum: Share = 0.95,
    rms: Rate = 0.2,
    b1: Share = 0.9,
    b2: Share = 0.999,
    eps: Rate = 1e-8,
    weight_decay: Amount = 1e-4,
    adam: tuple[str, ...] = ("head", "embed*", "position", "category_*", "decoder"),
) -> optax.GradientTransformation:
    """Return Muon for hidden matrices and AdamW for all else (Jordan et al. 2024).

    A matrix steps along its Nesterov momentum with the singular values made equal, with the root mean square `rms`,
    so that rate and decay are AdamW's (Liu et al. 2025). `adam` names the parts, at any depth, whose matrices are
    AdamW's too: by default what embeds, tables, and the last projection. So are arrays of three or more dimensions,
    which do not say which of their axes are inputs. A fused kernel is orthogonalised as the one matrix that it is.

    >>> stepped(muon(0.1))
    {'bias': 0.9, 'kernel': 0.99}
    """

    def labels(params: PyTree) -> PyTree:
        return jax.tree_util.tree_map_with_path(label, params)

    def label(path: tuple[Any, ...], leaf: Array) -> str:
        names = _names(path)
        kept = names[-1] == "bias" or any(fnmatchcase(name, part) for name in names for part in adam)
        return "muon" if leaf.ndim == 2 and not kept else "adamw"

    hidden = optax.chain(
        optax.trace(momentum, nesterov=True),
        optax.stateless(lambda updates, _: jax.tree.map(lambda x: rms * max(x.shape) ** 0.5 * orthogonal(x), updates)),
        *_decay_and_rate(lr, weight_decay),
    )
    rest = adamw(lr, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
    return optax.partition({"muon": hidden, "adamw": rest}, labels)


def orthogonal(x: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """Return nearly the closest matrix with orthonormal rows or columns (Newton-Schulz, Jordan et al. 2024)."""
    a, b, c = NEWTON_SCHULZ
    wide = x.T if x.shape[0] > x.shape[1] else x
    wide = wide / (jnp.linalg.norm(wide) + 1e-7)
    for _ in range(ROUNDS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.T if x.shape[0] > x.shape[1] else wide


def schedule_free(
    lr: optax.ScalarOrSchedule,
    *,
    b1: Annotated[float, Gt(0), Lt(1)] = 0.9,
    b2: Share = 0.999,
    eps: Rate = 1e-8,
    weight_decay: Amount = 1e-4,
) -> optax.GradientTransformation:
    """Return schedule-free AdamW (Defazio et al. 2024), for a constant rate after a warm-up.

    In optax's form: the bias of the second moment is corrected in the gradient, and a step weighs by its squared rate.
    What it trains are not the parameters to judge and keep: `train.average.evaluation_params` returns their average.

    >>> stepped(schedule_free(0.1))
    {'bias': 0.9, 'kernel': 0.9}
    """
    base = optax.chain(
        optax.scale_by_rms(decay=b2, eps=eps, eps_in_sqrt=False, bias_correction=True),
        *_decay_and_rate(lr, weight_decay),
    )
    # Optax counts the steps of the average from 1 and those of the base from 0; both must see the same rate.
    weight = (lambda count: lr(count - 1)) if callable(lr) else lr
    return optax.contrib.schedule_free(base, weight, b1=b1)


def clipped(tx: optax.GradientTransformation, norm: float | None) -> optax.GradientTransformation:
    """Return `tx` behind clipping of the global gradient norm; None clips nothing.

    >>> stepped(clipped(sgd(1.0), norm=0.6))
    {'bias': 0.755, 'kernel': 0.755}
    """
    return tx if norm is None else optax.chain(optax.clip_by_global_norm(norm), tx)


def _decay_and_rate(lr: optax.ScalarOrSchedule, weight_decay: float) -> tuple[optax.GradientTransformation, ...]:
    decay = (optax.add_decayed_weights(weight_decay, matrices),) if weight_decay else ()
    return *decay, optax.scale_by_learning_rate(lr)


OPTIMISERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adamw": adamw,
    "adam": adam,
    "nadamw": nadamw,
    "sgd": sgd,
    "lion": lion,
    "lamb": lamb,
    "adafactor": adafactor,
    "muon": muon,
    "schedule_free": schedule_free,
}
