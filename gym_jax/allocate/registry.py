"""Policies by name, and made of words: `vpa`, `percentile:days=7:share=0.95`."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gym_jax.allocate import policies
from gym_jax.allocate.policies import Allocation
from gym_jax.allocate.usage import Resource
from gym_jax.errors import ConfigError, did_you_mean
from gym_jax.plugins import Registry, function

Policy = Callable[..., Allocation]
POLICIES: Registry[Policy] = Registry(
    "policies",
    {
        "request": policies.request,
        "vpa": policies.vpa,
        "krr": policies.krr,
        "autopilot": policies.autopilot,
        "max": policies.maximum,
        "percentile": policies.percentile,
        "hour-of-day": policies.hour_of_day,
        "trend": policies.trend,
        "oracle": policies.oracle,
    },
    function,
    taken=("learned",),
)
"""By name; `learned` needs a trained model and stands in `learned.py`."""


def make_policy(words: str, resource: Resource = "cpu") -> Policy:
    """Return the policy that words name: `vpa`, or with settings `percentile:days=7:share=0.95`.

    Raises ConfigError on an unknown name or setting, or a value that is none.

    >>> policy = make_policy("percentile:days=7:share=0.95")
    >>> policy(web, np.array([24 * 10])).round(2).tolist()
    [1.48]
    """
    name, *given = words.split(":")
    if name not in POLICIES and POLICIES.plugin(name) is None:
        raise ConfigError(
            f"unknown policy `{name}`",
            hint=POLICIES.unknown(name),
            attempt="gymjax allocate simulate DATA --policy vpa",
        )
    policy = POLICIES[name]
    known = {key: item.default for key, item in signature(policy).parameters.items() if item.kind is item.KEYWORD_ONLY}
    settings: dict[str, Any] = {"resource": resource} if "resource" in known else {}
    hints = get_type_hints(policy, include_extras=True)
    for word in given:
        key, _, value = word.partition("=")
        if key not in known or key == "resource":
            raise ConfigError(
                f"policy `{name}` has no setting `{key}`",
                hint=did_you_mean(key, known.keys() - {"resource"}),
                attempt=f"gymjax allocate simulate DATA --policy {name}",
            )
        try:
            settings[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            raise ConfigError(
                f"policy `{name}`: {key}={value} is not possible",
                hint=error.errors()[0]["msg"].lower(),
                attempt=f"gymjax allocate simulate DATA --policy {name}",
            ) from error
    return partial(policy, **settings)
