"""Plug-ins: found by name, imported when asked for, unable to disturb, and nothing else names code."""

import sys

import numpy as np
import pytest
from plugin_site import install  # noqa: F401 - a fixture
from small import small_config

from gym_jax import plugins
from gym_jax.allocate.registry import POLICIES, make_policy
from gym_jax.cli import main
from gym_jax.cli.candidates import (
    complete_dataset,
    complete_kind,
    complete_loss,
    complete_override,
    complete_plot,
    complete_tracker,
)
from gym_jax.cli.doctor import _plugins
from gym_jax.config import document
from gym_jax.config.document import differences, json_schema
from gym_jax.config.judge import judge
from gym_jax.config.load import load_config
from gym_jax.config.schema import SCHEMAS
from gym_jax.config.vary import belongs
from gym_jax.data.datasets import DATASETS
from gym_jax.errors import ConfigError, MissingExtra
from gym_jax.losses import LOSSES, outputs_of, point_of
from gym_jax.metrics import METRICS, Totals, summarise
from gym_jax.models.registry import MODELS
from gym_jax.report import PLOTS
from gym_jax.run.report_pictures import _draw, refuse_plots
from gym_jax.run.runs import open_run
from gym_jax.run.train import resume_run, train_run
from gym_jax.track import TRACKERS

SOURCE = """
from typing import Annotated, Any, Literal
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pandas as pd
from annotated_types import Gt

class Mean(nn.Module):
    \"\"\"The mean of the window, and a learnt step.\"\"\"
    horizon: int
    targets: int = 1
    breadth: Annotated[int, Gt(0)] = 3
    mode: Literal["a", "b"] = "a"

    def __post_init__(self):
        if self.breadth == 13:
            raise ValueError("13 brings\\nbad luck")
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs, *, train=False):
        mean = inputs.past[..., : self.targets].mean(1, keepdims=True)
        return mean + self.param("step", nn.initializers.zeros, (self.horizon, self.targets))

def cubed(prediction, target, *, scale: Annotated[float, Gt(0)] = 2.0):
    return scale * jnp.abs(prediction - target) ** 3

def worst(totals, naive=None):
    return 3 * totals.absolute / totals.count

def make_flat(*, machines: Annotated[int, Gt(0)] = 2, seed: int = 0):
    names = np.repeat([f"m{k}" for k in range(machines)], 4)
    times = np.tile(pd.date_range("2026-01-05", periods=4, freq="5min"), machines)
    return pd.DataFrame({"unique_id": names, "ds": times, "cpu": 1.0})

def twice(workload, decisions, *, times: Annotated[float, Gt(0)] = 2.0):
    return np.array([times * workload.usage[row - 1] for row in decisions])

def nothing(predicted, actual, *, quantity="value", unit=None, dark=False):
    from matplotlib.figure import Figure
    return Figure()

class Lines:
    def __init__(self, place, state): self.path = place.folder / "lines.txt"
    def start(self): return -1
    def hparams(self, settings): pass
    def log(self, points): self.path.write_text("".join(f"{p.step} {sorted(p.numbers)}\\n" for p in points))
    def text(self, step, name, markdown): pass
    def image(self, step, name, png): pass
    def finish(self, ending, step, scores): pass
    def state(self): return {}
"""
NAMES = {
    "models": {"meaner": "Mean"},
    "losses": {"cubed": "cubed"},
    "metrics": {"worst": "worst"},
    "datasets": {"flat": "make_flat"},
    "trackers": {"lines": "Lines"},
    "policies": {"twice": "twice"},
    "plots": {"nothing": "nothing"},
}
REGISTRIES = (MODELS, LOSSES, METRICS, DATASETS, TRACKERS, POLICIES, PLOTS)


@pytest.fixture
def all_of_them(install):  # noqa: F811
    """A package with one thing in every group."""
    install("everything", SOURCE, "2.3", **NAMES)


def said(capsys, *words, code):
    """The error lines of a command that leaves with a code."""
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    assert out == ""
    return err.rstrip("\n").split("\n")


