"""`python -m gym_jax.cli.complete` writes keys.json, which completion reads: every setting, the words it takes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gym_jax.cli.candidates import KEYS
from gym_jax.config.keys import all_keys
from gym_jax.config.schema import CHOICES, Config


def find_keys() -> dict[str, list[str]]:
    """Return every setting that takes a value, with the words it takes, out of the schema."""
    schema = Config.model_json_schema()
    keys = all_keys()
    single = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    kinds = {section: list(kinds) for section, kinds in CHOICES.items()}
    return kinds | {key: _words(schema, key.split(".")) for key in single if key != "schema_version"}


def keys_text() -> str:
    """Return what keys.json must hold: a line for every setting."""
    lines = (f" {json.dumps(key)}: {json.dumps(words)}" for key, words in find_keys().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _words(schema: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    """Return the words, truth values and nulls among the values at a path; those a shell would eat are left out."""
    nodes = list(_leaves(schema, schema))
    for part in path:
        inner = [node["properties"][part] for node in nodes if part in node.get("properties", {})]
        nodes = [leaf for node in inner for leaf in _leaves(schema, node)]
    found: list[str] = []
    for node in nodes:
        words = node.get("enum", [node["const"]] if "const" in node else [])
        found += ["true", "false"] if node.get("type") == "boolean" else [w for w in words if isinstance(w, str)]
    if found and any(node.get("type") == "null" for node in nodes):
        found.append("null")
    return [word for word in dict.fromkeys(found) if re.fullmatch(r"[\w.+-]+", word)]


def _leaves(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the alternatives that a node of a JSON schema is made of."""
    if "$ref" in node:
        yield from _leaves(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
        return
    inner = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    for part in inner:
        yield from _leaves(schema, part)
    if not inner:
        yield node


if __name__ == "__main__":
    KEYS.write_text(keys_text(), encoding="utf-8", newline="\n")
    print(f"{len(find_keys())} settings in {KEYS}")
