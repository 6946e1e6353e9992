"""What every model, loss and policy keeps, as functions that raise AssertionError: for tests, a plug-in's too.

    @pytest.mark.parametrize("law", MODEL_LAWS)
    def test_the_model_keeps(law):
        MODEL_LAWS[law](functools.partial(MyModel, width=8))

A law of models takes what makes one, a module's class or a `partial` of it, and gives it the fields of the task.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float

from gym_jax.allocate.usage import DAY, SECOND, Workload
from gym_jax.losses import mse
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs

Make = Callable[..., Any]
BATCH, CONTEXT, HORIZON = 4, 16, 5
NEAR = 1e-6
"""Relative to the largest value: float32 in another order of sums."""


def fields_of(make: Make) -> frozenset[str]:
    """Return the names of the fields that a module takes.

    >>> sorted(fields_of(gym_jax.models.Last))[:3]
    ['horizon', 'name', 'parent']
    """
    module: Any = make.func if isinstance(make, functools.partial) else make
    return frozenset(field.name for field in dataclasses.fields(module))


def make_past(channels: int = 2, rows: int = BATCH, size: float = 1.0) -> Float[Array, "rows steps channels"]:
    """Return noise in multiples of 1/64, so that sums with other such numbers are exact.

    >>> make_past(channels=3).shape
    (4, 16, 3)
    """
    noise = np.random.default_rng(channels).normal(size=(rows, CONTEXT, channels))
    return jnp.asarray(np.round(noise * 64) / 64 * size, jnp.float32)


def make_mask(channels: int = 2) -> Bool[Array, "rows steps channels"]:
    """Return gaps at random, at the end of one row, and one row whole.

    >>> make_mask().shape, bool(make_mask()[1].all())
    ((4, 16, 2), True)
    """
    mask = np.random.default_rng(7).random((BATCH, CONTEXT, channels)) > 0.3
    mask[0, -3:], mask[1] = False, True
    return jnp.asarray(mask)


def build(make: Make, outputs: int = 1, **given: Any) -> Any:
    """Return a model with the laws' own horizon; `given` are fields that it may have.

    >>> build(gym_jax.models.Last, dropout=0.5).horizon
    5
    """
    wanted = {**given, **({"outputs": outputs} if outputs > 1 else {})}
    return make(horizon=HORIZON, **{name: value for name, value in wanted.items() if name in fields_of(make)})


@functools.cache
def started(make: Make, outputs: int = 1, *, targets: int = 2, channels: int = 2, **given: Any) -> tuple[Any, Any, Any]:
    """Return a model, its variables and its compiled forecast; `given` are fields that it may have.

    >>> model, variables, forecast = started(gym_jax.models.Last)
    >>> forecast(variables, gym_jax.Inputs(past=make_past())).shape
    (4, 5, 2)
    """
    model = build(make, outputs, targets=targets, **given)
    variables = model.init(jax.random.key(0), Inputs(past=make_past(channels)))
    return model, variables, jax.jit(functools.partial(model.apply, train=False))


def hold(true: Any, otherwise: str) -> None:
    """Raise AssertionError when something does not hold; `assert` would vanish under `python -O`.

    >>> hold(2 > 1, "two is more")
    >>> hold(jnp.array([True, False]), "one of them is not")
    Traceback (most recent call last):
    AssertionError: one of them is not
    """
    if not bool(np.all(true)):
        raise AssertionError(otherwise)


def close(got: Any, expected: Any, tolerance: float = NEAR) -> bool:
    """Return whether numbers lie within a tolerance, relative to the largest.

    >>> close([1.0, 2.0], [1.0, 2.0 + 1e-9]), close([1.0], [1.1])
    (True, False)
    """
    expected = np.asarray(expected)
    return bool(np.all(np.abs(np.asarray(got) - expected) <= tolerance * np.abs(expected).max()))


def forecast_is_finite(make: Make, *, outputs: int = 1, targets: int = 2, channels: int = 3) -> None:
    """Hold that there is a finite float32 value for every row, step and target, also where values are missing.

    The laws return nothing and raise AssertionError, which says what does not hold.

    >>> forecast_is_finite(gym_jax.models.Last)
    """
    _, variables, forecast = started(make, outputs, targets=targets, channels=channels)
    answer = forecast(variables, Inputs(past=make_past(channels), mask=make_mask(channels)))
    shape = (BATCH, HORIZON, targets, outputs)[: 3 + (outputs > 1)]
    hold(answer.shape == shape, f"the forecast has shape {answer.shape}, not {shape}: rows, steps, targets")
    hold(answer.dtype == jnp.float32, f"the forecast is {answer.dtype}, not float32")
    hold(jnp.isfinite(answer), "the forecast is not finite where values are missing")


def compiled_is_eager(make: Make, *, outputs: int = 1) -> None:
    """Hold that the compiled forecast is the one of operation by operation; as `forecast_is_finite`."""
    inputs = Inputs(past=make_past(), mask=make_mask())
    model, variables, forecast = started(make, outputs)
    hold(close(forecast(variables, inputs), model.apply(variables, inputs)), "compiled, the forecast is another")


def row_is_alone(make: Make, *, outputs: int = 1) -> None:
    """Hold that a row of a batch depends on itself only, and does depend on itself; as `forecast_is_finite`."""
    inputs = Inputs(past=make_past(), mask=make_mask())
    assert inputs.past is not None
    assert inputs.mask is not None
    _, variables, forecast = started(make, outputs)
    before = forecast(variables, inputs)
    after = forecast(variables, inputs._replace(past=inputs.past.at[1].add(3), mask=inputs.mask.at[1, -1].set(False)))
    others = np.array([0, 2, 3])
    hold(after[others] == before[others], "a row of the batch changes the forecasts of others")
    hold((after[1] != before[1]).any(), "a forecast does not depend on its own past")


def masked_is_unseen(make: Make, **given: Any) -> None:
    """Hold that what lies under the mask changes no bit; as `forecast_is_finite`."""
    past, mask = make_past(), make_mask().at[2].set(False)
    inputs = Inputs(past=jnp.where(mask, past, 0), mask=mask)
    _, variables, forecast = started(make, **given)
    expected = forecast(variables, inputs)
    hold(jnp.isfinite(expected), "the forecast is not finite where nothing was observed")
    hidden = inputs._replace(past=jnp.where(mask, past, 1e6))
    hold(forecast(variables, hidden) == expected, "a value that was not observed changes the forecast")


def dropout_is_of_training(make: Make) -> None:
    """Hold that without training a forecast draws nothing; in training, dropout follows from the key.

    As `forecast_is_finite`.
    """
    inputs = Inputs(past=make_past())
    model, variables, _ = started(make, dropout=0.2)

    @functools.partial(jax.jit, static_argnames="train")
    def forecast(seed: Any, *, train: bool) -> Any:
        return model.apply(variables, inputs, train=train, rngs={"dropout": jax.random.key(seed)})

    hold(forecast(1, train=False) == forecast(2, train=False), "a forecast is drawn at random outside of training")
    hold(forecast(1, train=True) == forecast(1, train=True), "the same key draws another dropout")
    if "dropout" in fields_of(make):
        hold((forecast(1, train=True) != forecast(2, train=True)).any(), "dropout draws nothing in training")


def overfits_one_batch(make: Make, *, outputs: int = 1, **given: Any) -> None:
    """Hold that a few hundred steps bring the loss of one batch below a tenth; as `forecast_is_finite`.

    Several outputs learn different things: the target, and one more and one less.
    """
    targets = jnp.asarray(np.random.default_rng(3).normal(size=(8, HORIZON, 1)), jnp.float32)
    batch = Batch(Inputs(past=make_past(rows=8)), targets, jnp.ones_like(targets))

    def loss(prediction: Any, target: Any) -> Any:
        if outputs == 1:
            return mse(prediction, target)
        return mse(prediction, target[..., None] + jnp.array([0, 1, -1])).mean(-1)

    model, tx = build(make, outputs, dropout=0.0, **given), optax.adam(1e-2)
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    step = make_train_step(model, loss, tx)
    _, metrics = jax.jit(lambda state: lax.scan(lambda state, _: step(state, batch), state, length=300))(state)
    first, last = (float(metrics["loss"].value[place]) for place in (0, -1))
    hold(last < 0.1 * first, f"300 steps on one batch bring its loss from {first:.3g} to {last:.3g} only")


MODEL_LAWS: dict[str, Callable[[Make], None]] = {
    law.__name__: law
    for law in (
        forecast_is_finite,
        compiled_is_eager,
        row_is_alone,
        masked_is_unseen,
        dropout_is_of_training,
        overfits_one_batch,
    )
}
"""What every model keeps; the last one only a model that is trained by gradient."""


def loss_is_elementwise(loss: Callable[..., Any]) -> None:
    """Hold that a loss has a value of each element, which no other changes.

    It is finite with its gradient, and least where all is right. As `forecast_is_finite`.
    """
    target = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    error = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), jnp.float32)
    found, right = loss(target + error, target), loss(target, target)
    hold(found.shape == target.shape, f"the loss has shape {found.shape}, not {target.shape}")
    hold(jnp.isfinite(found), "the loss is not finite")
    other = loss(target + error.at[0, 0].add(1.0), target)
    hold(np.delete(np.ravel(other), 0) == np.delete(np.ravel(found), 0), "an element changes the loss of others")
    slope = jax.grad(lambda prediction: loss(prediction, target).sum())
    hold(jnp.isfinite(slope(target + error)), "the gradient is not finite")
    hold(jnp.isfinite(slope(target)), "the gradient is not finite where all is right")
    hold(found >= right, "an error costs less than none")


def policy_is_blind(policy: Callable[..., Any], *, request: bool = True) -> None:
    """Hold that a policy has an answer for each decision, which nothing at or after it changes; gaps are no usage.

    As `forecast_is_finite`.

    >>> policy_is_blind(gym_jax.allocate.make_policy("max"))
    """
    step = 300 * SECOND
    day, hours = DAY // step, np.arange(8 * (DAY // step)) / 12
    usage = 1 + 0.5 * np.sin(2 * np.pi * hours / 24) + 0.1 * np.random.default_rng(0).random(len(hours))
    rows = np.array([5 * day, 6 * day])

    def answer(used: np.ndarray) -> np.ndarray:
        return np.asarray(policy(Workload("one", used, 0, step, used + 1 if request else None), rows))

    before = answer(usage)
    hold(before.shape == rows.shape, f"the policy answers {before.shape} to {rows.shape} decisions")
    later = usage.copy()
    later[rows[-1] :] = 1e9
    hold(np.array_equal(before, answer(later), equal_nan=True), "the policy sees what comes after its decision")
    gaps = usage.copy()
    gaps[::7] = np.nan
    hold(np.isfinite(answer(gaps)), "the policy has no answer where some of the usage is missing")
    nothing = answer(np.full(len(usage), np.nan))
    hold(np.isnan(nothing), "the policy answers where nothing was seen")
