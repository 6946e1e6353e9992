"""A learned allocation in a folder of its own: trained once, recommending as often as it is asked."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.allocate.learned import LEVELS, Learned, Recipe, network
from gym_jax.allocate.offers import learn_from, offers_of, shortfalls, tune
from gym_jax.allocate.price import Price
from gym_jax.allocate.protocol import Protocol, spans
from gym_jax.allocate.recommend import Judgement, Recommendation, recommend
from gym_jax.allocate.usage import DAY, Resource
from gym_jax.config.document import differences
from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.run.allocate import Read, read_workloads
from gym_jax.run.environment import environment
from gym_jax.run.folder import ALLOCATION, RunFolder, now
from gym_jax.run.runs import ROOT, create_run
from gym_jax.train.checkpoint import restore_checkpoint, save_checkpoint
from gym_jax.types import Inputs

RISKS = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Shares of the time in violation that prices are tuned for; between them they are interpolated."""


class Allocation(NamedTuple):
    """A learned allocation as it is kept."""

    learned: Learned
    judgement: Judgement
    protocol: Protocol
    resource: Resource
    facts: dict[str, Any]


def train_allocation(
    config: Config,
    *,
    resource: Resource = "cpu",
    protocol: Protocol = Protocol(),
    recipe: Recipe = Recipe(),
    name: str | None = None,
    root: str | Path = ROOT,
    watch: Callable[[str], None] | None = None,
) -> tuple[RunFolder, dict[str, Any]]:
    """Learn from all of the data, up to their end, and return the folder that keeps it with what was found.

    Each member of the network leaves out one block of the history; on these blocks, over the last `protocol.val_days`,
    coverage is measured and prices are tuned. Nothing is written before that is done.
    """
    tell = watch or (lambda words: None)
    read = read_workloads(config, resource=resource)
    protocol = protocol._replace(test_days=0.0, risks=tuple(sorted({*RISKS, *protocol.risks})))
    parts = spans(read.workloads, protocol)

    def each(epoch: int, train: float, val: float) -> None:
        tell(f"learning: epoch {epoch}, loss {train:.4g}, held out {val:.4g}")

    learned = learn_from(read.workloads, protocol, recipe, watch=each)
    tell("tuning")
    offers = offers_of([learned] * len(read.workloads), read.workloads, parts, protocol)
    prices = {risk: tune(offers, read.workloads, parts, protocol, risk) for risk in protocol.risks}
    short = {risk: shortfalls(offers, read.workloads, parts, protocol, prices[risk]) for risk in prices}
    coverage = {one.name: offer.coverage for one, offer in zip(read.workloads, offers, strict=True)}
    common = np.mean(list(coverage.values()), axis=0)
    folder = create_run(root, label="allocation", name=name)
    members = len(jax.tree.leaves(learned.params)[0])
    facts = {
        "began": now(),
        "resource": resource,
        "column": read.channel,
        "unit": read.unit,
        "data": config.data.path,
        "reading": reading_of(config),
        "protocol": protocol._asdict(),
        "recipe": recipe._asdict(),
        "members": members,
        "hidden": list(learned.hidden),
        "folds": learned.folds,
        "levels": list(learned.levels),
        "features": len(learned.mean),
        "workloads": len(read.workloads),
        "days": float(np.mean([len(one.usage) * one.step / DAY for one in read.workloads])),
        "prices": {repr(risk): price._asdict() for risk, price in prices.items()},
        "coverage": {key: value.tolist() for key, value in coverage.items()},
        "common": common.tolist(),
        "short": {repr(risk): shares for risk, shares in short.items()},
        "notes": list(read.notes),
        "environment": environment(),
    }
    with folder.lock():
        state = {"params": learned.params, "mean": learned.mean, "deviation": learned.deviation}
        save_checkpoint(folder.checkpoints, 1, jax.tree.map(jnp.asarray, state))
        folder.write_json(ALLOCATION, facts)  # last: it makes the folder what it is
    return folder, facts


def reading_of(config: Config) -> dict[str, Any]:
    """Return how the data were told to be read, by dotted key: `recommend` reads new data in the same way."""
    own = ("data.path", "data.target")
    told = differences(config, Config())
    return {key: mine[0] for key, (mine, _) in told.items() if mine and key.startswith("data.") and key not in own}


