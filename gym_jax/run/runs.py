"""The runs under a root: made, found, listed, removed."""

import os
import re
import shlex
import shutil
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gym_jax.errors import CheckpointError, ConfigError, StorageError, nearest
from gym_jax.run.folder import ALLOCATION, RunFolder

ROOT = "runs"
"""Where runs are kept when nothing else is said."""
REMOVED = ".gymjax-removed"
"""Where a run goes first that is being removed: two folders down, where no run is looked for."""
ADJECTIVES = tuple(
    "amber brave calm clear eager fair glad keen kind lucid neat quick quiet sharp steady warm".split()  # noqa: SIM905
)
ANIMALS = tuple(
    "badger crane dolphin falcon fox gecko heron ibex lynx marten otter owl raven seal stoat wren".split()  # noqa: SIM905
)
BEFORE = frozenset({".lock", "env.json", "data.json", "profile.json", "choices.json"})
"""What a run writes before its config.yaml."""


def create_run(root: str | Path, *, label: str, name: str | None = None, exact: str | Path | None = None) -> RunFolder:
    """Make a new run folder: `exact`, or `root/name`, or `root/TIME_LABEL_TWO-WORDS`. Raises when it is there."""
    if (path := free_path(root, name=name, exact=exact)) is not None:
        return _make(path, may_exist=True)
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    for attempt in range(100):
        seed = time.time_ns() + attempt
        words = f"{ADJECTIVES[seed // 16 % 16]}-{ANIMALS[seed // 4096 % 16]}"
        path = Path(root).expanduser().absolute() / f"{stamp}_{label}_{words}"
        if not path.exists():
            return _make(path, may_exist=False)
    raise StorageError(f"no free run name in {root}")


def free_path(root: str | Path, *, name: str | None = None, exact: str | Path | None = None) -> Path | None:
    """Return the path that a new run is given, None when it is to be made up. Raises ConfigError when it is taken.

    What a kill has left of a run that had not begun takes no place.
    """
    if exact is None and name is None:
        return None
    path = Path(exact if exact is not None else Path(root) / str(name)).expanduser().absolute()
    if path.exists() and not (path.is_dir() and _never_begun(path)):
        learned = (path / ALLOCATION).is_file()
        raise ConfigError(
            f"{path} exists already",
            hint="it is a learned allocation, and never learned anew; use it, or choose another name"
            if learned
            else "a run folder is never reused; continue it, or choose another",
            attempt=f"gymjax {'allocate recommend' if learned else 'train --resume'} {path}",
            code="config.run_exists",
        )
    return path


def _never_begun(path: Path) -> bool:
    """Return whether a folder is empty, or holds only what is written before the configuration makes it a run."""
    names = {one.name for one in path.iterdir() if not re.fullmatch(r"\..+\.tmp", one.name)}
    if not names:
        return True
    mark = path / ".lock"
    own = mark.is_file() and (
        names == {".lock"} or mark.read_text(encoding="utf-8", errors="replace").startswith("process ")
    )
    return own and names <= BEFORE


def _make(path: Path, *, may_exist: bool) -> RunFolder:
    folder = RunFolder(path)
    with folder._storage():
        path.mkdir(parents=True, exist_ok=may_exist)
    return folder


def open_run(path: str | Path, root: str | Path | None = None) -> RunFolder:
    """Return an existing run: a folder, a name under `root`, or `latest`. Raises CheckpointError when there is none.

    A `root` that is given is looked into first; None is `runs`, after the working directory.
    """
    name = Path(path).expanduser()
    below = Path(ROOT if root is None else root).expanduser() / name
    for candidate in (name, below) if root is None else (below, name):
        if str(path) and (candidate / "config.yaml").is_file():
            return RunFolder(candidate)
    if str(path) == "latest" and (known := [run for run in list_runs(root) if (run.path / "data.json").is_file()]):
        return known[-1]
    learned = next((place for place in (name, below) if str(path) and (place / ALLOCATION).is_file()), None)
    close = nearest(name.name, (found.parent.name for found in below.parent.glob("*/config.yaml")))
    raise CheckpointError(
        f"no run at `{path}`",
        hint="it is a learned allocation, and forecasts nothing"
        if learned
        else f"did you mean `{close}`?"
        if close
        else "a run is a folder with a config.yaml in it",
        attempt=f"gymjax allocate recommend {shlex.quote(str(path))}"
        if learned
        else "gymjax runs list" + ("" if root is None else f" --root {shlex.quote(str(root))}"),
        code="run.not_found",
    )


def list_runs(root: str | Path | None = None) -> list[RunFolder]:
    """Return the runs under `root`, by the time they began, oldest first."""
    found = [RunFolder(path.parent) for path in Path(ROOT if root is None else root).expanduser().glob("*/config.yaml")]
    return sorted(found, key=lambda run: (run.began(), run.path))


def list_all(root: str | Path | None = None) -> list[RunFolder]:
    """Return the runs and the learned allocations under `root`, by the time they began, oldest first."""
    place = Path(ROOT if root is None else root).expanduser()
    learned = [RunFolder(path.parent) for path in place.glob(f"*/{ALLOCATION}")]
    return sorted([*list_runs(root), *learned], key=lambda run: (run.began(), run.path))


def is_made_here(run: RunFolder) -> bool:
    """Return whether a folder is a run that this library made, and a folder itself: not a symlink to one."""
    try:
        config, facts = run.read_config(), run.read_json("data.json") or run.read_json("status.json")
    except CheckpointError:
        return False
    own = {"schema_version", "task", "model", "run"} <= config.keys() and isinstance(facts.get("schema"), int)
    return own and not run.path.is_symlink() and not (run.path / "config.yaml").is_symlink()


def size_of(path: Path) -> int:
    """Return the bytes under a folder; symlinks are not followed."""
    names = (Path(place) / name for place, _, files in os.walk(path) for name in files)
    return sum(name.lstat().st_size for name in names)


def remove_run(run: RunFolder, root: str | Path) -> None:
    """Remove a run that lies directly under `root`: renamed first, so that a half-removed run is never seen as one.

    Raises RunInUse, ConfigError when it is no run of this library under `root`, StorageError.
    """
    place = Path(root).expanduser().resolve()
    if run.path.parent.resolve() != place or not is_made_here(run):
        raise ConfigError(f"{run.path} is no run made by gymjax train under {place}; it is not removed")
    aside = place / REMOVED
    with run.lock(), run._storage():
        aside.mkdir(exist_ok=True)
        if aside.is_symlink():
            raise StorageError(f"{aside} is a symlink; nothing is moved through it", hint="remove it")
        run.path.rename(aside / f"{run.path.name}.{time.time_ns()}")
    empty_removed(place)


def empty_removed(root: str | Path) -> None:
    """Remove what `remove_run` has put aside, here or before it was interrupted. Raises StorageError."""
    aside = Path(root).expanduser().resolve() / REMOVED
    if not aside.is_dir() or aside.is_symlink():
        return
    for path in aside.iterdir():
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            raise StorageError(
                f"{path} can not be removed", hint="it is no longer listed as a run", attempt=f"rm -r {path}"
            )
    with suppress(OSError):  # another process may just put a run aside
        aside.rmdir()
