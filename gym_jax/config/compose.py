"""Hydra's part: compose a YAML file with its defaults list, and read the override grammar. No sweeps, no `_target_`."""

import re
import shlex
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError

from gym_jax.config.text import SHAPE, check_text, unreadable
from gym_jax.errors import ConfigError, did_you_mean, nearest

GRAMMAR = "an override is key=value without blanks around; quote what the shell would eat"
_LOCK = threading.Lock()
"""Hydra finds its plug-ins once in a process."""


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
    """Return the file that `--config` names: a file, the one of a run folder, a shipped one. Raises ConfigError."""
    place = Path(name).expanduser()
    for path in (place, place / "config.yaml", shipped() / f"{name}.yaml"):
        if path.is_file() and path.suffix == ".yaml":
            return path.absolute()
    if place.is_file():
        other = place.suffix in ("", ".yml", ".json")
        raise ConfigError(
            f"no configuration `{name}`",
            hint="its name must end in .yaml" if other else "it must end in .yaml; data are given with --data",
            attempt=shlex.join(["mv", name, str(Path(name).with_suffix(".yaml"))]) if other else None,
            code="config.not_found",
        )
    if place.is_dir():
        inside = sorted(str(path) for path in place.glob("*.yaml"))
        raise ConfigError(
            f"no configuration `{name}`: it is a folder without a config.yaml",
            hint=f"in it are {', '.join(inside[:5])}" if inside else "name a file, or the folder of a run",
            attempt=f"gymjax train --config {shlex.quote(inside[0])}" if inside else None,
            code="config.not_found",
        )
    beside = {
        word: str(path.with_suffix(".yaml"))
        for path in (Path(name).with_name(file.name) for file in place.parent.glob("*.yaml") if name and file.is_file())
        for word in (str(path), str(path.with_suffix("")))
    }
    close = beside.get(nearest(name, beside, likeness=0.75) or "")
    meant = f"did you mean `{close}`?" if close else f"of the shipped ones, {did_you_mean(name, shipped_names())}"
    raise ConfigError(
        f"no configuration `{name}`",
        hint=f"no such file; {meant}",
        attempt=f"gymjax config show {shlex.quote(close or nearest(name, shipped_names()) or 'cpu_allocation')}",
        code="config.not_found",
    )


def find_group(section: str, name: str, folders: Sequence[Path] = ()) -> Path | None:
    """Return the file `section/name.yaml` in one of the folders or among the shipped ones, None when there is none."""
    if Path(name).name != name:
        return None
    places = (folder / section / f"{name}.yaml" for folder in (*folders, shipped()))
    return next((place for place in places if place.is_file()), None)


def compose_file(path: Path, name: str | None = None) -> dict[str, Any]:
    """Return a YAML file composed with its defaults list; shipped groups can be used from anywhere.

    Raises ConfigError that calls the file `name`.
    """
    name = name or str(path)
    check_text(path, name)
    try:
        _check_defaults(path, path.parent, {path})
        plain = OmegaConf.to_container(_compose(path), resolve=True)
    except ConfigError:
        raise
    except yaml.YAMLError as error:  # of a file in its defaults list
        raise unreadable(name, error) from error
    except Exception as error:  # of Hydra, OmegaConf, ANTLR, or a recursion without end
        raise _not_composed(path, name, error) from error
    return named(plain)


def parse_override(text: str) -> Override:
    """Return an override in Hydra's grammar: `key=value`, `+key=value`, `++key=value`, `~key`. Raises ConfigError."""

    def error(message: str, hint: str, attempt: str | None = None) -> ConfigError:
        return ConfigError(f"override `{text}` {message}", hint=hint, attempt=attempt, code="config.override")

    try:
        found = OverridesParser.create().parse_override(text)
    except HydraException as problem:
        raise error(f"can not be read: {reason(problem)}", GRAMMAR, _quoted(text)) from problem
    if found.is_sweep_override():
        raise error(
            "names several values",
            "one run takes one value of each, gymjax sweep takes several; a list stands in brackets: [1,2]",
        )
    if found.package:
        raise error("names a package", "write key=value")
    if found.is_delete() and "=" in text:
        raise error("has a value", f"did you mean `{text.partition('=')[0]}`, which brings the default back?")
    path = tuple(str(found.key_or_group).replace("/", ".").split("."))
    return Override(path, None if found.is_delete() else named(found.value()), found.is_delete(), text)


def parse_value(text: str) -> Any:
    """Return a value in Hydra's grammar, such as 3e-4 or [cpu, memory]; text that is none in it stays as it is."""
    try:
        found = OverridesParser.create().parse_override(f"value={text}")
    except HydraException:
        return text
    return text if found.is_sweep_override() else named(found.value())


