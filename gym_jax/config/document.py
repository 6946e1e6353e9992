"""A configuration as people and editors read it: YAML with remarks, differences, JSON Schema, a file to begin with."""

import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gym_jax.config.keys import all_keys, docs_of, fields_of, find_key
from gym_jax.config.plain import inline, literal
from gym_jax.config.schema import CHOICES, SCHEMAS, Config, names_of
from gym_jax.errors import MissingExtra
from gym_jax.metrics import METRICS
from gym_jax.track import TRACKERS

REMARK, WIDTH = 44, 120
"""Column where remarks begin, and where they are broken."""
STARTING = ("schema_version", "data.path", "data.target", "task.context", "task.horizon", "model.kind", "train.epochs")
"""Settings that a file to begin with always holds."""


def to_yaml(tree: Mapping[str, Any], remark: Callable[[str], str] = lambda key: "") -> str:
    """Return a resolved configuration as YAML, one setting a line; `remark(key)` follows as a comment."""
    lines: list[str] = []
    for key, text in _walk(tree):
        lines += _remarked(text, remark(key))
    return "\n".join(lines) + "\n"


def differences(one: Config, other: Config) -> dict[str, tuple[list[Any], list[Any]]]:
    """Return the dotted keys whose values differ, with both values; [] stands for a key that there is not."""
    first, second = flat(one.document()), flat(other.document())
    keys = dict.fromkeys([*(key for key in all_keys() if key in first or key in second), *first, *second])
    values = {key: tuple([tree[key]] if key in tree else [] for tree in (first, second)) for key in keys}
    return {key: (before, after) for key, (before, after) in values.items() if before != after}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a tree as dotted keys; a mapping that is a value (units of columns) stays one."""
    out: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and find_key(key) is None:
            out |= flat(value, f"{key}.")
        else:
            out[key] = value
    return out


def picked(tree: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return the parts of a tree that dotted keys name, all of it when there are none."""
    out: dict[str, Any] = {} if keys else dict(tree)
    for key in sorted(keys, key=lambda key: list(tree).index(key.split(".")[0])):
        part, place = tree, out
        *above, last = key.split(".")
        for name in above:
            part, place = part.get(name, {}), place.setdefault(name, {})
        if last in part:
            place[last] = part[last]
    return out


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file and what each setting means: editors complete and check by it."""
    schema = Config.model_json_schema()
    parts = schema["$defs"]
    for model in _models(Config):
        properties = (schema if model is Config else parts.get(model.__name__, {})).get("properties", {})
        for name, doc in docs_of(model).items():
            if name in properties:
                properties[name].setdefault("description", doc)
        for name, part in properties.items():  # a section may be empty: everything in it is commented out
            if "$ref" in part:
                properties[name] = {"anyOf": [{"$ref": part.pop("$ref")}, {"type": "null"}], **part}
            elif "oneOf" in part:
                part["oneOf"].append({"type": "null"})
    _add_plugins(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "gym_jax configuration"}


def _add_plugins(schema: dict[str, Any]) -> None:
    """Add what plug-ins bring to a JSON Schema; one that can not be used brings nothing."""
    parts = schema["$defs"]
    for section, known in SCHEMAS.items():
        part = schema["properties"][section]
        for kind in names_of(section)[len(known) :]:
            with suppress(MissingExtra):
                own = known[kind].model_json_schema()
                parts |= {**own.pop("$defs", {}), kind: own}
                part["oneOf"].insert(-1, {"$ref": f"#/$defs/{kind}"})
                part["discriminator"]["mapping"][kind] = f"#/$defs/{kind}"
    parts["Track"]["properties"]["to"]["items"]["enum"] = list(TRACKERS.names())
    parts["Evaluate"]["properties"]["metrics"]["items"]["enum"] = list(METRICS.names())


def starting_file(config: Config, name: str) -> str:
    """Return a file to begin with: what was chosen as settings, everything else as comments with its default."""
    given = flat(config.document())
    plain = flat(Config.model_validate({name: {"kind": getattr(config, name).kind} for name in CHOICES}).document())
    kinds = {f"{name}.kind" for name in CHOICES if given[f"{name}.kind"] != Config.model_fields[name].default.kind}
    chosen = {key for key in given if given[key] != plain[key]} | {*STARTING, *kinds}
    lines = [f"# gymjax train --config {shlex.quote(name)}", "# What is commented out stands for its default.", ""]
    for key, text in _walk(config.document()):
        found = find_key(key, given.get(f"{key.split('.')[0]}.kind"))
        note = f"{found.type}. {found.doc}".rstrip(". ") if found else ""
        lines += _remarked(text if found is None or key in chosen else f"# {text}", note)
    return "\n".join(lines) + "\n"


def _walk(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key and its line of YAML; the lines of a section follow its own."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        indent = "  " * key.count(".")
        if isinstance(value, Mapping) and find_key(key) is None:
            yield key, f"{indent}{name}:"
            yield from _walk(value, f"{key}.")
        else:
            yield key, f"{indent}{name}: {inline(literal(value))}"


def _remarked(text: str, note: str) -> list[str]:
    """Return a line with its remark, which goes on below when it is long."""
    parts = textwrap.wrap(note, WIDTH - REMARK - 3)
    return [f"{text if n == 0 else '':<{REMARK}} # {part}" for n, part in enumerate(parts)] or [text]


def _models(model: Any) -> Iterator[Any]:
    yield model
    for name, annotation in fields_of(model).items():
        if model is Config and name in CHOICES:
            yield from SCHEMAS[name].values()
        elif fields_of(annotation):
            yield from _models(annotation)
