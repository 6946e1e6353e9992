"""The folder of a search: what it was begun with, so that it goes on with nothing else.

base.yaml     the settings of every run, but for what is varied
space.yaml    what is varied, and over what
search.json   everything else that the search was asked
journal.log   of `gymjax tune`: Optuna's journal of trials
trials/       a run folder for each
batches/      what runs that were trained in one program have in common
best.yaml     the best settings so far: gymjax train --config
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.config.document import differences, to_yaml
from gym_jax.config.load import load_config
from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError, ConfigError, StorageError
from gym_jax.files import write_synced
from gym_jax.run.folder import RunFolder
from gym_jax.run.runs import ROOT
from gym_jax.run.start import unnamed
from gym_jax.tune.space import Space, read_space, write_space

SEARCH, BASE, SPACE, BEST = "search.json", "base.yaml", "space.yaml", "best.yaml"
LONGER = ("trials",)
"""What a search may be asked for again when it is taken up."""


class Search(NamedTuple):
    """A search that lies in a folder."""

    path: Path
    config: Config
    """The settings of every trial, but for what is varied."""
    space: Space
    asked: dict[str, Any]
    """What else it was begun with."""

    def trial(self, number: int) -> Path:
        """Return the run folder of a trial."""
        return self.path / "trials" / f"{number:04d}"

    def batch(self, number: int) -> Path:
        """Return the folder of what trials in one program have in common, by the first of them."""
        return self.path / "batches" / f"{number:04d}"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the search, whole or not at all. Raises StorageError."""
        return _write(self.path / name, text)

    def write_best(self, config: Config, heading: str) -> Path:
        """Write the best settings so far."""
        return self.write(BEST, f"# {heading}\n{to_yaml(unnamed(config).document())}")


def begin_search(kind: str, config: Config, space: Space, asked: Mapping[str, Any]) -> tuple[Search, bool]:
    """Return the search in its folder, and whether it was there already: the same words go on with it.

    The folder is `run.root/run.name`; without a name it is named by what it was asked. Raises ConfigError where another
    search has the name.
    """
    base, facts = unnamed(config), {"search": kind, **asked}
    path = place_of(kind, config, space, asked)
    if (path / SEARCH).is_file():
        search = open_search(path, kind)
        _refuse_others(search, base, space, facts)
        return search, True
    begun = {"trials", BASE, SPACE}  # of a search whose beginning was cut short
    if path.exists() and not (path.is_dir() and {inner.name for inner in path.iterdir()} <= begun):
        raise ConfigError(
            f"{path} exists already, and is no search",
            hint="choose another name",
            attempt=f"gymjax {kind} ... --name another",
            code="config.run_exists",
        )
    search = Search(path, base, space, facts)
    try:
        (path / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path} can not be made: {error.strerror or error}") from error
    search.write(BASE, f"# the settings of every run here, but for {SPACE}\n{to_yaml(base.document())}")
    search.write(SPACE, write_space(space))
    search.write(SEARCH, json.dumps({"schema": 1, **facts}, indent=1) + "\n")  # last: with it the folder is a search
    return search, False


def place_of(kind: str, config: Config, space: Space, asked: Mapping[str, Any]) -> Path:
    """Return the folder that a search is given."""
    fixed = {key: value for key, value in asked.items() if key not in LONGER}
    told = json.dumps([unnamed(config).document(), write_space(space), fixed], sort_keys=True)
    name = config.run.name or f"{kind}_{config.model.kind}_{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    return Path(config.run.root).expanduser().absolute() / name


def open_search(path: str | Path, kind: str, root: str | Path | None = None) -> Search:
    """Return a search by its folder, or its name under `root`. Raises CheckpointError when there is none."""
    for place in (Path(path).expanduser(), Path(ROOT if root is None else root).expanduser() / path):
        if (place / SEARCH).is_file():
            break
    else:
        raise CheckpointError(
            f"no search at `{path}`",
            hint=f"it is a folder that gymjax {kind} made, with a {SEARCH} in it",
            attempt=f"gymjax {kind} --help",
            code="run.not_found",
        )
    asked = RunFolder(place).read_json(SEARCH)
    asked.pop("schema", None)
    if asked.get("search") != kind:
        raise CheckpointError(
            f"{place} is of gymjax {asked.get('search')}",
            hint="it goes on by the command that began it",
            attempt=f"gymjax {asked.get('search')} --resume {place}",
        )
    return Search(place.absolute(), load_config([place / BASE]), read_space(place / SPACE), asked)


def lengthen(search: Search, **asked: Any) -> Search:
    """Return the search with more asked of it, and write that down."""
    facts = {**search.asked, **{key: value for key, value in asked.items() if value is not None}}
    if facts != search.asked:
        search.write(SEARCH, json.dumps({"schema": 1, **facts}, indent=1) + "\n")
    return search._replace(asked=facts)


def _refuse_others(search: Search, base: Config, space: Space, asked: Mapping[str, Any]) -> None:
    """Raise ConfigError that names in what a search differs from the one that has its folder."""
    changed = list(differences(search.config, base))
    if write_space(search.space) != write_space(space):
        changed.append("space")
    changed += [key for key, value in asked.items() if key not in LONGER and search.asked.get(key) != value]
    if changed:
        raise ConfigError(
            f"{search.path} was begun with another: {', '.join(changed)}",
            hint="a search goes on as it began; another one needs a name of its own",
            attempt=f"gymjax {search.asked['search']} ... --name another",
            code="config.resume",
        )


def _write(path: Path, text: str) -> Path:
    try:
        write_synced(path, text)
    except OSError as error:
        raise StorageError(f"{path} can not be written: {error.strerror or error}") from error
    return path
