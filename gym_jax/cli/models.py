"""`gymjax models`: what kinds there are and what can be set."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from gym_jax.cli.show import print_json, print_table
from gym_jax.config.derive import schema_of
from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError, did_you_mean
from gym_jax.models.registry import MODELS
from gym_jax.types import Inputs


def list_models(as_json: bool) -> None:
    """Print every kind."""
    rows = [_facts(kind) for kind in MODELS]
    if as_json:
        print_json("models list", {"models": rows})
        return
    print_table(
        ("kind", "parameters", "trained by", "what"), [(r["kind"], r["parameters"], r["by"], r["what"]) for r in rows]
    )
    task = Config().task
    print(f"\nparameters at the defaults: context {task.context}, horizon {task.horizon}, one channel")


def show_model(kind: str, as_json: bool) -> None:
    """Print one kind. Raises ConfigError when there is no such kind."""
    if kind not in MODELS:
        raise ConfigError(f"no model kind `{kind}`", hint=did_you_mean(kind, MODELS), attempt="gymjax models list")
    facts = _facts(kind)
    if as_json:
        print_json("models show", facts)
        return
    print(f"{kind}: {inspect.getdoc(MODELS[kind].module)}\n")
    print_table(
        ("setting", "default", "type"), [(f"model.{s['name']}", s["default"], s["type"]) for s in facts["settings"]]
    )
    if facts["shapes"]:
        print()
        print_table(("parameter", "shape", "size"), [(s["name"], str(s["shape"]), s["size"]) for s in facts["shapes"]])
    print(f"\n{facts['parameters']:,} parameters at context {Config().task.context}, horizon {Config().task.horizon}")
    print(f"try: gymjax train --model {kind}")


def _facts(kind: str) -> dict[str, Any]:
    entry, task = MODELS[kind], Config().task
    extra = {"season": 288} if "season" in entry.fields else {}
    context = max(task.context, extra.get("season", 0))
    module = entry.module(horizon=task.horizon, **extra)
    inputs = Inputs(past=jax.ShapeDtypeStruct((1, context, 1), jnp.float32))  # type: ignore[arg-type]
    variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x), inputs)
    leaves = jax.tree_util.tree_leaves_with_path(variables.get("params", {}))
    shapes = [
        {"name": "/".join(str(k.key) for k in path), "shape": list(leaf.shape), "size": leaf.size}
        for path, leaf in leaves
    ]
    schema = schema_of(kind, entry.module)
    properties = schema.model_json_schema()["properties"]
    settings = [
        {"name": name, "default": schema.model_fields[name].get_default(), "type": _words(properties[name])}
        for name in schema.model_fields
        if name != "kind"
    ]
    by = "gradient" if entry.solve is None else ("closed form" if shapes else "nothing to train")
    what = (inspect.getdoc(entry.module) or "").split("\n")[0]
    size = sum(shape["size"] for shape in shapes)
    return {"kind": kind, "what": what, "by": by, "parameters": size, "settings": settings, "shapes": shapes}


def _words(schema: dict[str, Any]) -> str:
    """Return a JSON schema in a few words."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_words(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_words(schema.get('items', {}))}"
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return " ".join([schema.get("type", "any"), ", ".join(bounds)]).strip()
