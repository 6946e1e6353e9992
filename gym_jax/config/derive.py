"""Schemas derived from what they configure: a module's fields or a function's keywords, so a default lives once."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial, reduce
from operator import or_
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    TypeAdapter,
    WithJsonSchema,
    WrapValidator,
    create_model,
)
from pydantic_core import PydanticKnownError

from gym_jax.plugins import Registry

FORBID = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
GIVEN = frozenset(
    {"name", "parent", "horizon", "targets", "categories", "outputs", "form", "dtype", "statistic", "window"}
)
"""Fields of a module that the task gives, or that Linen owns."""
CONFIGURED: dict[type[BaseModel], Callable[..., Any]] = {}
"""What each schema is derived from: what its settings mean stands there."""


def schema_of(kind: str, thing: Callable[..., Any], common: Mapping[str, Any] | None = None) -> type[BaseModel]:
    """Return the schema `{kind: KIND, ...}` of a Flax module's fields, or of a function's keyword-only parameters.

    `common` adds fields, each a pair of type and default. Raises TypeError when a setting has no type or no default.
    """
    hints = get_type_hints(thing, include_extras=True)
    fields: dict[str, Any] = {"kind": (Literal[kind], kind), **(common or {})}
    if dataclasses.is_dataclass(thing):
        known = [(field.name, field.default) for field in dataclasses.fields(thing) if field.name not in GIVEN]
    else:
        parameters = inspect.signature(thing).parameters.values()
        known = [(p.name, p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for name, default in known:
        if name not in hints or default is dataclasses.MISSING or default is inspect.Parameter.empty:
            raise TypeError(f"the setting `{name}` of {kind} has no {'default' if name in hints else 'type'}")
        fields[name] = (hints[name], default)
    schema = create_model(kind, __config__=FORBID, __doc__=prose_of(thing), **fields)
    CONFIGURED[schema] = thing
    return schema


def prose_of(thing: Any) -> str:
    """Return the docstring of a thing without its examples."""
    return (inspect.getdoc(thing) or "").partition("\n>>> ")[0].strip()


def choice(schemas: Mapping[str, type[BaseModel]], default: str) -> tuple[Any, Any]:
    """Return the field type "one of these schemas, told apart by `kind`", and its default value.

    Of a registry the schemas of plug-ins are among them, each derived when its kind is met.
    """
    one: Any = Annotated[reduce(or_, schemas.values()), Field(discriminator="kind")]
    if isinstance(schemas, Registry):
        one = Annotated[one, WrapValidator(partial(_judged, schemas, schemas[default])), SerializeAsAny()]  # type: ignore[type-arg]
    return one, schemas[default]()


def name_in(registry: Registry[Any]) -> Any:
    """Return the field type "a name of the registry": as a Literal, to which plug-ins add."""

    def known(name: str) -> str:
        if name not in registry:
            if name not in registry.names():
                raise PydanticKnownError("literal_error", {"expected": " or ".join(map(repr, registry.names()))})
            registry[name]  # one that can not be used says so
        return name

    return Annotated[str, AfterValidator(known), WithJsonSchema({"enum": list(registry), "type": "string"})]


def _judged(schemas: Registry[type[BaseModel]], usual: type[BaseModel], value: Any, handler: Any) -> Any:
    """Return a section, judged by the schema of a plug-in where its kind is one."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    if not isinstance(kind, str) or schemas.plugin(kind) is None:
        return handler(value)
    return _adapter(usual, schemas[kind]).validate_python(value)


@cache
def _adapter(usual: type[BaseModel], other: type[BaseModel]) -> TypeAdapter[Any]:
    """Return the judge of two schemas; with a second one complaints name the kind, as they do of the house's own."""
    either: Any = Annotated[usual | other, Field(discriminator="kind")]
    return TypeAdapter(either)


def settings(section: BaseModel) -> dict[str, Any]:
    """Return the settings of a chosen kind, ready to be keywords."""
    return {name: value for name, value in section if name != "kind"}
