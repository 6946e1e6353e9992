"""Panels and frames to files: whole or not at all."""

import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gym_jax.data.panel import Panel
from gym_jax.data.read import find_files
from gym_jax.data.remote import is_remote
from gym_jax.data.words import shown
from gym_jax.errors import ConfigError, DataError
from gym_jax.files import whole_file

PORTION = 100_000
"""Rows written at once."""


def panel_frame(panel: Panel) -> pd.DataFrame:
    """Return a panel as rows of id, time, static columns and channels; steps without any value are left out."""
    rows = np.flatnonzero(panel.mask.any(axis=1))
    series = np.searchsorted(panel.offsets, rows, side="right") - 1
    columns: dict[str, Any] = {
        panel.id_name: np.array(panel.series, object)[series],
        panel.time_name: panel.times(series, rows),
    }
    for place, name in enumerate(panel.static_names):
        assert panel.static is not None
        columns[name] = panel.static[series, place]
    for place, name in enumerate(panel.category_names):
        assert panel.categories is not None
        columns[name] = panel.categories[series, place]
    for place, name in enumerate(panel.channels):
        columns[name] = np.where(panel.mask[rows, place], panel.values[rows, place], np.nan)
    frame = pd.DataFrame(columns)
    if panel.zone and panel.clock == "ns":
        frame[panel.time_name] = frame[panel.time_name].dt.tz_localize("UTC")
    return frame


def _write_npz(frame: pd.DataFrame, path: Path) -> None:
    arrays: dict[str, Any] = {}
    for name in frame:
        column = frame[name].dt.tz_localize(None) if isinstance(frame[name].dtype, pd.DatetimeTZDtype) else frame[name]
        plain = column.to_numpy()
        arrays[str(name)] = plain.astype(str) if plain.dtype == object else plain
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write_jsonl(frame: pd.DataFrame, path: Path) -> None:
    for name in frame.select_dtypes(["float32", "float64"]):
        if np.isinf(frame[name]).any():
            raise ConfigError(
                f"column `{shown(name)}` holds infinite values, for which JSON has no word",
                hint="Parquet and CSV have one",
            )
    plain = frame.astype(dict.fromkeys(frame.select_dtypes(["datetime", "datetimetz"]), str))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for begin in range(0, len(plain), PORTION):
            rows = plain.iloc[begin : begin + PORTION].to_dict("records")
            given = ({name: value for name, value in row.items() if value == value} for row in rows)  # NaN is left out
            file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in given)


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n", compression="gzip" if path.suffix == ".gz" else None)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".pq": lambda frame, path: frame.to_parquet(path, index=False),
    ".csv": _write_csv,
    ".csv.gz": _write_csv,
    ".feather": lambda frame, path: frame.to_feather(path),
    ".arrow": lambda frame, path: frame.to_feather(path),
    ".jsonl": _write_jsonl,
    ".npz": _write_npz,
}


def _ending(path: Path) -> str:
    suffix = next((ending for ending in sorted(WRITERS, key=len)[::-1] if path.name.lower().endswith(ending)), None)
    if suffix is None:
        raise ConfigError(
            f"`{path.name}` is of no format that can be written",
            hint=f"choose from {', '.join(WRITERS)}",
            attempt=f"gymjax ... --out {shlex.quote(str(path.with_suffix('.parquet').name))}",
        )
    return suffix


def refuse_out(path: str | Path, data: str | None = None) -> None:
    """Raise ConfigError when a frame can not be written to a path: by its ending, or since the data lie there."""
    _ending(Path(path))
    refuse_source(path, data)


def refuse_source(path: str | Path, data: str | None) -> None:
    """Raise ConfigError when a path to write to is one of the files that are read."""
    path = Path(path)
    if data is None or is_remote(data) or not path.is_file():
        return
    with suppress(DataError, OSError):
        if any(path.samefile(file) for file in find_files(data)):
            stem, dot, ending = path.name.partition(".")
            raise ConfigError(
                f"`{path.name}` is read, and --out would replace it",
                hint="name another file",
                attempt=f"gymjax ... --out {shlex.quote(f'{stem}-2{dot}{ending}')}",
                code="config.exists",
            )


def write_frame(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a frame in the format of the name's ending; whole or not at all. Raises ConfigError, StorageError."""
    path = Path(path)
    suffix = _ending(path)
    with whole_file(path, suffix) as (path, temporary):
        WRITERS[suffix](frame, temporary)
    return path
