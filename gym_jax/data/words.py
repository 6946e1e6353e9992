"""How messages write what they talk about: values as they are in a file, options as they are typed."""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gym_jax.errors import did_you_mean, nearest

LONGEST, SENTENCE = 60, 400
"""Characters that are shown of a value, and of a path or what another library says."""
MANY = 20
"""Names that are listed."""


def shown(value: object, most: int = LONGEST) -> str:
    """Return a value as it stands in a message: one line, not too long, nothing invisible but blanks."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value)[: most + 1])
    return text if len(text) <= most else f"{text[: most - 3]}..."


def named(path: Path) -> str:
    """Return a file as it stands in a message."""
    return f"`{shown(path.name, SENTENCE)}`"


def listed(names: Iterable[object]) -> str:
    """Return names in a row, the first of many and how many there are."""
    words = [shown(name) for name in names]
    return ", ".join(words) if len(words) <= MANY else f"{', '.join(words[:MANY])} ... ({len(words):,} in all)"


def suggest(word: str, names: Iterable[str]) -> str:
    """Return a hint: the nearest right word, or all of them, or the first of many."""
    names = [shown(name) for name in names]
    if nearest(word, names) is not None or len(names) <= MANY:
        return did_you_mean(word, names)
    return f"choose from {listed(names)}"


def command(options: Mapping[str, Any]) -> str | None:
    """Return `gymjax train ... data.KEY=VALUE`, quoted for Hydra and the shell, or None when it can not be typed."""
    words = {key: _value(value) for key, value in options.items()}
    if None in words.values():
        return None
    return " ".join(["gymjax train ...", *(shlex.quote(f"data.{key}={word}") for key, word in words.items())])


def _value(value: Any) -> str | None:
    if isinstance(value, Mapping):
        pairs = [(_key(key), _value(word)) for key, word in value.items()]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{k}: {w}' for k, w in pairs)}}}"
    if isinstance(value, list | tuple):
        words = [_value(word) for word in value]
        return None if None in words else f"[{','.join(map(str, words))}]"
    text = str(value)
    if not isinstance(value, str) or (re.fullmatch(r"[A-Za-z_%][\w./%-]*", text, re.ASCII) and not _special(text)):
        return text
    if not text.isprintable():
        return None
    # Hydra takes a backslash for an escape only where it stands before a quote
    return '"' + re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + (r"\"" if m[2] else ""), text) + '"'


def _key(name: str) -> str | None:
    """Return a key of a mapping in Hydra's grammar, which knows escapes there but no quotes."""
    if _special(name) or name != " ".join(name.split()):
        return None
    if not re.fullmatch(r"[\w /.%+*@?|()\[\]{}:=,-]+", name, re.ASCII):
        return None
    return re.sub(r"([()\[\]{}:=,])", r"\\\1", name)


def _special(text: str) -> bool:
    """Return whether Hydra takes a bare word for a number, a truth value or null."""
    number = r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d+)(e[+-]?\d+)?"
    return bool(re.fullmatch(rf"{number}|[+-]?(inf|nan)|null|true|false", text, re.IGNORECASE))
