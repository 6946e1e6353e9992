"""Very many series, a portion at a time: read, judged, answered, written; what can not be answered is put aside."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gym_jax.data.columns import find_columns
from gym_jax.data.panel import Panel
from gym_jax.data.parts import UNANSWERED, PartFolder, finish_parts, open_parts, read_unanswered, write_part
from gym_jax.data.reading import Reading
from gym_jax.data.salvage import Unread, read_sound
from gym_jax.data.store import ROWS, Store, open_store
from gym_jax.data.words import shown
from gym_jax.errors import ConfigError, DataError, Interrupted

OnError = Literal["skip", "stop"]
USUAL_MEMORY, LEAST_MEMORY = 512 * 10**6, 128 * 10**6
"""Bytes that a job may hold beside the process itself."""
FIXED, VALUE, SERIES = 64 * 10**6, 80, 6_000
"""Bytes that are held of them: always; for each value that is read, for each series that is answered."""


class Job(NamedTuple):
    """How series are answered, and what tells the job from others."""

    answer: Callable[[Sequence[Panel]], tuple[Any, list[Unread]]]
    """Answers as an Arrow table with the columns of `nothing`, and the series that got none."""
    nothing: Any
    """The table without rows."""
    facts: Mapping[str, Any]


class Watched(NamedTuple):
    """How far a job is."""

    parts: int
    of_parts: int
    series: int
    of_series: int
    unanswered: int
    """Of those that this process has seen."""
    per_second: float
    """Series, by this process."""


def score_data(
    data: str | Path,
    out: str | Path,
    reading: Reading,
    make_job: Callable[[Panel, int], Job],
    *,
    memory: int = USUAL_MEMORY,
    on_error: OnError = "skip",
    watch: Callable[[Watched], None] | None = None,
    stop: Callable[[], int | None] | None = None,
) -> dict[str, Any]:
    """Answer every series of Parquet files into a folder of parts and return its manifest; a folder that was begun with
    the same job is gone on with.

    `make_job` is given a panel of some of the series, and how many series a portion has at most. `memory` bounds in
    bytes what is held beside the process itself. Raises DataError when the data are not what is asked for, when no
    series can be answered, and with `on_error="stop"` at the first that can not; Interrupted once `stop` answers with
    an exit code; else what `open_parts` raises. Whole parts stay.
    """
    if memory < LEAST_MEMORY:
        raise ConfigError(
            f"{memory / 1e6:g} MB are too little memory",
            hint=f"{LEAST_MEMORY / 1e6:g} MB at least, beside what the process itself takes",
            attempt="--memory 256MB",
            code="usage",
        )
    store = _store_in(data, reading, memory)
    panel = _probe(store)
    if store.reading.step is None and store.reading.resample.step is None:
        step = panel.describe_step() if panel.clock == "ns" else str(panel.step)
        store = store._replace(reading=replace(store.reading, step=step))
    job = make_job(panel, max(len(piece.series) for piece in store.pieces))
    facts = {**job.facts, "series": store.series, "data_rows": store.rows, "memory": memory}
    marks = [[opened.file.path, opened.file.mark] for opened in store.files]
    with open_parts(out, len(store.pieces), {**facts, "files": marks}) as parts:
        _answer(store, job, parts, on_error, watch, stop)
        manifest = finish_parts(parts, **facts)
        first = read_unanswered(parts, 0)
    if not manifest["rows"]:
        raise DataError(
            f"none of {store.series:,} series could be answered: {first[0].message}",
            hint=f"why each was not stands in {parts.path / UNANSWERED}",
            code=first[0].code,
        )
    return {"out": str(parts.path), **manifest}


def _store_in(data: str | Path, reading: Reading, memory: int) -> Store:
    """Return the data in pieces that fit: the shorter series are, the more of them, and the fewer rows."""
    store = open_store(data, reading)
    columns, mean = find_columns(store.files[0].kinds, reading), store.rows / store.series
    read = {columns.id, columns.time, *columns.numeric, *columns.limits, *columns.static, *columns.categories} - {None}
    rows = int((memory - FIXED) * mean / (VALUE * len(read) * mean + SERIES))
    try:
        return store if rows >= ROWS else open_store(data, reading, rows=rows)
    except DataError as error:
        error.hint = f"{error.hint}; or more --memory lets larger row groups in"
        raise


def _probe(store: Store) -> Panel:
    """Return a panel of some series of the first piece. Raises the DataError of one when none of them can be read."""
    unread: list[Unread] = []
    panels = read_sound(store, store.pieces[0], unread)
    if not panels:
        raise DataError(
            unread[0].message,
            hint=f"none of the first {len(unread):,} series can be read",
            code=unread[0].code,
        )
    return max(panels, key=lambda panel: len(panel.series))


def _answer(
    store: Store,
    job: Job,
    parts: PartFolder,
    on_error: OnError,
    watch: Callable[[Watched], None] | None,
    stop: Callable[[], int | None] | None,
) -> None:
    """Write every part that is lacking."""
    import pyarrow as pa

    left = parts.lacking()
    began, here, bad = time.monotonic(), 0, 0
    before = store.series - sum(len(store.pieces[number].series) for number in left)
    for done, number in enumerate(left):
        piece = store.pieces[number]
        if stop is not None and (code := stop()) is not None:
            raise Interrupted(
                f"{parts.size - len(left) + done:,} of {parts.size:,} parts are in {parts.path}",
                exit_code=code,
                hint="the same command goes on with the others",
            )
        failed: list[Unread] = []
        panels = read_sound(store, piece, failed)
        found, unanswered = job.answer(panels) if panels else (job.nothing, [])
        failed += unanswered
        if failed and on_error == "stop":
            raise DataError(
                f"series `{shown(failed[0].series)}` can not be answered: {failed[0].message}",
                hint="whole parts stay; such series can be put aside",
                attempt="--on-error skip",
                code=failed[0].code,
            )
        write_part(parts, number, pa.concat_tables([job.nothing, found]), failed)
        here, bad = here + len(piece.series), bad + len(failed)
        if watch is not None:
            rate = here / (time.monotonic() - began)
            place = parts.size - len(left) + done + 1
            watch(Watched(place, parts.size, before + here, store.series, bad, rate))
