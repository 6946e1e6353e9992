"""The vocabulary: every dotted key there is, with its type, its default and what it means."""

import ast
import dataclasses
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, get_type_hints

import yaml
from pydantic import BaseModel, TypeAdapter

from gym_jax.config.derive import CONFIGURED
from gym_jax.config.plain import inline
from gym_jax.config.schema import CHOICES, SCHEMAS, Config, names_of
from gym_jax.data.words import shown
from gym_jax.errors import MissingExtra

KIND = "Which one of them; the other keys of this section are its settings."
NAMES = {"string": "text", "boolean": "true | false", "object": "mapping"}
"""JSON Schema's words for types, where people have others."""


class Key(NamedTuple):
    """One setting."""

    path: str
    default: Any
    kind: str | None
    """The kind of its section that has it so; None where there are no kinds."""
    owner: Any
    """The class whose field it is; None for a setting that is no field."""
    words: tuple[str, str] = ("", "")
    """Type and description of one that is no field."""

    @property
    def type(self) -> str:
        """The type in words: `integer > 0`, `none | last | standard`."""
        return self.words[0] if self.owner is None else words_of(_properties(self.owner)[self._name])

    @property
    def doc(self) -> str:
        """What stands below the field; read from the source, which takes a second for all of them."""
        return self.words[1] if self.owner is None else docs_of(self.owner).get(self._name, "")

    @property
    def _name(self) -> str:
        return self.path.rpartition(".")[2]

    def describe(self) -> str:
        """Return what may stand there, in a sentence."""
        return f"`{self.path}` is {self.type}, by default {inline(self.default)}"


def known_keys(path: Sequence[str], kind: str | None = None) -> list[str]:
    """Return the keys a section takes; of a section that chooses, those of `kind` (None: of its default)."""
    model: Any = Config
    for part in path:
        model = schema_of_kind(part, kind) if part in CHOICES else fields_of(model)[part]
    return list(fields_of(model))


def schema_of_kind(section: str, kind: str | None = None) -> type[BaseModel]:
    """Return the schema of a kind of a section that chooses; of the default kind when None."""
    return SCHEMAS[section][kind or Config.model_fields[section].default.kind]


def fields_of(model: Any) -> dict[str, Any]:
    """Return the settings of a section with their types; a setting that is no section has none."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    if not dataclasses.is_dataclass(model):
        return {}
    hints = get_type_hints(model)
    return {item.name: hints[item.name] for item in dataclasses.fields(model)}


def all_keys() -> list[str]:
    """Return every dotted key there is, of every kind."""
    return list(dict.fromkeys(key.path for key in vocabulary()))


@cache
def sections() -> frozenset[tuple[str, ...]]:
    """Return the paths of all sections and the sections in them."""
    paths = [tuple(key.split(".")) for key in all_keys()]
    return frozenset(path[:n] for path in paths for n in range(1, len(path)))


def find_key(path: str, kind: str | None = None) -> Key | None:
    """Return a setting by its dotted key, as `kind` has it (None: as the first kind of the house that has it)."""
    section = path.partition(".")[0]
    added = _of_kind(section, kind) if isinstance(kind, str) and _is_plugin(section, kind) else ()
    found = [key for key in (*vocabulary(), *added) if key.path == path and (kind is None or key.kind in (None, kind))]
    return found[0] if found else None


def keys_of_plugins(section: str) -> list[str]:
    """Return the dotted keys that the kinds of plug-ins have in a section; one that can not be used has none."""
    out: list[str] = []
    for kind in names_of(section)[len(CHOICES[section]) :]:
        with suppress(MissingExtra):
            out += [key.path for key in _of_kind(section, kind)]
    return out


def _is_plugin(section: str, kind: str) -> bool:
    return section in CHOICES and kind not in CHOICES[section] and kind in names_of(section)


@cache
def vocabulary() -> tuple[Key, ...]:
    """Return every setting, once for each kind of the house that has it."""
    out: list[Key] = []
    for section, field in Config.model_fields.items():
        if section not in CHOICES:
            out += _section(section, field.annotation, field.default)
            continue
        words = " | ".join(CHOICES[section]), KIND
        out.append(Key(f"{section}.kind", field.default.kind, None, None, words))
        for kind in SCHEMAS[section]:
            out += _of_kind(section, kind)
    return tuple(out)


@cache
def _of_kind(section: str, kind: str) -> tuple[Key, ...]:
    """Return the settings of one kind."""
    schema = SCHEMAS[section][kind]
    defaults = {name: item.default for name, item in schema.model_fields.items() if name != "kind"}
    return tuple(Key(f"{section}.{name}", value, kind, schema) for name, value in defaults.items())


def _section(path: str, model: Any, default: Any) -> list[Key]:
    out: list[Key] = []
    for name, annotation in fields_of(model).items():
        inner = getattr(default, name)
        if fields_of(annotation):
            out += _section(f"{path}.{name}", annotation, inner)
        else:
            out.append(Key(f"{path}.{name}", inner, None, model))
    return out or [Key(path, default, None, None, ("integer", "Version of the configuration's schema."))]


@cache
def _properties(model: Any) -> dict[str, Any]:
    return dict(TypeAdapter(model).json_schema()["properties"])


def words_of(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema in a few words."""
    if "enum" in schema:
        return " | ".join(map(quoted, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(words_of(part) for part in schema["anyOf"])
    if "prefixItems" in schema:
        return f"[{', '.join(words_of(part) for part in schema['prefixItems'])}]"
    if schema.get("type") == "array":
        items = schema.get("items", {})
        return "list" if not items else f"list of {words_of(items)}"
    if "pattern" in schema:
        return "a word of at most 64 letters, digits, `.`, `_` and `-`"
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    name = schema.get("type", "any")
    return " ".join([NAMES.get(name, name), ", ".join(bounds)]).strip()


def quoted(word: Any) -> str:
    """Return one of the words that may stand somewhere, in quotes when it is a mark or a blank."""
    return str(word) if re.fullmatch(r"[\w.%/-]+", str(word)) else json.dumps(word)


def written(value: Any) -> str:
    """Return a value as it stands in a message: as in YAML, one line, not too long."""
    try:
        return shown(inline(value))
    except yaml.YAMLError:  # an object of Python
        return shown(value)


@cache
def docs_of(model: Any) -> dict[str, str]:
    """Return the docstrings that stand below the fields of a class and of its bases; {} without their source.

    Of a schema they are those of what it is derived from. What Python calls None is null in a configuration.
    """
    source = CONFIGURED.get(model, model)
    out: dict[str, str] = {}
    for owner in reversed(inspect.getmro(source)) if inspect.isclass(source) else ():
        out |= _own_docs(owner)
    return {name: out[name] for name in fields_of(model) if name in out}


@cache
def _own_docs(owner: Any) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return {}
    out: dict[str, str] = {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            if isinstance(text, str) and text:
                out[field.target.id] = re.sub(r"\bNone\b", "null", " ".join(text.split()))
    return out
