"""`gymjax config`: show, validate, diff, init, schema, as a user sees them."""

import json

import pytest
import yaml
from conftest import ROOT
from small import small_config

from gym_jax.cli import main
from gym_jax.config.document import flat, json_schema
from gym_jax.config.keys import all_keys, find_key, vocabulary
from gym_jax.config.load import load_config
from gym_jax.config.schema import CHOICES, SCHEMAS, Config
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import read_config
from gym_jax.run.train import train_run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("train: {epochs: 3}\nmodel: {kind: mlp}\n")
    return tmp_path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a second."""
    return train_run(small_config(tmp_path_factory.mktemp("runs"), "last", "run.name=done")).folder


@pytest.fixture
def tell(capsys):
    """A function that runs `gymjax config ...` and returns what it prints, as a document with --json."""

    def tell(*words, code=0):
        found = main(["config", *map(str, words)])
        out, err = capsys.readouterr()
        assert found == code, err or out
        if code and "--json" not in words:
            assert out == ""
            return err.rstrip("\n").split("\n")
        assert err == ""
        return json.loads(out) if "--json" in words else out

    return tell


def test_show_is_the_whole_configuration(here, tell):
    shown = yaml.safe_load(tell("show", "mine.yaml", "optim.lr=3e-4"))
    assert shown == load_config(["mine.yaml"], ["optim.lr=3e-4"]).document()
    assert tell("show", "mine.yaml", "optim.lr=3e-4", "--json")["config"] == shown
    assert tell("show", "--config", "mine.yaml", "optim.lr=3e-4", "--json")["config"] == shown
    assert yaml.safe_load(tell("show")) == Config().document()
    assert yaml.safe_load(tell("show", "cpu_allocation")) == load_config(["cpu_allocation"]).document()


def test_a_path_with_an_equals_sign_is_a_path(here, tell):
    (here / "lr=3").mkdir()
    (here / "lr=3" / "mine.yaml").write_text("optim: {lr: 3.0}\n")
    for words in (["lr=3/mine.yaml"], ["--config", "lr=3/mine.yaml"]):
        assert tell("show", *words, "optim.lr") == "optim:\n  lr: 3.0\n"


def test_the_environment_counts_although_telemetry_lies_beside_a_file(here, tell, monkeypatch):
    (here / "data.json").write_text("[]")
    monkeypatch.setenv("GYMJAX_OPTIM_LR", "0.5")
    for words in (["mine.yaml"], ["cpu_allocation"], []):
        assert tell("show", *words, "optim.lr", "--json")["config"] == {"optim": {"lr": 0.5}}


def test_show_of_sections_is_that_part(here, tell):
    assert tell("show", "task") == "task:\n  kind: forecast\n  context: 96\n  horizon: 12\n  statistic: none\n"
    assert tell("show", "schema_version") == f"schema_version: {Config().schema_version}\n"
    assert list(yaml.safe_load(tell("show", "model", "task", "model=mlp"))) == ["task", "model"]
    assert list(tell("show", "model", "--json")["config"]) == ["model"]


def test_show_says_where_values_are_from(here, tell, monkeypatch):
    monkeypatch.setenv("GYMJAX_TRAIN_SEED", "4")
    text = tell("show", "model", "train", "mine.yaml", "train.patience=null", "--origin")
    lines = text.splitlines()
    assert lines[0] == "# What has no remark is the default."
    assert [" ".join(line.split()) for line in lines[1:] if "#" in line] == [
        "kind: mlp # `mine.yaml`",
        "epochs: 3 # `mine.yaml`",
        "patience: null # the command line",
        "seed: 4 # $GYMJAX_TRAIN_SEED",
    ]
    assert len({line.index("#") for line in lines[1:] if "#" in line}) == 1, "remarks stand below each other"
    origins = tell("show", "mine.yaml", "model=lstm", "--origin", "--json")["origins"]
    assert list(origins) == list(flat(load_config().document()))
    assert {key: name for key, name in origins.items() if name != "default"} == {
        "train.seed": "$GYMJAX_TRAIN_SEED",
        "train.epochs": "`mine.yaml`",
        "model.kind": "the command line",
    }
    assert "origins" not in tell("show", "--json")


def test_show_of_a_run_is_what_it_was_made_with(run, here, tell, monkeypatch):
    monkeypatch.setenv("GYMJAX_TRAIN_SEED", "4")
    root = run.parent
    made = read_config(RunFolder(run))
    for words in ([run], [run / "config.yaml"], ["done", "--root", root], ["latest", "--root", root]):
        text = tell("show", *words)
        (here / "again.yaml").write_text(text)
        assert load_config(["again.yaml"]) == made
        assert tell("show", *words, "--json")["config"] == made.document()
    assert tell("show", run, "train.epochs=9", "train", "--json")["config"]["train"]["epochs"] == 9
    assert tell("show", "mine.yaml", "--json")["config"]["train"]["seed"] == 4, "a file is what a run would be here"


def test_validate_judges_every_file_and_names_everything(here, tell):
    assert tell("validate", "mine.yaml", "cpu_allocation") == "mine.yaml: valid\ncpu_allocation: valid\n"
    assert tell("validate", "mine.yaml", "train.seed=1", "--json")["valid"] == ["mine.yaml"]
    assert tell("validate", "train.seed=1") == "the defaults: valid\n"
    (here / "bad.yaml").write_text("train: {epoch: 3}\n")
    (here / "worse.yaml").write_text("model: {kind: ltsm}\n")
    lines = tell("validate", "bad.yaml", "mine.yaml", "worse.yaml", "train.seed=-1", code=2)
    assert lines[0] == (
        "error: `train.seed=-1` (from the command line) is not >= 0; unknown key `train.epoch` (from `bad.yaml`); "
        "`model.kind=ltsm` (from `worse.yaml`) is not known"
    )
    document = tell("validate", "bad.yaml", "worse.yaml", "train.seed=-1", "--json", code=2)
    assert [problem["hint"] for problem in document["problems"]] == [
        f"{find_key('train.seed').describe()}",
        "did you mean `train.epochs`?",
        "did you mean `lstm`?",
    ]


def test_validate_reads_runs_too(run, here, tell):
    assert tell("validate", "latest", "--root", run.parent) == "latest: valid\n"


def test_diff_shows_what_differs_and_nothing_else(here, tell):
    assert tell("diff", "mine.yaml") == (
        "key                  mine.yaml   defaults\n"
        "-------------------  ----------  --------\n"
        "model.kind           mlp         lstm\n"
        "model.hidden         [256, 256]  64\n"
        "model.dropout        0.1         0.0\n"
        "model.layers         -           1\n"
        "model.bidirectional  -           false\n"
        "model.patch          -           1\n"
        "train.epochs         3           20\n"
    )
    found = tell("diff", "mine.yaml", "--json")
    assert found["names"] == ["mine.yaml", "defaults"]
    changes = {change["key"]: change["values"] for change in found["differences"]}
    assert changes["train.epochs"] == {"mine.yaml": 3, "defaults": 20}
    assert changes["model.layers"] == {"defaults": 1}, "the MLP has no such setting"
    assert tell("diff", "mine.yaml", "mine.yaml") == "no setting differs\n"
    assert tell("diff", "mine.yaml", "mine.yaml", "--json")["differences"] == []
    (here / "null.yaml").write_text("train: {patience: null}\n")
    assert tell("diff", "null.yaml").splitlines()[2].split() == ["train.patience", "null", "4"]


def test_diff_of_runs(run, here, tell):
    text = tell("diff", "latest", "mine.yaml", "--root", run.parent)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert (rows["key"], rows["model.kind"]) == (["latest", "mine.yaml"], ["last", "mlp"])
    keys = [change["key"] for change in tell("diff", run, "--json")["differences"]]
    assert keys == [key for key in all_keys() if key in keys], "in the order of a configuration"


def test_diff_of_three_is_refused(here, tell):
    assert tell("diff", "mine.yaml", "mine.yaml", "mine.yaml", code=2) == [
        "error: 3 configurations",
        "hint: two are compared",
        "try: gymjax config diff A B",
    ]


def test_init_writes_a_file_that_means_what_was_said(here, tell):
    assert tell("init") == "gymjax.yaml: edit it, then: gymjax train --config gymjax.yaml\n"
    assert load_config(["gymjax.yaml"]) == Config()
    words = ["model=transformer", "model.heads=2", "data.target=[cpu]", "optim=sgd"]
    assert tell("init", *words, "my file.yaml") == (
        "my file.yaml: edit it, then: gymjax train --config 'my file.yaml'\n"
    )
    assert load_config(["my file.yaml"]) == load_config([], words)
    assert tell("validate", "my file.yaml") == "my file.yaml: valid\n"
    assert tell("init", "model=mlp", "third.yaml", "--json")["file"] == "third.yaml"
    text = (here / "third.yaml").read_text()
    assert "\n  kind: mlp " in text
    assert "\n#   hidden: [256, 256] " in text, "what was not chosen is commented out"


@pytest.mark.posix
def test_init_never_overwrites(here, tell):
    before = (here / "mine.yaml").read_bytes()
    for words in (["mine.yaml"], ["mine.yaml", "train.seed=3"]):
        assert tell("init", *words, code=2) == [
            "error: `mine.yaml` exists already",
            "hint: nothing is overwritten",
            "try: gymjax config validate mine.yaml",
        ]
    (here / "link.yaml").symlink_to(here / "nowhere.yaml")
    assert tell("init", "link.yaml", code=2)[0] == "error: `link.yaml` exists already"
    assert (here / "mine.yaml").read_bytes() == before
    assert not (here / "nowhere.yaml").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["mine.yml"], "error: `mine.yml` is no name of a configuration"),
        (["a.yaml", "b.yaml"], "error: `b.yaml` is no name of a configuration"),
        (["new.yaml", "train.epoch=3"], "error: unknown key `train.epoch` (from the command line)"),
    ],
)
def test_init_writes_nothing_that_is_wrong(here, tell, words, error):
    assert tell("init", *words, code=2)[0] == error
    assert [path.name for path in here.iterdir()] == ["mine.yaml"]


def resolved(schema, part):
    """A part of a JSON Schema, and the schema it refers to."""
    while "$ref" in part:
        part = schema["$defs"][part["$ref"].split("/")[-1]]
    return part


def properties(schema, part):
    """The properties that a section may have, of every kind."""
    found = {}
    for choice in [resolved(schema, part), *part.get("anyOf", []), *part.get("oneOf", [])]:
        found |= resolved(schema, choice).get("properties", {})
    return found


def walk(schema, part, prefix=""):
    """Every dotted key of a JSON Schema, with its own schema."""
    for name, inner in properties(schema, part).items():
        below = properties(schema, inner)
        yield from walk(schema, inner, f"{prefix}{name}.") if below else [(f"{prefix}{name}", inner)]


def test_the_schema_has_every_key_and_says_what_it_means():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "gym_jax configuration"
    found = dict(walk(schema, schema))
    assert set(found) == set(all_keys())
    for key in vocabulary():
        if key.kind is None and not key.path.endswith(".kind") and key.path != "schema_version":
            assert found[key.path]["description"] == key.doc
    references = json.dumps(schema).split('"$ref": "#/$defs/')[1:]
    assert {text.split('"')[0] for text in references} <= set(schema["$defs"]), "every reference leads somewhere"
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False, "a wrong key is marked"


def test_the_schema_tells_kinds_apart_and_bears_empty_sections():
    schema = json_schema()
    for section, kinds in CHOICES.items():
        part = schema["properties"][section]
        assert [resolved(schema, choice).get("title", "null") for choice in part["oneOf"]] == [*kinds, "null"]
        assert set(part["discriminator"]["mapping"]) == set(SCHEMAS[section])
    for section in ("data", "train"):
        assert schema["properties"][section]["anyOf"][1] == {"type": "null"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/**/*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_fits_the_schema(path):
    known = dict(walk(json_schema(), json_schema()))
    keys = flat(yaml.safe_load(path.read_text()))
    assert keys.keys() - {key for key in keys if key.startswith("defaults")} <= known.keys()


def test_the_schema_is_printed_or_written(here, tell):
    assert json.loads(tell("schema")) == json_schema()
    assert tell("schema", "--json")["json_schema"] == json_schema()
    assert tell("schema", "--out", "schema.json") == (
        "begin a configuration with: # yaml-language-server: $schema=schema.json\n"
    )
    assert json.loads((here / "schema.json").read_text()) == json_schema()
    assert tell("schema", "--out", "schema.json", "--json")["file"] == "schema.json"


def test_a_name_that_is_neither_file_nor_run_is_refused(here, tell):
    lines = tell("show", "lastest", code=2)
    assert lines[0] == "error: no configuration `lastest`"
    assert tell("show", "mien.yaml", code=2)[1] == "hint: no such file; did you mean `mine.yaml`?"
