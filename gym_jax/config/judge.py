"""Pydantic's part: a plain tree becomes a configuration, or one error that names every wrong key and value."""

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from gym_jax.config.keys import Key, all_keys, find_key, known_keys, quoted, sections, written
from gym_jax.config.migrate import migrate
from gym_jax.config.rules import find_conflicts
from gym_jax.config.schema import CHOICES, Config, names_of, which_kind
from gym_jax.errors import ConfigError, did_you_mean, gathered, nearest

Path = tuple[str, ...]
Origins = Mapping[Path, str]
"""Where the value of a key, or a whole section, comes from."""
SAID = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "is no integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "is no number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "is neither true nor false"),
    **dict.fromkeys(("list_type", "tuple_type", "sequence_str"), "is no list"),
    **dict.fromkeys(("dict_type", "mapping_type"), "is no mapping"),
    "string_type": "is no text",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "is no name",
    "finite_number": "is not finite",
    "predicate_failed": "must rise",
    "missing": "is too short",
    "too_long": "is too long",
    "greater_than": "is not > {gt}",
    "greater_than_equal": "is not >= {ge}",
    "less_than": "is not < {lt}",
    "less_than_equal": "is not <= {le}",
}
"""What Pydantic complains about, in fewer words; what may stand there is the hint."""


def judge(tree: Mapping[str, Any], origins: Origins | None = None, earlier: Sequence[ConfigError] = ()) -> Config:
    """Return the configuration of a plain tree.

    Raises ConfigError that names every wrong key, value and combination, beside what was wrong `earlier`.
    """
    origins, problems = origins or {}, list(earlier)
    try:
        tree = migrate(tree)
    except ConfigError as error:
        if error.code == "config.newer":
            raise gathered([*problems, error], code="config.problems") from error
        problems.append(error)
        tree = {key: value for key, value in tree.items() if key != "schema_version"}
    try:
        config = Config.model_validate(_plain(tree))
        problems += find_conflicts(config)
    except ValidationError as error:
        # of several complaints about one value (a union tries each of its types) the first says it
        found = {_element(tree, problem["loc"]): problem for problem in reversed(error.errors())}
        problems += [_explain(problem, tree, origins) for problem in reversed(found.values())]
    if problems:
        raise gathered(problems, code="config.problems")
    return config


def origin_of(origins: Origins, path: Sequence[str]) -> str | None:
    """Return where the value of a key comes from, or what lies around it or below it; None when it is the default."""
    place = tuple(path)
    around = (origins[place[:n]] for n in range(len(place), 0, -1) if place[:n] in origins)
    below = (origin for key, origin in origins.items() if key[: len(place)] == place)
    return next(around, None) or next(below, None)