def test_names_are_known_without_importing_and_things_when_asked_for(all_of_them):
    assert tuple(NAMES) == plugins.GROUPS
    for registry in REGISTRIES:
        (name,) = NAMES[registry.group]
        assert registry.names() == (*registry, name)
        assert name not in registry, "what is iterated is the house's own"
        assert registry.plugin(name).facts == {
            "group": registry.group, "name": name, "package": "everything", "version": "2.3",
        }  # fmt: skip
    assert "everything" not in sys.modules
    assert LOSSES["cubed"].__module__ == "everything"
    assert not {"cubed", "meaner"} & {*LOSSES, *MODELS}


def test_a_model_has_a_schema_of_its_own_fields(all_of_them):
    config = load_config([], ["model=meaner", "model.breadth=7", "loss=cubed"])
    assert config.model.model_dump() == {"kind": "meaner", "breadth": 7, "mode": "a"}
    assert config.document()["loss"] == {"kind": "cubed", "scale": 2.0}
    assert judge(config.document()) == config
    assert differences(config, load_config([], ["model=meaner", "loss=cubed"])) == {"model.breadth": ([7], [3])}
    variables = {"GYMJAX_MODEL": "meaner", "GYMJAX_MODEL_BREADTH": "9"}
    assert load_config([], [], {}, variables).model.breadth == 9


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["model=meanr"], "`model.kind=meanr`.* is not known", "did you mean `meaner`?"),
        (["model=meaner", "model.braedth=7"], "unknown key `model.braedth`", "did you mean `model.breadth`?"),
        (
            ["model=meaner", "model.breadth=0"],
            "`model.breadth=0` .* is not > 0",
            "`model.breadth` is integer > 0, by default 3",
        ),
        (["model=meaner", "model.mode=c"], "`model.mode=c` .* is not known", "choose from a, b"),
        (["loss=cubed", "loss.scale=-1", "optim.lr=x"], "`loss.scale=-1` .*; `optim.lr=x`", ""),
        (["loss=cubd"], "`loss.kind=cubd`.* is not known", "did you mean `cubed`?"),
        (["evaluate.metrics=[wurst]"], "`evaluate.metrics=.*wurst.* is not known", "did you mean `worst`?"),
        (["track.to=[line]"], "`track.to=.*line.* is not known", "did you mean `lines`?"),
        (["model=meaner", "model.breadth=13"], "refuses the settings of model=meaner: ValueError: 13 brings$", "told"),
        (["model=meaner", "loss=quantiles"], "does not go with model=meaner", "one value"),
        (["model=meaner", "task.kind=regress"], "model=meaner does not go with task.kind=regress", "it forecasts"),
        (["loss=cubed", "task.kind=classify"], "loss=cubed does not go with task.kind=classify", "cross_entropy"),
    ],
)
def test_a_wrong_setting_of_a_plugin_is_answered_as_one_of_the_house(words, message, hint, all_of_them):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config([], words)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "name", ["everything:Mean", "everything.Mean", "os:system", "../meaner", "gym_jax.models.mlp:MLP", "", "Mean"]
)
def test_nothing_but_an_installed_name_is_looked_up(name, all_of_them):
    for section in ("model", "loss"):
        with pytest.raises(ConfigError, match="is not known"):
            judge({section: {"kind": name}})
    for registry in REGISTRIES:
        with pytest.raises(KeyError):
            registry[name]
    assert "everything" not in sys.modules


