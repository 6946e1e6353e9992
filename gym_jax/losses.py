"""Losses: elementwise functions of prediction and target, never a mean. The step weighs and divides.

A loss of `LOSSES` wants a prediction of the target's shape; one of `HEAD_LOSSES` wants one more axis, as long as
`outputs_of` says. `point_of` turns any prediction into a point forecast.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from types import MappingProxyType
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from annotated_types import Gt, Lt, MinLen, Predicate
from jaxtyping import Array, Float, Int

from gym_jax.errors import ConfigError, did_you_mean
from gym_jax.plugins import Registry, function
from gym_jax.ranges import FLOOR, Share, nearest_level, rising

Elementwise = Float[Array, "*shape"]
Levels = Annotated[tuple[Annotated[float, Gt(0), Lt(1)], ...], MinLen(1), Predicate(rising)]


def mse(prediction: Elementwise, target: Elementwise) -> Elementwise:
    """Return the squared error.

    >>> mse(jnp.array([1.0, 3.0]), jnp.array([2.0, 5.0]))
    Array([1., 4.], dtype=float32)
    """
    return jnp.square(prediction - target)


def mae(prediction: Elementwise, target: Elementwise) -> Elementwise:
    """Return the absolute error.

    >>> mae(jnp.array([1.0, 3.0]), jnp.array([2.0, 5.0]))
    Array([1., 2.], dtype=float32)
    """
    return jnp.abs(prediction - target)


def huber(prediction: Elementwise, target: Elementwise, *, delta: Annotated[float, Gt(0)] = 1.0) -> Elementwise:
    """Return half the squared error up to `delta`, linear beyond (Huber 1964).

    >>> huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]))
    Array([0.125, 2.5  ], dtype=float32)
    """
    error = jnp.abs(prediction - target)
    inside = jnp.minimum(error, delta)
    return 0.5 * inside * inside + delta * (error - inside)


def log_cosh(prediction: Elementwise, target: Elementwise) -> Elementwise:
    """Return the logarithm of the hyperbolic cosine of the error: half its square near 0, linear far out.

    >>> log_cosh(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0])).round(3)
    Array([0.12 , 2.309], dtype=float32)
    """
    error = jnp.abs(prediction - target)
    # Two forms of one function: the first overflows far out, the second cancels near zero.
    near = jnp.log1p(2 * jnp.square(jnp.sinh(jnp.minimum(error, 1) / 2)))
    far = error + jnp.log1p(jnp.exp(-2 * error)) - math.log(2)
    return jnp.where(error < 1, near, far)


def pinball(
    prediction: Elementwise, target: Elementwise, *, quantile: Annotated[float, Gt(0), Lt(1)] = 0.5
) -> Elementwise:
    """Return the quantile loss: `quantile` times what is missing, `1 - quantile` times what is too much.

    >>> pinball(jnp.array([1.0, 3.0]), jnp.array([2.0, 2.0]), quantile=0.75)
    Array([0.75, 0.25], dtype=float32)
    """
    error = target - prediction
    return jnp.maximum(quantile * error, (quantile - 1) * error)


def quantiles(
    prediction: Float[Array, "*shape levels"],
    target: Elementwise,
    *,
    levels: Levels = (0.1, 0.5, 0.9),
    form: Literal["free", "around"] = "free",
) -> Elementwise:
    """Return the mean quantile loss over `levels`, one output each (Koenker and Bassett 1978).

    `form` is for the head that makes them: `free` ones may cross and are put in order where they are read, those of
    `around` rise from the middle level outwards. Raises ValueError when the levels do not rise within (0, 1), or are
    not as many as the outputs.

    >>> quantiles(jnp.array([[1.0, 2.0], [5.0, 6.0]]), jnp.array([4.0, 4.0]), levels=(0.5, 0.75))
    Array([1.5, 0.5], dtype=float32)
    """
    if not levels or not rising((0, *levels, 1)):
        raise ValueError(f"levels={levels} must rise strictly within (0, 1)")
    _refuse_outputs(prediction, len(levels), "quantiles")
    level, error = jnp.array(levels, prediction.dtype), target[..., None] - prediction
    return jnp.maximum(level * error, (level - 1) * error).mean(-1)


def gaussian(prediction: Float[Array, "*shape 2"], target: Elementwise) -> Elementwise:
    """Return the negative log-likelihood of a normal distribution, in nats; `mean_and_deviation` says which one.

    Raises ValueError when the last axis has not two outputs.

    >>> gaussian(jnp.array([[0.0, 1.0], [0.0, 2.0]]), jnp.array([0.0, 0.0])).round(3)
    Array([0.92 , 1.613], dtype=float32)
    """
    mean, deviation = mean_and_deviation(prediction)
    return 0.5 * jnp.square((target - mean) / deviation) + jnp.log(deviation) + 0.5 * math.log(2 * math.pi)


def mean_and_deviation(prediction: Float[Array, "*shape 2"]) -> tuple[Elementwise, Elementwise]:
    """Return mean and standard deviation of the forecast normal distribution, in the units of the prediction.

    Both outputs are locations: the mean, and a second one that lies above it by the deviation, as a head of the form
    `rising` makes it; `FLOOR` is added. So a model restores a normalised window by applying the same shift and scale
    to both: the shift leaves the distance as it is, the scale stretches it as it stretches the mean. Raises ValueError
    when the last axis has not two outputs.

    >>> mean_and_deviation(jnp.array([[0.0, 1.0], [10.0, 12.0]]))
    (Array([ 0., 10.], dtype=float32), Array([1.001, 2.001], dtype=float32))
    """
    _refuse_outputs(prediction, 2, "gaussian")
    mean, above = prediction[..., 0], prediction[..., 1]
    return mean, jnp.abs(above - mean) + FLOOR


def form_of(kind: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Literal["free", "rising", "around"]:
    """Return how the outputs that a loss wants for each target must rise. Raises ConfigError when it is unknown.

    >>> form_of("mae"), form_of("gaussian"), form_of("quantiles", {"form": "around"})
    ('free', 'rising', 'around')
    """
    _refuse_unknown(kind)
    if kind == "quantiles":
        return "around" if settings.get("form") == "around" else "free"
    return "rising" if kind == "gaussian" else "free"


def cross_entropy(
    prediction: Float[Array, "*shape classes"], target: Int[Array, "*shape"], *, smoothing: Share = 0.0
) -> Elementwise:
    """Return the negative log-likelihood, in nats, of classes counted from 0, out of logits.

    The share `smoothing` of the truth is spread over all classes (Szegedy et al. 2016). A target that is no class costs
    NaN, so that it cannot pass for one.

    >>> cross_entropy(jnp.array([[0.0, 0.0], [0.0, 9.0]]), jnp.array([0, 1])).round(3)
    Array([0.693, 0.   ], dtype=float32)
    """
    classes = prediction.shape[-1]
    likelihood = jax.nn.log_softmax(prediction)
    known = jnp.where(target < 0, classes, target)[..., None]  # a negative index would count from the end
    chosen = jnp.take_along_axis(likelihood, known, axis=-1, mode="fill", fill_value=jnp.nan)[..., 0]
    # without smoothing an impossible class, at minus infinity, is no matter
    return -(1 - smoothing) * chosen - smoothing * likelihood.mean(-1) if smoothing else -chosen


def outputs_of(kind: str, settings: Mapping[str, Any], *, classes: int = 0) -> int:
    """Return how many outputs the loss wants for each target; with 1 the prediction has the target's shape.

    Raises ConfigError when the kind is unknown, or labels are asked for without `classes`.

    >>> outputs_of("mae", {}), outputs_of("quantiles", {"levels": (0.1, 0.5, 0.9)})
    (1, 3)
    """
    _refuse_unknown(kind)
    if kind == "cross_entropy" and classes < 2:
        raise ConfigError(
            f"loss `cross_entropy` needs two classes or more, there are {classes}",
            hint="it is for labels; numbers are forecast with mae, quantiles or gaussian",
            attempt="loss.kind=mae",
        )
    return {"quantiles": len(_levels(kind, settings)), "gaussian": 2, "cross_entropy": classes}.get(kind, 1)


def point_of(kind: str, settings: Mapping[str, Any]) -> Callable[[Array], Array]:
    """Return the function from a prediction to a point forecast of the target's shape.

    The prediction itself for `LOSSES`, the level nearest the median (the lower of two) for quantiles, the mean for a
    normal distribution, the likeliest class for labels. Raises ConfigError when the kind is unknown.

    >>> point_of("gaussian", {})(jnp.array([[0.0, 1.0], [10.0, 12.0]]))
    Array([ 0., 10.], dtype=float32)
    """
    _refuse_unknown(kind)
    points: dict[str, Callable[[Array], Array]] = {
        "quantiles": lambda prediction: _sorted(prediction)[..., nearest_level(_levels(kind, settings), 0.5)],
        "gaussian": lambda prediction: prediction[..., 0],
        "cross_entropy": lambda prediction: prediction.argmax(-1),
    }
    return points.get(kind, lambda prediction: prediction)


def quantiles_of(
    kind: str, settings: Mapping[str, Any], levels: Sequence[float] | None = None
) -> tuple[tuple[float, ...], Callable[[Array], Array]]:
    """Return levels and the function from a prediction to their quantiles along a last axis; no level for a point.

    Those of `quantiles` are as trained, whatever is asked; a distribution has any `levels`, by default the same ones.
    The quantiles have the target's shape and one more axis, [..., levels].

    >>> levels, view = quantiles_of("quantiles", {"levels": (0.1, 0.5, 0.9)})
    >>> levels, view(jnp.array([1.0, 4.0, 2.0]))
    ((0.1, 0.5, 0.9), Array([1., 2., 4.], dtype=float32))
    """
    levels = _levels(kind, settings) if levels is None or kind == "quantiles" else tuple(levels)
    if kind == "quantiles":
        return levels, _sorted
    if kind == "gaussian":
        away = jax.scipy.special.ndtri(jnp.array(levels))

        def normal(prediction: Array) -> Array:
            mean, deviation = mean_and_deviation(prediction)
            return mean[..., None] + deviation[..., None] * away

        return levels, normal
    return (), lambda prediction: prediction[..., None][..., :0]


def bands_of(
    kind: str, settings: Mapping[str, Any], levels: Sequence[float]
) -> Callable[[Array], Float[Array, "*shape bands 2"]]:
    """Return the function from a prediction to the low and the high end of a central interval of each of `levels`.

    Of trained quantiles the two nearest to the ends wanted, of a distribution its own; a point is both of its ends.
    Raises ConfigError when the kind is unknown.

    >>> bands_of("quantiles", {"levels": (0.1, 0.5, 0.9)}, (0.8,))(jnp.array([1.0, 2.0, 4.0]))
    Array([[1., 4.]], dtype=float32)
    """
    point = point_of(kind, settings)
    wanted = [end for level in levels for end in ((1 - level) / 2, (1 + level) / 2)]
    known, view = quantiles_of(kind, settings, sorted(wanted))
    places = [nearest_level(known, end) for end in wanted] if known else []

    def bands(prediction: Array) -> Array:
        if not places:
            return jnp.broadcast_to(point(prediction)[..., None, None], (*point(prediction).shape, len(levels), 2))
        found = view(prediction)[..., jnp.array(places)]
        return found.reshape(*found.shape[:-1], len(levels), 2)

    return bands


def _sorted(prediction: Array) -> Array:
    """Return quantiles in order: those that cross are exchanged (Chernozhukov et al. 2010, rearrangement)."""
    return jnp.sort(prediction, axis=-1)


def _levels(kind: str, settings: Mapping[str, Any]) -> tuple[float, ...]:
    own = settings if kind == "quantiles" else {}  # what another loss calls so is its own
    return tuple(own.get("levels", signature(quantiles).parameters["levels"].default))


def loss_of(kind: str) -> Callable[..., Array]:
    """Return a loss by name, a plug-in's too: a function of [...] and, of `HEAD_LOSSES`, [..., outputs] to [...].

    Raises KeyError when there is none.

    >>> loss_of("huber")(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]), delta=2.0)
    Array([0.125, 4.   ], dtype=float32)
    """
    return HEAD_LOSSES[kind] if kind in HEAD_LOSSES else LOSSES[kind]


def _refuse_unknown(kind: str) -> None:
    if kind not in LOSSES | HEAD_LOSSES and LOSSES.plugin(kind) is None:
        raise ConfigError(f"unknown loss `{kind}`", hint=did_you_mean(kind, (*LOSSES.names(), *HEAD_LOSSES)))


def _elementwise(name: str, thing: Any) -> Callable[..., Array]:
    """Return a loss that somebody adds. Raises TypeError when it is none."""
    one = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    answer = jax.eval_shape(function(name, thing), one, one)
    if answer.shape != one.shape:
        raise TypeError(f"it makes {answer.shape} of {one.shape}: a loss is elementwise, never a mean")
    return thing


def _refuse_outputs(prediction: Array, outputs: int, kind: str) -> None:
    if prediction.shape[-1] != outputs:
        raise ValueError(f"the loss {kind} wants {outputs} outputs, the prediction has shape {prediction.shape}")


HEAD_LOSSES: dict[str, Callable[..., Array]] = {
    "quantiles": quantiles,
    "gaussian": gaussian,
    "cross_entropy": cross_entropy,
}
"""Losses whose prediction has one more axis than the target."""
LOSSES: Registry[Callable[..., Array]] = Registry(
    "losses",
    {"mse": mse, "mae": mae, "huber": huber, "log_cosh": log_cosh, "pinball": pinball},
    _elementwise,
    taken=HEAD_LOSSES,
)
