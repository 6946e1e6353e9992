import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pydantic import ValidationError
from tolerances import FLOAT32

from gym_jax.config.derive import schema_of
from gym_jax.errors import ConfigError
from gym_jax.laws import loss_is_elementwise
from gym_jax.losses import (
    FLOOR,
    HEAD_LOSSES,
    LOSSES,
    bands_of,
    cross_entropy,
    form_of,
    gaussian,
    huber,
    log_cosh,
    mae,
    mean_and_deviation,
    mse,
    outputs_of,
    pinball,
    point_of,
    quantiles,
    quantiles_of,
)
from gym_jax.models.normalise import Level, formed
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.types import Batch, Inputs

EVERY = LOSSES | HEAD_LOSSES
PREDICTION = jnp.array([1.0, 2.0, 5.0])
TARGET = jnp.array([2.0, 2.5, 1.0])
BY_HAND = {
    "mse": (mse, {}, [1, 0.25, 16]),
    "mae": (mae, {}, [1, 0.5, 4]),
    "huber": (huber, {}, [0.5, 0.125, 3.5]),
    "huber beyond 2": (huber, {"delta": 2.0}, [0.5, 0.125, 6]),
    "pinball": (pinball, {}, [0.5, 0.25, 2]),
    "pinball of 0.75": (pinball, {"quantile": 0.75}, [0.75, 0.375, 1]),
}
SLOPES = {
    "mse": ({}, lambda error: 2 * error),
    "mae": ({}, np.sign),
    "huber": ({"delta": 0.7}, lambda error: np.clip(error, -0.7, 0.7)),
    "log_cosh": ({}, np.tanh),
    "pinball": ({"quantile": 0.9}, lambda error: np.where(error > 0, 1 - 0.9, -0.9)),
}


