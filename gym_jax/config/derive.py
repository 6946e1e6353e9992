"""Schemas derived from what they configure: a module's fields or a function's keywords, so a default lives once."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

FORBID = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
GIVEN = frozenset(
    {"name", "parent", "horizon", "targets", "categories", "outputs", "form", "dtype", "statistic", "window"}
)
"""Fields of a module that the task gives, or that Linen owns."""


def schema_of(kind: str, thing: Callable[..., Any], common: Mapping[str, Any] | None = None) -> type[BaseModel]:
    """Return the schema `{kind: KIND, ...}` of a Flax module's fields, or of a function's keyword-only parameters.

    `common` adds fields, each a pair of type and default.
    """
    hints = get_type_hints(thing, include_extras=True)
    fields: dict[str, Any] = {"kind": (Literal[kind], kind), **(common or {})}
    if dataclasses.is_dataclass(thing):
        known = [(field.name, field.default) for field in dataclasses.fields(thing) if field.name not in GIVEN]
    else:
        parameters = inspect.signature(thing).parameters.values()
        known = [(p.name, p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    fields |= {name: (hints[name], default) for name, default in known}
    doc = inspect.getdoc(thing)
    return create_model(kind, __config__=FORBID, __doc__=doc, **fields)


def choice(
    registry: Mapping[str, Callable[..., Any]], default: str, common: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """Return the field type "one of the registry, told apart by `kind`", and its default value."""
    schemas = {kind: schema_of(kind, thing, common) for kind, thing in registry.items()}
    return Annotated[reduce(or_, schemas.values()), Field(discriminator="kind")], schemas[default]()


def settings(section: BaseModel) -> dict[str, Any]:
    """Return the settings of a chosen kind, ready to be keywords."""
    return {name: value for name, value in section if name != "kind"}
