"""What has been pulled so far, beside the file that it becomes: an interrupted pull goes on where it was."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.errors import ConfigError, RunInUse, StorageError
from gym_jax.files import whole_file, write_synced
from gym_jax.locks import try_lock
from gym_jax.pull.prometheus import Page

WHAT = "pull.json"
SCHEMA = 1


class Pages(NamedTuple):
    """A folder of pages, each of one query over some points of the range; a page's name holds its SHA-256."""

    path: Path

    def at(self, query: int, first: int) -> tuple[Page, int] | None:
        """Return a whole page that begins at a point and how many it holds, None when there is none."""
        for path in self.path.glob(f"{query}-{first:07d}-*.parquet"):
            *_, count, digest = path.stem.split("-")
            raw = path.read_bytes()
            if count.isdecimal() and int(count) and digest == hashlib.sha256(raw).hexdigest():
                return _page(raw), int(count)
        return None

    def keep(self, query: int, first: int, count: int, page: Page) -> None:
        """Write a page, whole or not at all. Raises StorageError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"code": page.codes, "time": page.times, "value": page.values})
        words = {"labels": [dict(labels) for labels in page.labels], "warnings": page.warnings}
        table = table.replace_schema_metadata({key: json.dumps(value) for key, value in words.items()})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        with whole_file(self.path / f"{query}-{first:07d}-{count}-{digest}.parquet") as (_, temporary):
            temporary.write_bytes(buffer.getvalue())


def _page(raw: bytes) -> Page:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(raw))
    labels, warnings = (tuple(json.loads(table.schema.metadata[key])) for key in (b"labels", b"warnings"))
    codes, times, values = (table[name].to_numpy() for name in ("code", "time", "value"))
    return Page(labels, codes, times, values, warnings)


@contextmanager
def open_pages(out: Path, asked: dict[str, Any]) -> Iterator[tuple[Pages, dict[str, Any]]]:
    """Yield the pages beside a file, and what they were asked; held against other processes.

    `asked` is what is asked now. Of a pull that was interrupted its own is yielded: its `end` stays. Raises ConfigError
    when it was asked for something else, RunInUse, StorageError.
    """
    path = out.with_name(f".{out.name}.pull")
    try:
        path.mkdir(exist_ok=True)
        lock = (path / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{path} can not be made: {error.strerror}", hint="does the folder of --out exist, with room?"
        ) from error
    with lock:
        if not try_lock(lock):
            raise RunInUse(f"another process pulls into {out}", hint="it goes on by itself", attempt=f"ls {path}")
        try:
            yield Pages(path), _take_up(path, out, asked)
        finally:
            if not any(path.glob("*.parquet")):
                drop_pages(Pages(path))


def drop_pages(pages: Pages) -> None:
    """Remove the folder of pages, once they have become the file."""
    shutil.rmtree(pages.path, ignore_errors=True)


def _take_up(path: Path, out: Path, asked: dict[str, Any]) -> dict[str, Any]:
    asked = {"schema": SCHEMA, **asked}
    try:
        before = json.loads((path / WHAT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = None
    if before is None:
        for page in path.glob("*.parquet"):
            page.unlink()
        write_synced(path / WHAT, json.dumps(asked, indent=1) + "\n")
        return asked
    now = {key: value for key, value in asked.items() if key != "end" or value is not None}
    if not isinstance(before, dict) or _other(before, now):
        raise ConfigError(
            f"an interrupted pull into {out.name} was asked for something else; what it has lies in {path}",
            hint="the line it was begun with takes it up; or remove what it has",
            attempt=f"rm -r {path}",
            code="pull.other",
        )
    return before


def _other(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Return whether two lines ask for different things; where the range ends may be left open."""
    same = all(before.get(key) == value for key, value in now.items() if key != "last")
    return not same or not isinstance(before.get("last"), int)
