"""A space from a file and the line, judged before anything is written."""

import pytest
from small import small_config

from gym_jax.config.sweeps import Choice, Interval
from gym_jax.config.vary import vary
from gym_jax.errors import ConfigError
from gym_jax.tune.space import applicable, judge_space, read_space, split_words, write_space

FILE = """
optim.lr: tag(log, interval(1e-4, 1e-2))
model:
  hidden: [[8], [16, 16]]
  dropout: interval(0, 0.4)
train.clip: [null, 1e-3]
loss: [mae, huber]
schedule.warmup: [0.1]
"""


def test_a_file_is_a_space_and_is_written_as_one(tmp_path):
    (tmp_path / "space.yaml").write_text(FILE)
    found = {sweep.key: sweep.over for sweep in read_space(tmp_path / "space.yaml")}
    assert found == {
        "optim.lr": Interval(1e-4, 1e-2, log=True),
        "model.hidden": Choice(([8], [16, 16])),
        "model.dropout": Interval(0.0, 0.4),
        "train.clip": Choice((None, 1e-3)),
        "loss": Choice(("mae", "huber")),
        "schedule.warmup": Choice((0.1,)),
    }
    (tmp_path / "again.yaml").write_text(write_space(read_space(tmp_path / "space.yaml")))
    assert {sweep.key: sweep.over for sweep in read_space(tmp_path / "again.yaml")} == found


BAD = {
    "optim.lr: 1e-3\nmodel.hidden: 8\n": "`optim.lr: 1e-3` is one value",
    "- a\n": "holds no mapping",
    "a: []\n": "is one value",
    "a: interval(2, 1)\nb: glob(*)": "is no interval",
}


@pytest.mark.parametrize("text", BAD)
def test_a_file_that_is_none_is_refused(text, tmp_path):
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_space(tmp_path / "space.yaml")
    assert BAD[text] in caught.value.message.replace("'", "")


def test_words_of_the_line_are_parted():
    space, rest = split_words(["optim.lr=1e-3,1e-2", "model=mlp", "model.hidden=[8]", "train.seed=range(0,3)"])
    assert [sweep.key for sweep in space] == ["optim.lr", "train.seed"]
    assert rest == ["model=mlp", "model.hidden=[8]"]


def space_of(*words):
    return split_words(words)[0]


JUDGED = {
    ("optim.lrr=interval(0,1)",): "unknown key `optim.lrr`",
    ("optim.lr=interval(-1,1)",): "`optim.lr=-1.0` (from the space) is not > 0",
    ("model.dropout=interval(0,1)",): "`model.dropout=1.0`",
    ("model.hidden=[8],[0]",): "`model.hidden=[0]`",
    ("model=mlp,ltsm",): "`model.kind=ltsm` (from the space) is not known",
    ("optim.lr=1e-3,1e-2", "optim.lr=1,2"): "`optim.lr` is varied twice",
    ("run.name=a,b",): "`run.name` can not be varied",
    (): "nothing is varied",
}


@pytest.mark.parametrize("words", JUDGED)
def test_every_end_is_judged_by_the_schema(words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        judge_space(small_config(tmp_path), space_of(*words))
    assert JUDGED[words] in caught.value.message


def test_all_problems_are_named_at_once_with_what_was_meant(tmp_path):
    with pytest.raises(ConfigError) as caught:
        judge_space(small_config(tmp_path), space_of("optim.lrr=1,2", "model.dropout=interval(-1,0)"))
    assert len(caught.value.problems) == 2
    assert "did you mean `optim.lr`?" in caught.value.hint


def test_a_setting_of_one_kind_is_judged_and_given_where_it_belongs(tmp_path):
    config = small_config(tmp_path)
    space = space_of("model=mlp,lstm", "model.layers=1,2", "model.dropout=interval(0,0.4)")
    judge_space(config, space)
    values = {"model": "mlp", "model.layers": 2, "model.dropout": 0.1}
    assert applicable(config, space, values) == {"model": "mlp", "model.dropout": 0.1}
    assert applicable(config, space, {**values, "model": "lstm"}) == {**values, "model": "lstm"}
    with pytest.raises(ConfigError, match=r"unknown key `model\.heads`"):
        judge_space(config, space_of("model=mlp,lstm", "model.heads=1,2"))


def test_another_kind_starts_anew(tmp_path):
    config = small_config(tmp_path)
    assert config.model.hidden == (16,)
    other = vary(config, {"model": "lstm", "model.layers": 2}, "a test")
    assert (other.model.kind, other.model.hidden, other.model.layers) == ("lstm", 64, 2)
    assert other.data == config.data
    assert vary(config, {"model.dropout": 0.3}, "a test").model.hidden == (16,)
