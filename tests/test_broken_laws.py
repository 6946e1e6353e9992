"""Every law sees what breaks it, and says so: a model, a loss and a policy that keep all of them but one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from gym_jax.laws import MODEL_LAWS, loss_is_elementwise
from gym_jax.models.naive import Last


class Straight(nn.Module):
    """A dense layer over what was observed, from the last value on; what breaks a law is done to it."""

    horizon: int
    targets: int = 1
    dropout: float = 0.2

    @nn.compact
    def __call__(self, inputs, *, train=False):
        past = inputs.past if inputs.mask is None else jnp.where(inputs.mask, inputs.past, 0)
        x = past.reshape(past.shape[0], -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(self.before(x, inputs))
        out = nn.Dense(self.horizon * self.targets)(x).reshape(-1, self.horizon, self.targets)
        return self.after(out, x)

    def before(self, x, inputs):
        return x

    def after(self, out, x):
        return out


class Flat(Straight):
    def after(self, out, x):
        return out[..., 0]


class Infinite(Straight):
    def before(self, x, inputs):
        return x / x


class Eager(Straight):
    def after(self, out, x):
        return out if isinstance(x, jax.core.Tracer) else out + 1


class Social(Straight):
    def after(self, out, x):
        return out - out.mean(0)


class Deaf(Straight):
    def before(self, x, inputs):
        return jnp.ones_like(x)


class Peeping(Straight):
    def before(self, x, inputs):
        return x + inputs.past.mean()


class Restless(Straight):
    def after(self, out, x):
        return out + jax.random.normal(self.make_rng("dropout"), out.shape) if self.has_rng("dropout") else out


class Sober(nn.Module):
    horizon: int
    targets: int = 1
    dropout: float = 0.2

    @nn.compact
    def __call__(self, inputs, *, train=False):
        return Straight(self.horizon, self.targets)(inputs)


@pytest.mark.parametrize("law", [law for law in MODEL_LAWS if law != "overfits_one_batch"])
def test_one_that_breaks_none_passes(law):
    MODEL_LAWS[law](Straight)


@pytest.mark.parametrize(
    ("model", "law", "words"),
    [
        (Flat, "forecast_is_finite", "has shape"),
        (Infinite, "forecast_is_finite", "not finite where values are missing"),
        (Eager, "compiled_is_eager", "compiled, the forecast is another"),
        (Social, "row_is_alone", "changes the forecasts of others"),
        (Deaf, "row_is_alone", "does not depend on its own past"),
        (Peeping, "masked_is_unseen", "not observed changes the forecast"),
        (Infinite, "masked_is_unseen", "not finite where nothing was observed"),
        (Restless, "dropout_is_of_training", "at random outside of training"),
        (Sober, "dropout_is_of_training", "draws nothing in training"),
        (Last, "overfits_one_batch", "bring its loss from"),
    ],
)
def test_the_law_of_models_names_what_is_broken(model, law, words):
    with pytest.raises(AssertionError, match=words):
        MODEL_LAWS[law](model)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda p, t: jnp.square(p - t).mean(), "has shape"),
        (lambda p, t: jnp.square(p - t) + 0 * p + (p - t).mean(), "changes the loss of others"),
        (lambda p, t: jnp.sqrt(p - t - 9), "is not finite"),
        (lambda p, t: jnp.sqrt(jnp.abs(p - t)), "gradient is not finite where all is right"),
        (lambda p, t: -jnp.square(p - t), "costs less than none"),
    ],
)
def test_the_law_of_losses_names_what_is_broken(loss, words):
    with pytest.raises(AssertionError, match=words):
        loss_is_elementwise(loss)
