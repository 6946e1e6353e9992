"""From files and overrides to one judged configuration: Hydra composes, Pydantic judges, all errors at once."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from gym_jax.config.compose import Override, compose_file, find_config, parse_overrides, shipped
from gym_jax.config.schema import CHOICES, Config, Data
from gym_jax.errors import ConfigError, did_you_mean, nearest

LISTS = ("usage", *(item.name for item in dataclasses.fields(Data) if item.default == ()))
"""Settings of the data that hold a list."""


def load_config(
    files: Sequence[str | Path] = (), overrides: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> Config:
    """Return the configuration: defaults < files in order < options (dotted key to value) < overrides in order.

    A file is a path or a shipped name. `model=mlp` chooses a kind, as `model.kind=mlp` does. A relative `data.path`
    is taken from the working directory. Raises ConfigError that names every wrong key and value.
    """
    tree: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    given = [Override(tuple(key.split(".")), value, False, key) for key, value in (options or {}).items()]
    for name in files:
        path = find_config(str(name))
        content = compose_file(path)
        _note(origins, content, str(name))
        tree = merge(tree, content)
    for override in (*given, *parse_overrides(overrides)):
        tree = _apply(tree, override)
        origins[override.path] = "the command line"
    config = judge(tree, origins)
    if config.data.path is None:
        return config
    absolute = os.path.abspath(os.path.expanduser(config.data.path))
    return config.model_copy(update={"data": dataclasses.replace(config.data, path=absolute)})


def judge(tree: Mapping[str, Any], origins: Mapping[tuple[str, ...], str] | None = None) -> Config:
    """Return the configuration of a plain tree. Raises ConfigError that names every wrong key and value."""
    try:
        return Config.model_validate(_plain(tree))
    except ValidationError as error:
        found = list({_explain(problem, tree, origins or {}): None for problem in error.errors()})
    messages = [message for message, _ in found]
    hints = [hint for _, hint in found if hint]
    raise ConfigError(
        "; ".join(messages),
        hint="; ".join(dict.fromkeys(hints)) or None,
        attempt="gymjax models show lstm" if "`model." in "".join(messages) else "gymjax train --dry-run",
        code="config.unknown_key" if messages[0].startswith("unknown key") else "config.invalid",
    )


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top; a section that changes its `kind` starts anew."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            fresh = "kind" in value and value["kind"] != old.get("kind", value["kind"])
            out[key] = dict(value) if fresh else merge(old, value)
        else:
            out[key] = value
    return out


def _apply(tree: dict[str, Any], override: Override) -> dict[str, Any]:
    path, value = override.path, override.value
    if override.delete:
        return _without(tree, path)
    if len(path) == 1 and isinstance(value, str) and path[0] in Config.model_fields:
        group = shipped() / path[0] / f"{value}.yaml"
        if group.is_file():
            content = compose_file(group)
            return merge(tree, {path[0]: content.get(path[0], content)})
        if path[0] in CHOICES:
            return merge(tree, {path[0]: {"kind": value}})
    for part in reversed(path):
        value = {part: value}
    return merge(tree, value)


def _without(tree: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    head, *rest = path
    if head not in tree:
        return dict(tree)
    if rest and isinstance(tree[head], Mapping):
        return {**tree, head: _without(tree[head], rest)}
    return {key: value for key, value in tree.items() if key != head}


def _note(origins: dict[tuple[str, ...], str], tree: Mapping[str, Any], name: str, path: tuple[str, ...] = ()) -> None:
    for key, value in tree.items():
        origins[(*path, key)] = f"`{name}`"
        if isinstance(value, Mapping):
            _note(origins, value, name, (*path, key))


def _plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Let one word stand for a list of one: `data.target=cpu`."""
    data = tree.get("data")
    if not isinstance(data, Mapping):
        return dict(tree)
    single = {key: [data[key]] for key in LISTS if isinstance(data.get(key), str | int)}
    return {**tree, "data": {**data, **single}}


def _explain(problem: Any, tree: Mapping[str, Any], origins: Mapping[tuple[str, ...], str]) -> tuple[str, str]:
    """Return what is wrong, in the user's words, and a hint."""
    where = [str(part) for part in problem["loc"]]
    kind = None
    if len(where) > 1 and where[0] in CHOICES and where[1] in CHOICES[where[0]]:
        kind = where.pop(1)  # pydantic names the chosen kind in the path
    path = tuple(where)
    key = ".".join(path)
    source = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), "")
    origin = f" (from {source})" if source else ""
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = known_keys(path[:-1], kind)
        close = nearest(path[-1], known)
        prefix = ".".join(path[:-1])
        full = [f"{prefix}.{name}" if prefix else name for name in known]
        elsewhere = [k for k in all_keys() if k.split(".")[-1] == path[-1]]
        if key in elsewhere:
            owners = [kind for kind in CHOICES[path[0]] if path[-1] in known_keys(path[:1], kind)]
            return f"unknown key `{key}`{origin}", f"it belongs to {path[0]}={' or '.join(owners)}, this is {kind}"
        if not close and elsewhere:
            return f"unknown key `{key}`{origin}", f"did you mean `{elsewhere[0]}`?"
        return f"unknown key `{key}`{origin}", did_you_mean(key, full)
    if problem["type"] == "union_tag_invalid":
        section, got = path[0], str(_value(tree, (*path, "kind")))
        return f"`{section}.kind={got}`{origin} is not known", did_you_mean(got, CHOICES[section])
    if problem["type"] == "literal_error":
        allowed = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"`{key}={problem['input']}`{origin} is not known", did_you_mean(str(problem["input"]), allowed)
    if path == ("data",) and isinstance(problem["input"], str):
        return f"`data={problem['input']}`{origin} is no section", f"did you mean `data.path={problem['input']}`?"
    text = problem["msg"].removeprefix("Value error, ")
    return f"`{key}={problem['input']!r}`{origin}: {text[:1].lower()}{text[1:]}", ""


def _value(tree: Any, path: Sequence[str]) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def known_keys(path: Sequence[str], kind: str | None = None) -> list[str]:
    """Return the keys a section takes; of a section that chooses, those of `kind` (None: of its default)."""
    model: Any = Config
    for part in path:
        if part in CHOICES:
            field = model.model_fields[part]
            schemas = {schema.model_fields["kind"].default: schema for schema in field.annotation.__args__}
            model = schemas[kind or field.default.kind]
        else:
            model = _fields(model)[part]
    return list(_fields(model))


def _fields(model: Any) -> dict[str, Any]:
    """Return the settings of a section with their types; a setting that is no section has none."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    if not dataclasses.is_dataclass(model):
        return {}
    hints = get_type_hints(model)
    return {item.name: hints[item.name] for item in dataclasses.fields(model)}


def all_keys() -> list[str]:
    """Return every dotted key there is, of every kind."""
    out: list[str] = []
    for section in Config.model_fields:
        for kind in CHOICES.get(section, (None,)):
            keys = known_keys([section], kind)
            out += [f"{section}.{key}" for key in keys] or [section]
            out += [
                f"{section}.{key}.{sub}" for key in keys if section not in CHOICES for sub in known_keys([section, key])
            ]
    return list(dict.fromkeys(out))