def _quoted(text: str) -> str:
    """Return the command with the override as it can be read: without blanks around, or its words in quotes."""
    key, _, value = (part.strip() for part in text.partition("="))
    listed = value.startswith("[") and value.endswith("]")
    words = ",".join(f'"{word.strip()}"' for word in value[1:-1].split(","))
    for typed in (f"{key}={value}", f"{key}=[{words}]" if listed else f'{key}="{value}"'):
        try:
            if value and (listed or value[0] not in "[{"):
                OverridesParser.create().parse_override(typed)
                return f"gymjax train ... {shlex.quote(typed)}"
        except HydraException:
            continue
    return "gymjax train 'model.hidden=128' 'optim.lr=3e-4'"


def named(value: Any) -> Any:
    """Return plain data with words for keys: `1: x` and `on: x` are keys like others."""
    if isinstance(value, Mapping):
        return {str(key).lower() if isinstance(key, bool) else str(key): named(item) for key, item in value.items()}
    return [named(item) for item in value] if isinstance(value, list) else value


def _compose(path: Path) -> Any:
    """Return a file with its defaults list; the shipped groups are there as well.

    Hydra's `compose` works with one object of the whole process, which notebooks and other threads may be using. So
    this is what it does inside, with an object of our own.
    """
    places = ConfigSearchPathImpl()
    for provider, place in (
        *(("hydra", "pkg://hydra.conf"), ("main", f"file://{path.parent}")),
        *(("gym_jax", f"file://{shipped()}"), ("schema", "structured://")),
    ):
        places.append(provider, place)
    # a defaults list without `_self_`: the file's own settings win, as everyone expects
    silent = "_self_" not in path.read_text(encoding="utf-8")
    with _LOCK, warnings.catch_warnings() if silent else nullcontext():
        if silent:
            warnings.filterwarnings("ignore", "In .*: Defaults list is missing `_self_`", UserWarning)
        Plugins.instance()
        loader = ConfigLoaderImpl(config_search_path=places)
        tree = loader.load_configuration(path.stem, overrides=[], run_mode=RunMode.RUN, from_shell=False)
    with open_dict(tree):
        del tree["hydra"]
    return tree


def _check_defaults(path: Path, root: Path, seen: set[Path]) -> None:
    """Judge the text of every file at hand that a file's defaults list names, and of those that these name."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8-sig")).get("defaults")
    for entry in listed if isinstance(listed, list) else ():
        for group, names in entry.items() if isinstance(entry, dict) else [("", entry)]:
            for one in names if isinstance(names, list) else [names]:
                words = f"{str(group).split()[-1].partition('@')[0]}/{one}" if group else str(one)
                beside = root if words.startswith("/") else path.parent
                place = beside / f"{words.strip('/').partition('@')[0].removesuffix('.yaml')}.yaml"
                if place not in seen and place.is_file():
                    seen.add(place)
                    check_text(place, place.name)
                    _check_defaults(place, root, seen)


def _not_composed(path: Path, name: str, error: Exception) -> ConfigError:
    """Return what Hydra or OmegaConf says about a file, in the user's words."""
    key = getattr(error, "full_key", None)
    place = f"`{name}`: `{key}`" if key else f"`{name}`"
    if isinstance(error, RecursionError):
        return ConfigError(f"{place} leads back to itself", hint="look at its defaults list and its ${...}")
    if isinstance(error, MissingConfigException) and (missing := error.missing_cfg_file):
        group = Path(missing).parent
        files = [file for folder in (path.parent, shipped()) for file in sorted((folder / group).glob("*.yaml"))]
        known = {str(group / file.stem) for file in files if file != path}
        return ConfigError(
            f"`{name}`: its defaults list names `{missing}`, which is not there",
            hint=did_you_mean(missing, known) if known else f"no such file: {missing}.yaml",
        )
    if isinstance(error, InterpolationResolutionError) or "${" in reason(error):
        return ConfigError(
            f"{place}: {reason(error)}", hint="${section.key} is a key of the same file, ${oc.env:NAME} a variable"
        )
    return ConfigError(f"{place}: {reason(error)}", hint=f"it can not be composed; {SHAPE}")


def reason(error: BaseException) -> str:
    """Return what Hydra or OmegaConf says was wrong, without what it says around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error or "").strip().splitlines()
    if lines in ([], ["None"]):
        return "it is not in Hydra's grammar"
    if odd := re.match(r"LexerNoViableAltException\('(.*)'\)", lines[0]):  # the scanner's own word for it
        return f"`{odd[1]}` can not stand there in Hydra's grammar"
    return lines[0].strip()
