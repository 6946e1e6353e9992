"""Write digests of the programs that float32 models trace to under this JAX and Flax, here as programs.json.

`python tests/reference/make_programs.py` adds those of the versions it runs under. Recorded with the models of commit
98feb3d, before they had a compute type and several outputs; to be made anew only when float32 programs are meant to
change.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp

from gym_jax.models import MODELS
from gym_jax.types import Inputs

PATH = Path(__file__).with_name("programs.json")
VERSIONS = f"jax {jax.__version__}, flax {flax.__version__}"
BATCH, CONTEXT, HORIZON, TARGETS = 3, 11, 4, 2
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {"hidden": (6, 5), "dropout": 0.2}),
    "lstm": ("lstm", {"hidden": 6, "layers": 2, "bidirectional": True, "dropout": 0.2}),
    "transformer": ("transformer", {"width": 8, "heads": 2, "feedforward": 7, "patch": 4}),
    "separate": ("transformer", {"width": 8, "heads": 2, "feedforward": 7, "patch": 4, "channels": "separate"}),
}
CASES = {f"{name}, {side}": (name, side) for name in KINDS for side in ("past alone", "side information")}


def describe(jaxpr: Any) -> Any:
    """A program as nested lists: every operation with its operands, answers and settings; no addresses, no names."""
    numbers: dict[Any, int] = {}

    def name(variable: Any) -> str:
        if hasattr(variable, "val"):
            return f"{variable.val}:{variable.aval.str_short()}"
        return f"{numbers.setdefault(variable, len(numbers))}:{variable.aval.str_short()}"

    def setting(value: Any) -> Any:
        inner = getattr(value, "jaxpr", value)
        if hasattr(inner, "eqns"):
            return describe(inner)
        if isinstance(value, tuple | list):
            return [setting(part) for part in value]
        return "function" if callable(value) else re.sub(r"0x[0-9a-f]+", "", str(value))

    body = [
        [
            equation.primitive.name,
            [name(variable) for variable in equation.invars],
            {key: setting(equation.params[key]) for key in sorted(equation.params)},
            [name(variable) for variable in equation.outvars],
        ]
        for equation in jaxpr.eqns
    ]
    return [body, [name(variable) for variable in jaxpr.outvars]]


def programs(case: str) -> dict[str, str]:
    """The digests of one case: initialisation, forecast, and the gradient of a training forecast's sum."""
    name, side = CASES[case]
    kind, settings = KINDS[name]

    def shape(*sizes: int, dtype: Any = jnp.float32) -> Any:
        return jax.ShapeDtypeStruct((BATCH, *sizes), dtype)

    inputs = Inputs(past=shape(CONTEXT, 4), mask=shape(CONTEXT, 4, dtype=bool))
    if side != "past alone":
        inputs = inputs._replace(future=shape(HORIZON, 1), static=shape(2), categories=shape(2, dtype=jnp.int32))
        settings = settings | {"categories": (3, 12), "normalise": "standard"}
    model = MODELS[kind].module(horizon=HORIZON, targets=TARGETS, **settings)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)

    def total(params: Any, inputs: Inputs, seed: Any) -> Any:
        rngs = {"dropout": jax.random.key(seed)}
        return model.apply({"params": params}, inputs, train=True, rngs=rngs).sum()

    traced = {
        "init": jax.make_jaxpr(lambda seed, inputs: model.init(jax.random.key(seed), inputs))(0, inputs),
        "forecast": jax.make_jaxpr(model.apply)(variables, inputs),
        "gradient": jax.make_jaxpr(jax.grad(total))(variables["params"], inputs, 0),
    }
    texts = {name: json.dumps(describe(program.jaxpr)) for name, program in traced.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


if __name__ == "__main__":
    recorded = json.loads(PATH.read_text()) if PATH.exists() else {}
    recorded[VERSIONS] = {case: programs(case) for case in CASES}
    PATH.write_text(json.dumps(recorded, indent=1) + "\n")
