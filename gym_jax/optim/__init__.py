"""Optimisers and schedules by name, and what stands around them: clipping, a factor from outside, frozen parts.

They compose from the inside out. Frozen parts stand outermost, so that nothing inside sees them:

>>> import jax.numpy as jnp
>>> params = {"layer_0": {"kernel": jnp.ones((2, 2))}, "head": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
>>> schedule = SCHEDULES["warmup_cosine"](1e-3, 1000)
>>> tx = rescalable(OPTIMISERS["adamw"](schedule, weight_decay=1e-2))
>>> tx = frozen(clipped(tx, 1.0), ["layer_0"])
>>> opt_state = tx.init(params)
>>> updates, opt_state = tx.update(params, opt_state, params)
>>> [float(abs(updates[part]["kernel"]).max()) > 0 for part in ("layer_0", "head")]
[False, True]

After an epoch the host may lower the rate; no program is compiled anew:

>>> rule = {"factor": 0.5, "patience": 1, "threshold": 0.0, "final": 0.01}
>>> seen = Plateau().update(0.7, **rule).update(0.8, **rule)
>>> opt_state = with_scale(opt_state, seen.scale)
>>> float(scale_of(opt_state))
0.5

Parts of a trained model start another one:

>>> donor = {"layer_0": {"kernel": jnp.full((2, 2), 3.0)}}
>>> warm_start(params, donor, ["layer_0"])["layer_0"]["kernel"].tolist()
[[3.0, 3.0], [3.0, 3.0]]
"""

from gym_jax.optim.optimisers import (
    OPTIMISERS,
    Amount,
    Rate,
    adafactor,
    adam,
    adamw,
    clipped,
    lamb,
    lion,
    matrices,
    muon,
    nadamw,
    schedule_free,
    sgd,
)
from gym_jax.optim.parts import frozen, matching, warm_start
from gym_jax.optim.rescale import rescalable, scale_of, with_scale
from gym_jax.optim.schedules import (
    HOST_SCHEDULES,
    SCHEDULES,
    Plateau,
    constant,
    cosine,
    exponential,
    linear,
    one_cycle,
    plateau,
    step,
    warmup_constant,
    warmup_cosine,
)

__all__ = [
    "HOST_SCHEDULES",
    "OPTIMISERS",
    "SCHEDULES",
    "Amount",
    "Plateau",
    "Rate",
    "adafactor",
    "adam",
    "adamw",
    "clipped",
    "constant",
    "cosine",
    "exponential",
    "frozen",
    "lamb",
    "linear",
    "lion",
    "matching",
    "matrices",
    "muon",
    "nadamw",
    "one_cycle",
    "plateau",
    "rescalable",
    "scale_of",
    "schedule_free",
    "sgd",
    "step",
    "warm_start",
    "warmup_constant",
    "warmup_cosine",
    "with_scale",
]
