"""From files, environment, options and overrides to one judged configuration that knows where each value is from."""

import dataclasses
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.config.compose import Override, compose_file, find_config, find_group, parse_override, parse_value
from gym_jax.config.judge import judge, origin_of
from gym_jax.config.keys import all_keys, sections
from gym_jax.config.migrate import migrate
from gym_jax.config.schema import CHOICES, Config, names_of
from gym_jax.config.tasks import default_kind
from gym_jax.config.variables import read_variables
from gym_jax.errors import ConfigError, nearest

TYPED = "the command line"


class Sourced(NamedTuple):
    """A value and where it is from."""

    value: Any
    origin: str


class Loaded(NamedTuple):
    """A configuration and where its values come from."""

    config: Config
    origins: dict[tuple[str, ...], str]

    def origin(self, key: str) -> str:
        """Return where the value of a dotted key comes from: a file, a variable, the command line or `default`."""
        return origin_of(self.origins, key.split(".")) or "default"


def load_config(
    files: Sequence[str | Path] = (),
    overrides: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration: defaults < files in order < `environ` < options < overrides in order; see `load`.

    Raises ConfigError with everything that is wrong, and where it was written.

    >>> load_config(overrides=["model=lstm", "model.hidden=32"]).model.hidden
    32
    """
    return load(files, overrides, options, environ).config


def load(
    files: Sequence[str | Path] = (),
    overrides: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the configuration with the origin of each value.

    A file is a path or a shipped name; `options` maps dotted keys to values; `environ` holds GYMJAX_SECTION_KEY
    variables, such as `os.environ`; None reads none. `model=mlp` chooses a kind, as `model.kind=mlp` does, or a file
    `model/mlp.yaml` beside a given file or among the shipped ones. Relative paths are taken from the working directory.
    Raises ConfigError that names every wrong key and value.
    """
    tree: dict[str, Any] = {}
    problems: list[ConfigError] = []
    folders: list[Path] = []
    for name in map(str, files):
        try:
            path = find_config(name)
            content = compose_file(path, name)
        except ConfigError as error:
            problems.append(error)
            continue
        try:
            content = migrate(content, f" (from `{name}`)")
        except ConfigError as error:
            problems.append(error)
            if error.code == "config.newer":
                continue
            content = {key: value for key, value in content.items() if key != "schema_version"}
        folders.insert(0, path.parent)
        tree = _with_kinds(merge(tree, _sourced(content, f"`{name}`")))
    variables, wrong = read_variables(environ or {})
    problems += wrong
    environment = [
        (Override(tuple(key.split(".")), parse_value(text), False, name), f"${name}") for name, key, text in variables
    ]
    tree = _with_kinds(_laid(tree, environment, folders, problems))
    typed = [(Override(tuple(key.split(".")), value, False, key), TYPED) for key, value in (options or {}).items()]
    for text in overrides:
        try:
            typed.append((read_override(text), TYPED))
        except ConfigError as error:
            problems.append(error)
    tree = _laid(tree, typed, folders, problems)
    for place, value in list(_leaves(tree)):
        if value.value == "???":
            key = ".".join(place)
            problems.append(ConfigError(f"`{key}` (from {value.origin}) is left open", hint=f"give it: {key}=VALUE"))
            tree = _without(tree, place)
    origins = {place: value.origin for place, value in _leaves(tree)}
    return Loaded(_absolute(judge(_plain(tree), origins, problems)), origins)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top; a section that changes its `kind` starts anew."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            fresh = "kind" in value and "kind" in old and _plain(value["kind"]) != _plain(old["kind"])
            out[key] = dict(value) if fresh else merge(old, value)
        else:
            out[key] = value
    return out


def _laid(
    tree: Mapping[str, Any],
    given: Iterable[tuple[Override, str]],
    folders: Sequence[Path],
    problems: list[ConfigError],
) -> dict[str, Any]:
    """Return the tree with overrides on top, which are one layer: `model.heads=2 model=transformer` in either order."""
    layer: dict[str, Any] = {}
    for override, origin in given:
        try:
            if override.delete:
                _check_known(tree, layer, override)
                tree, layer = _without(tree, override.path), _without(layer, override.path)
            else:
                layer = merge(layer, _content(override, origin, folders))
        except ConfigError as error:
            problems.append(error)
    return merge(tree, layer)


def _content(override: Override, origin: str, folders: Sequence[Path]) -> dict[str, Any]:
    """Return what an override stands for: `model=mlp` names a kind, or a file of the group `model`."""
    path, value = override.path, override.value
    if len(path) == 1 and isinstance(value, str) and path[0] in Config.model_fields:
        section, name = path[0], f"{path[0]}/{value}.yaml"
        if (group := find_group(section, value, folders)) is not None:
            content = compose_file(group, name)
            return _with_kinds(_sourced({section: content.get(section, content)}, f"`{name}`"))
        if section in CHOICES:
            return _sourced({section: {"kind": value}}, origin)
    for part in reversed(path):
        value = {part: value}
    return _sourced(value, origin)


def _sourced(tree: Mapping[str, Any], origin: str, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the tree with each value beside its origin; a section that holds nothing says nothing."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        place = (*path, key)
        if isinstance(value, Mapping) and (value or place in sections()):
            out[key] = _sourced(value, origin, place)
        elif value is not None or place not in sections() or origin == TYPED:
            out[key] = Sourced(value, origin)
    return out


def _plain(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _plain(value) for key, value in tree.items()}
    return tree.value if isinstance(tree, Sourced) else tree


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Sourced]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        elif isinstance(value, Sourced):
            yield (*path, key), value


def _with_kinds(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree with the kind that a section means when it names none, so that another kind starts anew."""
    plain = {"task": _plain(tree.get("task", {}))}
    return {
        key: {"kind": default_kind(key, plain, Config.model_fields[key].default.kind), **value}
        if key in CHOICES and isinstance(value, Mapping)
        else value
        for key, value in tree.items()
    }


def read_override(text: str) -> Override:
    """Return an override. Raises ConfigError that says what was meant by a word that is none."""
    key, equals, _ = text.partition("=")
    if key and (equals or key.startswith("~")):
        return parse_override(text)
    kinds = [f"{section}={text}" for section in CHOICES if text in names_of(section)]
    close = nearest(text, [*all_keys(), *Config.model_fields], likeness=0.75)
    if text.endswith(".yaml"):
        typed = f"--config {shlex.quote(text)}"
    elif kinds:
        typed = kinds[0]
    elif close:
        typed = f"{close}=..."
    elif "." in text:
        typed = f"--data {shlex.quote(text)}"
    else:
        typed = ""
    there = kinds or (typed.startswith("--") and Path(text).expanduser().exists())
    raise ConfigError(
        f"`{text}` is no setting: it has no {'value' if key else 'key'}",
        hint=f"did you mean `{typed}`?" if typed else "settings are key=value; data are given with --data FILE",
        attempt=f"gymjax train {typed}" if there else "gymjax config show",
        code="config.override",
    )


def _check_known(tree: Mapping[str, Any], layer: Mapping[str, Any], override: Override) -> None:
    """Raise ConfigError when `~key` names nothing: neither a setting nor what a file holds."""
    key = ".".join(override.path)
    names = [*all_keys(), *map(".".join, sections())]
    if key not in names and not _there(tree, override.path) and not _there(layer, override.path):
        close = nearest(key, names)
        raise ConfigError(
            f"`~{key}` takes away what is not there",
            hint=f"did you mean `~{close}`?" if close else "it names no setting",
            attempt="gymjax config show",
            code="config.override",
        )


def _without(tree: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return the tree without a key: `~model.hidden` is the default again."""
    head, *rest = path
    if not _there(tree, path):
        return dict(tree)
    if rest:
        return {**tree, head: _without(tree[head], rest)}
    return {name: value for name, value in tree.items() if name != head}


def _there(tree: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(tree, Mapping) or part not in tree:
            return False
        tree = tree[part]
    return True


def _absolute(config: Config) -> Config:
    """Return the configuration with its paths absolute: it means the same wherever it is read again."""

    def whole(path: str | None) -> str | None:
        address = path is not None and "://" in path  # of another filesystem: it is whole
        return path if path is None or address else os.path.abspath(os.path.expanduser(path))

    def of_run(path: str) -> str | None:
        """A run may be named as it is called below the folder of the runs."""
        there = os.path.join(config.run.root, path)
        return whole(there if not os.path.isdir(os.path.expanduser(path)) and os.path.isdir(there) else path)

    update: dict[str, Any] = {}
    paths: dict[str, Any] = {name: whole(getattr(config.data, name)) for name in ("path", "test_path")}
    if any(paths.values()):
        update["data"] = dataclasses.replace(config.data, **paths)
    if config.train.init_from is not None:
        update["train"] = config.train.model_copy(update={"init_from": of_run(config.train.init_from)})
    if config.run.parent is not None:
        update["run"] = config.run.model_copy(update={"parent": of_run(config.run.parent)})
    return config.model_copy(update=update)
