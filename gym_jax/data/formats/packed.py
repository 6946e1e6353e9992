"""Packed files, unpacked no further than data go: a few kilobytes can hold gigabytes of nothing."""

import gzip
import io
from pathlib import Path
from typing import Any

from gym_jax.data.words import named
from gym_jax.errors import DataError

LEAST = 64 << 20
"""Bytes that may be unpacked of any file."""
RATIO = 100
"""Times its size that a larger one may unpack to: telemetry packs to a tenth, idle machines to a fortieth."""


def open_bytes(path: Path) -> Any:
    """Open a plain or gzipped file. Reading raises DataError beyond what data unpack to."""
    return io.BufferedReader(_Unpacked(path), 1 << 20) if is_packed(path) else path.open("rb")


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """Open a plain or gzipped text with its line ends as they are."""
    return io.TextIOWrapper(open_bytes(path), "utf-8-sig" if encoding == "utf-8" else encoding, newline="")


def is_packed(path: Path) -> bool:
    """Return whether a file is gzipped, by its name."""
    return path.suffix.lower() == ".gz"


def refuse_bomb(path: Path, packed: int, unpacked: int) -> None:
    """Raise DataError when so many bytes out of so many are more than data unpack to."""
    if unpacked > max(LEAST, RATIO * packed):
        raise DataError(
            f"{named(path)} unpacks to more than {unpacked:,} bytes, out of {packed:,}",
            hint=f"data pack to a tenth or so, this to less than a {RATIO}th; unpack it by hand if it is meant",
            code="data.packed",
        )


class _Unpacked(io.RawIOBase):
    """The bytes of a gzipped file, counted."""

    def __init__(self, path: Path) -> None:
        self.path, self.packed, self.count = path, path.stat().st_size, 0
        self.stream = gzip.GzipFile(path, "rb")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        found = self.stream.readinto(into)
        self.count += found
        refuse_bomb(self.path, self.packed, self.count)
        return found

    def close(self) -> None:
        self.stream.close()
        super().close()
