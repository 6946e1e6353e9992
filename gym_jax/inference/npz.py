"""Arrays in a file that nobody vouches for: NumPy's .npz, uncompressed, read without trusting a number in it."""

import io
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

KINDS = ("<f4", "<f8", "<i4", "<i8", "|b1")
"""What an array may hold; objects would be unpickled."""
NAME = re.compile(r"[\w-]+(/[\w-]+)*", re.ASCII)
LONG = 256
"""A list of more numbers is kept as an array, beside the JSON that it belongs to."""
TABLE = "table"


def write_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the arrays as one file: the same bytes for the same arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.ascontiguousarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return buffer.getvalue()


def read_arrays(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a file that was read whole, by name. Raises ValueError when it is not what it says.

    No more memory is taken than the file has bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > len(data):
                raise ValueError("its arrays say that they are larger than the file")
            return {_named(entry): _array(archive.read(entry), entry.filename) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, SyntaxError) as error:
        raise ValueError(f"it is no archive of arrays: {error}") from error


def pack(tree: Any, path: str = "") -> tuple[Any, dict[str, np.ndarray]]:
    """Return a tree of plain values without its arrays and long lists of numbers, and these by their paths."""
    if isinstance(tree, list) and len(tree) and not isinstance(tree[0], str | Mapping):
        array = _rectangular(tree)
        tree = array if array is not None and array.size > LONG else tree
    if isinstance(tree, np.ndarray):
        return {TABLE: path}, {path: tree}
    if not isinstance(tree, Mapping):
        return tree, {}
    out: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for key, value in tree.items():
        out[key], more = pack(value, f"{path}/{key}" if path else str(key))
        arrays |= more
    return out, arrays


def unpack(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return what `pack` was given. Raises KeyError when an array is not there."""
    if not isinstance(tree, Mapping):
        return tree
    if set(tree) == {TABLE}:
        return arrays[tree[TABLE]]
    return {key: unpack(value, arrays) for key, value in tree.items()}


def _named(entry: zipfile.ZipInfo) -> str:
    name, _, ending = entry.filename.rpartition(".")
    if ending != "npy" or not NAME.fullmatch(name):
        raise ValueError(f"it holds {ascii(entry.filename)[:80]}, which is no array")
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.compress_size != entry.file_size:
        raise ValueError(f"{name} is packed or encrypted")
    return name


def _array(data: bytes, name: str) -> np.ndarray:
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name} is of another version")
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or dtype.str not in KINDS:
        raise ValueError(f"{name} holds {ascii(dtype.str)[:40]}, which is no plain number")
    if not all(size > 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"{name} is not as large as its shape says")
    flat = np.frombuffer(data, dtype, offset=file.tell()).copy()
    return flat.reshape(shape, order="F" if by_column else "C")


def _rectangular(numbers: list[Any]) -> np.ndarray | None:
    try:
        array = np.array(numbers)
    except ValueError:
        return None
    return array if array.dtype.str in KINDS else None
