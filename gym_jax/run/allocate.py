"""Allocation from data to judgement: read, simulate every policy, learn one, judge them at equal violation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gym_jax.allocate.learned import Learned, Recipe
from gym_jax.allocate.offers import learn_from
from gym_jax.allocate.outcome import figures
from gym_jax.allocate.protocol import Protocol
from gym_jax.allocate.registry import Policy, make_policy
from gym_jax.allocate.simulate import LEARNED, Simulation, folds, simulate
from gym_jax.allocate.usage import DAY, Resource, Workload, workloads
from gym_jax.allocate.verdict import judge
from gym_jax.config.schema import Config
from gym_jax.data.panel import Panel
from gym_jax.data.units import kinds_of, unit_in_name
from gym_jax.errors import ConfigError, DataError
from gym_jax.run.assemble import load_panel

USUAL: dict[Resource, tuple[str, ...]] = {
    "cpu": ("vpa", "krr", "autopilot", "max", "percentile", "hour-of-day", "oracle"),
    "memory": ("vpa", "krr", "autopilot", "max", "percentile", "oracle"),
    "disk": ("krr", "max", "percentile", "trend", "oracle"),
}
"""What is compared when nothing is said."""
SMALL: dict[Resource, float] = {"cpu": 1e-3, "memory": 2.0**20, "disk": 2.0**20}
"""The level below which workloads count as alike, in cores or bytes."""
HISTORIES = (1.0, 6.0, 24.0, 72.0, 168.0)
"""Hours of history at which a cold start is looked at."""


class Read(NamedTuple):
    """Workloads in cores or bytes, and what was said while reading them."""

    workloads: list[Workload]
    resource: Resource
    channel: str
    unit: str
    notes: tuple[str, ...]


def read_workloads(config: Config, *, resource: Resource = "cpu", request: str | None = None) -> Read:
    """Return the workloads of the configured data: the first target is the usage, in cores or bytes where its name
    tells the unit. Raises DataError, as reading does and for what is no usage."""
    if request is not None:
        config = config.model_copy(update={"data": replace(config.data, past=(*config.data.past, request))})
    panel = load_panel(config)
    channel = panel.channels[0]
    factor, unit, note = _unit(channel, resource)
    notes = (*panel.notes, *([note] if note else []))
    return Read(_scaled(workloads(panel, channel, request), factor), resource, channel, unit, notes)


def read_panel(panel: Panel, *, resource: Resource = "cpu", request: str | None = None) -> Read:
    """Return the workloads of a panel; else as `read_workloads`."""
    factor, unit, note = _unit(panel.channels[0], resource)
    return Read(
        _scaled(workloads(panel, None, request), factor), resource, panel.channels[0], unit, (note,) if note else ()
    )


def _unit(channel: str, resource: Resource) -> tuple[float, str, str | None]:
    base = "cores" if resource == "cpu" else "bytes"
    said = unit_in_name(channel)
    if said is not None and base in (kinds := kinds_of(said)):
        return kinds[base], base, None
    if said is None:
        return 1.0, base, f"the name of `{channel}` tells no unit: taken for {base}"
    other = "; --resource memory (or disk) takes bytes" if resource == "cpu" and "bytes" in kinds_of(said) else ""
    return (
        1.0,
        said,
        f"`{channel}` is no amount of {base}: minima and rounding of the policies are not meant for it{other}",
    )


def _scaled(found: Sequence[Workload], factor: float) -> list[Workload]:
    return [
        one._replace(usage=one.usage * factor, request=None if one.request is None else one.request * factor)
        for one in found
    ]


class Question(NamedTuple):
    """What a simulation is asked."""

    protocol: Protocol
    policies: tuple[str, ...] = ()
    """Empty takes the usual ones of the resource."""
    learned: bool = True
    unseen: int = 0
    """Groups of workloads, each judged by what the others taught; 0 learns from the history of all."""
    recipe: Recipe = Recipe()
    price: float | None = None
    """Money for a core-hour (a GiB-hour of memory or disk)."""
    cold_start: bool = False


class Answer(NamedTuple):
    """The outcomes, and the judgement as plain JSON."""

    simulation: Simulation
    document: dict[str, Any]


def simulate_data(
    read: Read,
    question: Question,
    *,
    learned: Learned | None = None,
    more: Mapping[str, Policy] | None = None,
    watch: Callable[[str], None] | None = None,
) -> Answer:
    """Return what comes of every policy on the data; `learned` is used instead of learning anew.

    `more` are further policies by name. `watch` is told what goes on, in words. Raises ConfigError on a policy and
    DataError on data that are too short.
    """
    tell = watch or (lambda words: None)
    names = question.policies or (
        *USUAL[read.resource],
        *(["request"] if read.workloads[0].request is not None else []),
    )
    if "request" in names and read.workloads[0].request is None:
        raise ConfigError(
            "the policy `request` needs to know what was given",
            hint="name the column that holds it",
            attempt="gymjax allocate simulate DATA --request COLUMN",
        )
    policies = {name: make_policy(name, read.resource) for name in names} | dict(more or {})
    minds = None
    if learned is not None:
        minds = {one.name: learned for one in read.workloads}
    elif question.learned:
        minds = learn_minds(read.workloads, question, tell)
    tell(f"simulating {len(policies) + (minds is not None)} policies on {len(read.workloads):,} workloads")
    found = simulate(read.workloads, policies, question.protocol, learned=minds)
    tell("judging")
    best = (
        LEARNED
        if minds
        else min(
            (name for name in policies if name != "oracle"),
            key=lambda name: figures(next(iter(found.test[name].values()))).ratio,
        )
    )
    document = {
        "resource": read.resource,
        "column": read.channel,
        "unit": read.unit,
        "protocol": {**question.protocol._asdict(), "risks": list(question.protocol.risks)},
        "unseen": question.unseen,
        **judge(found, best=best),
        "prices": {f"{risk:g}": price._asdict() for risk, price in found.prices.items()},
        "notes": list(read.notes),
    }
    if question.price is not None and "money" in document:
        per = question.price / (1 if read.resource == "cpu" else 2.0**30)
        document["money"] |= {f"{key}_money": per * document["money"][key] for key in ("saved_per_day", "low", "high")}
    if question.cold_start:
        document["cold_start"] = cold_start(read.workloads, policies, question.protocol, minds, found)
    return Answer(found, document)


def learn_minds(found: Sequence[Workload], question: Question, tell: Callable[[str], None]) -> dict[str, Learned]:
    """Return what decides for each workload: one for all, or what the workloads of the other groups taught."""

    def learn(members: Sequence[Workload], words: str) -> Learned:
        def watch(epoch: int, train: float, val: float) -> None:
            tell(f"{words}: epoch {epoch}, loss {train:.4g}, held out {val:.4g}")

        return learn_from(members, question.protocol, question.recipe, watch=watch)

    if not question.unseen:
        return dict.fromkeys([one.name for one in found], learn(found, "learning"))
    out: dict[str, Learned] = {}
    for number, group in enumerate(folds(len(found), question.unseen, question.recipe.seed), start=1):
        own = set(group.tolist())
        rest = [one for place, one in enumerate(found) if place not in own]
        mind = learn(rest, f"learning {number} of {question.unseen}")
        out |= {found[place].name: mind for place in group}
    return out


def cold_start(
    found: Sequence[Workload],
    policies: Mapping[str, Policy],
    protocol: Protocol,
    minds: Mapping[str, Learned] | None,
    whole: Simulation,
) -> list[dict[str, Any]]:
    """Return figures of the first day of the test for workloads that began so many hours before it.

    Policies are untouched, the learned one has the price and margin of the smallest risk but one that it was tuned for.
    """
    out = []
    risk = sorted(protocol.risks)[min(1, len(protocol.risks) - 1)]
    for hours in HISTORIES:
        cut = [_young(one, protocol, hours) for one in found]
        days = max(1, protocol.every // 24)
        short = protocol._replace(test_days=days, val_days=0.0, risks=(risk,))
        rows: dict[str, Any] = {"hours": hours}
        for name, policy in policies.items():
            rows[name] = _first_day(cut, {name: policy}, short, None, whole)
        if minds:
            rows[LEARNED] = _first_day(cut, {}, short, minds, whole)
        out.append(rows)
    return out


def _young(one: Workload, protocol: Protocol, hours: float) -> Workload:
    """Return a workload of which nothing is known until some hours before the test, and nothing after its first day."""
    hold = protocol.every * one.per_hour
    test = len(one.usage) - round(protocol.test_days * DAY / one.step) // hold * hold
    end = min(test + max(1, protocol.every // 24) * 24 * one.per_hour, len(one.usage))
    usage = one.usage[:end].copy()
    usage[: max(test - round(hours * one.per_hour), 0)] = np.nan
    return one._replace(usage=usage, request=None if one.request is None else one.request[:end])


def _first_day(
    cut: Sequence[Workload],
    policies: Mapping[str, Policy],
    protocol: Protocol,
    minds: Mapping[str, Learned] | None,
    whole: Simulation,
) -> dict[str, float] | None:
    try:
        found = simulate(cut, policies, protocol, learned=minds, prices=whole.prices, coverage=whole.coverage)
    except DataError:
        return None
    (of,) = found.test.values()
    (outcomes,) = of.values()
    own = figures(outcomes)
    return {"violation": own.violation, "ratio": own.ratio, "answered": 1 - sum(found.left_out.values())}
