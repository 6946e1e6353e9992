"""`gymjax models`: the tables are those of the model one would train, and their costs are those by hand."""

import itertools
import json
import re

import jax
import pytest

from gym_jax.cli import main
from gym_jax.config.load import load_config
from gym_jax.data import generate_panel
from gym_jax.models import MODELS
from gym_jax.run.assemble import build_model, cut, prepare, shape_of


def show(capsys, *words):
    """The JSON document of `gymjax models show`."""
    assert main(["models", "show", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words):
    """The error lines of a refused `gymjax models show`."""
    assert main(["models", "show", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.rstrip("\n").split("\n")


def test_the_flops_of_an_mlp_are_two_for_every_weight_and_three_times_that_in_training(capsys):
    """In training each product has two more, of weights and inputs; the window itself needs no gradient."""
    shown = show(capsys, "mlp", "--context=20", "--horizon=6", "--targets=2", "model.hidden=[32,24]")
    weights = [rows * columns for rows, columns in itertools.pairwise((20 * 2, 32, 24, 6 * 2))]
    assert shown["flops"] == {"forecast": 2 * sum(weights), "train_step": 2 * (3 * sum(weights) - weights[0])}
    assert shown["parameters"] == sum(weights) + 32 + 24 + 12
    assert shown["bytes"] == 4 * shown["parameters"]


@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
def test_the_flops_of_an_lstm_are_those_of_every_step_of_the_window(capsys, layers, bidirectional):
    context, horizon, targets, hidden, ways = 20, 6, 2, 12, 1 + bidirectional
    words = ("--context=20", "--horizon=6", "--targets=2", "model.hidden=12", f"model.layers={layers}")
    shown = show(capsys, "lstm", *words, f"model.bidirectional={str(bidirectional).lower()}")
    head = ways * hidden * horizon * targets
    features = [targets, *[ways * hidden] * (layers - 1)]
    steps = [ways * context * 4 * hidden * (columns + hidden) for columns in features]
    free = ways * context * 4 * hidden * targets
    assert shown["flops"] == {
        "forecast": 2 * (sum(steps) + head),
        "train_step": 2 * (3 * (sum(steps) + head) - free),
    }
    cells = sum(ways * 4 * hidden * (columns + hidden + 1) for columns in features)
    assert shown["parameters"] == cells + head + horizon * targets


@pytest.mark.parametrize("kind", MODELS)
def test_the_model_shown_is_the_model_that_would_be_trained(capsys, kind):
    changed = {"mlp": ["model.hidden=[7]"], "lstm": ["model.hidden=7"], "transformer": ["model.width=8"]}
    words = ["--context=300", "--horizon=5", *changed.get(kind, [])]
    shown = show(capsys, kind, *words)
    config = load_config([], [f"model={kind}", *words[2:]], {"task.context": 300, "task.horizon": 5})
    prepared = prepare(config, generate_panel(series=2, days=9.0))
    inputs = cut(config, prepared, "train").take(jax.numpy.arange(1)).inputs
    forecast, variables = jax.eval_shape(
        build_model(config, shape_of(prepared)).init_with_output, jax.random.key(0), inputs
    )
    leaves = jax.tree_util.tree_leaves_with_path(variables.get("params", {}))
    expected = [
        (jax.tree_util.keystr(path, simple=True, separator="/"), list(leaf.shape), leaf.size, str(leaf.dtype))
        for path, leaf in leaves
    ]
    assert [(s["name"], s["shape"], s["size"], s["dtype"]) for s in shown["shapes"]] == expected
    assert (shown["past"], shown["forecast"]) == (list(inputs.past.shape[1:]), list(forecast.shape[1:]))
    settings = {setting["name"]: setting for setting in shown["settings"]}
    assert set(settings) == set(dict(config.model)) - {"kind"}
    for word in changed.get(kind, []):
        name, value = word.removeprefix("model.").split("=")
        assert settings[name]["value"] == json.loads(value) != settings[name]["default"]


def test_the_text_has_every_setting_parameter_and_cost(capsys):
    words = ("lstm", "model.hidden=8", "--targets=2", "--horizon=6")
    shown = show(capsys, *words)
    assert main(["models", "show", *words]) == 0
    text = capsys.readouterr().out
    for setting in shown["settings"]:
        assert re.search(rf"^model\.{setting['name']} .*{re.escape(setting['type'])}$", text, re.M), setting
    for shape in shown["shapes"]:
        assert re.search(
            rf"^{shape['name']} +{re.escape(str(shape['shape']))} +{shape['size']:,} +float32$", text, re.M
        )
    for line in (
        r"parameters +460",
        r"memory of the parameters +1\.8 KiB",
        r"past +\[window, 96, 2\]",
        r"forecast +\[window, 6, 2\]",
        rf"FLOPs of a window, forecast +{shown['flops']['forecast']:,}",
        rf"FLOPs of a window, training step +{shown['flops']['train_step']:,}",
        r"try: gymjax train --model lstm --horizon=6 model\.hidden=8",
    ):
        assert re.search(f"^{line}$", text, re.M), line


def test_the_list_has_size_and_cost_of_every_kind(capsys):
    assert main(["models", "list", "--json"]) == 0
    rows = {row["kind"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert list(rows) == list(MODELS)
    assert {kind: row["by"] for kind, row in rows.items() if row["by"] != "gradient"} == {
        "linear": "closed form",
        "last": "nothing to train",
        "seasonal": "nothing to train",
    }
    assert rows["linear"]["flops"] == {"forecast": 2 * 96 * 12, "train_step": None}
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    for kind, row in rows.items():
        start = f"^{kind} +{row['parameters']:,} +{row['flops']['forecast']:,} +{row['by']} +"
        assert re.search(start + re.escape(row["what"]) + "$", text, re.M)


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (("lsmt",), "no model kind `lsmt`", "did you mean `lstm`?"),
        (("mlp", "model.hiden=3"), "unknown key `model.hiden`", "did you mean `model.hidden`?"),
        (("mlp", "model.patch=3"), "unknown key `model.patch`", "it belongs to model=lstm or transformer, this is mlp"),
        (("mlp", "--context=0"), "`task.context=0`", ""),
        (("mlp", "model=lstm"), "model.kind=lstm is another kind than `mlp`", "name the kind once"),
        (("mlp", "model.outputs=3"), "unknown key `model.outputs`", ""),
        (("mlp", "model.dtype=bfloat16"), "unknown key `model.dtype`", ""),
        (("transformer", "model.heads=3"), "model.heads=3 does not divide model.width=64", ""),
    ],
)
def test_what_training_would_refuse_is_refused(capsys, words, error, hint):
    lines = refused(capsys, *words)
    assert lines[0].startswith(f"error: {error}")
    assert hint in "".join(lines[1:])