def test_every_group_is_asked_through_the_door_of_the_house(all_of_them, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "--kind", "flat", "--out", "x.csv", "machines=3"]) == 0
    assert capsys.readouterr().out == f"12 rows of 3 machines in {tmp_path / 'x.csv'}\n"
    assert said(capsys, "generate", "--kind", "flat", "--out", "y.csv", "machine=3", code=2)[:2] == [
        "error: a flat has no setting `machine`",
        "hint: did you mean `machines`?",
    ]
    assert "not possible" in said(capsys, "generate", "--kind", "flat", "--out", "y.csv", "machines=0", code=2)[0]
    assert said(capsys, "generate", "--kind", "flt", "--out", "y.csv", code=2)[1] == "hint: did you mean `flat`?"
    assert said(capsys, "generate", "--out", "y.csv", "dais=3", code=2)[1] == "hint: did you mean `days`?"
    assert not (tmp_path / "y.csv").exists()
    policy = make_policy("twice:times=3")
    assert list(policy(type("W", (), {"usage": np.array([1.0, 2.0])}), np.array([2]))) == [6]
    with pytest.raises(ConfigError, match="unknown policy `twic`") as caught:
        make_policy("twic")
    assert caught.value.hint == "did you mean `twice`?"
    totals = Totals(*(np.full(1, 2.0) for _ in Totals._fields))
    assert summarise(totals, more=["worst"])["worst"] == [3.0]
    assert outputs_of("cubed", {}) == 1
    assert point_of("cubed", {})(5) == 5


def test_a_run_with_a_loss_metric_and_tracker_of_a_plugin_says_so(all_of_them, tmp_path, monkeypatch):
    config = small_config(
        tmp_path, "meaner", "loss=cubed", "evaluate.metrics=[worst]", "track.to=[lines]", "train.epochs=1"
    )
    result = train_run(config)
    run = open_run(result.folder)
    assert [plugin["name"] for plugin in run.read_json("env.json")["plugins"]] == ["meaner", "cubed", "worst", "lines"]
    for block in (result.scores["model"]["targets"], result.scores["baselines"]["last"]):
        (scores,) = block.values()
        assert scores["worst"] == pytest.approx(3 * scores["mae"], rel=1e-12)
        assert len(scores["per_horizon"]["worst"]) == 4
    assert "loss" in (run.path / "lines.txt").read_text()
    monkeypatch.setenv(plugins.SWITCH, "0")
    with pytest.raises(MissingExtra) as caught:
        resume_run(run)
    assert caught.value.lines()[0].startswith("error: the run was made with `meaner` (models) of everything 2.3")
    assert caught.value.attempt == f"unset {plugins.SWITCH}"


BROKEN = """
import flax.linen as nn
import jax.numpy as jnp

class Untold(nn.Module):
    horizon: int
    targets: int
    breadth: int

class Bare(nn.Module):
    breadth: int = 1

def mean(prediction, target):
    return jnp.square(prediction - target).mean()

def scalar(totals, naive=None):
    return 1.0

def open_loss(prediction, target, *, scale):
    return scale * (prediction - target)

class Half:
    def start(self): return -1

number = 3
"""


@pytest.mark.parametrize(
    ("group", "thing", "why"),
    [
        ("models", "number", "TypeError: it is something of type int, not a Flax Linen module"),
        ("models", "Bare", "TypeError: its module has no field horizon and no targets"),
        ("models", "Untold", "TypeError: the setting `breadth` of odd has no default"),
        ("models", "Gone", "AttributeError: module 'broken' has no attribute 'Gone'"),
        ("losses", "mean", "TypeError: it makes () of (2, 3): a loss is elementwise, never a mean"),
        ("losses", "open_loss", "TypeError: open_loss() missing 1 required keyword-only argument: 'scale'"),
        ("metrics", "scalar", "TypeError: it makes () of the totals of two groups, not a value of each"),
        ("datasets", "number", "TypeError: it is something of type int, not a function"),
        ("trackers", "Half", "TypeError: it has no hparams, no log, no text, no image, no finish, no state"),
        ("policies", "Bare", "TypeError: it is the class Bare, not a function"),
        ("plots", "number", "TypeError: it is something of type int, not a function"),
    ],
)
def test_what_is_none_of_its_kind_says_so(group, thing, why, install):  # noqa: F811
    install("broken", BROKEN, **{group: {"odd": thing}})
    registry = {**{one.group: one for one in REGISTRIES}, "models": SCHEMAS["model"], "losses": SCHEMAS["loss"]}[group]
    with pytest.raises(MissingExtra) as caught:
        registry["odd"]
    assert caught.value.message.startswith(f"the plug-in `odd` ({group}) of broken 1.0 can not be used: {why}")
    state, text = _plugins()
    assert state == "yellow"
    assert f"the plug-in `odd` ({group}) of broken 1.0 can not be used: {why}" in text