def _plain(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Let one word stand for a list of one, `data.target=cpu`, and nothing but a number for a number."""
    out: dict[str, Any] = {}
    for name, value in tree.items():
        key = find_key(f"{prefix}{name}", _kind(tree, prefix))
        if key is None:
            out[name] = _plain(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
            continue
        listed = key.type.startswith("list")
        if listed and isinstance(value, str | int) and not isinstance(value, bool):
            value = [value]
        if "integer" in key.type or "number" in key.type:
            value = [_number(item) for item in value] if isinstance(value, list) else _number(value)
        # settings of models are compared and hashed, which lists do not bear
        out[name] = tuple(value) if listed and isinstance(value, list) else value
    return out


def _kind(tree: Mapping[str, Any], prefix: str) -> str | None:
    """Return the kind that a section is of, when it is one that chooses."""
    section = prefix.removesuffix(".")
    return tree.get("kind", Config.model_fields[section].default.kind) if section in CHOICES else None


def _number(value: Any) -> Any:
    """Return what Pydantic refuses in place of what it would take for a number: true, and more than 64 bits."""
    if isinstance(value, bool):
        return str(value).lower()
    return math.inf if isinstance(value, int) and abs(value) >= 2**64 else value


def _place(where: Sequence[Any]) -> tuple[list[str], str | None]:
    """Return the path of a complaint, and the kind that pydantic names in it."""
    path = [str(part) for part in where]
    kind = None
    if len(path) > 1 and path[0] in CHOICES and path[1] in names_of(path[0]):
        kind = path.pop(1)
    for n in range(len(path), 0, -1):  # behind the key pydantic names the types of a union that it tried
        if find_key(".".join(path[:n]), kind):
            return path[:n], kind
    return path, kind


def _element(tree: Mapping[str, Any], where: Sequence[Any]) -> Path:
    """Return the path of a complaint down to the element of a list or mapping that it is about."""
    path, kind = _place(where)
    value, out = _value(tree, path), tuple(path)
    for part in where[len(path) + (kind is not None) :]:
        if (isinstance(value, Mapping) and part in value) or (isinstance(value, list) and part in range(len(value))):
            value, out = value[part], (*out, str(part))
    return out


def _explain(problem: Any, tree: Mapping[str, Any], origins: Origins) -> ConfigError:
    """Return what is wrong, in the user's words, and what to write."""
    path, kind = _place(problem["loc"])
    value, item, what = _value(tree, path), problem["input"], problem["type"]
    while path[0] not in Config.model_fields and isinstance(value, Mapping) and len(value) == 1:
        path.append(next(iter(value)))  # of an unknown section its only key says more
        value = _value(tree, path)
    key = ".".join(path)
    section = path[0] if path[0] in Config.model_fields else None
    source = origin_of(origins, path)
    origin = f" (from {source})" if source else ""
    known = find_key(key, kind)

    def error(message: str, hint: str | None, code: str = "config.invalid") -> ConfigError:
        return ConfigError(message, hint=hint, attempt=_attempt(section, kind, source), code=code)

    if what in ("extra_forbidden", "unexpected_keyword_argument"):
        return error(f"unknown key `{key}`{origin}", _right_key(path, kind), "config.unknown_key")
    if what == "union_tag_invalid":
        got = _value(tree, (*path, "kind"))
        return error(f"`{key}.kind={written(got)}`{origin} is not known", which_kind(path[0], str(got)))
    if path == ["data"] and isinstance(value, str):
        return error(f"`data={value}`{origin} is no section", f"did you mean `data.path={value}`?")
    if section in CHOICES and path == [section] and isinstance(value, str):
        hint = did_you_mean(f"{section}.kind={value}", [f"{section}.kind={kind}" for kind in names_of(section)])
        return error(f"`{key}={value}`{origin} is no section", hint)
    if tuple(path) in sections() and not isinstance(value, Mapping):
        return error(f"`{key}={written(value)}`{origin} is no section", f"it has {', '.join(known_keys(path))}")
    if what == "value_error":  # of a section as a whole, or of a word that means something
        inner = known_keys(path)
        return error(f"`{key}`{origin}: {problem['ctx']['error']}", f"it has {', '.join(inner)}" if inner else None)
    message = f"`{key}={written(value)}`{origin}"
    if isinstance(value, list | Mapping) and written(item) != written(value):
        message += f": {written(item)}"
    if what == "literal_error":
        allowed = ast.literal_eval(f"[{problem['ctx']['expected'].replace(' or ', ', ')}]")
        return error(f"{message} is not known", did_you_mean(str(item), map(quoted, allowed)))
    said = SAID.get(what, problem["msg"][:1].lower() + problem["msg"][1:])
    said = said.format(**{name: str(bound).removesuffix(".0") for name, bound in problem.get("ctx", {}).items()})
    if item == math.inf and isinstance(value, int):
        said = "is too large"
    return error(f"{message} {said}", _right_value(item, known))


def _attempt(section: str | None, kind: str | None, source: str | None) -> str:
    """Return a command that shows what may be written."""
    if source is not None and source.startswith("$"):
        return f"unset {source[1:]}"
    if section == "model":
        return f"gymjax models show {kind}" if kind else "gymjax models list"
    choice = f"{section}={kind}" if kind and kind != Config.model_fields[str(section)].default.kind else None
    return " ".join(["gymjax config show", *filter(None, (section, choice))])


def _right_value(value: Any, known: Key | None) -> str | None:
    """Return a hint at the value that was meant, or at what may stand there."""
    if known is None:
        return None
    if isinstance(value, str):
        words = {word: word for word in ("null", "true", "false") if word in known.type or word == "null"}
        words |= {"none": "null", "nil": "null", "yes": "true", "no": "false"}
        meant = words.get(nearest(value, words, likeness=0.8) or "", "")
        if meant in known.type.split() and value != meant:
            return f"did you mean `{meant}`?"
    if known.type.startswith(("text", "list of text")) and isinstance(value, int | float):
        return f'in quotes it is text: "{value}"'
    return known.describe()


def _right_key(path: Sequence[str], kind: str | None) -> str:
    """Return a hint at the key that was meant: in its section, in another, or of another kind."""
    key, name, prefix = ".".join(path), path[-1], ".".join(path[:-1])
    if any("." in part for part in path) and (find_key(key) or tuple(key.split(".")) in sections()):
        *around, last = key.split(".")
        nested = ": {".join([*around, f"{last}: ..."]) + "}" * len(around)
        return f"in a file it stands in its section: `{nested}`"
    if name.startswith("_"):
        return "nothing is built from a configuration by its Python name; `kind` chooses"
    if kind is not None and (owners := _owners(key)):
        return f"it belongs to {path[0]}={' or '.join(owners)}, this is {kind}"
    known = known_keys(path[:-1], kind) if not prefix or tuple(path[:-1]) in sections() else []
    if close := nearest(name, known):
        return f"did you mean `{prefix}.{close}`?" if prefix else f"did you mean `{close}`?"
    leaf = nearest(name, {other.split(".")[-1] for other in all_keys()}, likeness=0.75)
    if meant := nearest(key, [other for other in all_keys() if other.split(".")[-1] == leaf], likeness=0):
        owners = _owners(meant) if kind is not None else []
        return f"did you mean `{meant}`" + (f" of {path[0]}={' or '.join(owners)}?" if owners else "?")
    if not known or not prefix:
        return did_you_mean(path[0], Config.model_fields)
    return f"`{prefix}` has {', '.join(known)}"


def _owners(key: str) -> list[str]:
    """Return the kinds that have a key, [] when it is of no section that chooses."""
    section, _, name = key.partition(".")
    return [kind for kind in CHOICES.get(section, ()) if name in known_keys([section], kind)]


def _value(tree: Any, path: Sequence[str]) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
