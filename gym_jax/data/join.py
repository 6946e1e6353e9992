"""Rows of several files as one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gym_jax.data.rows import Rows
from gym_jax.data.words import listed, shown
from gym_jax.errors import DataError


def join_rows(parts: Sequence[Rows], files: Sequence[str]) -> Rows:
    """Return the rows of several files as one. Raises DataError when they do not belong together."""
    first = parts[0]
    for part, file in zip(parts, files, strict=True):
        _refuse_other(first, part, files[0], file)
    if len(parts) == 1:
        return first
    ids = list(dict.fromkeys(name for part in parts for name in part.ids))
    place = {name: position for position, name in enumerate(ids)}
    maps = [np.array([place[name] for name in part.ids], np.int64) for part in parts]
    static = np.full((len(ids), first.static.shape[1]), np.nan)
    words = np.full((len(ids), first.categories.shape[1]), "", object)
    for at, part, file in zip(maps, parts, files, strict=True):
        _join_static(static, part.static, at, ids, first.columns.static, file, lambda v: ~np.isnan(v))
        _join_static(words, part.categories, at, ids, first.columns.categories, file, lambda v: v != "")
    return Rows(
        np.concatenate([at[part.codes] for at, part in zip(maps, parts, strict=True)]),
        ids,
        first.times._replace(stamps=np.concatenate([part.times.stamps for part in parts]), note=None),
        np.concatenate([part.values for part in parts]),
        _by_row(parts, lambda part: part.limits, np.nan),
        _by_row(parts, lambda part: part.usage, False),
        static,
        words,
        first.columns,
        tuple(note for part in parts for note in (*part.notes, part.times.note) if note),
    )


def _refuse_other(first: Rows, part: Rows, begin: str, file: str) -> None:
    own, other = first.columns, part.columns
    for what in ("numeric", "static", "categories"):
        if getattr(own, what) != getattr(other, what):
            raise DataError(
                f"{file} has the columns {listed(getattr(other, what)) or 'none'}, "
                f"{begin} has {listed(getattr(own, what)) or 'none'}",
                hint="files that are read together need the same columns; name the target",
                attempt="gymjax train ... --target COLUMN",
                code="data.mixed_files",
            )
    if (part.times.clock, part.times.zone) != (first.times.clock, first.times.zone):
        kinds = [_kind(rows) for rows in (part, first)]
        raise DataError(
            f"the times of {file} {kinds[0]}, those of {begin} {kinds[1]}",
            hint="write every file's times alike",
            code="data.mixed_files",
        )


def _kind(rows: Rows) -> str:
    return "are counts" if rows.times.clock == "step" else "have a zone" if rows.times.zone else "have no zone"


def _join_static(
    into: np.ndarray,
    own: np.ndarray,
    at: np.ndarray,
    ids: Sequence[str],
    names: Sequence[str],
    file: str,
    is_known: Callable[[Any], np.ndarray],
) -> None:
    old = into[at]
    bad = is_known(old) & is_known(own) & (old != own)
    if bad.any():
        i, j = (int(k[0]) for k in np.nonzero(bad))
        raise DataError(
            f"column `{names[j]}` of series `{shown(ids[at[i]])}` is `{shown(own[i, j])}` in {file}, "
            f"`{shown(old[i, j])}` in a file before",
            hint="static numbers and categories belong to a series as a whole; what changes goes to past or known",
            code="data.static",
        )
    into[at] = np.where(is_known(own), own, old)


def _by_row(parts: Sequence[Rows], of: Callable[[Rows], Any], none: float | bool) -> dict[str, Any]:
    """Return what belongs to channels, for every row; `none` in files that say nothing."""
    names = dict.fromkeys(name for part in parts for name in of(part))
    return {
        name: np.concatenate([np.broadcast_to(of(part).get(name, none), len(part.codes)) for part in parts])
        for name in names
    }
