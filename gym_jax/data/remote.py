"""Files wherever they lie: on this machine, or behind an address such as s3://bucket/folder."""

import glob
import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from gym_jax.data.words import SENTENCE, shown
from gym_jax.errors import DataError, MissingExtra

PARQUET = (".parquet", ".pq")


class File(NamedTuple):
    """A file of a place, and what tells that it is still the same."""

    path: str
    size: int
    """Bytes."""
    mark: str
    """Changes when the file does: of a local one its size and time, else what the remote store says of it."""


class Place(NamedTuple):
    """A file, a folder or a glob, with what opens it."""

    root: str
    system: Any
    """A pyarrow filesystem."""
    remote: Any = None
    """The fsspec filesystem behind it; None on this machine."""

    def mark(self, path: str) -> str:
        """Return what changes when a file does. Raises OSError when it is gone."""
        if self.remote is not None:
            return str(self.remote.ukey(path))
        found = os.stat(path)
        return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def is_remote(path: str | Path) -> bool:
    """Return whether a path is an address of another filesystem."""
    return "://" in str(path)


def find_place(path: str | Path) -> Place:
    """Return where a path leads. Raises MissingExtra when what speaks to its filesystem is not installed."""
    import pyarrow.fs as pafs

    if not is_remote(path):
        return Place(os.path.abspath(os.path.expanduser(str(path))), pafs.LocalFileSystem())
    protocol = str(path).partition("://")[0]
    try:
        from fsspec.core import url_to_fs

        remote, root = url_to_fs(str(path))
    except ImportError as error:
        raise MissingExtra(
            f"`{shown(path, SENTENCE)}` can not be opened: {error}",
            hint=f"{protocol}:// is read with fsspec and its package for {protocol}",
            attempt="pip install 'gym-jax[remote]'",
            code="extra.remote",
        ) from error
    except ValueError as error:
        raise DataError(
            f"`{shown(path, SENTENCE)}` is no address that can be read: {error}",
            hint="such as s3://bucket/folder or gs://bucket/folder",
            code="data.not_found",
        ) from error
    return Place(root.rstrip("/") or "/", pafs.PyFileSystem(pafs.FSSpecHandler(remote)), remote)


def parquet_files(place: Place) -> list[File]:
    """Return the Parquet files of a place and of all folders in it, sorted by path.

    What begins with a dot or an underscore is what tools left there. Raises DataError when there is none.
    """
    import pyarrow.fs as pafs

    said = f"`{shown(place.root, SENTENCE)}`"
    try:
        info = place.system.get_file_info(place.root)
        if info.type == pafs.FileType.Directory:
            found = place.system.get_file_info(pafs.FileSelector(place.root, recursive=True))
        elif info.type == pafs.FileType.File:
            found = [info]
        else:
            pattern = [] if place.remote else sorted(glob.glob(place.root, recursive=True))
            found = place.system.get_file_info(pattern)
        files = [
            File(one.path, int(one.size), place.mark(one.path))
            for one in sorted(found, key=lambda one: one.path)
            if one.type == pafs.FileType.File and one.path.lower().endswith(PARQUET) and not _hidden(one.path, place)
        ]
    except OSError as error:
        raise DataError(
            f"{said} can not be listed: {error.strerror or error}",
            hint="is the address right, and may this user read it?",
            code="data.not_found",
        ) from error
    if not files:
        raise DataError(
            f"no Parquet file in {said}",
            hint="what is read in portions is a folder of Parquet files",
            attempt="gymjax data convert FILE --out FOLDER/",
            code="data.not_found",
        )
    return files


def fingerprints(path: str | Path) -> list[dict[str, Any]]:
    """Return every Parquet file of a place with its size and sha256; of a remote one, what its store says of it."""
    place = find_place(path)
    return [
        {"path": one.path, "bytes": one.size, "sha256": one.mark if place.remote else sha256_of(Path(one.path))}
        for one in parquet_files(place)
    ]


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hidden(path: str, place: Place) -> bool:
    inner = path.removeprefix(place.root)
    said = PurePosixPath(place.root).parts if inner == path else ()  # the root is a glob, which may name such a folder
    return any(part[:1] in (".", "_") and part not in said for part in PurePosixPath(inner).parts)


def partitions_of(path: str, root: str) -> dict[str, str]:
    """Return what the folders between a root and a file say: `zone=eu/vm=7/part.parquet` is zone eu, vm 7."""
    from urllib.parse import unquote

    folders = PurePosixPath(path.removeprefix(root)).parts[:-1]
    pairs = (part.partition("=") for part in folders)
    return {key: unquote(value) for key, sign, value in pairs if sign and key}
