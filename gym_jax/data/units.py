"""Units of resources: what a column's name or a value's own suffix says, and the factor to another unit."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from gym_jax.data.words import command, shown, suggest
from gym_jax.errors import DataError

_DECIMAL, _BINARY = "kmgtpe", ("ki", "mi", "gi", "ti", "pi", "ei")
BYTES = (
    {"b": 1.0, "byte": 1.0, "bytes": 1.0}
    | {f"{p}b": 1e3 ** (i + 1) for i, p in enumerate(_DECIMAL)}
    | {f"{p}b": 1024.0 ** (i + 1) for i, p in enumerate(_BINARY)}
    | {p: 1024.0 ** (i + 1) for i, p in enumerate(_BINARY)}
)
PREFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
"""Bytes by a bare prefix, as Kubernetes writes them: only here upper and lower case differ (`m` is a thousandth)."""
CORES = {"cores": 1.0, "core": 1.0, "cpus": 1.0, "vcpus": 1.0, "millicores": 1e-3}
FRACTIONS = {"m": 1e-3, "u": 1e-6, "n": 1e-9}
"""Cores by a bare prefix."""
HERTZ = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
SHARE = {"%": 0.01, "pct": 0.01, "percent": 0.01, "share": 1.0, "fraction": 1.0}
SECONDS = {"s": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "ns": 1e-9}
KINDS: dict[str, dict[str, float]] = {
    "bytes": BYTES,
    "cores": CORES,
    "hertz": HERTZ,
    "share": SHARE,
    "seconds": SECONDS,
}
QUANTITY = re.compile(r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%/]*)\s*$")
BRACKET = re.compile(r"[\[(]([^\])]+)[\])]\s*$")
PERCENT = {"%", "pct", "percent", "percentage"}
USUAL = {"bytes": "MiB", "cores": "cores", "hertz": "MHz", "share": "%", "seconds": "s"}
BITS = re.compile(r"[KMGTPE]i?b")
"""Megabits, or megabytes in a hurry: not told apart."""


def kinds_of(unit: str) -> dict[str, float]:
    """Return the kinds of quantity a unit may be of, each with its factor to the kind's base unit."""
    word = re.sub("/[sS]$", "", unit)
    if word in PREFIXES:
        return {"bytes": PREFIXES[word]}
    if word in FRACTIONS:
        return {"cores": FRACTIONS[word]}
    if BITS.fullmatch(word):
        return {}
    return {kind: units[word.lower()] for kind, units in KINDS.items() if word.lower() in units}


def usual_unit(unit: str) -> str:
    """Return the unit in which a quantity written in `unit` is usually read: MiB of `Gi`, cores of `m`."""
    return USUAL[next(iter(kinds_of(unit)))] + ("/s" if unit.lower().endswith("/s") else "")


def factor(source: str, wanted: str, column: str) -> float:
    """Return what a number in `source` is multiplied by to be in `wanted`. Raises DataError when there is none."""
    from_kinds, to_kinds = kinds_of(source), kinds_of(wanted)
    for unit, kinds in ((wanted, to_kinds), (source, from_kinds)):
        if not kinds:
            every = [word for units in KINDS.values() for word in units]
            raise DataError(
                f"`{shown(unit)}` of column `{shown(column)}` is no unit that is known",
                hint="it may be megabits or megabytes: write MB or MiB"
                if BITS.fullmatch(unit)
                else suggest(unit, every),
                code="data.units",
            )
    shared = [kind for kind in from_kinds if kind in to_kinds]
    if not shared or source.lower().endswith("/s") != wanted.lower().endswith("/s"):
        counted = [
            f"{' or '.join(kinds)}{' a second' if unit.lower().endswith('/s') else ''}"
            for unit, kinds in ((source, from_kinds), (wanted, to_kinds))
        ]
        raise DataError(
            f"column `{shown(column)}` is in `{shown(source)}`, which is no `{shown(wanted)}`",
            hint=f"`{shown(source)}` counts {counted[0]}, `{shown(wanted)}` {counted[1]}",
            code="data.units",
        )
    return from_kinds[shared[0]] / to_kinds[shared[0]]


def unit_in_name(column: str) -> str | None:
    """Return the unit that a column's name ends with: `Memory usage [KB]`, `memory_mib`, `cpu_pct`."""
    if bracket := BRACKET.search(column):
        return bracket[1].strip() if kinds_of(bracket[1].strip()) else None
    last = re.split(r"[\s_.]+", column.strip())[-1]
    return last if len(last) > 1 and kinds_of(last) else None


def is_percentage(column: str) -> bool:
    """Return whether a column's name says that it counts per cent."""
    return (unit_in_name(column) or "").lower() in PERCENT


def read_quantities(
    words: Sequence[str | None], wanted: str, column: str, where: str, *, rows: Int[np.ndarray, " words"] | None = None
) -> tuple[Float[np.ndarray, " words"], dict[str, int]]:
    """Return words such as `250m`, `1.5Gi` or `12` in the wanted unit, and the units they were written in.

    A bare number is in the unit of the column's name, or in the base unit (bytes, cores). `rows` are the data rows of
    the words, from 0. Raises DataError.
    """
    out = np.full(len(words), np.nan)
    found: dict[str, int] = {}
    for place, word in enumerate(words):
        if word is None or not word.strip():
            continue
        match = QUANTITY.match(word)
        if match is None:
            row = place if rows is None else int(rows[place])
            raise DataError(
                f"column `{shown(column)}` of {where} is no quantity: `{shown(word)}` in data row {row + 1:,}",
                hint="a quantity is a number with or without a unit: 250m, 1.5Gi, 12",
                attempt=command({"missing_words": [word.strip()]}),
                code="data.units",
            )
        unit = match[2] or unit_in_name(column) or base_unit(wanted, column)
        found[unit] = found.get(unit, 0) + 1
        out[place] = float(match[1]) * factor(unit, wanted, column)
    return out, found


def base_unit(wanted: str, column: str) -> str:
    """Return the unit of a bare number: bytes, cores, hertz, a share or seconds."""
    kinds = kinds_of(wanted)
    if not kinds:
        factor(wanted, wanted, column)  # raises: no such unit
    return next(unit for unit, size in KINDS[next(iter(kinds))].items() if size == 1) + (
        "/s" if wanted.lower().endswith("/s") else ""
    )


def scale_of(column: str, units: Mapping[str, str]) -> float:
    """Return the factor that brings a numeric column to its wanted unit. Raises DataError when its own is not told."""
    if column not in units:
        return 1.0
    source = unit_in_name(column)
    if source is None and (bracket := BRACKET.search(column)):
        source = bracket[1].strip()
    if source is None:
        raise DataError(
            f"column `{column}` is to be read in `{units[column]}`, but its name tells no unit",
            hint="the unit stands at the end of the name: memory_kib, Memory usage [KB]",
            code="data.units",
        )
    return factor(source, units[column], column)


def size_of(text: str) -> int:
    """Return a size such as `512MB` or `2GiB` in bytes. Raises ValueError when it is none."""
    found = QUANTITY.match(str(text))
    factor = kinds_of(found[2] or "bytes").get("bytes") if found is not None else None
    if found is None or factor is None or float(found[1]) * factor < 1:
        raise ValueError(f"`{shown(text)}` is no size: write 512MB or 2GiB")
    return int(float(found[1]) * factor)
