"""A generated CPU-allocation panel, for a first run without data and for tests with known truth."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from gym_jax.data.panel import Panel
from gym_jax.data.read import read_frame
from gym_jax.errors import ConfigError, DataError

START = "2026-01-05"
"""A Monday, so that days 5 and 6 of every week are its weekend."""
STEP = pd.Timedelta(minutes=5)
HOUR, DAY = 12, 288
IDLE, TIGHT, CHANGED = 0.2, 0.15, 0.4
"""Shares of the machines that are idle, that are too small for their peak, and whose level changes once."""
TRUTH = ("cpu_cores_mean", "cpu_cores_sd")


class Role(NamedTuple):
    """What a kind of group has in common, as ranges to draw from."""

    peak: tuple[float, float]
    """Hour of the day with the highest load."""
    sharpness: float
    """How narrow the daily peak is: the concentration of a von Mises bump."""
    weekend: tuple[float, float]
    """Factor of the daily swing on weekends."""
    bursts: float
    """Bursts a day at most."""
    working_set: tuple[float, float]
    """Share of memory in use without load."""


ROLES = {
    "web": Role((11, 16), 3, (0.3, 0.6), 1.5, (0.15, 0.35)),
    "database": Role((9, 14), 2, (0.4, 0.7), 0.7, (0.35, 0.55)),
    "batch": Role((0, 5), 5, (1.2, 1.6), 1.0, (0.1, 0.3)),
    "build": Role((10, 15), 4, (0.05, 0.2), 3.0, (0.1, 0.3)),
}


class Group(NamedTuple):
    """One group of machines: what they share."""

    name: str
    role: Role
    peak: float
    weekend: float
    noise: Float[np.ndarray, " steps"]
    keep: Bool[np.ndarray, " steps"]


def generate_frame(
    *,
    series: int = 16,
    days: float = 14,
    seed: int = 0,
    gaps: float = 0.01,
    truth: bool = False,
    groups: int = 4,
    correlation: float = 0.5,
    memory: float = 0.8,
) -> pd.DataFrame:
    """Return rows of machines at 5-minute steps: CPU in cores, memory in MiB, disk in GiB, each with its capacity.

    CPU demand is `mean + sd * noise`, and what is observed of it is clipped to [0, capacity] and rounded to 1e-4.
    The mean holds a daily and a weekly cycle, for some machines one change of level, and bursts; about a fifth of the
    machines is idle, and some are too small for their peak and saturate. The sd grows linearly with the mean. Every
    value of the noise is standard normal; it is AR(1) with coefficient `memory` (0: white), and within a group any two
    machines' noise has the correlation `correlation`. Memory follows CPU slowly and falls at restarts; disk fills up
    and is cleaned. Maintenance takes a share `gaps` of the rows out, in runs that begin at night and that a group
    shares; first and last rows stay.

    With `truth`, `cpu_cores_mean` and `cpu_cores_sd` are the normal distribution of each row's demand in cores, given
    everything but the noise; see `quantile_truth`. Machine i is in group i modulo `groups` and has its own random
    stream, so it is the same in any number of machines. Raises ConfigError on settings out of range.

    >>> generate_frame(series=2, days=1, gaps=0)[["unique_id", "cpu_cores", "cpu_capacity_cores"]].shape
    (576, 3)
    """
    refuse_below(series=(series, 1), days=(days, 0.1), groups=(groups, 1), seed=(seed, 0))
    for name, value, most in (("gaps", gaps, 0.5), ("correlation", correlation, 1), ("memory", memory, 0.9999)):
        if not 0 <= value <= most:
            raise ConfigError(f"{name}={value} can not be generated", hint=f"it lies between 0 and {most}")
    steps = int(days * DAY)
    times = pd.date_range(START, periods=steps, freq=STEP, unit="ns").to_numpy()
    shared = [_group(seed, number, steps, gaps, memory) for number in range(min(groups, series))]
    owners = [shared[number % groups] for number in range(series)]
    machines = [
        {name: column[group.keep] for name, column in _machine(seed, number, group, correlation, memory).items()}
        for number, group in enumerate(owners)
    ]
    counts = [int(group.keep.sum()) for group in owners]
    names = [name for name in machines[0] if truth or name not in TRUTH]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.array([f"vm-{number:03d}" for number in range(series)], object), counts),
            "ds": np.concatenate([times[group.keep] for group in owners]),
            **{name: np.concatenate([machine[name] for machine in machines]) for name in names},
        },
        copy=False,
    )


def generate_panel(*, series: int = 16, days: float = 14, seed: int = 0, gaps: float = 0.01) -> Panel:
    """Return `generate_frame` as a Panel with the target `cpu_cores`. Raises ConfigError as it does.

    >>> generate_panel(series=1, days=1, gaps=0).values.shape
    (288, 1)
    """
    return read_frame(generate_frame(series=series, days=days, seed=seed, gaps=gaps), target=("cpu_cores",))


def quantile_truth(frame: pd.DataFrame, probability: float) -> Float[np.ndarray, " rows"]:
    """Return the exact quantile of the observed target in every row of a frame that was generated with `truth`.

    In cores for a panel, as a share for a table. The distribution is a normal one clipped to [0, capacity]: a value
    is at most its quantile with exactly this probability wherever the quantile lies strictly inside. Raises DataError
    on a frame without truth and ConfigError on a probability that is not between 0 and 1.

    >>> frame = generate_frame(series=2, days=7, truth=True)
    >>> float((frame["cpu_cores"] <= quantile_truth(frame, 0.9)).mean().round(2))
    0.9
    """
    target = next((name for name in ("cpu_cores", "cpu_share") if {f"{name}_mean", f"{name}_sd"} <= set(frame)), None)
    if target is None:
        raise DataError(
            "the frame holds no truth: no cpu_cores_mean and cpu_cores_sd, no cpu_share_mean and cpu_share_sd",
            hint="generate it with truth=True",
            attempt="gymjax generate --truth --out cpu.parquet",
            code="data.no_truth",
        )
    if not 0 < probability < 1:
        raise ConfigError(f"the probability {probability} has no quantile", hint="it lies between 0 and 1")
    demand = frame[f"{target}_mean"] + NormalDist().inv_cdf(probability) * frame[f"{target}_sd"]
    limit = frame["cpu_capacity_cores"].to_numpy() if target == "cpu_cores" else 1.0
    return np.clip(demand.to_numpy(np.float64), 0.0, limit)


def refuse_below(**settings: tuple[int | float, int | float]) -> None:
    """Raise ConfigError on the first setting that is not as large as its least value."""
    for name, (value, least) in settings.items():
        if not value >= least:
            raise ConfigError(f"{name}={value} can not be generated", hint=f"it is at least {least}")


def _machine(seed: int, number: int, group: Group, correlation: float, memory: float) -> dict[str, np.ndarray]:
    """Return the columns of one machine, without gaps."""
    generator = _stream(seed, "machine", number)
    steps = len(group.noise)
    capacity = float(generator.choice([2, 4, 8, 16, 32]))
    memory_capacity = 1024 * capacity * float(generator.choice([2, 4, 8]))
    disk_capacity = float(generator.choice([50, 100, 200, 500, 1000]))
    mean = capacity * _load(generator, group)
    sd = 0.003 * capacity + generator.uniform(0.08, 0.24) * mean
    own = _autoregressive(generator.normal(size=steps), memory)
    noise = np.sqrt(correlation) * group.noise + np.sqrt(1 - correlation) * own
    usage = np.clip(mean + sd * noise, 0, capacity)
    columns = {
        "cpu_cores": np.round(usage, 4),
        "cpu_capacity_cores": capacity,
        "memory_mib": np.round(memory_capacity * _memory(generator, group, usage / capacity), 3),
        "memory_capacity_mib": memory_capacity,
        "disk_gib": np.round(disk_capacity * _disk(generator, usage / capacity), 3),
        "disk_capacity_gib": disk_capacity,
        "group": np.array(group.name, object),
        "cpu_cores_mean": mean,
        "cpu_cores_sd": sd,
    }
    return {name: np.broadcast_to(column, steps) for name, column in columns.items()}


def _group(seed: int, number: int, steps: int, gaps: float, memory: float) -> Group:
    generator = _stream(seed, "group", number)
    kind = list(ROLES)[number % len(ROLES)]
    role = ROLES[kind]
    peak, weekend = generator.uniform(*role.peak), generator.uniform(*role.weekend)
    noise = _autoregressive(generator.normal(size=steps), memory)
    keep = _keep(generator, steps, gaps)  # drawn last: gaps change no value
    return Group(f"{kind}-{number // len(ROLES) + 1}", role, peak, weekend, noise, keep)


def _load(generator: np.random.Generator, group: Group) -> Float[np.ndarray, " steps"]:
    """Return the mean demand of one machine as a share of its capacity; it may exceed 1."""
    clock = np.arange(len(group.noise))
    kind, base, swing = generator.random(), generator.uniform(0.05, 0.25), generator.uniform(0.1, 0.4)
    idle = kind < IDLE
    if kind > 1 - TIGHT:
        base, swing = np.array([base, swing]) / (base + swing) * generator.uniform(0.9, 1.2)
    if idle:
        base, swing = 0.1 * base, 0.0
    peak = (group.peak + generator.uniform(-1, 1)) / 24
    day = np.exp(group.role.sharpness * (np.cos(2 * np.pi * (np.arange(DAY) / DAY - peak)) - 1))
    week = np.where((clock // DAY) % 7 >= 5, group.weekend, 1.0)
    load = base + swing * day[clock % DAY] * week
    if generator.random() < CHANGED:
        factor = generator.uniform(1.4, 2.0) ** generator.choice([-1, 1])
        load = load * np.where(clock >= generator.integers(len(clock) // 5, 4 * len(clock) // 5), factor, 1.0)
    rate = generator.uniform(0.2, 1) * group.role.bursts * (0.3 if idle else 1)
    for start in np.flatnonzero(generator.random(len(clock)) < rate / DAY):
        length = int(generator.integers(2, 18))
        load[start : start + length] += generator.uniform(0.1, 0.6) * (0.1 if idle else 1)
    return load


def _memory(
    generator: np.random.Generator, group: Group, load: Float[np.ndarray, " steps"]
) -> Float[np.ndarray, " steps"]:
    """Return memory in use as a share: a working set, a slow leak and an echo of the load, lost at every restart."""
    clock = np.arange(len(load))
    restarts = np.where(generator.random(len(load)) < 1 / (10 * DAY), clock, -generator.integers(DAY, 10 * DAY))
    age = clock - np.maximum.accumulate(restarts)
    held = generator.uniform(*group.role.working_set) + generator.uniform(0, 0.015) * age / DAY
    slow = np.exp(-1 / (2 * HOUR))
    echo = _accumulate(np.append(load[0], (1 - slow) * load[1:]), slow)
    wander = 0.01 * _autoregressive(generator.normal(size=len(load)), 0.99)
    return np.clip(0.05 + (1 - np.exp(-age / (3 * HOUR))) * (held + 0.3 * echo + wander), 0, 0.98)


def _disk(generator: np.random.Generator, load: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """Return disk in use as a share: it fills, faster under load, up to a mark where it is cleaned."""
    low, high = generator.uniform(0.15, 0.4), generator.uniform(0.7, 0.95)
    growth = generator.uniform(0.02, 0.1) / DAY * (0.5 + load)
    return low + (generator.uniform(0, high - low) + np.cumsum(growth)) % (high - low)


def _keep(generator: np.random.Generator, steps: int, gaps: float) -> Bool[np.ndarray, " steps"]:
    """Return which rows maintenance leaves: runs of two hours at most, longer ones when the nights do not suffice."""
    keep = np.ones(steps, bool)
    missing, nights = round(steps * gaps), -(-steps // DAY)
    runs = min(-(-missing // (2 * HOUR)), nights)
    for run, night in enumerate(generator.permutation(nights)[:runs]):
        length = (missing + run) // runs
        start = night * DAY + int(generator.integers(1, 4 * HOUR))
        keep[max(1, min(start, steps - 1 - length)) :][:length] = False
    return keep


def _autoregressive(draws: Float[np.ndarray, " steps"], memory: float) -> Float[np.ndarray, " steps"]:
    """Return AR(1) noise out of independent standard normal draws; each of its values is standard normal too."""
    return _accumulate(np.append(draws[0], np.sqrt(1 - memory**2) * draws[1:]), memory)


def _accumulate(values: Float[np.ndarray, " steps"], memory: float) -> Float[np.ndarray, " steps"]:
    """Return x with `x[t] = memory * x[t - 1] + values[t]`.

    Each pass doubles how far back the sum reaches; it ends where a weight no longer counts in float64.
    """
    lag, weight = 1, memory
    while lag < len(values) and weight > 1e-18:
        values = np.append(values[:lag], values[lag:] + weight * values[:-lag])
        lag, weight = 2 * lag, weight * weight
    return values


def _stream(seed: int, what: str, number: int) -> np.random.Generator:
    """Return the random stream of one machine or group: none depends on how many others there are."""
    place = ("machine", "group").index(what)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(place, number))))
