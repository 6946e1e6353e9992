"""From a forecast to what a workload should get: the upper end that its risk asks for, over the whole horizon."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gym_jax.errors import nearest
from gym_jax.inference import Answer, Series, Spec
from gym_jax.serve.api.problem import Problem, Refused, cut
from gym_jax.serve.api.shapes import AllocationQuestion

STRICTER = 0.1
"""Of the risk of a request: what a limit stands for."""


class Plan(NamedTuple):
    """How allocations are read off a forecast."""

    target: int
    shares: tuple[float, ...]
    """How much of the time each column of ends covers, ascending; the first is the point forecast."""
    calibrated: bool
    question: AllocationQuestion


def plan_of(spec: Spec, question: AllocationQuestion) -> Plan:
    """Return how to answer a question for allocations. Raises Refused (422) with everything that can not be."""
    if spec.task != "forecast":
        words = f"the model answers cases ({spec.task})"
        raise Refused(422, Problem("recommend.task", words, "an allocation follows from a forecast", path="model"))
    faults = []
    target = 0
    if question.target is not None and question.target not in spec.targets:
        found = nearest(question.target, spec.targets)
        hint = f"did you mean `{found}`?" if found else f"there are {', '.join(spec.targets)}"
        faults.append(Problem("recommend.target", f"no target `{cut(question.target)}`", hint, path="target"))
    elif question.target is not None:
        target = spec.targets.index(question.target)
    elif len(spec.targets) > 1:
        words = f"the model has {len(spec.targets)} targets, and the question names none"
        faults.append(Problem("recommend.target", words, f"one of {', '.join(spec.targets)}", path="target"))
    shares = _shares(spec)
    if len(shares) == 1:
        words = "the model says what is likely, not what is possible: it has neither quantiles nor intervals"
        attempt = "gymjax calibrate RUN"
        faults.append(Problem("recommend.intervals", words, "an allocation needs one of them", attempt, "model"))
    elif 1 - question.risk > shares[-1] + 1e-9:
        least = 1 - shares[-1]
        words = f"a risk of {question.risk:g} is less than the model can stand for"
        attempt = f"gymjax calibrate RUN --levels {1 - 2 * question.risk:g}"
        faults.append(Problem("recommend.risk", words, f"{least:.4g} or more, or wider intervals", attempt, "risk"))
    if faults:
        raise Refused(422, *faults)
    return Plan(target, shares, spec.calibration is not None, question)


def allocations(spec: Spec, plan: Plan, series: Sequence[Series], found: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return what each workload should get, as the document that `Allocation` describes."""
    return [_one(spec, plan, asked, answer) for asked, answer in zip(series, found, strict=True)]


def _one(spec: Spec, plan: Plan, asked: Series, answer: Answer) -> dict[str, Any]:
    from gym_jax.allocate.quantity import quantity, rounded

    ends, own = _ends(spec, plan, answer), plan.question
    request, step = _highest(ends, plan.shares, 1 - own.risk)
    amount = rounded(request * own.unit, own.resource)
    stricter = 1 - STRICTER * own.risk
    limit = None
    if stricter <= plan.shares[-1] + 1e-9:
        limit = max(amount, rounded(_highest(ends, plan.shares, stricter)[0] * own.unit, own.resource))
    what = "calibrated intervals" if plan.calibrated else "quantiles"
    name = spec.targets[plan.target]
    when = f"step {step + 1} of {len(ends)}" if len(ends) > 1 else f"the coming {spec.horizon} steps"
    why = (
        f"{name} stays below {request:.4g} in {1 - own.risk:.4g} of all cases by the {what}; highest at {when}, "
        f"where {float(ends[step, 0]):.4g} is expected"
    )
    if limit is None:
        why += (
            f"; no limit: the model can stand for {1 - plan.shares[-1]:.3g}, a limit asks for {STRICTER * own.risk:.3g}"
        )
    observed = asked.values[:, plan.target]
    seen = observed[np.isfinite(observed)]
    return {
        "id": asked.id,
        "request": amount,
        "limit": limit,
        "request_quantity": quantity(amount, own.resource),
        "limit_quantity": None if limit is None else quantity(limit, own.resource),
        "why": why,
        "facts": {
            "policy": "calibrated" if plan.calibrated else "quantiles",
            "target": name,
            "covers": 1 - own.risk,
            "step": step + 1,
            "expected": float(ends[step, 0]),
            "upper": request,
            "highest_seen": float(seen.max()) if len(seen) else None,
        },
    }


def _shares(spec: Spec) -> tuple[float, ...]:
    if spec.calibration is not None:
        return (0.5, *sorted((1 + level) / 2 for level in spec.interval_levels))
    return (0.5, *sorted(level for level in spec.levels if level > 0.5))


def _ends(spec: Spec, plan: Plan, answer: Answer) -> Float[np.ndarray, "steps shares"]:
    """Return the point forecast and every upper end, none below the one before."""
    if plan.calibrated:
        assert answer.intervals is not None
        order = np.argsort(spec.interval_levels)
        upper = answer.intervals[:, plan.target, order, 1]
    else:
        assert answer.quantiles is not None
        places = sorted((k for k, level in enumerate(spec.levels) if level > 0.5), key=lambda k: spec.levels[k])
        upper = answer.quantiles[:, plan.target, places]
    return np.maximum.accumulate(np.concatenate([answer.values[:, plan.target, None], upper], axis=1), axis=1)


def _highest(ends: Float[np.ndarray, "steps shares"], shares: Sequence[float], share: float) -> tuple[float, int]:
    """Return the highest upper end at a share, and at which step it is.

    Between two shares the straight line is taken: in an upper tail it lies above the curve and errs on the safe side.
    """
    at = np.array([np.interp(share, shares, row) for row in ends])
    step = int(at.argmax())
    return float(at[step]), step
