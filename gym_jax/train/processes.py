"""The group of processes that train as one: how they meet, and how they agree on small values.

A plain program is a group of one, and nothing here waits then. JAX is told of the others before it opens a device; what
they agree on goes through its coordination service, which needs no device and knows who is late.
"""

import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

from gym_jax.errors import ConfigError, GymJaxError, PeerError
from gym_jax.plugins import one_line
from gym_jax.train.rollcall import answer_rollcall, hold_rollcall

COORDINATOR, PROCESSES, PROCESS = "GYMJAX_COORDINATOR", "GYMJAX_PROCESSES", "GYMJAX_PROCESS"
"""The variables that a launcher sets: `host:port` of process 0, how many there are, the number of this one from 0."""
WAIT = 600.0
"""Seconds that one process waits for what another has to say; one that died is noticed long before."""

LAST_WORDS = 10.0
"""Seconds that a process with an error waits until the others have come to hear it."""
LONGEST = 1e6
"""Seconds that the service can count."""


class Group(NamedTuple):
    """How many processes train as one, and which of them this is."""

    rank: int = 0
    count: int = 1  # type: ignore[assignment]

    @property
    def writer(self) -> bool:
        """Whether this process writes the run folder and tells of the run."""
        return self.rank == 0


class _Joined:
    """What this process has joined; JAX, too, can be told of others only once."""

    group = Group()
    asked: dict[str, int] = {}  # noqa: RUF012 - how often each name was agreed on


def group() -> Group:
    """Return the group that this process has joined; without others a group of one."""
    return _Joined.group


def join(
    way: Literal["variables", "auto"] = "variables",
    *,
    join_seconds: float = 60,
    peer_seconds: float = 10,
    environ: Mapping[str, str] | None = None,
) -> Group:
    """Join the processes that train as one, and return the group; a second call returns what the first one did.

    `variables` joins when GYMJAX_COORDINATOR, GYMJAX_PROCESSES and GYMJAX_PROCESS say so; `auto` also asks SLURM,
    Kubernetes, MPI or a TPU pod. All must come within `join_seconds`; one that is silent for `peer_seconds` is dead.
    Raises ConfigError for wrong variables, a taken port or JAX devices that are open already, and PeerError that names
    who did not come.
    """
    if _Joined.group.count > 1:
        return _Joined.group
    found = _read_variables(os.environ if environ is None else environ)
    if found is None and way == "auto":
        found = _detect(join_seconds)
    if found is None or found[1].count == 1:
        return _Joined.group
    address, group, local = found
    _meet(address, group, join_seconds)
    _initialise(address, group, local, join_seconds, peer_seconds)
    _Joined.group = group
    return group


def gather(name: str, value: Any, seconds: float = WAIT) -> list[Any]:
    """Return the value (plain JSON) that every process gave under this name, by rank.

    All must ask in the same order for each name; with `seconds=math.inf` one waits as long as the others live. Raises
    PeerError that names who did not come.
    """
    rank, count = _Joined.group
    if count == 1:
        return [value]
    client, number = _client(), _Joined.asked.get(name, 0)
    _Joined.asked[name] = number + 1
    client.key_value_set(_key(name, number, rank), json.dumps(value))
    if number > 1:  # all have come to the last time, so that all have read the time before that
        with suppress(Exception):
            client.key_value_delete(_key(name, number - 2, rank))
    deadline = time.monotonic() + min(seconds, LONGEST)
    texts = [_read(client, name, number, other, deadline) for other in range(count)]
    if late := [other for other, text in enumerate(texts) if text is None]:
        raise PeerError(
            f"{_processes(late, count)} did not come to `{name}` within {seconds:g} s",
            hint=f"process {rank} waited; the others have ended, hang, or do something else",
            attempt="gymjax train --resume RUN",
        )
    return [json.loads(str(text)) for text in texts]


def broadcast(name: str, value: Any = None, seconds: float = WAIT) -> Any:
    """Return what process 0 gave under this name; what the others give is ignored. Raises what `gather` does."""
    return gather(name, value if _Joined.group.writer else None, seconds)[0]


def barrier(name: str, seconds: float = WAIT) -> None:
    """Wait until every process is here. Raises what `gather` does."""
    gather(name, None, seconds)


@contextmanager
def together(name: str) -> Iterator[None]:
    """Have every process leave the block only when all did so without an error.

    Who had none raises PeerError, which names the first that had one, and says why.
    """
    try:
        yield
    except Exception as error:
        with suppress(PeerError):  # who ends at once takes the others along before they have read it
            gather(name, str(error) or type(error).__name__, LAST_WORDS)
        raise
    faults = gather(name, None)
    if failed := [(rank, fault) for rank, fault in enumerate(faults) if fault]:
        rank, fault = failed[0]
        raise PeerError(
            f"{_processes([rank], _Joined.group.count)} failed: {fault}",
            hint="it says more on its own; all end with it",
            attempt="gymjax doctor",
        )


def _key(name: str, number: int, rank: int) -> str:
    return f"gymjax/{name}/{number}/{rank}"


