"""Quality gates: bounds on scores, every one of them judged and said."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gym_jax.errors import ConfigError, did_you_mean, gathered
from gym_jax.evaluate.labels import LABEL_METRICS
from gym_jax.metrics import HIGHER, METRICS

SKILL = "skill"
"""The share by which the MAE is below that of the best baseline; negative where it is above, no number where that makes
no error at all."""
OF_INTERVALS = ("coverage", "width", "interval_score")
"""With a level behind them: `coverage_80`."""
FORM = re.compile(r"(?:(.+):)?\s*([A-Za-z_0-9.]+)\s*([=<>])\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


class Gate(NamedTuple):
    """A bound on a score. It fails above it (`>`) or below it (`<`)."""

    word: str
    target: str | None
    """None: every target."""
    metric: str
    fails: str
    bound: float


def parse_gates(words: Sequence[str]) -> list[Gate]:
    """Return gates such as `mae=0.1`, `cpu:mae=0.1` or `coverage_80<0.75`, which names what fails.

    With `=` a score fails on its bad side: above the bound, or below it where more is better. Raises ConfigError that
    names every wrong one.
    """
    gates, problems = [], []
    known = [*METRICS, *LABEL_METRICS, SKILL, *(f"{name}_80" for name in OF_INTERVALS)]
    for word in words:
        found = FORM.fullmatch(word)
        if found is None:
            problems.append(
                _wrong(f"--fail-over `{word}` is no bound on a score", "write mae=0.1, cpu:mae=0.1 or coverage_80<0.75")
            )
            continue
        target, metric, sign, bound = found.groups()
        if metric not in known and not re.fullmatch(rf"({'|'.join(OF_INTERVALS)})_\d+(\.\d+)?", metric):
            problems.append(_wrong(f"no metric `{metric}`", did_you_mean(metric, known)))
            continue
        higher = metric in HIGHER or metric == SKILL or metric.startswith("coverage")
        gates.append(Gate(word, target, metric, sign if sign != "=" else "<" if higher else ">", float(bound)))
    if problems:
        raise gathered(problems, code="usage")
    return gates


def judge_gates(gates: Sequence[Gate], scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the verdict on every gate for each of its targets, as plain JSON; what is no number does not pass.

    `scores` are what `evaluate_run` returns. Raises ConfigError on targets and metrics that they have not, all at once.
    """
    values = {target: _numbers(target, block, scores) for target, block in scores["model"]["targets"].items()}
    verdicts, problems = [], []
    for gate in gates:
        if gate.target is not None and gate.target not in values:
            problems.append(_wrong(f"no target `{gate.target}` in the run", did_you_mean(gate.target, values)))
            continue
        for target in values if gate.target is None else (gate.target,):
            if gate.metric not in values[target]:
                problems.append(_absent(gate.metric, target, values[target], scores))
                continue
            value = values[target][gate.metric]
            passed = value is not None and (value <= gate.bound if gate.fails == ">" else value >= gate.bound)
            verdicts.append({**gate._asdict(), "target": target, "value": value, "passed": passed})
    if problems:
        raise gathered(problems, code="usage")
    return verdicts


def failing(verdicts: Sequence[Mapping[str, Any]]) -> str | None:
    """Return a sentence about the gates that were not passed, None when all were."""
    failed = [one for one in verdicts if not one["passed"]]
    if not failed:
        return None
    said = (
        f"{one['target']} {one['metric']} is "
        + ("no number" if one["value"] is None else f"{one['value']:.4g} {one['fails']} {one['bound']:g}")
        for one in failed
    )
    return f"{len(failed)} of {len(verdicts)} quality gates failed: {'; '.join(said)}"


def _numbers(target: str, block: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Return every score of a target that a gate can bound."""
    found = {name: block[name] for name in (*METRICS, *LABEL_METRICS) if name in block}
    rivals = [blocks[target].get("mae") for blocks in scores["baselines"].values()]
    rivals = [mae for mae in rivals if mae is not None]
    if rivals and "mae" in block:
        best = min(rivals)  # a share of no error at all is no number
        found[SKILL] = 1 - block["mae"] / best if block["mae"] is not None and best else None
    for blocks in scores.get("intervals", {}).values():
        for one in blocks.get(target, ()):
            found |= {f"{name}_{100 * one['level']:g}": one[name] for name in OF_INTERVALS}
    return {name: value if value is not None and math.isfinite(value) else None for name, value in found.items()}


def _absent(metric: str, target: str, there: Mapping[str, Any], scores: Mapping[str, Any]) -> ConfigError:
    if metric.startswith(OF_INTERVALS) and "intervals" not in scores:
        return ConfigError(
            f"there is no `{metric}` of `{target}`: the run has no calibrated intervals",
            hint="calibrate it first",
            attempt="gymjax calibrate RUN",
            code="usage",
        )
    return _wrong(f"there is no `{metric}` of `{target}`", did_you_mean(metric, there))


def _wrong(message: str, hint: str) -> ConfigError:
    return ConfigError(message, hint=hint, attempt="gymjax evaluate RUN --fail-over mae=0.1", code="usage")
