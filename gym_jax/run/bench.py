"""How fast models train here: models x batch sizes x types x placements x ways to compile, beside their peers.

Every arm is a process of its own, so that no thread pool or allocator is shared and none dies of another's case. All
cases are compiled first; then they are timed in turn, several rounds, forwards and backwards: what slows the machine
down for a while falls on all of them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, get_args

from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError, did_you_mean, gathered, nearest
from gym_jax.models.precision import Dtype
from gym_jax.models.registry import MODELS
from gym_jax.report.picture import refuse_chart
from gym_jax.run.bench_peers import EXTRA, PEERS, is_missing
from gym_jax.run.bench_process import Arm, measure, prepare, stop
from gym_jax.run.bench_rows import OWN, Case, Row, row_of
from gym_jax.run.fit import Event
from gym_jax.types import Compile, Placement

ROUNDS = 3
"""Times that every case is visited; each visit makes at least one repetition."""
WORDS: dict[str, tuple[str, ...]] = {
    "model": tuple(kind for kind, entry in MODELS.items() if entry.solve is None),
    "placement": get_args(Placement),
    "dtype": get_args(Dtype),
    "compile": get_args(Compile),
    "peers": tuple(PEERS),
}
"""What can be compared, as the options of the command line are called."""


def bench(
    configs: Sequence[Config],
    *,
    placements: Sequence[str] | None = None,
    batch_sizes: Sequence[int] = (64, 256),
    dtypes: Sequence[str] = ("float32",),
    compiles: Sequence[str] | None = None,
    peers: Sequence[str] = (),
    seconds: float = 1.0,
    watch: Callable[[Event], None] | None = None,
) -> list[Row]:
    """Return a row for every case: our own first, then the peers'.

    `configs` holds one configuration for each model; the first one's data are those of the peers. None for
    `placements` or `compiles` takes what suits the devices: one device and all cores, safe and fast on a CPU.
    Each case is timed for about `seconds`, in three repetitions at least. `watch` hears `start` (facts of data and
    devices, number of cases and rounds), `begin`, `ready`, `fault` and `times`. A case that fails is a row with its
    `fault`.

    Raises ConfigError for unknown words, DataError for data that can not be read.
    """
    words = {"placement": placements or (), "dtype": dtypes, "compile": compiles or (), "peers": peers}
    words["model"] = [config.model.kind for config in configs]
    raise_problems(find_problems(words, batch_sizes=batch_sizes, seconds=seconds))
    own_settings = {
        "configs": [config.document() for config in configs],
        "placements": _once(placements),
        "batch_sizes": _once(batch_sizes),
        "dtypes": _once(dtypes),
        "compiles": _once(compiles),
        "seconds": seconds,
    }
    wanted = _once(peers) or []
    there = [by for by in wanted if is_missing(by) is None]
    theirs = len(there) * len(configs) * len(set(batch_sizes)) * len(set(dtypes))
    hear = _hearing(watch or (lambda event: None), theirs)
    with ExitStack() as stack:

        def opened(by: str, settings: dict[str, Any]) -> Arm:
            arm = Arm(by, settings, seconds / ROUNDS)
            stack.callback(stop, arm)
            prepare(arm, hear)
            return arm

        arms = [opened(OWN, own_settings)]
        for by in there:
            arms.append(opened(by, _peer_settings(configs, arms[0], own_settings)))
        for number in range(ROUNDS):
            for arm in arms if number % 2 == 0 else arms[::-1]:
                measure(arm, hear)
    found = {arm.by: arm for arm in arms}
    return [row for by in (OWN, *wanted) for row in (_rows(found[by], arms[0]) if by in found else [_absent(by)])]


def find_problems(
    words: Mapping[str, Sequence[str]], *, batch_sizes: Sequence[int], seconds: float, chart: str | None = None
) -> list[ConfigError]:
    """Return everything that is wrong with what is to be compared, named as on the command line."""
    out = []

    def refuse(message: str, hint: str, attempt: str) -> None:
        out.append(ConfigError(message, hint=hint, attempt=f"gymjax bench {attempt}", code="usage"))

    for option, given in words.items():
        known = (*WORDS[option], *(MODELS.names()[len(MODELS) :] if option == "model" else ()))
        for word in _once(given) or []:
            if option == "model" and word in MODELS and word not in known:
                refuse(f"--model {word} is not trained by gradient", "it has no steps to time", "--model lstm")
            elif word not in known:
                better = nearest(word, known) or known[0]
                refuse(f"--{option} `{word}` is not known", did_you_mean(word, known), f"--{option} {better}")
    for size in batch_sizes:
        if size < 1:
            refuse(f"--batch-size {size} is no number of windows", "it is at least 1", "--batch-size 64")
    if not 0 < seconds < math.inf:
        refuse(f"--seconds {seconds:g} is no length of time", "it is above 0", "--seconds 1")
    try:
        refuse_chart("--chart", chart)
    except ConfigError as error:
        refuse(error.message, str(error.hint), "--chart bench.png")
    return out


def raise_problems(problems: Sequence[ConfigError]) -> None:
    """Raise one ConfigError of all that is wrong, if anything is."""
    if problems:
        raise gathered(problems, code="usage" if len(problems) == 1 else "config.problems")


def _once(words: Sequence[Any] | None) -> list[Any] | None:
    return None if words is None else list(dict.fromkeys(words))


def _peer_settings(configs: Sequence[Config], own: Arm, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a peer must know: models, shape of the data, batch sizes, and the steps of one of its calls."""
    steps: dict[str, int] = {}
    for place, facts in own.ready.items():
        case = own.cases[place]
        steps[f"{case.model} {case.batch_size}"] = facts["steps"]
    return {
        "models": [config.model.model_dump(mode="json") for config in configs],
        "loss": configs[0].loss.kind,
        "optimiser": configs[0].optim.model_dump(mode="json"),
        "clip": configs[0].train.clip,
        "shape": {key: own.facts[key] for key in ("context", "horizon", "channels", "targets")},
        "platform": own.facts["platform"],
        "batch_sizes": settings["batch_sizes"],
        "dtypes": settings["dtypes"],
        "steps": steps,
    }