def _read(client: Any, name: str, number: int, rank: int, deadline: float) -> str | None:
    """Return what a process said, None when it has not by the deadline."""
    left = max(0.001, deadline - time.monotonic())
    try:
        return str(client.blocking_key_value_get(_key(name, number, rank), int(left * 1000)))
    except Exception as error:
        if "DEADLINE_EXCEEDED" in str(error):
            return None
        raise PeerError(
            f"process {_Joined.group.rank} can no longer ask the others: {one_line(error)[:200]}",
            hint="process 0 keeps what they agree on; it has most likely ended",
        ) from error


def _client() -> Any:
    from jax._src import distributed

    return distributed.global_state.client


def _read_variables(environ: Mapping[str, str]) -> tuple[str, Group, Sequence[int] | None] | None:
    """Return coordinator and group as the variables say, None without them. Raises ConfigError for half of them."""
    given = {name: environ.get(name, "") for name in (COORDINATOR, PROCESSES, PROCESS)}
    if not any(given.values()):
        return None
    said = " ".join(f"{name}={value}" for name, value in given.items() if value)
    host, _, port = given[COORDINATOR].rpartition(":")
    numbers = [given[name] for name in (PROCESSES, PROCESS)]
    right = all(number.isdecimal() for number in (*numbers, port)) and host
    if not right or not int(numbers[1]) < int(numbers[0]) or not 0 < int(port) < 65536:
        raise ConfigError(
            f"these variables do not say which of several processes this is: {said}",
            hint=f"{COORDINATOR} is host:port of process 0, {PROCESSES} how many, {PROCESS} the number from 0",
            attempt=f"{COORDINATOR}=127.0.0.1:7777 {PROCESSES}=2 {PROCESS}=0 gymjax train ...",
            code="config.processes",
        )
    return given[COORDINATOR], Group(int(numbers[1]), int(numbers[0])), None


def _detect(seconds: float) -> tuple[str, Group, Sequence[int] | None]:
    """Return what JAX makes of SLURM, Kubernetes, MPI or a TPU pod. Raises ConfigError where there is none of them."""
    from jax._src.clusters import ClusterEnv

    try:
        address, count, rank, local = ClusterEnv.auto_detect_unset_distributed_params(
            None, None, None, None, None, int(seconds)
        )
    except Exception as error:
        raise _no_cluster(one_line(error)) from error
    if address is None or count is None or rank is None:
        raise _no_cluster("nothing says that this process is one of several")
    return address, Group(rank, count), local


def _no_cluster(reason: str) -> GymJaxError:
    return ConfigError(
        f"train.processes=auto finds no group of processes: {reason}",
        hint="it asks SLURM, Kubernetes, MPI and TPU pods; elsewhere a launcher sets the variables",
        attempt=f"{COORDINATOR}=127.0.0.1:7777 {PROCESSES}=2 {PROCESS}=0 gymjax train ...",
        code="config.processes",
    )


def _meet(address: str, group: Group, seconds: float) -> None:
    """Wait until all have come. JAX would end the process where one does not, and says not which."""
    host, _, port = address.rpartition(":")
    host, rank, count = host.strip("[]"), group.rank, group.count
    try:
        if rank == 0:
            absent = hold_rollcall("" if not _is_loopback(host) else host, int(port), count, seconds)
        else:
            absent = answer_rollcall(host, int(port), rank, count, seconds)
    except OSError as error:
        raise ConfigError(
            f"process {rank} can not use {address}: {error.strerror or error}",
            hint="process 0 needs a free port of its own machine; the others must be able to reach it",
            attempt=f"{COORDINATOR}={host or '127.0.0.1'}:{int(port) % 65535 + 1} ...",
            code="config.processes",
        ) from error
    except ValueError as error:
        raise ConfigError(
            str(error),
            hint=f"all need the same {PROCESSES}, and each its own {PROCESS} from 0 on",
            attempt=f"{COORDINATOR}={address} {PROCESSES}={count} {PROCESS}={rank} gymjax train ...",
            code="config.processes",
        ) from error
    if absent:
        raise PeerError(
            f"{_processes(absent, count)} did not come to {address} within {seconds:g} s",
            hint=f"each needs the same {COORDINATOR} and {PROCESSES}, and its own {PROCESS} from 0 to {count - 1}",
            attempt="gymjax train ... train.join_seconds=300",
        )


def _initialise(address: str, group: Group, local: Any, join_seconds: float, peer_seconds: float) -> None:
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is ours
    host = address.rpartition(":")[0].strip("[]")
    try:
        jax.distributed.initialize(
            address,
            group.count,
            group.rank,
            local,
            cluster_detection_method="deactivate",
            initialization_timeout=max(60, math.ceil(join_seconds)),  # all are there; JAX itself may be slow
            heartbeat_timeout_seconds=math.ceil(peer_seconds),
            shutdown_timeout_seconds=math.ceil(peer_seconds),
            coordinator_bind_address=address if _is_loopback(host) else None,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"process {group.rank} of {group.count} can not join: {one_line(error)[:200]}",
            hint="processes are joined before JAX opens its first device",
            code="config.processes",
        ) from error


def _is_loopback(host: str) -> bool:
    with suppress(OSError):
        return socket.gethostbyname(host).startswith("127.")
    return host == "::1"


def _processes(ranks: Sequence[int], count: int) -> str:
    """Return processes in words: `process 1 of 2`, `processes 1, 3 of 4`."""
    shown = ", ".join(map(str, ranks[:8])) + (", ..." if len(ranks) > 8 else "")
    return f"process{'es' if len(ranks) > 1 else ''} {shown} of {count}"