@pytest.mark.parametrize(("loss", "settings", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_three_numbers_by_hand(loss, settings, expected):
    np.testing.assert_array_equal(loss(PREDICTION, TARGET, **settings), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope_in_float64(name):
    settings, slope = SLOPES[name]
    prediction, target = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    gradient = jax.grad(lambda prediction: LOSSES[name](prediction, target, **settings).sum())(jnp.asarray(prediction))
    expected = slope(prediction.astype(np.float64) - target)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())


@pytest.mark.parametrize("name", LOSSES)
def test_an_element_costs_what_it_costs_alone(name):
    loss_is_elementwise(LOSSES[name])


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_forecast_costs_nothing_and_the_gradient_stays_finite(name):
    value, gradient = jax.value_and_grad(lambda prediction: LOSSES[name](prediction, TARGET).sum())(TARGET)
    assert value == 0
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("name", EVERY)
def test_the_shape_of_the_target_is_kept(name):
    outputs = outputs_of(name, {}, classes=5)
    target = jnp.zeros((2, 3, 4), jnp.int32 if name == "cross_entropy" else jnp.float32)
    loss = jax.eval_shape(EVERY[name], jnp.zeros((2, 3, 4) if outputs == 1 else (2, 3, 4, outputs)), target)
    assert (loss.shape, loss.dtype) == ((2, 3, 4), jnp.float32)


def test_the_median_loss_is_half_the_absolute_error():
    prediction, target = np.random.default_rng(1).normal(size=(2, 50)).astype(np.float32)
    np.testing.assert_array_equal(pinball(prediction, target, quantile=0.5), mae(prediction, target) / 2)


def test_log_cosh_is_right_from_the_smallest_to_the_largest_error():
    errors = np.array([1e-15, 1e-6, 1e-3, 0.5, 0.999999, 1, 1.000001, 3, 80, 1e4, 1e30, -1e-6, -0.5, -80, -1e30])
    errors = errors.astype(np.float32).astype(np.float64)
    size = np.abs(errors)
    expected = np.where(size < 1e-4, size**2 / 2, np.logaddexp(size, -size) - np.log(2))
    value, gradient = jax.vmap(jax.value_and_grad(lambda error: log_cosh(error, 0.0)))(jnp.asarray(errors, jnp.float32))
    np.testing.assert_allclose(value, expected, rtol=FLOAT32)
    np.testing.assert_allclose(gradient, np.tanh(errors), rtol=FLOAT32)


def test_quantiles_by_hand():
    """Levels 0.1, 0.5 and 0.9 at 1, 2 and 5, where 3 came: 0.2 and 0.5 are missing, 0.2 is too much."""
    loss = quantiles(jnp.array([[1.0, 2.0, 5.0]]), jnp.array([3.0]))
    np.testing.assert_allclose(loss, [(0.1 * 2 + 0.5 * 1 + 0.1 * 2) / 3], rtol=FLOAT32)


def test_quantiles_are_the_mean_of_the_single_quantile_losses():
    random = np.random.default_rng(2)
    levels = (0.05, 0.3, 0.8, 0.99)
    prediction, target = random.normal(size=(6, 2, 4)).astype(np.float32), random.normal(size=(6, 2)).astype(np.float32)

    def single(prediction):
        return sum(pinball(prediction[..., i], target, quantile=level) for i, level in enumerate(levels)) / 4

    def together(prediction):
        return quantiles(prediction, target, levels=levels)

    np.testing.assert_allclose(together(prediction), single(prediction), rtol=FLOAT32)
    slopes = [jax.grad(lambda prediction, f=f: f(prediction).sum())(prediction) for f in (together, single)]
    np.testing.assert_allclose(*slopes, rtol=FLOAT32)


def test_the_best_constant_quantiles_are_those_of_the_data():
    """Of 1 to 99 the loss of the levels is least at 10, 50 and 90, each on its own."""
    target = jnp.arange(1.0, 100.0)

    def cost(level, value):
        prediction = jnp.tile(jnp.array([10.0, 50.0, 90.0]).at[level].set(value), (99, 1))
        return quantiles(prediction, target).sum()

    for level, best in enumerate((10.0, 50.0, 90.0)):
        costs = jax.vmap(functools.partial(cost, level))(target)
        assert target[costs.argmin()] == best


@pytest.mark.parametrize("levels", [(0.5, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0), ()])
def test_levels_that_do_not_rise_within_0_and_1_are_refused(levels):
    with pytest.raises(ValueError, match="must rise strictly"):
        quantiles(jnp.zeros((2, len(levels))), jnp.zeros(2), levels=levels)
    with pytest.raises(ValidationError):
        schema_of("quantiles", quantiles)(levels=levels)


def test_the_schema_of_quantiles_takes_levels_from_yaml():
    assert schema_of("quantiles", quantiles)(levels=[0.25, 0.75]).levels == (0.25, 0.75)
    assert schema_of("quantiles", quantiles)().levels == (0.1, 0.5, 0.9)


@pytest.mark.parametrize(("loss", "outputs"), [(quantiles, 1), (quantiles, 4), (gaussian, 1), (gaussian, 3)])
def test_a_wrong_number_of_outputs_is_refused_and_not_broadcast(loss, outputs):
    with pytest.raises(ValueError, match=rf"wants \d outputs, the prediction has shape \(2, {outputs}\)"):
        loss(jnp.zeros((2, outputs)), jnp.zeros(2))


def gaussian_truth(prediction, target):
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    mean, deviation = prediction[..., 0], prediction[..., 1] - prediction[..., 0] + FLOOR
    return (target - mean) ** 2 / (2 * deviation**2) + np.log(2 * np.pi * deviation**2) / 2


def test_gaussian_is_the_likelihood_in_float64():
    random = np.random.default_rng(3)
    prediction, target = random.normal(size=(50, 2)).astype(np.float32), random.normal(size=50).astype(np.float32)
    prediction[:, 1] = prediction[:, 0] + np.exp(prediction[:, 1])
    expected = gaussian_truth(prediction, target)
    np.testing.assert_allclose(gaussian(prediction, target), expected, rtol=0, atol=FLOAT32 * expected.max())


def test_gaussian_by_hand():
    """A deviation of 1 around the target costs half the logarithm of 2 pi, one deviation beside it half a nat more."""
    above = 1 - FLOOR
    loss = gaussian(jnp.array([[5.0, 5.0 + above], [5.0, 5.0 + above]]), jnp.array([5.0, 6.0]))
    np.testing.assert_allclose(loss, np.array([0, 0.5]) + 0.5 * np.log(2 * np.pi), rtol=FLOAT32)


def test_gaussian_stays_finite_where_a_deviation_would_vanish_or_explode():
    def cost(prediction):
        return gaussian(prediction, jnp.array([0.0, 0.0, 0.0])).sum()

    value, gradient = jax.value_and_grad(cost)(jnp.array([[0.0, -1e9], [0.0, 1e9], [1e6, -1e6]]))
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e-3, 0.05, 4.0, 300.0])
def test_restoring_a_window_shifts_the_mean_and_stretches_the_deviation_at_any_scale(scale):
    answer = jnp.array([[[[2.0, -1.0]], [[3.0, 5.0]]]])  # [batch, horizon, targets, outputs]
    level = Level(jnp.array([[[0.5]]]), jnp.array([[[scale]]]))
    mean, deviation = mean_and_deviation(level.restore(formed(answer, "rising")))
    np.testing.assert_allclose(mean[0, :, 0], 0.5 + scale * np.array([2, 3]), rtol=FLOAT32)
    expected = FLOOR + scale * np.logaddexp(0, [-1.0, 5.0])
    np.testing.assert_allclose(deviation[0, :, 0], expected, rtol=10 * FLOAT32, atol=FLOAT32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_likelihood_in_float64(smoothing):
    random = np.random.default_rng(4)
    logits, labels = random.normal(size=(6, 2, 5)).astype(np.float32), random.integers(0, 5, size=(6, 2))
    spread = (1 - smoothing) * np.eye(5)[labels] + smoothing / 5
    share = np.exp(logits.astype(np.float64))
    share /= share.sum(-1, keepdims=True)
    expected = -(spread * np.log(share)).sum(-1)
    value = cross_entropy(logits, labels, smoothing=smoothing)
    np.testing.assert_allclose(value, expected, rtol=0, atol=FLOAT32 * expected.max())
    gradient = jax.grad(lambda logits: cross_entropy(logits, labels, smoothing=smoothing).sum())(logits)
    slope = share - spread
    np.testing.assert_allclose(gradient, slope, rtol=0, atol=FLOAT32 * np.abs(slope).max())


def test_cross_entropy_by_hand():
    """Three equal logits share the likelihood; a logit of ln 3 among two zeros has three parts in five."""
    logits = jnp.array([[0.0, 0.0, 0.0], [np.log(3), 0.0, 0.0]])
    np.testing.assert_allclose(cross_entropy(logits, jnp.array([2, 0])), np.log([3, 5 / 3]), rtol=FLOAT32)


def test_cross_entropy_of_huge_logits_is_their_distance():
    logits, labels = jnp.array([[1e30, 0.0], [-1e4, 1e4], [0.0, -1e30]]), jnp.array([0, 0, 1])
    value, gradient = jax.value_and_grad(lambda logits: cross_entropy(logits, labels)[:2].sum())(logits)
    np.testing.assert_allclose(value, 2e4, rtol=FLOAT32)
    np.testing.assert_array_equal(gradient, [[0, 0], [-1, 1], [0, 0]])
    assert cross_entropy(logits, labels)[2] == np.float32(1e30)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_costs_nan(label):
    assert jnp.isnan(cross_entropy(jnp.zeros((1, 3)), jnp.array([label]))).all()


class Free:
    """A model whose parameters are its predictions."""

    def __init__(self, prediction):
        self.prediction = prediction

    def init(self, rngs, inputs, *, train=False):
        return {"params": self.prediction}

    def apply(self, variables, inputs, *, train=False, **kwargs):
        return (variables["params"], {}) if kwargs else variables["params"]


def value_and_slope(loss, prediction, targets, weights):
    """The loss and its gradient as the step sees them: a step of gradient descent at rate 1 subtracts the gradient."""
    model, tx = Free(prediction), optax.sgd(1.0)
    state = init_state(model, tx, jax.random.key(0), Inputs())
    batch = Batch(Inputs(), targets, weights)
    after, metrics = jax.jit(make_train_step(model, loss, tx))(state, batch)
    judged = jax.jit(make_eval_step(model, loss))(state, batch)["loss"]
    np.testing.assert_allclose(judged.value, metrics["loss"].value, rtol=FLOAT32)
    return metrics["loss"].value, prediction - after.params


@pytest.mark.parametrize("name", EVERY)
def test_what_has_no_weight_changes_neither_loss_nor_gradient(name):
    """Targets of no weight may be NaN, infinite or no class: the loss is that of the others alone."""
    random = np.random.default_rng(5)
    outputs = outputs_of(name, {}, classes=4)
    prediction = jnp.asarray(random.normal(size=(9,) if outputs == 1 else (9, outputs)), jnp.float32)
    seen = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1], bool)
    if name == "cross_entropy":
        targets = random.integers(0, 4, size=9)
        targets[~seen] = [-1, 4, 99, 2]
    else:
        targets = random.normal(size=9).astype(np.float32)
        targets[~seen] = [np.nan, np.inf, -np.inf, 1e30]
    value, slope = value_and_slope(EVERY[name], prediction, jnp.asarray(targets), jnp.asarray(seen, jnp.float32))
    alone, slope_alone = value_and_slope(
        EVERY[name], prediction[seen], jnp.asarray(targets[seen]), jnp.ones(seen.sum())
    )
    np.testing.assert_allclose(value, alone, rtol=FLOAT32)
    np.testing.assert_allclose(slope[seen], slope_alone, rtol=0, atol=FLOAT32 * np.abs(slope_alone).max())
    np.testing.assert_array_equal(slope[~seen], 0)


