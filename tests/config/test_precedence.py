"""What wins over what, and where every value says it is from."""

import itertools

import pytest

from gym_jax.config.keys import vocabulary
from gym_jax.config.load import load
from gym_jax.config.schema import CHOICES, Config
from gym_jax.config.variables import PREFIX, read_variables, variable_of
from gym_jax.errors import ConfigError


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """Every layer that may set `train.seed`, each to its own place in the order, with what it is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yaml").write_text("train: {seed: 1}\n")
    (tmp_path / "two.yaml").write_text("train: {seed: 2}\n")
    return {
        1: ("`one.yaml`", {"files": ["one.yaml"]}),
        2: ("`two.yaml`", {"files": ["two.yaml"]}),
        3: ("$GYMJAX_TRAIN_SEED", {"environ": {"GYMJAX_TRAIN_SEED": "3"}}),
        4: ("the command line", {"options": {"train.seed": 4}}),
        5: ("the command line", {"overrides": ["train.seed=5"]}),
        6: ("the command line", {"overrides": ["train.seed=6"]}),
    }


@pytest.mark.parametrize("pair", list(itertools.combinations(range(1, 7), 2)), ids=str)
def test_of_two_layers_the_later_wins_and_is_named(layers, pair):
    given = {}
    for name, value in itertools.chain(*(layers[place][1].items() for place in pair)):
        given[name] = given.get(name, []) + value if isinstance(value, list) else value
    loaded = load(**given)
    assert loaded.config.train.seed == pair[1]
    assert loaded.origin("train.seed") == layers[pair[1]][0]
    assert loaded.origin("train.epochs") == "default"


@pytest.mark.parametrize("place", range(1, 7))
def test_every_layer_wins_over_the_default(layers, place):
    origin, given = layers[place]
    loaded = load(**given)
    assert (loaded.config.train.seed, loaded.origin("train.seed")) == (place, origin)


def test_layers_add_up_key_by_key(layers, tmp_path):
    (tmp_path / "one.yaml").write_text("train: {seed: 1, epochs: 1, batch_size: 1}\ndata: {policy: {gaps: error}}\n")
    (tmp_path / "two.yaml").write_text("train:\n  epochs: 2\n  batch_size: 2\ndata: {policy: {blank: drop}}\n")
    loaded = load(["one.yaml", "two.yaml"], ["train.batch_size=5"])
    train, policy = loaded.config.train, loaded.config.data.policy
    assert (train.seed, train.epochs, train.batch_size) == (1, 2, 5)
    assert (policy.gaps, policy.blank) == ("error", "drop")
    assert loaded.origin("data.policy.gaps") == "`one.yaml`"
    assert loaded.origin("data.policy.blank") == "`two.yaml`"
    assert loaded.origin("data.policy.short") == "default"


def test_an_empty_section_of_a_file_says_nothing(layers, tmp_path):
    (tmp_path / "two.yaml").write_text("train:\ndata:\n  split:\n  policy:\n# model:\n")
    loaded = load(["one.yaml", "two.yaml"])
    assert loaded.config == load(["one.yaml"]).config
    assert loaded.origin("train.seed") == "`one.yaml`"


def test_every_setting_has_a_variable_of_its_own():
    names = [variable_of(key.path) for key in vocabulary()]
    assert len(set(names)) == len({key.path for key in vocabulary()})
    assert set(names).isdisjoint(variable_of(section) for section in CHOICES)
    environ = dict.fromkeys(names, "x")
    found, problems = read_variables(environ)
    assert {variable.key for variable in found} == {key.path for key in vocabulary()}
    assert problems == []


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("GYMJAX_DATA_SPLIT_TRAIN", "0.5", "data.split.train", 0.5),
        ("GYMJAX_OPTIM_LR", "3e-4", "optim.lr", 3e-4),
        ("GYMJAX_DATA_TARGET", "[cpu,memory]", "data.target", ("cpu", "memory")),
        ("GYMJAX_DATA_TARGET", "cpu", "data.target", ("cpu",)),
        ("GYMJAX_DATA_UNITS", "{cpu: '%'}", "data.units", {"cpu": "%"}),
        ("GYMJAX_DATA_TIME_FORMAT", "%d.%m.%Y %H:%M", "data.time_format", "%d.%m.%Y %H:%M"),
        ("GYMJAX_DATA_DECIMAL", ",", "data.decimal", ","),
        ("GYMJAX_TRAIN_PATIENCE", "null", "train.patience", None),
        ("GYMJAX_MODEL_BIDIRECTIONAL", "true", "model.bidirectional", True),
        ("GYMJAX_MODEL", "mlp", "model.kind", "mlp"),
        ("GYMJAX_MODEL_KIND", "mlp", "model.kind", "mlp"),
        ("GYMJAX_SCHEMA_VERSION", "2", "schema_version", 2),
    ],
)
def test_a_variable_sets_a_value_of_every_sort(name, value, key, expected):
    loaded = load(environ={name: value})
    found = loaded.config
    for part in key.split("."):
        found = getattr(found, part)
    assert found == expected
    assert loaded.origin(key) == f"${name}"


def test_variables_of_a_kind_go_with_it():
    environ = {"GYMJAX_MODEL": "transformer", "GYMJAX_MODEL_HEADS": "2", "GYMJAX_MODEL_WIDTH": "8"}
    assert load(environ=environ).config.model.heads == 2
    assert load(environ={**environ, "GYMJAX_MODEL_KIND": "transformer"}).config.model.width == 8


def test_variables_of_others_are_left_alone():
    kubernetes = {
        "GYMJAX_SERVICE_HOST": "10.0.0.1",
        "GYMJAX_SERVICE_PORT": "80",
        "GYMJAX_SERVICE_PORT_HTTP": "80",
        "GYMJAX_PORT": "tcp://10.0.0.1:80",
        "GYMJAX_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    ours = {"GYMJAX_DEBUG": "1", "GYMJAX_DATA": "/data", "PATH": "/bin", "gymjax_train_epochs": "0"}
    assert load(environ=kubernetes | ours).config == Config()


def test_a_resembling_variable_is_refused_and_named():
    with pytest.raises(ConfigError) as caught:
        load(environ={f"{PREFIX}TRAIN_EPOCH": "3", f"{PREFIX}MODLE": "mlp"})
    assert [problem.hint for problem in caught.value.problems] == [
        "did you mean `GYMJAX_MODEL`, for `model`?",
        "did you mean `GYMJAX_TRAIN_EPOCHS`, for `train.epochs`?",
    ]


@pytest.mark.parametrize(
    "overrides", list(itertools.permutations(["model.heads=2", "model=transformer", "model.width=8"])), ids=" ".join
)
def test_what_is_typed_for_a_kind_goes_with_it_in_any_order(layers, tmp_path, overrides):
    (tmp_path / "one.yaml").write_text("model: {hidden: 7, dropout: 0.3}\n")
    for files in ([], ["one.yaml"]):
        model = load(files, overrides).config.model
        assert (model.kind, model.heads, model.width) == ("transformer", 2, 8)
        assert model.dropout == load([], ["model=transformer"]).config.model.dropout


def test_another_kind_starts_anew_and_so_do_its_origins(layers, tmp_path):
    (tmp_path / "one.yaml").write_text("model: {hidden: 7}\noptim: {kind: sgd, lr: 0.1, momentum: 0.5}\n")
    (tmp_path / "two.yaml").write_text("optim: {lr: 0.2}\n")
    loaded = load(["one.yaml", "two.yaml"])
    assert (loaded.config.optim.momentum, loaded.config.optim.lr) == (0.5, 0.2), "the same kind is refined"
    for given in ({"overrides": ["model=mlp", "optim=adam"]}, {"environ": {"GYMJAX_MODEL": "mlp"}}):
        loaded = load(["one.yaml", "two.yaml"], **given)
        assert loaded.config.model == load([], ["model=mlp"]).config.model, "seven units were those of the LSTM"
        assert loaded.origin("model.hidden") == "default"
        assert loaded.origin("model.kind") in ("the command line", "$GYMJAX_MODEL")
    assert load([], ["model=mlp"], environ={"GYMJAX_MODEL_HIDDEN": "7"}).config.model == loaded.config.model
    assert load(["one.yaml"], ["optim=adam"]).config.optim.lr == load([], ["optim=adam"]).config.optim.lr
    loaded = load(["one.yaml"], ["optim=sgd"])
    assert loaded.config.optim.momentum == 0.5, "the same kind again changes nothing"
    assert loaded.origin("optim.momentum") == "`one.yaml`"


def test_a_key_taken_away_is_the_default_again(layers, tmp_path):
    (tmp_path / "one.yaml").write_text("train: {seed: 1, epochs: 1}\nmodel: {kind: mlp, hidden: [3]}\ntomorrow: 1\n")
    loaded = load(["one.yaml"], ["~train.seed", "~model", "~tomorrow"], environ={"GYMJAX_TRAIN_SEED": "3"})
    assert (loaded.config.train.seed, loaded.config.train.epochs) == (0, 1)
    assert loaded.config.model == Config().model
    assert loaded.origin("train.seed") == loaded.origin("model.kind") == "default"
    assert load([], ["train.seed=4", "~train.seed", "train.epochs=3"]).config.train.seed == 0
    assert load([], ["~train.seed", "train.seed=4"]).config.train.seed == 4
    assert load([], ["~data.split", "~train.patience"]).config == Config(), "a default may be taken away"


def test_a_mapping_of_columns_is_refined_or_emptied(layers, tmp_path):
    (tmp_path / "one.yaml").write_text("data:\n  units: {cpu: '%'}\n  capacity: {cpu: 4}\n")
    loaded = load(["one.yaml"], ["data.units={memory: MiB}"])
    assert loaded.config.data.units == {"cpu": "%", "memory": "MiB"}
    assert loaded.origin("data.capacity") == "`one.yaml`"
    assert load(["one.yaml"], ["data.units={}", "data.capacity=null"]).config.data == Config().data


def test_one_word_stands_for_a_list_of_one():
    config = load([], ["data.target=cpu", "data.lags=3", "model=mlp", "model.hidden=8"]).config
    assert (config.data.target, config.data.lags, config.model.hidden) == (("cpu",), (3,), (8,))


def test_paths_are_those_of_the_working_directory(layers, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/here.yaml").write_text("data: {path: cpu.csv}\ntrain: {init_from: runs/a}\n")
    config = load(["folder/here.yaml"]).config
    assert (config.data.path, config.train.init_from) == (str(tmp_path / "cpu.csv"), str(tmp_path / "runs/a"))
