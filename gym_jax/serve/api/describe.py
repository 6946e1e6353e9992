"""What a server says of itself: its models, its OpenAPI document, and a plain page of it that loads nothing."""

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from gym_jax.data.panel import describe_span
from gym_jax.serve.api.served import Served
from gym_jax.serve.api.shapes import AllocationQuestion, Question

REF = "#/components/schemas/{model}"
BODIES: dict[str, type[Question]] = {"/v1/predict": Question, "/v1/recommend": AllocationQuestion}


def describe(served: Served, refused: dict[str, str] | None) -> dict[str, Any]:
    """Return what is told of a model: the document that `ModelFacts` describes."""
    spec = served.model.spec
    return {
        "name": served.name,
        "version": served.version,
        "kind": spec.task,
        "backend": served.model.backend,
        "step": spec.trained_step,
        "weights": spec.weights,
        "loaded": served.loaded,
        "columns": list(spec.channels),
        "targets": list(spec.targets),
        "future": list(spec.known),
        "static": list(spec.static),
        "categories": list(spec.categories),
        "statistic": spec.statistic,
        "needs_times": spec.needs_times,
        "look_back": spec.look_back,
        "horizon": spec.horizon,
        "every": describe_span(spec.step, spec.clock) if spec.step else "none",
        "quantiles": list(spec.levels),
        "intervals": list(spec.interval_levels),
        "classes": list(spec.classes),
        "batches": list(served.rungs),
        "refused": refused,
    }


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the bodies that are read by hand."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version="1", description=app.description, routes=app.routes)
        _, schemas = models_json_schema([(shape, "validation") for shape in BODIES.values()], ref_template=REF)
        document["components"]["schemas"] |= schemas["$defs"]
        document["paths"]["/v1/models/{name}"]["get"]["responses"].pop(
            "422"
        )  # of FastAPI's own judging, which is not used
        for unused in ("HTTPValidationError", "ValidationError"):
            del document["components"]["schemas"][unused]
        for path, shape in BODIES.items():
            schema = {"$ref": REF.format(model=shape.__name__)}
            body = {"required": True, "content": {"application/json": {"schema": schema}}}
            document["paths"][path]["post"]["requestBody"] = body
        app.openapi_schema = document
    return app.openapi_schema


def page(document: dict[str, Any]) -> str:
    """Return the endpoints and shapes of an OpenAPI document as HTML without a script or a style."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(document['info']['title'])}</title>"]
    parts.append(f"<h1>{escape(document['info']['title'])}</h1><p>{escape(document['info']['description'])}</p>")
    parts.append('<p>For machines: <a href="openapi.json">openapi.json</a></p><h2>Endpoints</h2><dl>')
    for path, methods in document["paths"].items():
        for method, facts in methods.items():
            parts.append(f"<dt><code>{method.upper()} {escape(path)}</code><dd>{escape(facts.get('description', ''))}")
            if "requestBody" in facts:
                name = facts["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                parts.append(f' Asked with <a href="#{name}">{name}</a>.')
            codes = (f"<li>{code}: {escape(one.get('description', ''))}" for code, one in facts["responses"].items())
            parts.append(f"<ul>{''.join(codes)}</ul>")
    parts.append("</dl><h2>Shapes</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>')
        parts.append("<table border=1 cellpadding=4><tr><th>member<th>type<th>needed<th>what it means")
        for member, inner in schema.get("properties", {}).items():
            needed = "yes" if member in schema.get("required", ()) else ""
            words = escape(inner.get("description", ""))
            parts.append(f"<tr><td><code>{escape(member)}</code><td>{_type(inner)}<td>{needed}<td>{words}")
        parts.append("</table>")
    return "\n".join(parts)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(str(schema.get("type", "any")))
