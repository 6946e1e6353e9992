"""The text of a YAML file, judged before anything is built of it: errors name their line, bombs never go off."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gym_jax.errors import ConfigError

LARGEST, DEEPEST, MOST = 2**20, 50, 100_000
"""Bytes of a file, levels in it, and values that it stands for once its anchors are written out."""
OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""What YAML 1.1 takes for a number to the base of 8 or 60, and hardly anybody means so."""
SHAPE = "a configuration is `section: {key: value}`"
EXAMPLE = "gymjax config init mine.yaml"
"""What writes a file that is right, with every setting explained."""


def check_text(path: Path, name: str) -> None:
    """Raise ConfigError that says what is wrong with a YAML file and where, in terms of its `name`."""
    content = path.read_bytes()
    if len(content) > LARGEST:
        raise ConfigError(
            f"`{name}` has {len(content):,} bytes", hint="a configuration is small; are these data?", attempt=EXAMPLE
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"`{name}` line {line} is not UTF-8: byte {content[error.start]:#04x} can not be decoded",
            hint="save the file as UTF-8",
            attempt=EXAMPLE,
        ) from error
    if not text.strip():
        raise ConfigError(f"`{name}` is empty", hint=f"it holds no setting; {SHAPE}", attempt=EXAMPLE)
    try:
        _walk(text, name)
    except yaml.YAMLError as error:
        raise unreadable(name, error) from error


def unreadable(name: str, error: yaml.YAMLError) -> ConfigError:
    """Return what a YAML library says about a file, in a line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem is None or error.problem_mark is None:
        said = str(error).splitlines()[0]
        return ConfigError(f"`{name}` is no YAML: {said}", hint="is it a text file?", attempt=EXAMPLE)
    if error.problem_mark.name.endswith(".yaml") and Path(error.problem_mark.name).name != Path(name).name:
        name = Path(error.problem_mark.name).name  # one that its defaults list names
    begun = error.context_mark if error.context_mark and error.context_mark.line != error.problem_mark.line else None
    where = f", {error.context} in line {begun.line + 1}" if begun and error.context else ""
    hint = "check indent, quotes and brackets there"
    if r"'\t'" in error.problem:
        hint = "YAML is indented by blanks, not by tabs"
    elif "mapping values" in error.problem:
        hint = "one `key: value` a line, indented like its neighbours; quote a value with a colon in it"
    elif "duplicate key" in error.problem:
        hint = "every key stands once: leave one out"
    elif "constructor" in error.problem:
        hint = "tags are not read: numbers, words, lists and mappings need none"
    elif "alias" in error.problem:
        hint = "an alias *name needs an anchor &name before it"
    return ConfigError(
        f"`{name}` line {error.problem_mark.line + 1}: {error.problem}{where}", hint=hint, attempt=EXAMPLE
    )


def _walk(text: str, name: str) -> None:
    """Raise ConfigError on a text that is no mapping, nested too deeply, or enormous once written out."""
    sizes: dict[str, int] = {}
    around: list[tuple[str | None, int]] = []  # anchor and size of every collection that is open
    top: list[str] = []  # keys and values of the whole file, in turn
    documents = 0
    events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
    for event in events:
        line = f"`{name}` line {event.start_mark.line + 1}"
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise ConfigError(
                f"{line}: another document begins",
                hint="a file holds one: give two with --config each",
                attempt=EXAMPLE,
            )
        if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            continue
        if not around and not isinstance(event, yaml.MappingStartEvent) and getattr(event, "value", True):
            raise ConfigError(f"`{name}` holds no mapping", hint=SHAPE, attempt=EXAMPLE)
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and OTHER_BASE.fullmatch(event.value):
            base = 60 if ":" in event.value else 8
            raise ConfigError(
                f"{line}: YAML takes {event.value} for a number to the base of {base}",
                hint="write a number without zeros before it and colons in it; a word in quotes",
                attempt=EXAMPLE,
            )
        if isinstance(event, yaml.CollectionStartEvent):
            around.append((event.anchor, 1))
            if len(around) > DEEPEST:
                raise ConfigError(f"{line} is nested deeper than {DEEPEST} levels", hint=SHAPE, attempt=EXAMPLE)
            continue
        anchor, size = around.pop() if isinstance(event, yaml.CollectionEndEvent) else (event.anchor, 1)
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == other for other, _ in around):
                raise ConfigError(
                    f"{line}: `*{event.anchor}` stands in itself",
                    hint="an alias repeats what was written before it",
                    attempt=EXAMPLE,
                )
            size = sizes.get(str(event.anchor), 1)
        elif anchor is not None:
            sizes[anchor] = size
        if len(around) == 1:
            top.append(getattr(event, "value", ""))
        if around:
            around[-1] = around[-1][0], around[-1][1] + size
            if around[-1][1] > MOST:
                raise ConfigError(
                    f"{line}: its anchors stand for more than {MOST:,} values",
                    hint="write the values that are meant",
                    attempt=EXAMPLE,
                )
    if "hydra" in top[::2]:
        raise ConfigError(
            f"unknown key `hydra` (from `{name}`)",
            hint="Hydra composes files here and does nothing else; its own settings are not taken",
            code="config.unknown_key",
            attempt=EXAMPLE,
        )
