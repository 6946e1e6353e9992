"""Files and data frames to one judged Panel."""

import glob
import logging
import os
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from gym_jax.data.formats import FORMATS, open_table, suffix_of
from gym_jax.data.formats.arrow import open_frame
from gym_jax.data.formats.table import FRAME
from gym_jax.data.grid import make_panel
from gym_jax.data.join import join_rows
from gym_jax.data.panel import Panel
from gym_jax.data.reading import Policy, Reading, Resample
from gym_jax.data.remote import is_remote
from gym_jax.data.rows import Rows, read_rows
from gym_jax.data.words import SENTENCE, named, shown
from gym_jax.data.zone import zone_of
from gym_jax.errors import ConfigError, DataError, did_you_mean, nearest

LOGGER = logging.getLogger(__name__)


def read(path: str | Path, reading: Reading | None = None, *, every: bool = False, **options: Any) -> Panel:
    """Read a file, a folder of files or a glob into one Panel; `options` are the fields of Reading.

    A file without an id column is one series named after the file. `every` takes all numeric columns as targets when
    none is named. A Parquet file without rows beside others, as tools write it for an empty partition, is left out.
    Raises DataError with everything that is wrong, and where.
    """
    reading = judged(reading, options)
    files = find_files(path)
    names = series_names(files)
    parts: list[Rows] = []
    filled: list[Path] = []
    for place, file in enumerate(files):
        began, last = time.monotonic(), place == len(files) - 1 and not parts
        try:
            table = open_table(file, reading)
        except DataError as error:
            if last or error.code != "data.empty" or suffix_of(file) != ".parquet":
                raise
            continue
        filled.append(file)
        parts.append(read_rows(table, reading, names[file], named(file), every=every))
        size, seconds = len(parts[-1].codes), time.monotonic() - began
        LOGGER.debug("read %s: %d rows, %d series, in %.3f s", file, size, len(parts[-1].ids), seconds)
    return to_panel(join_rows(parts, [named(file) for file in filled]), reading)


def read_frame(
    frame: Any, reading: Reading | None = None, *, name: str = "series", every: bool = False, **options: Any
) -> Panel:
    """Make a Panel of a pandas data frame, or of any frame that speaks Arrow (polars, DuckDB, pyarrow ...).

    `name` is the id of the series when there is no id column. Else as `read`, whose DataError it raises.

    >>> frame = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=3, freq="5min"), "cpu": [0.1, None, 0.3]})
    >>> found = read_frame(frame, name="web", target="cpu")
    >>> found.series, found.mask.ravel().tolist()
    (('web',), [True, False, True])
    """
    reading = judged(reading, options)
    return to_panel(read_rows(open_frame(frame), reading, name, FRAME, every=every), reading)


def judged(reading: Reading | None, options: dict[str, Any]) -> Reading:
    """Return a reading with `options` for some of its fields. Raises ConfigError on a word that is none."""
    for name, kind in (("policy", Policy), ("resample", Resample)):
        if isinstance(options.get(name), Mapping):
            _refuse_unknown(kind, options[name])
            options[name] = kind(**options[name])
    _refuse_unknown(Reading, options)
    reading = replace(reading or Reading(), **options)
    if reading.time_zone is not None:
        zone_of(reading.time_zone)
    return reading


def _refuse_unknown(kind: type, options: Mapping[str, Any]) -> None:
    known = [item.name for item in fields(kind)]
    if unknown := [name for name in options if name not in known]:
        raise ConfigError(
            f"reading has no option `{unknown[0]}`",
            hint=did_you_mean(str(unknown[0]), known),
            code="config.unknown_key",
        )


def find_files(path: str | Path) -> list[Path]:
    """Return the data files that a path, folder or glob names, sorted."""
    if is_remote(path):
        raise DataError(
            f"`{shown(path, SENTENCE)}` is an address: what lies there is read in portions",
            hint="say how much of it may be in memory at once; a folder of Parquet files is what can be read so",
            attempt="gymjax train ... data.memory=1GB",
            code="data.remote",
        )
    text = os.path.expanduser(str(path))
    folder = os.path.isdir(text)
    try:
        if folder:  # hidden files are what tools left there
            files = [f for f in Path(text).iterdir() if f.is_file() and suffix_of(f) in FORMATS and f.name[0] != "."]
        else:
            found = [text] if os.path.isfile(text) else glob.glob(text, recursive=True)
            files = [Path(f) for f in found if os.path.isfile(f)]
    except (OSError, ValueError) as error:
        raise DataError(
            f"`{shown(path, SENTENCE)}` can not be listed: {getattr(error, 'strerror', None) or error}",
            hint="give a file, a folder of files, or a quoted glob",
            code="data.not_found",
        ) from error
    files.sort()
    if not files:
        close = None if folder else _near(Path(text))
        raise DataError(
            f"no {', '.join(FORMATS)} file in `{shown(path, SENTENCE)}`"
            if folder
            else f"no data at `{shown(path, SENTENCE)}`",
            hint=f"did you mean `{shown(close, SENTENCE)}`?"
            if close
            else "give a file, a folder of files, or a quoted glob",
            attempt=f"gymjax data check {shlex.quote(close)}" if close else "gymjax generate --out cpu.parquet",
            code="data.not_found",
        )
    if odd := [f for f in files if suffix_of(f) not in FORMATS]:
        raise DataError(
            f"{named(odd[0])} is of no format that can be read",
            hint=f"choose from {', '.join(FORMATS)}",
            code="data.format",
        )
    return files


def _near(path: Path) -> str | None:
    """Return the data file of the same folder whose name is most like that of a file that is not there."""
    with suppress(OSError, ValueError):
        there = [file.name for file in path.parent.iterdir() if suffix_of(file) in FORMATS]
        if name := nearest(path.name, there):
            return str(path.with_name(name))
    return None


def series_names(files: Sequence[Path]) -> dict[Path, str]:
    """Return the id of each file without an id column: its name, with its ending and folders where names repeat."""
    names = {file: file.name[: -len(suffix_of(file))] for file in files}
    depth = 2
    while again := {name for name, count in Counter(names.values()).items() if count > 1}:
        names |= {file: "/".join(file.parts[-depth:]) for file, name in names.items() if name in again}
        depth += 1
    return names


def to_panel(rows: Rows, reading: Reading, *, partial: bool = False) -> Panel:
    """Return rows as a judged Panel; of rows that are `partial` a column may be blank here and not elsewhere."""
    columns = rows.columns
    return make_panel(
        rows.codes,
        rows.ids,
        rows.times.stamps,
        rows.values,
        policy=reading.policy,
        step=reading.step,
        resample=reading.resample,
        partial=partial,
        apart=columns.words,
        alone=columns.id,
        usage=rows.usage,
        capacity=rows.limits,
        channels=columns.numeric,
        targets=len(columns.target),
        known=len(columns.known),
        clock=rows.times.clock,
        zone=rows.times.zone,
        id_name=columns.id or "unique_id",
        time_name=columns.time or "step",
        static=rows.static if columns.static else None,
        static_names=columns.static,
        categories=rows.categories if columns.categories else None,
        category_names=columns.categories,
        calendar_zone=reading.time_zone,
        notes=tuple(dict.fromkeys(note for note in (*rows.notes, rows.times.note) if note)),
    )