def test_an_impossible_class_costs_nothing_when_it_is_not_the_truth():
    logits = jnp.array([[0.0, 0.0, -jnp.inf]])
    value, gradient = jax.value_and_grad(lambda x: cross_entropy(x, jnp.array([0])).sum())(logits)
    np.testing.assert_allclose(value, np.log(2), rtol=FLOAT32)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0]], rtol=FLOAT32)


def test_every_loss_says_how_many_outputs_it_wants():
    assert [outputs_of(name, {}) for name in LOSSES] == [1] * len(LOSSES)
    assert outputs_of("quantiles", {}) == 3
    assert outputs_of("quantiles", {"levels": (0.2, 0.8)}) == 2
    assert outputs_of("gaussian", {}) == 2
    assert outputs_of("cross_entropy", {"smoothing": 0.1}, classes=7) == 7


def test_labels_without_classes_and_unknown_losses_are_refused():
    with pytest.raises(ConfigError, match="needs two classes or more, there are 0"):
        outputs_of("cross_entropy", {})
    for function in (outputs_of, point_of, form_of):
        with pytest.raises(ConfigError) as error:
            function("quantile", {})
        assert error.value.lines() == ["error: unknown loss `quantile`", "hint: did you mean `quantiles`?"]


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, 1),
        ({"levels": (0.1, 0.2, 0.5, 0.6)}, 2),
        ({"levels": (0.3, 0.7)}, 0),
        ({"levels": [0.1, 0.45, 0.9]}, 1),
        ({"levels": (0.9,)}, 0),
    ],
)
def test_the_point_of_quantiles_is_the_level_nearest_the_median_and_the_lower_of_two(settings, chosen):
    prediction = jnp.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(point_of("quantiles", settings)(prediction), prediction[:, chosen])


