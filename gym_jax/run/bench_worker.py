"""The process that measures: a job and requests come in as lines of JSON, events go out the same way.

python -m gym_jax.run.bench_worker < JOB
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TextIO

from gym_jax.errors import GymJaxError
from gym_jax.run.bench_rows import OWN, Bench, Ready, repetitions

Tell = Callable[..., None]


def main() -> None:
    """Serve the job on stdin. What libraries print goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    serve(open_bench(job), job, sys.stdin, teller(out))


def teller(out: TextIO) -> Tell:
    """Return a function that writes an event and its facts as a line."""

    def tell(event: str, **facts: Any) -> None:
        out.write(json.dumps({"event": event, **facts}) + "\n")
        out.flush()

    return tell


def open_bench(job: dict[str, Any]) -> Callable[[], Bench]:
    """Return what opens the bench of a job; nothing heavy is loaded before."""

    def opened() -> Bench:
        if job["by"] != OWN:
            from gym_jax.run.bench_peers import open_peer

            return open_peer(job["by"], **job["settings"])
        from gym_jax.config.judge import judge
        from gym_jax.run.bench_own import open_own

        settings = dict(job["settings"])
        return open_own([judge(document) for document in settings.pop("configs")], **settings)

    return opened


def serve(opened: Callable[[], Bench], job: dict[str, Any], requests: Iterable[str], tell: Tell) -> None:
    """Open the bench, make every case ready, and measure all of them once for each request; odd rounds backwards.

    Events: `start` with cases and facts, then `done`; `begin` before anything that may end the process; `ready`,
    `times` and `fault` of a case; `peaks`; `error` when the bench can not be opened. `skip` in the job names cases that
    are left out.
    """
    try:
        bench = opened()
    except GymJaxError as error:
        tell("error", **error_facts(error))
        return
    tell("start", cases=bench.cases, facts=bench.facts)
    ready: dict[int, Ready] = {}
    left = [(place, case) for place, case in enumerate(bench.cases) if place not in job["skip"]]
    for place, case in left:
        tell("begin", case=place)
        if not ready:
            with suppress(Exception):  # imports and first compilations are no part of the first case
                bench.prepare(case)
        try:
            rise, made = bench.gauge(), bench.prepare(case)
            first = repetitions(made.call, 0.0, time.perf_counter)[0]
        except Exception as error:
            tell("fault", case=place, reason=reason_of(error))
            continue
        ready[place] = made
        facts = {"first": first, "memory": rise(), "steps": made.steps, "devices": made.devices, "flops": made.flops}
        tell("ready", case=place, **facts)
    tell("done")
    for number, _ in enumerate(requests):
        tell("peaks", peaks=bench.peaks())
        for place in sorted(ready, reverse=number % 2 == 1):
            tell("begin", case=place)
            try:
                times = repetitions(ready[place].call, job["seconds"], time.perf_counter)
            except Exception as error:
                del ready[place]
                tell("fault", case=place, reason=reason_of(error))
            else:
                tell("times", case=place, seconds=times)
        tell("done")


def reason_of(error: BaseException) -> str:
    """Return an error in one line, without the name of its type where its text says enough."""
    lines = str(error).strip().splitlines() or ["no message"]
    return lines[0][:200] if isinstance(error, GymJaxError) else f"{type(error).__name__}: {lines[0][:200]}"


def error_facts(error: GymJaxError) -> dict[str, Any]:
    """Return an error as plain JSON that `error_of` reads."""
    words = {"message": error.message, "hint": error.hint, "attempt": error.attempt, "code": error.code}
    findings = [list(finding) for finding in getattr(error, "findings", ())]
    problems = [error_facts(problem) for problem in error.problems]
    return {"kind": type(error).__name__, "words": words, "problems": problems, "findings": findings}


if __name__ == "__main__":
    main()
