"""Hydra is a guest: it composes files and leaves everything of a host as it was."""

import copy
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from conftest import ROOT
from hydra import compose, initialize_config_dir, version
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from gym_jax.config.compose import compose_file, parse_override, parse_value
from gym_jax.config.load import load, load_config
from gym_jax.errors import ConfigError

SHIPPED = [path.stem for path in sorted((ROOT / "configs").glob("*.yaml"))]
BASE = "defaults:\n  - model: big\n  - _self_\ntrain: {epochs: 3}\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/big.yaml").write_text("kind: mlp\nhidden: [300, 300]\n")
    (tmp_path / "mine.yaml").write_text(BASE)
    (tmp_path / "bad.yaml").write_text("defaults: [nowhere]\n")
    return tmp_path


@pytest.fixture
def host(tmp_path_factory):
    """A program that uses Hydra itself."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.yaml").write_text("name: host\n")
    with initialize_config_dir(str(folder), version_base="1.2"):
        yield GlobalHydra.instance()


def test_a_host_keeps_its_hydra(here, host):
    before, store = host.hydra, copy.deepcopy(ConfigStore.instance().repo)
    for files, overrides in (
        (["mine.yaml"], ["model=big"]),
        (["cpu_allocation"], []),
        ([], ["train.epochs=3"]),
        (["bad.yaml"], []),
        (["mine.yaml"], ["train.epochs=(", "modle=x"]),
    ):
        with suppress(ConfigError):
            load(files, overrides)
        assert GlobalHydra.instance() is host
        assert (host.hydra, str(version.getbase())) == (before, "1.2")
        assert compose("host").name == "host"
    assert ConfigStore.instance().repo == store
    assert not HydraConfig.initialized()


def test_without_a_host_nothing_is_left(here):
    assert not GlobalHydra.instance().is_initialized()
    load(["mine.yaml"])
    with pytest.raises(ConfigError):
        load(["bad.yaml"])
    assert not GlobalHydra.instance().is_initialized()


def test_nothing_is_written_and_nothing_moves(here):
    before = set(here.rglob("*"))
    environment = dict(os.environ)
    load(["mine.yaml"], ["train.seed=3"])
    assert set(here.rglob("*")) == before, "no outputs/, no .hydra/"
    assert os.getcwd() == str(here)
    assert os.environ == environment


def test_six_threads_compose_at_once(here):
    start = threading.Barrier(6)
    for number in range(6):
        (here / f"{number}.yaml").write_text(f"{BASE}task: {{horizon: {number + 1}}}\n")

    def work(number):
        start.wait()
        found = []
        for _ in range(5):
            found.append(load([f"{number}.yaml"], [f"train.seed={number}"]).config)
            with pytest.raises(ConfigError):
                load(["bad.yaml"])
        return found

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(6)))
    for number, found in enumerate(results):
        for config in found:
            assert (config.task.horizon, config.train.seed, config.train.epochs) == (number + 1, number, 3)
            assert config.model.hidden == (300, 300)
    assert not GlobalHydra.instance().is_initialized()


def test_another_thread_that_uses_hydra_meanwhile_is_not_disturbed(here, host):
    done = threading.Event()

    def compose_on():
        names = set()
        while not done.is_set():
            names.add(compose("host").name)
        return names

    with ThreadPoolExecutor(1) as pool:
        names = pool.submit(compose_on)
        try:
            for _ in range(10):
                load(["mine.yaml"], ["model=big"])
        finally:
            done.set()
        assert names.result() == {"host"}


def test_composing_twice_gives_the_same(here):
    assert load(["mine.yaml"]) == load(["mine.yaml"])
    assert compose_file(here / "mine.yaml") == {
        "model": {"kind": "mlp", "hidden": [300, 300]},
        "train": {"epochs": 3},
    }


def test_groups_beside_the_file_are_used_by_its_defaults_list_and_by_name(here):
    assert load(["mine.yaml"]).config.model.hidden == (300, 300)
    (here / "plain.yaml").write_text("train: {epochs: 3}\n")
    (here / "train").mkdir()
    (here / "train/fast.yaml").write_text("epochs: 1\nbatch_size: 8\n")
    loaded = load(["plain.yaml"], ["model=big", "train=fast", "model.dropout=0.5"])
    assert (loaded.config.model.hidden, loaded.config.model.dropout) == ((300, 300), 0.5)
    assert (loaded.config.train.epochs, loaded.config.train.batch_size) == (1, 8)
    assert loaded.origin("model.hidden") == "`model/big.yaml`"
    assert loaded.origin("train.batch_size") == "`train/fast.yaml`"
    assert loaded.origin("model.dropout") == "the command line"
    with pytest.raises(ConfigError, match=r"model\.kind=big"):
        load([], ["model=big"])
    assert load(["plain.yaml"], environ={"GYMJAX_MODEL": "big"}).config.model.hidden == (300, 300)


def test_a_group_that_names_no_kind_is_of_the_default_kind(here):
    (here / "model/small.yaml").write_text("hidden: 4\n")
    model = load(["mine.yaml"], ["model=small"]).config.model
    assert (model.kind, model.hidden) == ("lstm", 4)


def test_the_nearest_file_has_the_group(here):
    (here / "other/model").mkdir(parents=True)
    (here / "other/model/big.yaml").write_text("kind: mlp\nhidden: [9]\n")
    (here / "other/second.yaml").write_text("train: {epochs: 4}\n")
    assert load(["mine.yaml", "other/second.yaml"], ["model=big"]).config.model.hidden == (9,)
    assert load(["other/second.yaml", "mine.yaml"], ["model=big"]).config.model.hidden == (300, 300)


def test_a_file_wins_over_its_defaults_list_with_or_without_self(here):
    (here / "base.yaml").write_text("train: {epochs: 1, seed: 1}\n")
    for defaults in ("[base]", "[base, _self_]"):
        (here / "mine.yaml").write_text(f"defaults: {defaults}\ntrain: {{epochs: 2}}\n")
        train = load(["mine.yaml"]).config.train
        assert (train.epochs, train.seed) == (2, 1)
    (here / "mine.yaml").write_text("defaults: [_self_, base]\ntrain: {epochs: 2}\n")
    assert load(["mine.yaml"]).config.train.epochs == 1


def test_shipped_files_can_be_used_from_anywhere(here):
    for name in SHIPPED:
        (here / "mine.yaml").write_text(f"defaults: [{name}, _self_]\nrun: {{name: mine}}\n")
        config = load(["mine.yaml"]).config
        assert config.run.name == "mine"
        assert config.model_copy(update={"run": load([name]).config.run}) == load([name]).config


@pytest.mark.parametrize("name", ["with blank", "it's", 'a "b"', "größe", "a,b=c", "a[0]", "{x}", "$x", "日本", "a@b"])
def test_a_folder_and_a_file_may_have_any_name(here, name):
    folder = here / name
    (here / "model").rename(here / "moved")
    folder.mkdir()
    (here / "moved").rename(folder / "model")
    (folder / f"{name}.yaml").write_text(BASE)
    config = load([folder / f"{name}.yaml"]).config
    assert (config.model.hidden, config.train.epochs) == ((300, 300), 3)
    assert load([folder / f"{name}.yaml"], ["model=big"]).config == config


def test_interpolations_are_of_the_same_file(here, monkeypatch):
    monkeypatch.setenv("PLACE", "elsewhere")
    (here / "mine.yaml").write_text(
        "task:\n  context: 24\n  horizon: ${task.context}\nrun: {root: '${oc.env:PLACE}'}\n"
    )
    loaded = load(["mine.yaml"], ["task.context=48"])
    assert (loaded.config.task.context, loaded.config.task.horizon) == (48, 24)
    assert loaded.config.run.root == "elsewhere"


def test_a_value_left_open_is_given_later(here):
    (here / "mine.yaml").write_text("data:\n  path: ???\n")
    assert load(["mine.yaml"], ["data.path=cpu.csv"]).config.data.path == str(here / "cpu.csv")
    with pytest.raises(ConfigError, match=r"`data.path` \(from `mine.yaml`\) is left open"):
        load(["mine.yaml"])


def test_a_byte_order_mark_and_windows_lines_are_fine(here):
    (here / "mine.yaml").write_bytes(b"\xef\xbb\xbftrain:\r\n  epochs: 3\r\n")
    assert load(["mine.yaml"]).config.train.epochs == 3


def test_anchors_are_fine_within_reason(here):
    (here / "mine.yaml").write_text("task: &numbers {context: 24, horizon: 4}\ndata: {lags: &l [1, 2], rolling: []}\n")
    assert load(["mine.yaml"]).config.task.context == 24


BOMB = "data:\n  a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"  {new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("defaults", "place"),
    [
        ("[base]", "base.yaml"),
        ("[base.yaml]", "base.yaml"),
        ("[{model: base}]", "model/base.yaml"),
        ("[{optional /model@data: [base]}]", "model/base.yaml"),
        ("[model/first]", "model/base.yaml"),
    ],
)
def test_a_bomb_in_a_file_of_the_defaults_list_never_goes_off(here, defaults, place):
    (here / "model").mkdir(exist_ok=True)
    (here / "model" / "first.yaml").write_text("defaults: [base]\n")
    (here / place).write_text(BOMB)
    (here / "mine.yaml").write_text(f"defaults: {defaults}\n")
    with pytest.raises(ConfigError, match=r"`base.yaml` line 6: its anchors stand for more than 100,000 values"):
        load(["mine.yaml"])


@pytest.mark.parametrize("defaults", ["3", "[[base]]", "[null]", "[{model: null}]", "[mine]", "{model: base}"])
def test_an_odd_defaults_list_is_refused_in_words_or_taken(here, defaults):
    (here / "mine.yaml").write_text(f"defaults: {defaults}\n")
    with suppress(ConfigError):  # any other error is one of ours
        load(["mine.yaml"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=3e-4", (("a", "b"), 3e-4, False)),
        ("+a=[x,1,true,null]", (("a",), ["x", 1, True, None], False)),
        ("++a={b: {c: 1}}", (("a",), {"b": {"c": 1}}, False)),
        ("~a.b", (("a", "b"), None, True)),
        ("a/b=x y", (("a", "b"), "x y", False)),
        ("a='x,y'", (("a",), "x,y", False)),
        ("a=", (("a",), "", False)),
        ("a={2: x, true: y}", (("a",), {"2": "x", "true": "y"}, False)),
    ],
)
def test_overrides_are_read_in_hydras_grammar(text, expected):
    override = parse_override(text)
    assert (override.path, override.value, override.delete) == expected
    assert override.text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", 3), ("3e-4", 3e-4), ("[a,b]", ["a", "b"]), ("null", None), ("a,b", "a,b"), ("a=b", "a=b"), ("'", "'")],
)
def test_variables_are_read_in_hydras_grammar_or_as_text(text, expected):
    assert parse_value(text) == expected


def test_a_configuration_is_made_of_python_values_too():
    config = load_config(options={"model": "mlp", "model.hidden": (8, 8), "data.target": ["cpu"], "optim.lr": 1})
    assert (config.model.hidden, config.data.target, config.optim.lr) == ((8, 8), ("cpu",), 1.0)
    with pytest.raises(ConfigError, match=r"`optim.lr=<object .*> \(from the command line\) is no number|is no number"):
        load_config(options={"optim.lr": object()})
