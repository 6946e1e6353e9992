"""What is measured: models, sizes and work as data, and the operations and products of one training step.

python benchmarks/scenarios.py     prints them
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

HORIZON = 12
RATE = 1e-3
CHECKED = 20
"""First losses that every arm has in common."""
SEED = 0


class Scenario(NamedTuple):
    """One model on one size of data; in all of them Adam 1e-3, MSE, no dropout, no normalisation, float32."""

    name: str
    kind: str
    settings: dict[str, Any]
    """Of the model, beside those that all scenarios share."""
    context: int
    features: int
    batch: int
    windows: int
    steps: int
    """Of one timed repetition: an epoch, or a part of one that takes about a second."""

    @property
    def shared(self) -> dict[str, Any]:
        """All settings of the gym_jax model."""
        return {"horizon": HORIZON, "normalise": "none", "dropout": 0.0, **self.settings}


class Product(NamedTuple):
    """`count` products one after the other, each of `many` matrices: [rows, inner] times [inner, columns]."""

    count: int
    many: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """A multiplication and an addition are two."""
        return 2 * self.count * self.many * self.rows * self.inner * self.columns


class Many(NamedTuple):
    """Several models of one scenario, each with its own seed, learning rate and order of the same windows."""

    name: str
    scenario: str
    models: tuple[int, ...]


class Search(NamedTuple):
    """Every learning rate on every fold, with early stopping and a validation each epoch."""

    name: str = "S9"
    scenario: str = "S3"
    folds: int = 5
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2)
    patience: int = 5
    epochs: int = 50


class Cold(NamedTuple):
    """`gymjax train` for one epoch in a fresh process."""

    name: str = "S10"
    scenarios: tuple[str, ...] = ("S1", "S3", "S5")


ENCODER = {"width": 64, "heads": 4, "layers": 2, "feedforward": 256, "patch": 1}
SCENARIOS = {
    one.name: one
    for one in (
        Scenario("S1", "mlp", {"hidden": (64, 64)}, 96, 1, 64, 20_480, 320),
        Scenario("S2", "mlp", {"hidden": (512, 512)}, 768, 1, 256, 102_400, 80),
        Scenario("S3", "lstm", {"hidden": 64, "layers": 1}, 60, 4, 64, 20_480, 80),
        Scenario("S4", "lstm", {"hidden": 128, "layers": 2}, 96, 8, 128, 51_200, 20),
        Scenario("S5", "transformer", ENCODER, 96, 8, 64, 20_480, 20),
    )
}
MANY = {one.name: one for one in (Many("S7", "S1", (1, 4, 16)), Many("S8", "S3", (1, 2, 8)))}
SEARCH = Search()
COLD = Cold()


def rate_of(model: int) -> float:
    """Return the learning rate of one of many models: a quarter to twice the usual one."""
    return RATE * 2.0 ** (model % 4 - 2)


def find(name: str, quick: bool = False) -> Scenario:
    """Return a scenario; `quick` makes it tiny, to try a script and not to measure."""
    one = SCENARIOS[name]
    return one._replace(windows=4 * one.batch, steps=3) if quick else one


def flops(scenario: Scenario, batch: int | None = None) -> int:
    """Return the operations of one step by the formulas: forward, and backward without the gradient of the input.

    Embedding and head of the Transformer and the head of the LSTM are left out: below 1 %.
    """
    rows, settings = batch or scenario.batch, scenario.settings
    if scenario.kind == "mlp":
        weights = [a * b for a, b in pairwise(_widths(scenario))]
        return 2 * rows * (3 * sum(weights) - weights[0])
    if scenario.kind == "lstm":
        hidden, total = settings["hidden"], 0
        for layer in range(settings["layers"]):
            inputs = hidden if layer else scenario.features
            total += 2 * rows * scenario.context * 4 * hidden * (3 * (inputs + hidden) - (0 if layer else inputs))
        return total
    width, tokens = settings["width"], scenario.context // settings["patch"]
    forward = 8 * width**2 + 4 * width * settings["feedforward"] + 4 * tokens * width
    return 3 * rows * tokens * settings["layers"] * forward


def products(scenario: Scenario, batch: int | None = None) -> list[Product]:
    """Return the products that `flops` counts, at their shapes."""
    rows, settings = batch or scenario.batch, scenario.settings
    if scenario.kind == "mlp":
        dense = [_dense(rows, a, b, first=not i) for i, (a, b) in enumerate(pairwise(_widths(scenario)))]
        return [one for layer in dense for one in layer]
    if scenario.kind == "lstm":
        found: list[Product] = []
        for layer in range(settings["layers"]):
            found += _recurrent(rows, scenario.context, settings["hidden"] if layer else scenario.features, settings)
            if layer:
                found.append(Product(1, 1, scenario.context * rows, 4 * settings["hidden"], settings["hidden"]))
        return found
    width, wide = settings["width"], settings["feedforward"]
    tokens, heads = scenario.context // settings["patch"], settings["heads"]
    block: list[Product] = []
    for inputs, outputs in ((width, 3 * width), (width, width), (width, wide), (wide, width)):
        block += _dense(rows * tokens, inputs, outputs)
    many, each = rows * heads, width // heads
    scores, mixed = Product(3, many, tokens, each, tokens), Product(3, many, tokens, tokens, each)
    return [one._replace(count=one.count * settings["layers"]) for one in (*block, scores, mixed)]


def _dense(rows: int, inputs: int, outputs: int, first: bool = False) -> Iterator[Product]:
    """Yield the forward product, the weight gradient, and what is handed back unless there is nothing before."""
    yield Product(1, 1, rows, inputs, outputs)
    yield Product(1, 1, inputs, rows, outputs)
    if not first:
        yield Product(1, 1, rows, outputs, inputs)


def _recurrent(rows: int, steps: int, inputs: int, settings: dict[str, Any]) -> Iterator[Product]:
    """Yield a product a step of input and state, one a step on the way back, and one weight gradient behind it."""
    hidden = settings["hidden"]
    yield Product(steps, 1, rows, inputs + hidden, 4 * hidden)
    yield Product(steps, 1, rows, 4 * hidden, hidden)
    yield Product(1, 1, inputs + hidden, steps * rows, 4 * hidden)


def _widths(scenario: Scenario) -> tuple[int, ...]:
    return (scenario.context * scenario.features, *scenario.settings["hidden"], HORIZON)


if __name__ == "__main__":
    for one in SCENARIOS.values():
        print(f"{one.name} {one.kind} {one.settings} L {one.context} F {one.features} B {one.batch} N {one.windows:,}")
        print(f"   {flops(one) / 1e9:.4g} GFLOP a step in {sum(p.count for p in products(one)):,} products")
    for other in (*MANY.values(), SEARCH, COLD):
        print(other)
