"""Hydra's part: compose a YAML file with its defaults list, and read the override grammar. No sweeps, no `_target_`."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gym_jax.errors import ConfigError, did_you_mean

_LOCK = threading.Lock()


class Override(NamedTuple):
    """One override: `path` is the dotted key in parts; `value` is None and `delete` True for `~key`."""

    path: tuple[str, ...]
    value: Any
    delete: bool
    text: str


def shipped() -> Path:
    """Return the folder of the shipped configurations, in a checkout and in an installed wheel alike."""
    return Path(str(files("gym_jax.configs")))


def shipped_names() -> list[str]:
    """Return the names that `--config NAME` takes."""
    return sorted(path.stem for path in shipped().glob("*.yaml"))


def find_config(name: str) -> Path:
    """Return the file that `--config FILE|NAME` names: a file first, then a shipped one. Raises ConfigError."""
    for path in (Path(name).expanduser(), shipped() / f"{name}.yaml"):
        if path.is_file() and path.suffix == ".yaml":
            return path.absolute()
    raise ConfigError(
        f"no configuration `{name}`",
        hint="its name must end in .yaml"
        if Path(name).expanduser().is_file()
        else f"no such file; of the shipped ones, {did_you_mean(name, shipped_names())}",
        attempt="gymjax train --config cpu_allocation",
        code="config.not_found",
    )


def compose_file(path: Path) -> dict[str, Any]:
    """Return a YAML file composed with its defaults list; shipped groups can be used from anywhere."""
    try:
        with _hydra(path.parent):
            place = str(shipped()).replace("\\", "\\\\").replace("'", "\\'")
            tree = compose(path.stem, overrides=[f"hydra.searchpath=['file://{place}']"])
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"`{path}`: {_reason(error)}", hint="the file can not be composed") from error
    except Exception as error:  # YAML errors are of several packages
        raise ConfigError(f"`{path}` is no YAML: {_reason(error)}", hint="check the line that it names") from error
    if not isinstance(tree, DictConfig) or not isinstance(plain, dict):
        raise ConfigError(f"`{path}` holds no mapping", hint="a configuration is `section: {key: value}`")
    return {str(key): value for key, value in plain.items()}


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Return overrides in Hydra's grammar: `key=value`, `+key=value`, `++key=value`, `~key`."""
    parsed = []
    for text in overrides:
        try:
            found = OverridesParser.create().parse_override(text)
        except HydraException as error:
            raise ConfigError(
                f"override `{text}` can not be read: {_reason(error)}",
                hint="an override is key=value; quote what the shell would eat",
                attempt="gymjax train 'model.hidden=128' 'optim.lr=3e-4'",
                code="config.override",
            ) from error
        if found.is_sweep_override():
            raise ConfigError(
                f"override `{text}` names several values",
                hint="one run takes one value of each",
                code="config.override",
            )
        if found.package:
            raise ConfigError(f"override `{text}` names a package", hint="write key=value", code="config.override")
        path = tuple(str(found.key_or_group).replace("/", ".").split("."))
        parsed.append(Override(path, None if found.is_delete() else found.value(), found.is_delete(), text))
    return parsed


@contextmanager
def _hydra(folder: Path) -> Iterator[None]:
    """Lend Hydra's process-wide singleton and give it back: notebooks and hosts that use Hydra keep theirs."""
    old = {"version_base": "1.3"} if tuple(map(int, hydra.__version__.split(".")[:2])) < (1, 4) else {}
    with _LOCK:
        slot = GlobalHydra.instance()
        before, slot.hydra = slot.hydra, None
        try:
            with initialize_config_dir(str(folder), **old):
                yield
        finally:
            slot.hydra = before


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error or "").strip().splitlines()
    if lines in ([], ["None"]):
        return "it is not in Hydra's grammar"
    return " ".join(line.strip() for line in lines[:3])
