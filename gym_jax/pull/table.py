"""Pages to a long table of id, time and a column per query, the same bytes however they were pulled."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.errors import DataError, did_you_mean
from gym_jax.files import whole_file
from gym_jax.pull.prometheus import Page
from gym_jax.pull.request import ID, TIME, Request

LABELS = ("namespace", "workload", "pod", "container")
"""What makes an id where nothing is said and a series has any of them."""
NOBODY = "all"
"""The id of a series that has none of the labels."""
PORTION = 1_000_000
"""Rows written at once."""


class Pulled(NamedTuple):
    """The values of all queries, a row for each series and time at which any has one."""

    ids: list[str]
    labels: tuple[str, ...]
    """What the ids are made of."""
    codes: np.ndarray
    points: np.ndarray
    """Counted from the first point of the range."""
    columns: dict[str, np.ndarray]
    notes: list[str]


def join_pages(request: Request, pages: Mapping[str, Sequence[Page]], labels: Sequence[str] = ()) -> Pulled:
    """Return what the pages of each query hold, by ids made of `labels`. Raises DataError.

    What is no finite number is left out and counted. A series whose labels change over time goes on under its id.
    """
    chosen = _choose_labels([series for own in pages.values() for page in own for series in page.labels], labels)
    names: dict[str, int] = {}
    notes: list[str] = []
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for column, own in pages.items():
        keys, values = _keys_of(request, own, chosen, names)
        for what, wrong in (("NaN", np.isnan(values)), ("infinite", np.isinf(values))):
            if count := int(wrong.sum()):
                notes.append(f"{count:,} of {len(values):,} values of `{column}` are {what}: left out")
        keys, values = keys[np.isfinite(values)], values[np.isfinite(values)]
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        if (twice := np.flatnonzero(keys[1:] == keys[:-1])).size:
            code, point = divmod(int(keys[twice[0]]), request.points)
            _refuse_twins(column, own, chosen, list(names)[code], request.first + point * request.step)
        if not len(keys):
            notes.append(f"`{column}` has no value")
        found[column] = keys, values
    return _aligned(request, found, names, chosen, notes)


def _choose_labels(series: Sequence[Mapping[str, str]], said: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that make an id: those that were said, the usual ones, or all but the name."""
    there = {name for one in series for name in one}
    if unknown := [name for name in said if name not in there]:
        if not series:
            return tuple(said)
        raise DataError(
            f"no series has a label `{unknown[0]}`",
            hint=did_you_mean(unknown[0], there) if there else "the query has added them all up",
            attempt="gymjax data pull ... --labels namespace,pod,container",
            code="pull.label",
        )
    usual = tuple(name for name in LABELS if name in there)
    return tuple(said) or usual or tuple(sorted(there - {"__name__"}))


def _id(series: Mapping[str, str], labels: Sequence[str]) -> str:
    return "/".join(filter(None, (series.get(name) for name in labels))) or NOBODY


def _keys_of(
    request: Request, own: Sequence[Page], labels: Sequence[str], names: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each value of a query its series (a place in `names`) and time as one number, and itself."""
    keys, values = [np.empty(0, np.int64)], [np.empty(0)]
    for page in own:
        codes = np.array([names.setdefault(_id(one, labels), len(names)) for one in page.labels], np.int64)
        keys.append(codes[page.codes] * request.points + (page.times - request.first) // request.step)
        values.append(page.values)
    return np.concatenate(keys), np.concatenate(values)


def _refuse_twins(column: str, own: Sequence[Page], labels: Sequence[str], id: str, time: int) -> None:
    """Raise DataError on the first two series of an id that have a value at a time."""
    there = [page.labels[code] for page in own for code in page.codes[(page.times == time) & np.isfinite(page.values)]]
    one, other, *_ = (series for series in there if _id(series, labels) == id)
    apart = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    differ = ", ".join(apart) or "nothing"
    raise DataError(
        f"two series of `{column}` are both `{id}` at {str(np.datetime64(time, 'ms'))[:19]}: they differ in {differ}",
        hint=f"tell them apart by more labels, or add them up in the query: sum by ({', '.join(labels)}) (...)",
        attempt=f"gymjax data pull ... --labels {','.join([*labels, *apart])}",
        code="pull.twins",
    )


def _aligned(
    request: Request,
    found: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: Mapping[str, int],
    labels: tuple[str, ...],
    notes: list[str],
) -> Pulled:
    """Return all columns on the same rows, the series in the order of their ids."""
    ids = sorted(names)
    rank = np.empty(len(ids), np.int64)
    rank[[names[name] for name in ids]] = np.arange(len(ids))

    def ranked(keys: np.ndarray) -> np.ndarray:
        return rank[keys // request.points] * request.points + keys % request.points

    moved = {column: ranked(keys) for column, (keys, _) in found.items()}
    rows = np.unique(np.concatenate(list(moved.values())))
    columns = {}
    for column, keys in moved.items():
        columns[column] = np.full(len(rows), np.nan)
        columns[column][np.searchsorted(rows, keys)] = found[column][1]
    with_values = np.unique(rows // request.points)
    shared = set.intersection(*(set((keys // request.points).tolist()) for keys in moved.values()))
    if len(rows) and not shared:
        notes.append(f"no series has all of {', '.join(found)}: --labels may name what they share")
    codes = np.searchsorted(with_values, rows // request.points)
    return Pulled([ids[i] for i in with_values], labels, codes, rows % request.points, columns, notes)


def write_pulled(request: Request, pulled: Pulled, out: Path, facts: Mapping[str, Any]) -> None:
    """Write Parquet, whole or not at all, with `facts` of where it is from in its metadata. Raises StorageError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [(ID, pa.string()), (TIME, pa.timestamp("ms", "UTC")), *((name, pa.float64()) for name in pulled.columns)]
    schema = pa.schema(fields, {"gym_jax": json.dumps(dict(facts))})
    ids = pa.array(pulled.ids, pa.string())

    def portions() -> Iterator[Any]:
        for begin in range(0, len(pulled.codes), PORTION):
            part = slice(begin, begin + PORTION)
            times = request.first + pulled.points[part] * request.step
            yield pa.table(
                [
                    ids.take(pa.array(pulled.codes[part])),
                    pa.array(times, pa.timestamp("ms", "UTC")),
                    *(pa.array(values[part], from_pandas=True) for values in pulled.columns.values()),
                ],
                schema=schema,
            )

    with whole_file(out, ".parquet") as (_, temporary), pq.ParquetWriter(temporary, schema, compression="zstd") as file:
        for portion in portions():
            file.write_table(portion)
