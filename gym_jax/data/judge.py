"""Values judged before they are used: infinite, negative, above capacity, missing; counted always."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from gym_jax.data.findings import Report
from gym_jax.data.reading import Policy
from gym_jax.errors import DataError

ROUNDING = 1e-9
"""A value above its capacity by this share of it is rounding."""
DONE = {"keep": "kept", "mask": "masked", "clip": "cut to the capacity", "zero": "set to 0"}


def judge_values(
    values: Float[np.ndarray, "rows channels"],
    place: Callable[[int], str],
    report: Report,
    *,
    channels: Sequence[str],
    targets: int,
    policy: Policy,
    usage: Sequence[str] | Mapping[str, Bool[np.ndarray, " rows"] | bool] = (),
    capacity: Mapping[str, Float[np.ndarray, " rows"] | float] | None = None,
) -> Float[np.ndarray, "rows channels"]:
    """Return the values with what the policies repair (NaN is masked later), every count in `report`.

    `place` names a row in words; `usage` names the channels, or says of every row, what can not be negative;
    `capacity` holds the capacity of a channel for every row, or one number.
    """
    own = _Copied(values)
    _infinite(own, place, report, channels, policy)
    judged = usage if isinstance(usage, Mapping) else dict.fromkeys(usage, True)
    _negative(own, place, report, channels, policy, judged)
    _above(own, place, report, channels, policy, capacity or {})
    _missing(own, place, report, channels, targets, policy)
    return own.now


def _missing(
    values: "_Copied",
    place: Callable[[int], str],
    report: Report,
    channels: Sequence[str],
    targets: int,
    policy: Policy,
) -> None:
    counts = [int(np.isnan(values.now[:, c]).sum()) for c in range(len(channels))]
    target, other = sum(counts[:targets]), sum(counts[targets:])
    what = [f"{target:,} target values"] if target or not other else []
    what += [f"{other:,} other values"] if other else []
    first = ""
    if target + other and policy.missing == "error":
        c = next(c for c, count in enumerate(counts) if count)
        first = f": `{channels[c]}` of {place(int(np.argmax(np.isnan(values.now[:, c]))))}"
    report.add(
        "missing",
        policy.missing,
        target + other,
        values.now.size,
        "values",
        error=DataError(
            f"{' and '.join(what)} are missing (NaN){first}",
            hint="the policy missing=error refuses them",
            attempt="gymjax train ... data.policy.missing=mask",
            code="data.missing",
        ),
        done=f"{' and '.join(what)} are missing (NaN): masked",
    )


class _Copied:
    """An array that is copied before it is first changed."""

    def __init__(self, values: np.ndarray) -> None:
        self.now, self.own = values, False

    def put(self, channel: int, where: Bool[np.ndarray, " rows"], value: np.ndarray | float) -> None:
        if not self.own:
            self.now, self.own = self.now.copy(), True
        self.now[where, channel] = value if np.isscalar(value) else value[where]  # type: ignore[index]


def _infinite(
    values: _Copied, place: Callable[[int], str], report: Report, channels: Sequence[str], policy: Policy
) -> None:
    count, first = 0, ""
    for c, name in enumerate(channels):
        bad = np.isinf(values.now[:, c])
        if bad.any():
            count += int(bad.sum())
            first = first or f"`{name}` of {place(int(np.argmax(bad)))}"
            values.put(c, bad, np.nan)
    report.add(
        "infinite",
        policy.infinite,
        count,
        values.now.size,
        "values",
        error=DataError(
            f"{count:,} values are infinite: {first}",
            hint="write missing values as empty cells or NaN, or mask these with data.policy.infinite=mask",
            attempt="gymjax train ... data.policy.infinite=mask",
            code="data.infinite",
        ),
        done=f"{count:,} values are infinite: masked",
    )


def _negative(
    values: _Copied,
    place: Callable[[int], str],
    report: Report,
    channels: Sequence[str],
    policy: Policy,
    usage: Mapping[str, np.ndarray | bool],
) -> None:
    judged = [c for c, name in enumerate(channels) if name in usage]
    count, total, first = 0, 0, ""
    for c in judged:
        own = np.broadcast_to(usage[channels[c]], len(values.now))
        bad = (values.now[:, c] < 0) & own
        total += int(own.sum())
        if bad.any():
            row = int(np.argmax(bad))
            count += int(bad.sum())
            first = first or f"`{channels[c]}` of {place(row)} is {values.now[row, c]:g}"
            if policy.negative in ("mask", "zero"):
                values.put(c, bad, np.nan if policy.negative == "mask" else 0.0)
    if not total:
        return
    report.add(
        "negative",
        policy.negative,
        count,
        total,
        "values of usage",
        error=DataError(
            f"{count:,} values of usage are negative: {first}",
            hint="a counter that wrapped, or a word for missing? data.policy.negative=mask, zero or keep; "
            "data.usage names the columns that can not be negative",
            attempt="gymjax train ... data.policy.negative=mask",
            code="data.negative",
        ),
        done=f"{count:,} values of usage are negative: {DONE.get(policy.negative, '')}",
    )


def _above(
    values: _Copied,
    place: Callable[[int], str],
    report: Report,
    channels: Sequence[str],
    policy: Policy,
    capacity: Mapping[str, np.ndarray | float],
) -> None:
    count, total, first = 0, 0, ""
    for name, limit in capacity.items():
        if name not in channels:
            continue
        c = channels.index(name)
        above = values.now[:, c] > np.multiply(limit, 1 + ROUNDING)
        total += int(np.broadcast_to(~np.isnan(limit), len(above)).sum())
        if above.any():
            row = int(np.argmax(above))
            own = float(limit[row] if isinstance(limit, np.ndarray) else limit)
            count += int(above.sum())
            first = first or f"`{name}` of {place(row)} is {values.now[row, c]:g}, its capacity {own:g}"
            if policy.above_capacity in ("mask", "clip"):
                values.put(c, above, np.nan if policy.above_capacity == "mask" else limit)
    if not total:
        return
    share = f"{count:,} of {total:,} values ({count / total:.1%}) are above capacity"
    report.add(
        "above_capacity",
        policy.above_capacity,
        count,
        total,
        "values with a capacity",
        error=DataError(
            f"{share}: {first}",
            hint="it is real on many platforms: data.policy.above_capacity=keep, clip or mask",
            attempt="gymjax train ... data.policy.above_capacity=keep",
            code="data.above_capacity",
        ),
        done=f"{share}: {DONE.get(policy.above_capacity, '')}",
    )