def test_one_that_can_not_be_imported_is_three_lines_and_disturbs_nothing(install, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    install("falls", "import no_such_module\n", models={"fallen": "Model"})
    assert said(capsys, "train", "--model", "fallen", code=8) == [
        "error: the plug-in `fallen` (models) of falls 1.0 can not be used: "
        "ModuleNotFoundError: No module named 'no_such_module'",
        "hint: that is for its package to mend; GYMJAX_PLUGINS=0 does without plug-ins",
        "try: gymjax doctor",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"site"}
    assert load_config([], ["model=mlp"]).model.kind == "mlp"
    assert main(["models", "list"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("note: the plug-in `fallen` (models) of falls 1.0 can not be used: ")
    assert "fallen" not in out
    assert "mlp" in out


def test_one_that_leaves_the_process_is_held(install):  # noqa: F811
    install("leaves", "raise SystemExit(3)\n", losses={"left": "loss"})
    with pytest.raises(MissingExtra, match="SystemExit: 3"):
        LOSSES["left"]


def test_nothing_takes_the_place_of_the_house_and_two_of_one_name_are_none(install):  # noqa: F811
    install("taker", SOURCE, models={"mlp": "Mean"}, losses={"quantiles": "cubed"}, metrics={"accuracy": "worst"})
    install("first", SOURCE, models={"same": "Mean", "../odd": "Mean"})
    install("second", SOURCE, models={"same": "Mean"})
    assert MODELS["mlp"].module.__module__ == "gym_jax.models.mlp"
    assert MODELS.plugin("mlp") is LOSSES.plugin("quantiles") is None
    with pytest.raises(KeyError):
        METRICS["accuracy"]
    with pytest.raises(MissingExtra, match=r"`same` \(models\) of first 1.0 can not be used: second 1.0 has that name"):
        judge({"model": {"kind": "same"}})
    assert "../odd" not in MODELS.names()
    state, text = _plugins()
    assert state == "yellow"
    for name in ("`mlp` (models)", "`quantiles` (losses)", "`accuracy` (metrics)"):
        assert f"the plug-in {name} of taker 1.0 can not be used: gym_jax has that name itself" in text
    assert "`../odd` (models) of first 1.0 can not be used: its name is none" in text
    assert "second" not in sys.modules


def test_doctor_names_what_works(all_of_them):
    expected = ", ".join(f"{group}/{name}" for group, names in NAMES.items() for name in names)
    assert _plugins() == ("green", f"everything 2.3: {expected}")


def test_the_switch_hides_them_all(all_of_them, monkeypatch):
    monkeypatch.setenv(plugins.SWITCH, "0")
    assert all(registry.names() == tuple(registry) for registry in REGISTRIES)
    assert _plugins() == ("green", "switched off by GYMJAX_PLUGINS")
    with pytest.raises(ConfigError) as caught:
        load_config([], ["model=meaner"])
    assert caught.value.hint == "everything has it, but GYMJAX_PLUGINS switches plug-ins off"
    assert "everything" not in sys.modules


def test_completion_knows_them_and_imports_nothing(all_of_them):
    assert complete_kind("")[-1] == "meaner"
    assert complete_loss("")[-1] == "cubed"
    assert complete_dataset("") == ["panel", "table", "flat"]
    assert complete_plot("") == ["nothing"]
    assert complete_override("model=")[-1] == "model=meaner"
    assert complete_override("loss.kind=")[-1] == "loss.kind=cubed"
    assert complete_tracker("wandb,")[-1] == "wandb,lines"
    assert "everything" not in sys.modules


def test_unreadable_metadata_are_told_of_and_hide_plugins_only(monkeypatch, caplog):
    plugins.scan.cache_clear()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda: 1 / 0)
    assert MODELS.names() == tuple(MODELS)
    assert "no plug-in is found: ZeroDivisionError" in caplog.text
    plugins.scan.cache_clear()


def test_what_the_house_has_is_found_without_reading_metadata():
    plugins.scan.cache_clear()
    config = load_config([], ["model=mlp", "loss=huber", "track.to=[tensorboard]"], {}, {"GYMJAX_TRAIN_SEED": "3"})
    assert judge(config.document()).loss.kind == "huber"
    assert [point_of(name, {}) for name in LOSSES]
    assert plugins.scan.cache_info().misses == 0


def test_editors_know_what_plugins_bring(all_of_them, monkeypatch):
    monkeypatch.setattr(document, "docs_of", lambda model: {})  # reading them takes seconds
    schema = json_schema()
    assert schema["$defs"]["meaner"]["properties"]["breadth"]["exclusiveMinimum"] == 0
    assert schema["properties"]["model"]["discriminator"]["mapping"]["meaner"] == "#/$defs/meaner"
    assert schema["properties"]["loss"]["oneOf"][-2:] == [{"$ref": "#/$defs/cubed"}, {"type": "null"}]
    assert schema["$defs"]["Track"]["properties"]["to"]["items"]["enum"] == [*TRACKERS, "lines"]


def test_a_search_varies_the_settings_of_a_plugin_where_they_are(all_of_them):
    assert belongs("model.breadth", {"model": "meaner"})
    assert not belongs("model.breadth", {"model": "mlp"})
    assert belongs("model.nobodys", {"model": "mlp"}), "it is refused where it is judged"


@pytest.mark.parametrize(
    "recorded",
    [
        [{"group": "models", "name": "gone", "package": "-rhttp://x", "version": "1"}],
        [{"group": "models", "name": "gone", "package": "x; rm -r ~", "version": "1"}],
        [{"group": "models", "name": "gone\nhint: x", "package": "x", "version": "1"}],
        [{"group": "models", "name": "gone", "package": "x"}],
        [{"group": "models", "name": "mlp", "package": "x", "version": "1"}],
        [["models", "gone"], None, 3],
        7,
    ],
)
def test_a_record_that_is_none_becomes_no_command_to_type(recorded):
    plugins.refuse_gone({"plugins": recorded}, REGISTRIES)


@pytest.mark.parametrize(
    ("body", "why"),
    [("return 3", "it makes something of type int, not a figure"), ("return 1 / 0", "ZeroDivisionError")],
)
def test_a_picture_that_can_not_be_drawn_names_its_package(body, why, install):  # noqa: F811
    package = f"painter{len(body)}"  # what was loaded is kept by package and name
    install(package, f"def draw(predicted, actual, *, quantity, unit, dark):\n    {body}\n", plots={"drawn": "draw"})
    with pytest.raises(MissingExtra, match=rf"`drawn` \(plots\) of {package} 1.0 can not be used: {why}"):
        _draw(PLOTS.plugin("drawn"), np.ones(2), np.ones(2), quantity="cpu", unit=None, dark=False)
    for name, hint in (("drwn", "did you mean `drawn`?"), ("roc", "a page has it where it can be drawn")):
        with pytest.raises(ConfigError, match=f"--draw {name} is no picture of a plug-in") as caught:
            refuse_plots([name])
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("group", "thing", "word"),
    [("metrics", "scalar", "evaluate.metrics=[odd]"), ("trackers", "Half", "track.to=[odd]")],
)
def test_one_that_can_not_be_used_is_refused_with_the_settings(group, thing, word, install):  # noqa: F811
    install("broken", BROKEN, **{group: {"odd": thing}})
    with pytest.raises(MissingExtra, match="can not be used"):
        load_config([], [word])
