"""The manifest of a checkpoint: its files with sizes and SHA-256, written last, after all of them are on the disk.

Orbax renames a step into place before its description files are synced, and checks nothing when it reads. Here a step
counts once its manifest is there; whoever reads it compares every byte with it first.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gym_jax.files import sync, write_synced

MANIFEST = "gym_jax.json"


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Sync every file of a step, and write what they are; `facts` must be plain JSON.

    Raises OSError when the disk refuses.
    """
    files = {}
    for path in _files(folder):
        sync(path)
        files[path.relative_to(folder).as_posix()] = [path.stat().st_size, _digest(path)]
    for path in sorted(path for path in folder.rglob("*") if path.is_dir()):
        sync(path)
    document = {"files": files, "facts": dict(facts)}
    text = json.dumps({**document, "seal": _seal(document)}, indent=1, allow_nan=False)
    write_synced(folder / MANIFEST, text)
    sync(folder.parent)


def find_fault(folder: Path) -> str | None:
    """Return in words where a step differs from its manifest; None: it is what was saved, to the bit."""
    if (folder / MANIFEST).is_symlink():
        return f"its manifest {MANIFEST} is a link"
    try:
        files = _read(folder)["files"]
        for name, (size, digest) in files.items():
            path = folder / name
            if not path.is_relative_to(folder) or ".." in path.parts or path.is_symlink() or not path.is_file():
                return f"its file {name} is gone"
            if path.stat().st_size != size:
                return f"its file {name} has {path.stat().st_size:,} bytes and not {size:,}"
            if _digest(path) != digest:
                return f"its file {name} has other bytes than were saved"
    except FileNotFoundError:
        return f"its manifest {MANIFEST} is gone"
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return f"its manifest {MANIFEST} can not be read: {type(error).__name__}"
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _read(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if document.pop("seal") != _seal(document):
        raise ValueError("its seal is broken")
    return dict(document)


def _seal(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