def test_the_point_of_other_forecasts():
    prediction = jnp.array([[1.0, 7.0], [4.0, 2.0]])
    for name in LOSSES:
        assert point_of(name, {})(prediction) is prediction
    np.testing.assert_array_equal(point_of("gaussian", {})(prediction), [1, 4])
    np.testing.assert_array_equal(point_of("cross_entropy", {})(prediction), [1, 0])


def test_levels_of_another_loss_are_its_own():
    settings = {"levels": 3}
    assert outputs_of("mae", settings) == 1
    assert point_of("mae", settings)(jnp.ones(2)).tolist() == [1, 1]
    assert quantiles_of("mae", settings)[0] == ()


def test_quantiles_that_cross_are_exchanged():
    levels, view = quantiles_of("quantiles", {"levels": (0.1, 0.5, 0.9)})
    crossed = jnp.array([[3.0, 1.0, 2.0]])
    assert levels == (0.1, 0.5, 0.9)
    np.testing.assert_array_equal(view(crossed), [[1, 2, 3]])
    np.testing.assert_array_equal(point_of("quantiles", {"levels": levels})(crossed), [2])


def test_the_bands_of_a_point_are_the_point_and_those_of_quantiles_the_nearest_two():
    point = bands_of("mae", {}, (0.8, 0.9))(jnp.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(point, jnp.array([[1.0, 2.0]])[..., None, None] * jnp.ones((2, 2)))
    levels = {"levels": (0.05, 0.1, 0.5, 0.9, 0.95)}
    bands = bands_of("quantiles", levels, (0.8, 0.9, 0.99))(jnp.array([[2.0, 1.0, 3.0, 4.0, 5.0]]))
    np.testing.assert_array_equal(bands, [[[2, 4], [1, 5], [1, 5]]])


def test_the_bands_of_a_normal_distribution_are_its_quantiles():
    bands = bands_of("gaussian", {}, (0.8, 0.99))(jnp.array([[10.0, 12.0 - FLOOR]]))
    away = 2 * np.array([[-1.2815516, 1.2815516], [-2.5758293, 2.5758293]])
    np.testing.assert_allclose(bands[0], 10 + away, rtol=FLOAT32)


def test_outputs_around_the_middle_rise_to_both_sides_by_hand():
    """Softplus of 0 is log 2: four steps of it around the third of five."""
    step = np.log(2)
    found = formed(jnp.array([0.0, 0, 7, 0, 0]), "around")
    np.testing.assert_allclose(found, [7 - 2 * step, 7 - step, 7, 7 + step, 7 + 2 * step], rtol=FLOAT32)
    np.testing.assert_allclose(formed(jnp.array([0.0, 7, 0, 0]), "around")[1], 7, rtol=FLOAT32)
    assert formed(jnp.array([3.0]), "around") == 3
    outputs = np.random.default_rng(0).normal(0, 5, (100, 6)).astype(np.float32)
    for form in ("around", "rising"):
        assert (np.diff(formed(jnp.asarray(outputs), form), axis=-1) >= 0).all()


def test_the_middle_learns_from_its_own_level_alone():
    levels, target = (0.1, 0.5, 0.9), jnp.array([2.0])
    outputs = jnp.array([[0.3, -1.0, 0.2]])
    slope = jax.grad(lambda outputs: quantiles(formed(outputs, "around"), target, levels=levels).sum())(outputs)
    np.testing.assert_allclose(slope[0, 1], -0.5 / 3, rtol=FLOAT32)
    assert (slope[0, jnp.array([0, 2])] != 0).all()


def test_the_form_of_a_loss_is_its_setting():
    assert form_of("quantiles") == form_of("quantiles", {"form": "free"}) == form_of("mae") == "free"
    assert form_of("quantiles", {"form": "around"}) == "around"
    assert form_of("gaussian") == "rising"
    with pytest.raises(ValidationError):
        schema_of("quantiles", quantiles)(form="rising")
