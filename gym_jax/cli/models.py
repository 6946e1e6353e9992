"""`gymjax models`: what kinds there are, what can be set, and what a model of them costs."""

import sys
from typing import Annotated, Any

import typer

from gym_jax.cli.candidates import complete_kind
from gym_jax.cli.options import AsJson, Context, Horizon, Overrides

SEASON = 288
"""Steps of a season where the data would give it: a day of five minutes."""


def list_models(as_json: AsJson = False) -> None:
    """List the model kinds with what they are, their size and their cost at the default settings."""
    from gym_jax.cli.show import print_json, print_table
    from gym_jax.config.judge import judge
    from gym_jax.config.schema import Task
    from gym_jax.errors import GymJaxError
    from gym_jax.models.registry import MODELS

    rows: list[dict[str, Any]] = []
    unusable: list[str] = []
    for kind in MODELS.names():
        try:
            rows.append(_facts(judge({"model": {"kind": kind}}), targets=1))
        except Exception as error:
            if kind in MODELS:
                raise
            said = error.message if isinstance(error, GymJaxError) else f"model `{kind}` can not be made: {error}"
            unusable.append(said)
    if as_json:
        print_json("models list", {"models": rows, "unusable": unusable})
        return
    print_table(
        ("kind", "parameters", "FLOPs a window", "trained by", "what"),
        [(r["kind"], r["parameters"], r["flops"]["forecast"], r["by"], r["what"] + _whose(r["package"])) for r in rows],
    )
    task = Task()
    print(f"\nat the defaults: context {task.context}, horizon {task.horizon}, one channel")
    for said in unusable:
        print(f"note: {said}", file=sys.stderr)


def show_model(
    kind: Annotated[str, typer.Argument(help="A kind, such as lstm.", autocompletion=complete_kind)],
    overrides: Overrides = None,
    context: Context = None,
    horizon: Horizon = None,
    targets: Annotated[int, typer.Option(min=1, help="Columns it forecasts, its only channels.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Show the settings of a kind, and the parameters, size and cost of the model that they make.

    Settings are judged as `gymjax train` judges them.
    """
    import shlex

    from gym_jax.cli.show import print_json, print_table, size
    from gym_jax.config.derive import prose_of
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError
    from gym_jax.models.registry import MODELS

    if kind not in MODELS and MODELS.plugin(kind) is None:
        raise ConfigError(f"no model kind `{kind}`", hint=MODELS.unknown(kind), attempt="gymjax models list")
    options = {"task.context": context, "task.horizon": horizon}
    given = {key: value for key, value in options.items() if value is not None}
    config = load_config([], [f"model={kind}", *(overrides or [])], given)
    if config.model.kind != kind:
        raise ConfigError(
            f"model.kind={config.model.kind} is another kind than `{kind}`",
            hint="name the kind once",
            attempt=f"gymjax models show {config.model.kind}",
        )
    facts = _facts(config, targets=targets)
    if as_json:
        print_json("models show", facts)
        return
    print(f"{kind}{_whose(facts['package'])}: {prose_of(MODELS[kind].module)}\n")
    if facts["settings"]:
        columns = ("value", "default", "type")
        rows = [(f"model.{s['name']}", *(s[c] for c in columns)) for s in facts["settings"]]
        print_table(("setting", *columns), rows)
        print()
    if facts["shapes"]:
        rows = [(s["name"], _axes(s["shape"]), s["size"], s["dtype"]) for s in facts["shapes"]]
        print_table(("parameter", "shape", "size", "dtype"), rows)
        print()
    costs = {
        "trained by": facts["by"],
        "parameters": facts["parameters"],
        "memory of the parameters": size(facts["bytes"]),
        "past": _axes(["window", *facts["past"]]),
        "forecast": _axes(["window", *facts["forecast"]]),
        "FLOPs of a window, forecast": facts["flops"]["forecast"],
        "FLOPs of a window, training step": facts["flops"]["train_step"],
    }
    print_table(("what", "value"), list(costs.items()))
    words = [f"--{key.removeprefix('task.')}={value}" for key, value in given.items()]
    print(f"try: {shlex.join(['gymjax', 'train', '--model', kind, *words, *(overrides or [])])}")


def _facts(config: Any, *, targets: int) -> dict[str, Any]:
    """Return what the configured model is, without making one: sizes in numbers, FLOPs of one window."""

    import jax
    import jax.numpy as jnp

    from gym_jax.config.derive import prose_of, settings
    from gym_jax.config.keys import find_key
    from gym_jax.models.registry import MODELS
    from gym_jax.run.assemble import Shape, build_model
    from gym_jax.train.flops import count_flops
    from gym_jax.types import Inputs

    kind, entry, own = config.model.kind, MODELS[config.model.kind], settings(config.model)
    module = build_model(config, Shape(targets, (), SEASON))
    context = max(config.task.context, getattr(module, "season", None) or 0)
    inputs: Any = Inputs(past=jax.ShapeDtypeStruct((1, context, targets), jnp.float32))  # type: ignore[arg-type]
    forecast, variables = jax.eval_shape(lambda x: module.init_with_output(jax.random.key(0), x), inputs)
    params = variables.get("params", {})

    # operations are those of the formulas: the fast kernel of an LSTM multiplies its bias too
    plain = module.clone(kernel="plain") if "kernel" in entry.fields else module

    def total(params: Any, inputs: Inputs) -> Any:
        answer: Any = plain.apply({"params": params}, inputs, train=True, rngs={"dropout": jax.random.key(0)})
        return jax.numpy.square(answer).sum()

    shapes = [
        {
            "name": jax.tree_util.keystr(path, simple=True, separator="/"),
            "shape": list(leaf.shape),
            "size": leaf.size,
            "dtype": str(leaf.dtype),
        }
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]
    trained = entry.solve is None
    added = MODELS.plugin(kind)
    return {
        "kind": kind,
        "package": None if added is None else f"{added.package} {added.version}",
        "what": prose_of(entry.module).split("\n")[0],
        "by": "gradient" if trained else ("closed form" if shapes else "nothing to train"),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)),
        "past": list(inputs.past.shape[1:]),
        "forecast": list(forecast.shape[1:]),
        "flops": {
            "forecast": count_flops(plain.apply, variables, inputs),
            "train_step": count_flops(jax.grad(total), params, inputs) if trained else None,
        },
        "settings": [
            {"name": name, "value": value, "default": key.default, "type": key.type}
            for name, value in own.items()
            if (key := find_key(f"model.{name}", kind)) is not None
        ],
        "shapes": shapes,
    }


def _whose(package: str | None) -> str:
    return "" if package is None else f" (of {package})"


def _axes(shape: list[Any]) -> str:
    """Return a shape as people write it: no thousands, which would read as axes."""
    return f"[{', '.join(map(str, shape))}]"
