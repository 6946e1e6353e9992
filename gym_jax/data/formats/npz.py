"""NumPy archives: arrays of one length are columns; a matrix is several."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.formats.arrow import converted, kind_of
from gym_jax.data.formats.packed import refuse_bomb
from gym_jax.data.formats.table import Kind, Table, Wanted, readable, refuse_empty, refuse_repeated
from gym_jax.data.reading import Reading
from gym_jax.data.words import listed, named
from gym_jax.errors import DataError


def open_npz(path: Path, reading: Reading) -> Table:
    """Open an archive of arrays with one row per time: `values` [rows, 2] gives `values_0` and `values_1`.

    An array [cases, steps, channels] makes it one of sequences: its channels are `NAME_0` ..., every other array has
    a value per case. Raises DataError on arrays of objects, of other lengths, or with more axes.
    """
    import pyarrow as pa

    where = named(path)
    columns: list[tuple[str, Any]] = []
    with readable(where):
        with zipfile.ZipFile(path) as archive:  # of what is no archive NumPy says that it holds objects
            members = archive.infolist()
            refuse_bomb(path, path.stat().st_size, sum(member.file_size for member in members))
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: _array(archive, name, where) for name in archive.files}
            if deep := [name for name, array in arrays.items() if array.ndim == 3]:
                return _open_cases(path, arrays, deep, where)
            for name, array in arrays.items():
                parts = {name: array} if array.ndim == 1 else {f"{name}_{i}": part for i, part in enumerate(array.T)}
                columns += [(key, pa.array(np.ascontiguousarray(part))) for key, part in parts.items()]
    refuse_repeated([name for name, _ in columns], where)
    lengths = {name: len(column) for name, column in columns}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"the arrays of {where} differ in length: {listed(f'{n} {length:,}' for n, length in lengths.items())}",
            hint="every array is a column with one value a row",
            code="data.ragged",
        )
    refuse_empty(max(lengths.values(), default=0), where)
    table = pa.table(dict(columns))
    kinds: dict[str, Kind] = {name: kind_of(column.type) for name, column in columns}

    def load(wanted: Wanted) -> Any:
        with readable(where):
            return converted(table.select(list(wanted)), wanted, where)

    return Table(kinds, load)


def _open_cases(path: Path, arrays: dict[str, np.ndarray], deep: list[str], where: str) -> Table:
    """Open sequences laid out as one row per case and step."""
    import pyarrow as pa

    lengths = {name: len(array) for name, array in arrays.items()}
    flat = [name for name in arrays if name not in deep]
    if len(deep) > 1 or len(set(lengths.values())) > 1 or any(arrays[name].ndim > 1 for name in flat):
        raise DataError(
            f"{where} holds no sequences with a value per case beside them: "
            f"{listed(f'{name} {list(array.shape)}' for name, array in arrays.items())}",
            hint="one array is [cases, steps, channels], every other [cases]",
            code="data.ragged",
        )
    cases, steps, channels = arrays[deep[0]].shape
    refuse_empty(cases * steps * channels, where)
    owner, stem = np.repeat(np.arange(cases), steps), path.name[: -len(".npz")]
    names = [f"{deep[0]}_{i}" for i in range(channels)]
    columns: dict[str, Any] = {
        "case": pa.DictionaryArray.from_arrays(owner.astype(np.int32), [f"{stem}-{i}" for i in range(cases)]),
        "step": np.tile(np.arange(steps), cases),
    }
    columns |= {name: np.ascontiguousarray(arrays[deep[0]][..., i]).ravel() for i, name in enumerate(names)}
    columns |= {name: pa.array(arrays[name][owner]) for name in flat}
    table = pa.table(columns)
    kinds: dict[str, Kind] = {name: kind_of(table[name].type) for name in columns}
    said: dict[str, Any] = {"id": "case", "time": "step", "time_unit": "step", "target": tuple(names)}
    said["static"] = tuple(name for name in flat if kinds[name] == "number")
    said["categories"] = tuple(name for name in flat if kinds[name] == "text")

    def load(wanted: Wanted) -> Any:
        with readable(where):
            return converted(table.select(list(wanted)), wanted, where)

    return Table(kinds, load, defaults=said)


def _array(archive: Any, name: str, where: str) -> np.ndarray:
    try:
        array = archive[name]
    except MemoryError as error:
        raise DataError(
            f"array `{name}` of {where} needs more memory than there is: {error}",
            hint="its header may lie about its shape",
            code="data.memory",
        ) from error
    except ValueError as error:
        if not re.search("Object arrays", str(error)):
            raise
        raise DataError(
            f"array `{name}` of {where} holds Python objects",
            hint="they can run code when read: store numbers, datetime64 or text",
            code="data.unsafe",
        ) from error
    if array.ndim not in (1, 2, 3):
        raise DataError(
            f"array `{name}` of {where} has {array.ndim} axes",
            hint="an array is a column [rows], several [rows, columns], or sequences [cases, steps, channels]",
            code="data.shape",
        )
    if array.dtype.kind not in "biufMSU":
        raise DataError(
            f"array `{name}` of {where} is of type {array.dtype}",
            hint="store numbers, datetime64 or text",
            code="data.type",
        )
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] not in ("s", "ms", "us", "ns"):
        array = array.astype("datetime64[s]")  # Arrow knows no minutes
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