def find_allocation(path: str | Path, root: str | Path | None = None) -> RunFolder:
    """Return the folder of a learned allocation: a path, a name under `root`, or `latest`.

    Raises CheckpointError when there is none.
    """
    below = Path(ROOT if root is None else root).expanduser()
    if str(path) == "latest":
        found = [RunFolder(file.parent) for file in below.glob(f"*/{ALLOCATION}")]
        if found:
            return max(found, key=lambda run: (run.began(), run.path))
    elif (named := allocation_at(path, root)) is not None:
        return named
    forecast = any((place / "config.yaml").is_file() for place in (Path(path).expanduser(), below / Path(path)))
    raise CheckpointError(
        f"no learned allocation at `{path}`",
        hint="it is a forecast; an allocation is learned from usage"
        if forecast
        else "it is a folder with an allocation.json in it",
        attempt="gymjax allocate train DATA --name NAME",
        code="allocate.not_found",
    )


def allocation_at(path: str | Path, root: str | Path | None = None) -> RunFolder | None:
    """Return the folder of the learned allocation at a path, or of that name under `root`; None: there is none."""
    below = Path(ROOT if root is None else root).expanduser()
    places = (Path(path).expanduser(), below / Path(path))
    return next((RunFolder(place) for place in places if (place / ALLOCATION).is_file()), None)


def load_allocation(folder: RunFolder) -> Allocation:
    """Return what is kept in a folder. Raises CheckpointError when it is damaged."""
    facts = folder.read_json(ALLOCATION)
    try:
        protocol = Protocol(**{**facts["protocol"], "risks": tuple(facts["protocol"]["risks"])})
        prices = {float(risk): Price(**price) for risk, price in facts["prices"].items()}
        coverage = {name: np.array(row) for name, row in facts["coverage"].items()}
        short = {float(risk): dict(shares) for risk, shares in facts.get("short", {}).items()}  # not in older ones
        common, hidden, levels = np.array(facts["common"]), tuple(facts["hidden"]), tuple(facts["levels"])
        members, folds, features = int(facts["members"]), int(facts["folds"]), int(facts["features"])
        resource = facts["resource"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder.path / ALLOCATION} is not what was written: {error}", hint="the folder is damaged; learn anew"
        ) from error
    if levels != LEVELS:
        raise CheckpointError(f"{folder.path} has other quantiles than this version", hint="learn it anew")
    like = jax.eval_shape(
        network(hidden, len(levels)).init, jax.random.key(0), Inputs(past=jnp.zeros((1, 1, features)))
    )["params"]
    stacked = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((members, *leaf.shape), leaf.dtype), like)
    row = jax.ShapeDtypeStruct((features,), jnp.float32)
    state = restore_checkpoint(folder.checkpoints / "1", {"params": stacked, "mean": row, "deviation": row})
    learned = Learned(
        jax.device_get(state["params"]),
        np.asarray(state["mean"]),
        np.asarray(state["deviation"]),
        hidden,
        folds,
        levels,
    )
    return Allocation(learned, Judgement(prices, coverage, common, short), protocol, resource, facts)


def recommend_run(
    folder: RunFolder,
    config: Config,
    *,
    risk: float = 0.01,
    limits: bool = True,
    least: float | None = None,
) -> tuple[list[Recommendation], Allocation, Read]:
    """Return what every workload of the configured data should get now. Raises ConfigError on another resource."""
    kept = load_allocation(folder)
    read = read_workloads(config, resource=kept.resource)
    refuse_unit(folder, kept, read)
    found = recommend(
        read.workloads,
        kept.learned,
        kept.judgement,
        kept.protocol,
        risk,
        resource=kept.resource,
        limits=limits,
        least=least,
    )
    return found, kept, read


def refuse_unit(folder: RunFolder, kept: Allocation, read: Read) -> None:
    """Raise ConfigError when data are of another unit than what was learned from."""
    if read.unit != kept.facts["unit"]:
        raise ConfigError(
            f"{folder.path} was learned in {kept.facts['unit']}, `{read.channel}` is in {read.unit}",
            hint="the data must hold the same resource",
            attempt="gymjax allocate recommend RUN --data FILE --target COLUMN",
        )


def as_json(found: list[Recommendation]) -> list[Mapping[str, Any]]:
    """Return recommendations as plain JSON."""
    return json.loads(json.dumps([{**one._asdict(), "why": one.why} for one in found]))