def _rows(arm: Arm, own: Arm) -> list[Row]:
    """Return the rows of an arm; peers are given the operations and the peak of our own cases."""
    flops = {own.cases[place][1:3]: facts["flops"] for place, facts in own.ready.items()}
    return [_row(arm, place, case, flops.get(case[1:3]), own.peaks) for place, case in enumerate(arm.cases)]


def _row(arm: Arm, place: int, case: Case, flops: int | None, peaks: dict[str, float]) -> Row:
    if place in arm.faults:
        return Row(*case, fault=arm.faults[place])
    facts = arm.ready[place]
    return row_of(
        case,
        times=arm.times[place],
        first=facts["first"],
        steps=facts["steps"],
        devices=facts["devices"],
        memory=facts["memory"],
        flops=flops,
        peak=peaks.get(facts["devices"]),
    )


def _absent(by: str) -> Row:
    return Row(by, fault=f"{is_missing(by)} is not installed: pip install 'gym-jax[{EXTRA}]'")


def _hearing(watch: Callable[[Event], None], theirs: int) -> Callable[[str, dict[str, Any]], None]:
    """Return what makes events of what processes say: one `start`, with all cases; `theirs` are the peers'."""
    started = False

    def hear(event: str, facts: dict[str, Any]) -> None:
        nonlocal started
        if event == "start" and not started:
            started = True
            watch(Event(event, {**facts["facts"], "cases": len(facts["cases"]) + theirs, "rounds": ROUNDS}))
        elif event in ("begin", "ready", "fault", "times"):
            watch(Event(event, {**facts["case"]._asdict(), **{k: v for k, v in facts.items() if k != "case"}}))

    return hear
