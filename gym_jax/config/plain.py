"""Plain values as YAML that both PyYAML and OmegaConf read as what they are."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """PyYAML takes 1e-3 for a word; OmegaConf, like YAML 1.2, for a number: as a word it stands in quotes."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?((\d[\d_]*\.?[\d_]*|\.[\d_]+)([eE][-+]?\d+)?|\.?(?i:inf|nan))$"),
    list("-+.0123456789iInN"),
)


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Return text; marks that YAML takes for the end of a line stand escaped in quotes."""
    style = '"' if re.search("[\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def inline(value: Any) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def literal(value: Any) -> Any:
    """Return a value whose ${...} is text: unescaped, Hydra would look there for another key."""
    return _mapped(value, lambda text: re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def meant(value: Any) -> Any:
    """Return the value that `literal` was given: what Hydra makes of it."""
    return _mapped(value, lambda text: re.sub(r"(\\*)\\\$\{", lambda found: found[1][::2] + "${", text))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
