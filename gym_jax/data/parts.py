"""A folder of answers: Parquet parts that are there whole or not, what was not answered, and what they are answers to.

part-00000.parquet             answers to a portion of the series
_unanswered/part-00000.jsonl   series of that portion that were not answered, and why; only where there are some
_job.json                      what is asked of what: only the same goes on here
_manifest.json                 every part with its rows and bytes; it is there once all parts are
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.data.salvage import Unread
from gym_jax.errors import ConfigError, RunInUse, StorageError
from gym_jax.files import sync, write_synced
from gym_jax.locks import try_lock

JOB, MANIFEST, UNANSWERED = "_job.json", "_manifest.json", "_unanswered"
SCHEMA = 1


class PartFolder(NamedTuple):
    """A folder that takes as many parts."""

    path: Path
    size: int

    def part(self, number: int) -> Path:
        """Where a part lies."""
        return self.path / f"part-{number:05d}.parquet"

    def unanswered(self, number: int) -> Path:
        """Where it says which series of a part were not answered."""
        return self.path / UNANSWERED / f"part-{number:05d}.jsonl"

    def lacking(self) -> list[int]:
        """The parts that are not there yet."""
        return [number for number in range(self.size) if not self.part(number).is_file()]


@contextmanager
def open_parts(path: str | Path, count: int, job: Mapping[str, Any]) -> Iterator[PartFolder]:
    """Hold a new folder, or one that was begun with the very same job, against other processes.

    Raises ConfigError when it holds something else, RunInUse when another process writes there, StorageError.
    """
    folder = Path(path).expanduser().absolute()
    wanted = json.loads(json.dumps({"schema": SCHEMA, "parts": count, **job}))
    with _storage(folder):
        _is_begun(folder, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+", encoding="utf-8")
    with lock:
        _hold(lock, folder)
        with _storage(folder):
            if not _is_begun(folder, wanted):  # another process may have begun it meanwhile
                write_synced(folder / JOB, json.dumps(wanted, indent=1, allow_nan=False) + "\n")
            for left in folder.glob(".part-*.tmp"):  # of a part that was cut short
                left.unlink()
        yield PartFolder(folder, count)


def write_part(parts: PartFolder, number: int, table: Any, unanswered: Sequence[Unread]) -> None:
    """Write one part and what it leaves out; the part comes last, so that one that is there is whole.

    Raises StorageError.
    """
    import pyarrow.parquet as pq

    path = parts.part(number)
    temporary = path.with_name(f".{path.name}.tmp")
    with _storage(parts.path):
        if unanswered:
            lines = "".join(json.dumps(one._asdict()) + "\n" for one in unanswered)
            parts.unanswered(number).parent.mkdir(exist_ok=True)
            write_synced(parts.unanswered(number), lines)
        else:
            parts.unanswered(number).unlink(missing_ok=True)
        try:
            pq.write_table(table, temporary, compression="zstd")
            sync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(parts.path)


def finish_parts(parts: PartFolder, **facts: Any) -> dict[str, Any]:
    """Write and return the manifest of a folder that has all its parts: rows and bytes of each, what was left out."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    codes: Counter[str] = Counter()
    with _storage(parts.path):
        for number in range(parts.size):
            path, found = parts.part(number), Counter(one.code for one in read_unanswered(parts, number))
            about = {"name": path.name, "rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size}
            rows.append({**about, "unanswered": found.total()})
            codes += found
        manifest = {
            "schema": SCHEMA,
            **facts,
            "rows": sum(one["rows"] for one in rows),
            "unanswered": codes.total(),
            "codes": dict(sorted(codes.items())),
            "parts": rows,
        }
        write_synced(parts.path / MANIFEST, json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    return manifest


def read_unanswered(parts: PartFolder, number: int) -> list[Unread]:
    """Return the series of a part that were not answered."""
    with suppress(FileNotFoundError):
        return [
            Unread(**json.loads(line)) for line in parts.unanswered(number).read_text(encoding="utf-8").splitlines()
        ]
    return []


def _is_begun(folder: Path, wanted: Mapping[str, Any]) -> bool:
    """Return whether this job was begun there. Raises ConfigError when the folder holds something else."""
    begun = _begun(folder)
    if begun is None:
        _refuse_filled(folder)
        return False
    if changed := sorted(key for key in {*begun, *wanted} if begun.get(key) != wanted.get(key)):
        raise ConfigError(
            f"{folder} was begun with another: {', '.join(changed)}",
            hint="a job goes on as it began; another one needs a folder of its own",
            attempt=f"--out {folder}-2",
            code="config.parts_other",
        )
    return True


def _begun(folder: Path) -> dict[str, Any] | None:
    """Return the job that a folder was begun with."""
    try:
        return dict(json.loads((folder / JOB).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{folder / JOB} can not be read: {error}", hint="the folder is damaged", attempt=f"--out {folder}-2"
        ) from error


def _refuse_filled(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(one.name != ".lock" for one in folder.iterdir())):
        raise ConfigError(
            f"{folder} exists already, and holds no answers that could be gone on with",
            hint="answers are written into a new folder",
            attempt=f"--out {folder}-2",
            code="config.parts_exist",
        )


def _hold(lock: Any, folder: Path) -> None:
    if not try_lock(lock):
        raise RunInUse(f"another process writes into {folder}", hint="wait for it, or choose another folder")


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} can not be written: {error.strerror or error}",
            hint="free space, or choose another folder; the parts that are there stay",
            attempt=f"df -h {folder.parent}",
        ) from error
