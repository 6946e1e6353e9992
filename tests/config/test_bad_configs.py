"""Bad configurations through the real door: every error named, with the right word, exit code 2, nothing written."""

import json
import shlex

import pytest

from gym_jax.cli import main
from gym_jax.config.keys import known_keys
from gym_jax.config.schema import CHOICES, Config

BOMB = "".join(
    f"{word}: &{word} [{', '.join([before] * 10)}]\n"
    for before, word in zip(["1", *map("*{}".format, "abcdefgh")], "abcdefghi", strict=True)
)
"""A billion values in nine lines."""

SECTIONS = ", ".join(sorted(Config.model_fields))


def keys(section, kind=None):
    """The settings of a section, as a message lists them."""
    return ", ".join(known_keys(section.split("."), kind))


def kinds(section):
    """The kinds of a section, as a message lists them."""
    return ", ".join(sorted(CHOICES[section]))


def owners(section, name):
    """The kinds that have a setting, as a message lists them."""
    return " or ".join(kind for kind in CHOICES[section] if name in known_keys([section], kind))


def file(content):
    """A file, given with --config."""
    return files({"bad.yaml": content})


def files(contents, *words, config="bad.yaml", **variables):
    """Files, of which one is given with --config, and what else is typed and set."""
    return contents, ("train", "--config", config, *words), variables


def typed(*words):
    """Words behind `gymjax train`."""
    return {}, ("train", *words), {}


def variables(**values):
    """Variables of the environment."""
    return {}, ("train",), values


BAD = {
    # unknown keys
    "a dotted key in a file": (
        file("train.epochs: 3\ndata.split: {val: 0.2}\n"),
        "error: unknown key `train.epochs` (from `bad.yaml`); unknown key `data.split.val` (from `bad.yaml`)",
        "hint: in a file it stands in its section: `train: {epochs: ...}`; in a file it stands in its section: "
        "`data: {split: {val: ...}}`",
        "try: gymjax config show",
    ),
    "a folder for a file": (
        files({"folder/mine.yaml": "train: {epochs: 2}\n"}, config="folder"),
        "error: no configuration `folder`: it is a folder without a config.yaml",
        "hint: in it are folder/mine.yaml",
        "try: gymjax train --config folder/mine.yaml",
    ),
    "a word near a section": (
        file("modle:\n  hidden: 3\n"),
        "error: unknown key `modle.hidden` (from `bad.yaml`)",
        "hint: did you mean `model.hidden`?",
        "try: gymjax config show",
    ),
    "a section with several keys": (
        file("traning:\n  epochs: 3\n  seed: 4\n"),
        "error: unknown key `traning` (from `bad.yaml`)",
        "hint: did you mean `train`?",
        "try: gymjax config show",
    ),
    "a setting without its section": (
        file("epochs: 3\n"),
        "error: unknown key `epochs` (from `bad.yaml`)",
        "hint: did you mean `train.epochs`?",
        "try: gymjax config show",
    ),
    "a word near a key": (
        file("train:\n  epoch: 3\n"),
        "error: unknown key `train.epoch` (from `bad.yaml`)",
        "hint: did you mean `train.epochs`?",
        "try: gymjax config show train",
    ),
    "a key with a dash": (
        file("train:\n  batch-size: 3\n"),
        "error: unknown key `train.batch-size` (from `bad.yaml`)",
        "hint: did you mean `train.batch_size`?",
        "try: gymjax config show train",
    ),
    "a key with a capital": (
        file("train:\n  Epochs: 3\n"),
        "error: unknown key `train.Epochs` (from `bad.yaml`)",
        "hint: did you mean `train.epochs`?",
        "try: gymjax config show train",
    ),
    "a key that is a number": (
        file("train:\n  3: 4\n"),
        "error: unknown key `train.3` (from `bad.yaml`)",
        f"hint: `train` has {keys('train')}",
        "try: gymjax config show train",
    ),
    "a key that is a truth value": (
        file("train:\n  on: 4\n"),
        "error: unknown key `train.true` (from `bad.yaml`)",
        f"hint: `train` has {keys('train')}",
        "try: gymjax config show train",
    ),
    "a key that is nothing": (
        file("train:\n  null: 4\n"),
        "error: `bad.yaml`: Incompatible key type 'NoneType'",
        "hint: it can not be composed; a configuration is `section: {key: value}`",
        "try: gymjax explain config.invalid",
    ),
    "a word near a key of a part": (
        file("data:\n  policy:\n    gap: mask\n"),
        "error: unknown key `data.policy.gap` (from `bad.yaml`)",
        "hint: did you mean `data.policy.gaps`?",
        "try: gymjax config show data",
    ),
    "a word near a part": (
        file("data:\n  polcy:\n    gaps: mask\n"),
        "error: unknown key `data.polcy` (from `bad.yaml`)",
        "hint: did you mean `data.policy`?",
        "try: gymjax config show data",
    ),
    "a word near a key of generated data": (
        file("data:\n  synthetic:\n    serie: 3\n"),
        "error: unknown key `data.synthetic.serie` (from `bad.yaml`)",
        "hint: did you mean `data.synthetic.series`?",
        "try: gymjax config show data",
    ),
    "a key of another section": (
        file("train:\n  lr: 0.1\n"),
        "error: unknown key `train.lr` (from `bad.yaml`)",
        "hint: did you mean `optim.lr`?",
        "try: gymjax config show train",
    ),
    "a key of a model in another section": (
        file("train:\n  hidden: 3\n"),
        "error: unknown key `train.hidden` (from `bad.yaml`)",
        "hint: did you mean `model.hidden`?",
        "try: gymjax config show train",
    ),
    "a key that resembles none": (
        file("optim:\n  learning_rate: 0.1\n"),
        "error: unknown key `optim.learning_rate` (from `bad.yaml`)",
        f"hint: `optim` has {keys('optim')}",
        "try: gymjax config show optim",
    ),
    "a key below a number": (
        file("train:\n  epochs:\n    max: 3\n"),
        "error: `train.epochs={max: 3}` (from `bad.yaml`) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a Python name to build": (
        file("model:\n  _target_: os.system\n"),
        "error: unknown key `model._target_` (from `bad.yaml`)",
        "hint: nothing is built from a configuration by its Python name; `kind` chooses",
        "try: gymjax models show lstm",
    ),
    "settings of Hydra": (
        file("hydra:\n  run: {dir: x}\n"),
        "error: unknown key `hydra` (from `bad.yaml`)",
        "hint: Hydra composes files here and does nothing else; its own settings are not taken",
        "try: gymjax config init mine.yaml",
    ),
    # values of another type
    "a word for an integer": (
        file("train:\n  epochs: many\n"),
        "error: `train.epochs=many` (from `bad.yaml`) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a fraction for an integer": (
        file("train:\n  epochs: 2.5\n"),
        "error: `train.epochs=2.5` (from `bad.yaml`) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a truth value for an integer": (
        file("train:\n  epochs: true\n"),
        "error: `train.epochs=true` (from `bad.yaml`) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a truth value for a number": (
        file("optim:\n  lr: on\n"),
        "error: `optim.lr=true` (from `bad.yaml`) is no number",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "a list for an integer": (
        file("train:\n  epochs: [1, 2]\n"),
        "error: `train.epochs=[1, 2]` (from `bad.yaml`) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a mapping for a number": (
        file("optim:\n  lr: {a: 1}\n"),
        "error: `optim.lr={a: 1}` (from `bad.yaml`) is no number",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "nothing for an integer": (
        file("train:\n  epochs: null\n"),
        "error: `train.epochs=null` (from `bad.yaml`) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a decimal comma": (
        file("optim:\n  lr: 0,001\n"),
        "error: `optim.lr=0,001` (from `bad.yaml`) is no number",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "half a number": (
        file("optim:\n  lr: 1e\n"),
        "error: `optim.lr=1e` (from `bad.yaml`) is no number",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "NaN": (
        file("optim:\n  lr: .nan\n"),
        "error: `optim.lr=.nan` (from `bad.yaml`) is not finite",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "infinity": (
        file("train:\n  clip: .inf\n"),
        "error: `train.clip=.inf` (from `bad.yaml`) is not finite",
        "hint: `train.clip` is number > 0 or null, by default 1.0",
        "try: gymjax config show train",
    ),
    "a number of 65 bits": (
        file("train:\n  seed: 9223372036854775808\n"),
        "error: `train.seed=9223372036854775808` (from `bad.yaml`) is not < 9223372036854775808",
        "hint: `train.seed` is integer >= 0, < 9223372036854775808, by default 0",
        "try: gymjax config show train",
    ),
    "a number of 400 digits": (
        file("train:\n  epochs: 1" + "0" * 399 + "\n"),
        "error: `train.epochs=100000000000000000000000000000000000000000000000000000000...` (from "
        "`bad.yaml`) is too large",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    "a number below its range": (
        file("train:\n  seed: -1\n"),
        "error: `train.seed=-1` (from `bad.yaml`) is not >= 0",
        "hint: `train.seed` is integer >= 0, < 9223372036854775808, by default 0",
        "try: gymjax config show train",
    ),
    "a number at the end of its range": (
        file("model:\n  dropout: 1.0\n"),
        "error: `model.dropout=1.0` (from `bad.yaml`) is not < 1",
        "hint: `model.dropout` is number >= 0, < 1, by default 0.0",
        "try: gymjax models show lstm",
    ),
    "a number above its range": (
        file("data:\n  synthetic:\n    gaps: 0.9\n"),
        "error: `data.synthetic.gaps=0.9` (from `bad.yaml`) is not <= 0.5",
        "hint: `data.synthetic.gaps` is number >= 0, <= 0.5, by default 0.01",
        "try: gymjax config show data",
    ),
    "a word that is no truth value": (
        file("model:\n  bidirectional: maybe\n"),
        "error: `model.bidirectional=maybe` (from `bad.yaml`) is neither true nor false",
        "hint: `model.bidirectional` is true | false, by default false",
        "try: gymjax models show lstm",
    ),
    "a word near a truth value": (
        file("model:\n  bidirectional: flase\n"),
        "error: `model.bidirectional=flase` (from `bad.yaml`) is neither true nor false",
        "hint: did you mean `false`?",
        "try: gymjax models show lstm",
    ),
    "Python's word for nothing": (
        file("train:\n  patience: None\n"),
        "error: `train.patience=None` (from `bad.yaml`) is no integer",
        "hint: did you mean `null`?",
        "try: gymjax config show train",
    ),
    "a number with a zero before it": (
        file("train:\n  epochs: 012\n"),
        "error: `bad.yaml` line 2: YAML takes 012 for a number to the base of 8",
        "hint: write a number without zeros before it and colons in it; a word in quotes",
        "try: gymjax config init mine.yaml",
    ),
    "a number with colons in it": (
        file("train:\n  epochs: 190:20:30\n"),
        "error: `bad.yaml` line 2: YAML takes 190:20:30 for a number to the base of 60",
        "hint: write a number without zeros before it and colons in it; a word in quotes",
        "try: gymjax config init mine.yaml",
    ),
    "a number for a text": (
        file("data:\n  path: 3\n"),
        "error: `data.path=3` (from `bad.yaml`) is no text",
        'hint: in quotes it is text: "3"',
        "try: gymjax config show data",
    ),
    "a number for a column": (
        file("data:\n  target: 3\n"),
        "error: `data.target=3` (from `bad.yaml`) is no text",
        'hint: in quotes it is text: "3"',
        "try: gymjax config show data",
    ),
    "a list for a text": (
        file("data:\n  path: [a.csv]\n"),
        "error: `data.path=[a.csv]` (from `bad.yaml`) is no text",
        "hint: `data.path` is text or null, by default null",
        "try: gymjax config show data",
    ),
    "a mapping for a list": (
        file("data:\n  target: {a: b}\n"),
        "error: `data.target={a: b}` (from `bad.yaml`) is no list",
        "hint: `data.target` is list of text, by default []",
        "try: gymjax config show data",
    ),
    "a word for a mapping": (
        file("data:\n  units: MiB\n"),
        "error: `data.units=MiB` (from `bad.yaml`) is no mapping",
        "hint: `data.units` is mapping, by default {}",
        "try: gymjax config show data",
    ),
    "a list for a mapping": (
        file("data:\n  capacity: [1]\n"),
        "error: `data.capacity=[1]` (from `bad.yaml`) is no mapping",
        "hint: `data.capacity` is mapping or null, by default null",
        "try: gymjax config show data",
    ),
    "a word for a list of integers": (
        file("model:\n  kind: mlp\n  hidden: wide\n"),
        "error: `model.hidden=wide` (from `bad.yaml`) is no integer",
        "hint: `model.hidden` is list of integer > 0, by default [256, 256]",
        "try: gymjax models show mlp",
    ),
    "two wrong numbers in a list": (
        file("model:\n  kind: mlp\n  hidden: [16, 0, -1]\n"),
        "error: `model.hidden=[16, 0, -1]` (from `bad.yaml`): 0 is not > 0; `model.hidden=[16, 0, -1]` "
        "(from `bad.yaml`): -1 is not > 0",
        "hint: `model.hidden` is list of integer > 0, by default [256, 256]",
        "try: gymjax models show mlp",
    ),
    "a list for the integer of another kind": (
        file("model:\n  hidden: [64]\n"),
        "error: `model.hidden=[64]` (from `bad.yaml`) is no integer",
        "hint: `model.hidden` is integer > 0, by default 64",
        "try: gymjax models show lstm",
    ),
    "a pair that is a number": (
        file("data:\n  rolling: [12]\n"),
        "error: `data.rolling=[12]` (from `bad.yaml`): 12 is no list",
        "hint: `data.rolling` is list of [integer > 0, mean | std | min | max | median], by default []",
        "try: gymjax config show data",
    ),
    "a pair with half of it": (
        file("data:\n  rolling: [[12]]\n"),
        "error: `data.rolling=[[12]]` (from `bad.yaml`): [12] is too short",
        "hint: `data.rolling` is list of [integer > 0, mean | std | min | max | median], by default []",
        "try: gymjax config show data",
    ),
    "an empty word": (
        file("train:\n  freeze: ['']\n"),
        "error: `train.freeze=['']` (from `bad.yaml`): '' is empty",
        "hint: `train.freeze` is list of text, by default []",
        "try: gymjax config show train",
    ),
    "a name with a slash": (
        file("run:\n  name: a/b\n"),
        "error: `run.name=a/b` (from `bad.yaml`) is no name",
        "hint: `run.name` is a word of at most 64 letters, digits, `.`, `_` and `-` or null, by default null",
        "try: gymjax config show run",
    ),
    "a number for a section": (
        file("train: 3\n"),
        "error: `train=3` (from `bad.yaml`) is no section",
        f"hint: it has {keys('train')}",
        "try: gymjax config show train",
    ),
    "a list for a section": (
        file("train: [epochs]\n"),
        "error: `train=[epochs]` (from `bad.yaml`) is no section",
        f"hint: it has {keys('train')}",
        "try: gymjax config show train",
    ),
    "a number for a part": (
        file("data:\n  split: 3\n"),
        "error: `data.split=3` (from `bad.yaml`) is no section",
        f"hint: it has {keys('data.split')}",
        "try: gymjax config show data",
    ),
    "a kind for a section": (
        file("model: lstm\n"),
        "error: `model=lstm` (from `bad.yaml`) is no section",
        "hint: did you mean `model.kind=lstm`?",
        "try: gymjax models list",
    ),
    # words that are not among those that may stand there
    "a word near one of three": (
        file("train:\n  placement: corse\n"),
        "error: `train.placement=corse` (from `bad.yaml`) is not known",
        "hint: did you mean `cores`?",
        "try: gymjax config show train",
    ),
    "a word near none": (
        file("data:\n  layout: tall\n"),
        "error: `data.layout=tall` (from `bad.yaml`) is not known",
        "hint: choose from long, wide",
        "try: gymjax config show data",
    ),
    "a word near one, of a part": (
        file("data:\n  policy:\n    gaps: maks\n"),
        "error: `data.policy.gaps=maks` (from `bad.yaml`) is not known",
        "hint: did you mean `mask`?",
        "try: gymjax config show data",
    ),
    "a mark that is none": (
        file("data:\n  separator: ':'\n"),
        "error: `data.separator=':'` (from `bad.yaml`) is not known",
        'hint: choose from ",", ";", "\\t", "|", auto',
        "try: gymjax config show data",
    ),
    "two words in a list": (
        file("evaluate:\n  baselines: [lst, liner]\n"),
        "error: `evaluate.baselines=[lst, liner]` (from `bad.yaml`): lst is not known; "
        "`evaluate.baselines=[lst, liner]` (from `bad.yaml`): liner is not known",
        "hint: did you mean `last`?; did you mean `linear`?",
        "try: gymjax config show evaluate",
    ),
    "a word in a pair": (
        file("data:\n  rolling: [[12, medain]]\n"),
        "error: `data.rolling=[[12, medain]]` (from `bad.yaml`): medain is not known",
        "hint: did you mean `median`?",
        "try: gymjax config show data",
    ),
    "a kind that is nothing": (
        file("model:\n  kind: null\n"),
        "error: `model.kind=null` (from `bad.yaml`) is not known",
        f"hint: choose from {kinds('model')}",
        "try: gymjax models list",
    ),
    "a kind that is a list": (
        file("model:\n  kind: [mlp]\n"),
        "error: `model.kind=[mlp]` (from `bad.yaml`) is not known",
        "hint: did you mean `mlp`?",
        "try: gymjax models list",
    ),
    # parts whose settings do not go together
    "bounds that cross": (
        file("data:\n  clip:\n    low: 0.9\n    high: 0.1\n"),
        "error: `data.clip` (from `bad.yaml`): low 0.9 is not below high 0.1",
        f"hint: it has {keys('data.clip')}",
        "try: gymjax config show data",
    ),
    "shares that leave no test part": (
        file("data:\n  split:\n    train: 0.9\n"),
        "error: `data.split` (from `bad.yaml`): train 0.9 and val 0.1 leave no test part",
        f"hint: it has {keys('data.split')}",
        "try: gymjax config show data",
    ),
    "a split without what it needs": (
        file("data:\n  split:\n    kind: steps\n"),
        "error: `data.split` (from `bad.yaml`): kind=steps needs test_steps",
        f"hint: it has {keys('data.split')}",
        "try: gymjax config show data",
    ),
    "a test part without room for a window": (
        file("data:\n  split:\n    kind: steps\n    test_steps: 6\n"),
        "error: data.split.test_steps=6 holds no window of task.horizon=12",
        "hint: a window belongs to the part in which all of its targets lie",
        "try: gymjax train ... data.split.test_steps=12",
    ),
    "a setting of another split": (
        file("data:\n  split:\n    val_steps: 3\n"),
        "error: `data.split` (from `bad.yaml`): val_steps belongs to kind=steps, this is kind=share",
        f"hint: it has {keys('data.split')}",
        "try: gymjax config show data",
    ),
    # files
    "an empty file": (
        file(""),
        "error: `bad.yaml` is empty",
        "hint: it holds no setting; a configuration is `section: {key: value}`",
        "try: gymjax config init mine.yaml",
    ),
    "a tab": (
        file("train:\n\tepochs: 3\n"),
        "error: `bad.yaml` line 2: found character '\\t' that cannot start any token",
        "hint: YAML is indented by blanks, not by tabs",
        "try: gymjax config init mine.yaml",
    ),
    "a list at the top": (
        file("- train\n- model\n"),
        "error: `bad.yaml` holds no mapping",
        "hint: a configuration is `section: {key: value}`",
        "try: gymjax config init mine.yaml",
    ),
    "a word at the top": (
        file("hello\n"),
        "error: `bad.yaml` holds no mapping",
        "hint: a configuration is `section: {key: value}`",
        "try: gymjax config init mine.yaml",
    ),
    "a key twice": (
        file("train:\n  epochs: 3\n  epochs: 4\n"),
        "error: `bad.yaml` line 3: found duplicate key epochs, while constructing a mapping in line 2",
        "hint: every key stands once: leave one out",
        "try: gymjax config init mine.yaml",
    ),
    "a section twice": (
        file("train:\n  epochs: 3\ntrain:\n  seed: 4\n"),
        "error: `bad.yaml` line 3: found duplicate key train, while constructing a mapping in line 1",
        "hint: every key stands once: leave one out",
        "try: gymjax config init mine.yaml",
    ),
    "a bracket that stays open": (
        file("train: {epochs: 3\n"),
        "error: `bad.yaml` line 2: expected ',' or '}', but got '<stream end>', while parsing a flow mapping in line 1",
        "hint: check indent, quotes and brackets there",
        "try: gymjax config init mine.yaml",
    ),
    "two keys on a line": (
        file("train: epochs: 3\n"),
        "error: `bad.yaml` line 1: mapping values are not allowed here",
        "hint: one `key: value` a line, indented like its neighbours; quote a value with a colon in it",
        "try: gymjax config init mine.yaml",
    ),
    "an indent that fits nowhere": (
        file("train:\n  epochs: 3\n seed: 4\n"),
        "error: `bad.yaml` line 3: expected <block end>, but found '<block mapping start>', while parsing"
        " a block mapping in line 1",
        "hint: check indent, quotes and brackets there",
        "try: gymjax config init mine.yaml",
    ),
    "two documents": (
        file("train: {epochs: 3}\n---\ntrain: {seed: 3}\n"),
        "error: `bad.yaml` line 2: another document begins",
        "hint: a file holds one: give two with --config each",
        "try: gymjax config init mine.yaml",
    ),
    "a Python tag": (
        file("train: !!python/object/apply:os.system [ls]\n"),
        "error: `bad.yaml` line 1: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
        "hint: tags are not read: numbers, words, lists and mappings need none",
        "try: gymjax config init mine.yaml",
    ),
    "a bomb of anchors": (
        file(BOMB),
        "error: `bad.yaml` line 5: its anchors stand for more than 100,000 values",
        "hint: write the values that are meant",
        "try: gymjax config init mine.yaml",
    ),
    "an anchor in itself": (
        file("train: &a\n  b: *a\n"),
        "error: `bad.yaml` line 2: `*a` stands in itself",
        "hint: an alias repeats what was written before it",
        "try: gymjax config init mine.yaml",
    ),
    "an anchor that is not there": (
        file("train: *nope\n"),
        "error: `bad.yaml` line 1: found undefined alias 'nope'",
        "hint: an alias *name needs an anchor &name before it",
        "try: gymjax config init mine.yaml",
    ),
    "a number of 6,000 digits": (
        file(f"train: {{seed: {'9' * 6000}}}\n"),
        "error: `bad.yaml`: Exceeds the limit (4300 digits) for integer string conversion: value has 6000 digits; "
        "use sys.set_int_max_str_digits() to increase the limit",
        "hint: it can not be composed; a configuration is `section: {key: value}`",
        "try: gymjax explain config.invalid",
    ),
    "a value at the end of 300 levels": (
        file("train: " + "{a: " * 300 + "3" + "}" * 300),
        "error: `bad.yaml` line 1 is nested deeper than 50 levels",
        "hint: a configuration is `section: {key: value}`",
        "try: gymjax config init mine.yaml",
    ),
    "an interpolation that leads nowhere": (
        file("train:\n  epochs: ${task.hroizon}\n"),
        "error: `bad.yaml`: `train.epochs`: Interpolation key 'task.hroizon' not found",
        "hint: ${section.key} is a key of the same file, ${oc.env:NAME} a variable",
        "try: gymjax explain config.invalid",
    ),
    "an interpolation of a variable that is not set": (
        file("run:\n  root: ${oc.env:NOWHERE}\n"),
        'error: `bad.yaml`: `run.root`: KeyError raised while resolving interpolation: "Environment '
        "variable 'NOWHERE' not found\"",
        "hint: ${section.key} is a key of the same file, ${oc.env:NAME} a variable",
        "try: gymjax explain config.invalid",
    ),
    "an interpolation of itself": (
        file("train:\n  epochs: ${train.epochs}\n"),
        "error: `bad.yaml`: `train.epochs`: Recursive interpolation detected",
        "hint: ${section.key} is a key of the same file, ${oc.env:NAME} a variable",
        "try: gymjax explain config.invalid",
    ),
    "an interpolation that stays open": (
        file("train:\n  epochs: ${nothing\n"),
        "error: `bad.yaml`: no viable alternative at input '${nothing'",
        "hint: ${section.key} is a key of the same file, ${oc.env:NAME} a variable",
        "try: gymjax explain config.invalid",
    ),
    "a value that is left open": (
        file("data:\n  path: ???\ntrain:\n  epochs: ???\n"),
        "error: `data.path` (from `bad.yaml`) is left open; `train.epochs` (from `bad.yaml`) is left open",
        "hint: give it: data.path=VALUE; give it: train.epochs=VALUE",
        "try: gymjax explain config.invalid",
    ),
    "a defaults list that names itself": (
        file("defaults:\n  - bad\n"),
        "error: `bad.yaml` leads back to itself",
        "hint: look at its defaults list and its ${...}",
        "try: gymjax explain config.invalid",
    ),
    "defaults lists in a circle": (
        files({"bad.yaml": "defaults: [b]\n", "b.yaml": "defaults: [bad]\n"}),
        "error: `bad.yaml` leads back to itself",
        "hint: look at its defaults list and its ${...}",
        "try: gymjax explain config.invalid",
    ),
    "a defaults list near a file": (
        files({"bad.yaml": "defaults: [bsae, _self_]\n", "base.yaml": "train: {epochs: 3}\n"}),
        "error: `bad.yaml`: its defaults list names `bsae`, which is not there",
        "hint: did you mean `base`?",
        "try: gymjax explain config.invalid",
    ),
    "a defaults list near a file of a group": (
        files({"bad.yaml": "defaults: [{model: bgi}]\n", "model/big.yaml": "hidden: 300\n"}),
        "error: `bad.yaml`: its defaults list names `model/bgi`, which is not there",
        "hint: did you mean `model/big`?",
        "try: gymjax explain config.invalid",
    ),
    "a defaults list that is a word": (
        file("defaults: other\n"),
        "error: `bad.yaml`: Invalid defaults list in 'bad', defaults must be a list (got str)",
        "hint: it can not be composed; a configuration is `section: {key: value}`",
        "try: gymjax explain config.invalid",
    ),
    "a wrong value in a group": (
        files({"bad.yaml": "train: {epochs: 3}\n", "model/big.yaml": "hiden: 300\n"}, "model=big"),
        "error: unknown key `model.hiden` (from `model/big.yaml`)",
        "hint: did you mean `model.hidden`?",
        "try: gymjax models show lstm",
    ),
    "a group that is a list": (
        files({"bad.yaml": "train: {epochs: 3}\n", "model/big.yaml": "- 300\n"}, "model=big"),
        "error: `model/big.yaml` holds no mapping",
        "hint: a configuration is `section: {key: value}`",
        "try: gymjax config init mine.yaml",
    ),
    "a bad file in a defaults list": (
        files({"bad.yaml": "defaults: [base, _self_]\n", "base.yaml": "train:\n  epochs: 3\n  epochs: 4\n"}),
        "error: `base.yaml` line 3: found duplicate key epochs, while constructing a mapping in line 2",
        "hint: every key stands once: leave one out",
        "try: gymjax config init mine.yaml",
    ),
    "Latin-1": (
        files({"bad.yaml": "run:\n  name: Köln\n".encode("latin-1")}),
        "error: `bad.yaml` line 2 is not UTF-8: byte 0xf6 can not be decoded",
        "hint: save the file as UTF-8",
        "try: gymjax config init mine.yaml",
    ),
    "UTF-16": (
        files({"bad.yaml": "run:\n  name: a\n".encode("utf-16")}),
        "error: `bad.yaml` line 1 is not UTF-8: byte 0xff can not be decoded",
        "hint: save the file as UTF-8",
        "try: gymjax config init mine.yaml",
    ),
    "a NUL": (
        files({"bad.yaml": b"run:\n  name: a\x00\n"}),
        "error: `bad.yaml` is no YAML: unacceptable character #x0000: special characters are not allowed",
        "hint: is it a text file?",
        "try: gymjax config init mine.yaml",
    ),
    "two million bytes": (
        file("#" * 2_000_000),
        "error: `bad.yaml` has 2,000,000 bytes",
        "hint: a configuration is small; are these data?",
        "try: gymjax config init mine.yaml",
    ),
    "another ending": (
        files({"bad.yml": "train: {epochs: 3}\n"}, config="bad.yml"),
        "error: no configuration `bad.yml`",
        "hint: its name must end in .yaml",
        "try: mv bad.yml bad.yaml",
    ),
    "data for a configuration": (
        files({"cpu.csv": "ds,cpu\n"}, config="cpu.csv"),
        "error: no configuration `cpu.csv`",
        "hint: it must end in .yaml; data are given with --data",
        "try: gymjax explain config.not_found",
    ),
    "a name near a file": (
        files({"mine.yaml": "train: {epochs: 3}\n"}, config="mien.yaml"),
        "error: no configuration `mien.yaml`",
        "hint: no such file; did you mean `mine.yaml`?",
        "try: gymjax config show mine.yaml",
    ),
    "a name without its ending": (
        files({"mine.yaml": "train: {epochs: 3}\n"}, config="mine"),
        "error: no configuration `mine`",
        "hint: no such file; did you mean `mine.yaml`?",
        "try: gymjax config show mine.yaml",
    ),
    "a name near a shipped one": (
        files({}, config="cpu_alocation"),
        "error: no configuration `cpu_alocation`",
        "hint: no such file; of the shipped ones, did you mean `cpu_allocation`?",
        "try: gymjax config show cpu_allocation",
    ),
    # versions
    "a newer version": (
        file("schema_version: 99\ntomorrow: {}\n"),
        "error: schema_version 99 (from `bad.yaml`) is newer than this gym_jax, which reads up to 2",
        "hint: it was written by a later version",
        "try: pip install --upgrade gym-jax",
    ),
    "a version that is a word": (
        file("schema_version: '2'\n"),
        'error: `schema_version="2"` (from `bad.yaml`) is no version',
        "hint: this gym_jax writes 2 and reads 1 to 2",
        "try: gymjax config show schema_version",
    ),
    "a version that is a truth value": (
        file("schema_version: true\n"),
        "error: `schema_version=true` (from `bad.yaml`) is no version",
        "hint: this gym_jax writes 2 and reads 1 to 2",
        "try: gymjax config show schema_version",
    ),
    "a version that is nothing": (
        file("schema_version: null\ntrain: {epochs: 0}\n"),
        "error: `schema_version=null` (from `bad.yaml`) is no version; `train.epochs=0` (from `bad.yaml`) is not > 0",
        "hint: this gym_jax writes 2 and reads 1 to 2; `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show schema_version",
    ),
    "a version that never was": (
        file("schema_version: 0\n"),
        "error: `schema_version=0` (from `bad.yaml`) is no version",
        "hint: this gym_jax writes 2 and reads 1 to 2",
        "try: gymjax config show schema_version",
    ),
    "a version with a point": (
        file("schema_version: 2.0\n"),
        "error: `schema_version=2.0` (from `bad.yaml`) is no version",
        "hint: this gym_jax writes 2 and reads 1 to 2",
        "try: gymjax config show schema_version",
    ),
    # overrides
    "an override without a value": (
        typed("train.epochs"),
        "error: `train.epochs` is no setting: it has no value",
        "hint: did you mean `train.epochs=...`?",
        "try: gymjax config show",
    ),
    "an override without a key": (
        typed("=3"),
        "error: `=3` is no setting: it has no key",
        "hint: settings are key=value; data are given with --data FILE",
        "try: gymjax config show",
    ),
    "a kind for an override": (
        typed("mlp"),
        "error: `mlp` is no setting: it has no value",
        "hint: did you mean `model=mlp`?",
        "try: gymjax train model=mlp",
    ),
    "a file for an override": (
        typed("mine.yaml"),
        "error: `mine.yaml` is no setting: it has no value",
        "hint: did you mean `--config mine.yaml`?",
        "try: gymjax config show",
    ),
    "data for an override": (
        typed("cpu.csv"),
        "error: `cpu.csv` is no setting: it has no value",
        "hint: did you mean `--data cpu.csv`?",
        "try: gymjax config show",
    ),
    "an override with blanks around": (
        typed("train.epochs = 3"),
        "error: override `train.epochs = 3` can not be read: ` ` can not stand there in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        "try: gymjax train ... train.epochs=3",
    ),
    "an override that stays open": (
        typed("data.target=[1,2"),
        "error: override `data.target=[1,2` can not be read: it is not in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        "try: gymjax train 'model.hidden=128' 'optim.lr=3e-4'",
    ),
    "two points in a key": (
        typed("train..epochs=3"),
        "error: override `train..epochs=3` can not be read: `.` can not stand there in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        "try: gymjax train 'model.hidden=128' 'optim.lr=3e-4'",
    ),
    "letters that Hydra does not know": (
        typed("data.target=größe"),
        "error: override `data.target=größe` can not be read: `ö` can not stand there in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        "try: gymjax train ... 'data.target=\"größe\"'",
    ),
    "brackets in a word": (
        typed("data.target=[CPU usage (%), cpu]"),
        "error: override `data.target=[CPU usage (%), cpu]` can not be read: it is not in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        'try: gymjax train ... \'data.target=["CPU usage (%)","cpu"]\'',
    ),
    "an equals sign in a value": (
        typed("run.root=runs=of=today"),
        "error: override `run.root=runs=of=today` can not be read: it is not in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        "try: gymjax train ... 'run.root=\"runs=of=today\"'",
    ),
    "a quote in a value": (
        typed("data.path='a.csv"),
        "error: override `data.path='a.csv` can not be read: `'` can not stand there in Hydra's grammar",
        "hint: an override is key=value without blanks around; quote what the shell would eat",
        "try: gymjax train ... 'data.path=\"'\"'\"'a.csv\"'",
    ),
    "a sweep": (
        typed("train.epochs=1,2"),
        "error: override `train.epochs=1,2` names several values",
        "hint: one run takes one value of each, gymjax sweep takes several; a list stands in brackets: [1,2]",
        "try: gymjax explain config.override",
    ),
    "a range": (
        typed("train.epochs=range(1,3)"),
        "error: override `train.epochs=range(1,3)` names several values",
        "hint: one run takes one value of each, gymjax sweep takes several; a list stands in brackets: [1,2]",
        "try: gymjax explain config.override",
    ),
    "a package": (
        typed("model@x=mlp"),
        "error: override `model@x=mlp` names a package",
        "hint: write key=value",
        "try: gymjax explain config.override",
    ),
    "a new key": (
        typed("+train.epoch=3"),
        "error: unknown key `train.epoch` (from the command line)",
        "hint: did you mean `train.epochs`?",
        "try: gymjax config show train",
    ),
    "a new key by force": (
        typed("++train.epoch=3"),
        "error: unknown key `train.epoch` (from the command line)",
        "hint: did you mean `train.epochs`?",
        "try: gymjax config show train",
    ),
    "a key taken away that is none": (
        typed("~train.epoch"),
        "error: `~train.epoch` takes away what is not there",
        "hint: did you mean `~train.epochs`?",
        "try: gymjax config show",
    ),
    "a key taken away that resembles none": (
        typed("~foo"),
        "error: `~foo` takes away what is not there",
        "hint: it names no setting",
        "try: gymjax config show",
    ),
    "a key taken away with a value": (
        typed("~train.epochs=3"),
        "error: override `~train.epochs=3` has a value",
        "hint: did you mean `~train.epochs`, which brings the default back?",
        "try: gymjax explain config.override",
    ),
    "a section set to nothing": (
        typed("train=null"),
        "error: `train=null` (from the command line) is no section",
        f"hint: it has {keys('train')}",
        "try: gymjax config show train",
    ),
    "data for the section of the data": (
        typed("data=cpu.csv"),
        "error: `data=cpu.csv` (from the command line) is no section",
        "hint: did you mean `data.path=cpu.csv`?",
        "try: gymjax config show data",
    ),
    "a bare seed": (
        typed("seed=3"),
        "error: unknown key `seed` (from the command line)",
        "hint: did you mean `train.seed`?",
        "try: gymjax config show",
    ),
    "a key of Hydra": (
        typed("hydra.run.dir=x"),
        "error: unknown key `hydra.run.dir` (from the command line)",
        f"hint: choose from {SECTIONS}",
        "try: gymjax config show",
    ),
    "nothing for a value": (
        typed("train.epochs="),
        "error: `train.epochs=''` (from the command line) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: gymjax config show train",
    ),
    # kinds
    "a word near a model": (
        typed("model=ltsm"),
        "error: `model.kind=ltsm` (from the command line) is not known",
        "hint: did you mean `lstm`?",
        "try: gymjax models list",
    ),
    "a word near an optimiser": (
        typed("optim=adamwx"),
        "error: `optim.kind=adamwx` (from the command line) is not known",
        "hint: did you mean `adamw`?",
        "try: gymjax config show optim",
    ),
    "a word near a schedule": (
        typed("schedule=warmup_cosien"),
        "error: `schedule.kind=warmup_cosien` (from the command line) is not known",
        "hint: did you mean `warmup_cosine`?",
        "try: gymjax config show schedule",
    ),
    "a word near no loss": (
        typed("loss=l1"),
        "error: `loss.kind=l1` (from the command line) is not known",
        f"hint: choose from {kinds('loss')}",
        "try: gymjax config show loss",
    ),
    "a loss in capitals": (
        typed("loss=MAE"),
        "error: `loss.kind=MAE` (from the command line) is not known",
        "hint: did you mean `mae`?",
        "try: gymjax config show loss",
    ),
    "a model of another folder": (
        typed("model=../mlp"),
        "error: `model.kind=../mlp` (from the command line) is not known",
        "hint: did you mean `mlp`?",
        "try: gymjax models list",
    ),
    "a list of models": (
        typed("model=[mlp]"),
        "error: `model=[mlp]` (from the command line) is no section",
        f"hint: it has {keys('model')}",
        "try: gymjax models list",
    ),
    "a setting of another model": (
        typed("model=mlp", "model.heads=2"),
        "error: unknown key `model.heads` (from the command line)",
        f"hint: it belongs to model={owners('model', 'heads')}, this is mlp",
        "try: gymjax models show mlp",
    ),
    "a setting of two other models": (
        typed("model=last", "model.hidden=2"),
        "error: unknown key `model.hidden` (from the command line)",
        f"hint: it belongs to model={owners('model', 'hidden')}, this is last",
        "try: gymjax models show last",
    ),
    "a setting of another optimiser": (
        typed("optim=adam", "optim.weight_decay=0.1"),
        "error: unknown key `optim.weight_decay` (from the command line)",
        f"hint: it belongs to optim={owners('optim', 'weight_decay')}, this is adam",
        "try: gymjax config show optim optim=adam",
    ),
    "a setting of another loss": (
        typed("loss.delta=1"),
        "error: unknown key `loss.delta` (from the command line)",
        f"hint: it belongs to loss={owners('loss', 'delta')}, this is mae",
        "try: gymjax config show loss",
    ),
    "a word near a setting of another schedule": (
        typed("schedule=constant", "schedule.wramup=0.1"),
        "error: unknown key `schedule.wramup` (from the command line)",
        f"hint: did you mean `schedule.warmup` of schedule={owners('schedule', 'warmup')}?",
        "try: gymjax config show schedule schedule=constant",
    ),
    "a word near a setting of another model": (
        typed("model.heds=4"),
        "error: unknown key `model.heds` (from the command line)",
        f"hint: did you mean `model.heads` of model={owners('model', 'heads')}?",
        "try: gymjax models show lstm",
    ),
    # options
    "a word near an option": (
        typed("--epoch", "3"),
        "error: no such option: --epoch",
        "hint: did you mean --epochs?",
        "try: gymjax train --help",
    ),
    "a setting for an option": (
        typed("--hidden", "3"),
        "error: no such option: --hidden",
        "hint: did you mean `model.hidden=...`?",
        "try: gymjax train --help",
    ),
    "a word for an option's rate": (
        typed("--lr", "fast"),
        "error: invalid value for '--lr': input should be a valid number",
        "hint: what it takes is listed there",
        "try: gymjax train --help",
    ),
    "a word for an option's number": (
        typed("--epochs", "many"),
        "error: invalid value for '--epochs': input should be a valid integer",
        "hint: what it takes is listed there",
        "try: gymjax train --help",
    ),
    "an option out of range": (
        typed("--lr", "-1"),
        "error: `optim.lr=-1.0` (from the command line) is not > 0",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "an option that is not finite": (
        typed("--lr", "nan"),
        "error: `optim.lr=.nan` (from the command line) is not finite",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: gymjax config show optim",
    ),
    "an option near one of several words": (
        typed("--placement", "corse"),
        "error: `train.placement=corse` (from the command line) is not known",
        "hint: did you mean `cores`?",
        "try: gymjax config show train",
    ),
    "an option's word that is none": (
        typed("--platform", "cuda"),
        "error: invalid value for '--platform': 'cuda' is not one of 'cpu', 'gpu', 'tpu'",
        "hint: what it takes is listed there",
        "try: gymjax train --help",
    ),
    "an option's kind that is none": (
        typed("--model", "trasnformer"),
        "error: `model.kind=trasnformer` (from the command line) is not known",
        "hint: did you mean `transformer`?",
        "try: gymjax models list",
    ),
    "an option's name with a blank": (
        typed("--name", "a b"),
        "error: `run.name=a b` (from the command line) is no name",
        "hint: `run.name` is a word of at most 64 letters, digits, `.`, `_` and `-` or null, by default null",
        "try: gymjax config show run",
    ),
    # variables
    "a variable out of range": (
        variables(GYMJAX_OPTIM_LR="0"),
        "error: `optim.lr=0` (from $GYMJAX_OPTIM_LR) is not > 0",
        "hint: `optim.lr` is number > 0, by default 0.001",
        "try: unset GYMJAX_OPTIM_LR",
    ),
    "a variable that is empty": (
        variables(GYMJAX_TRAIN_EPOCHS=""),
        "error: `train.epochs=''` (from $GYMJAX_TRAIN_EPOCHS) is no integer",
        "hint: `train.epochs` is integer > 0, by default 20",
        "try: unset GYMJAX_TRAIN_EPOCHS",
    ),
    "a variable near one": (
        variables(GYMJAX_OPTM_LR="1"),
        "error: unknown variable `GYMJAX_OPTM_LR` in the environment",
        "hint: did you mean `GYMJAX_OPTIM_LR`, for `optim.lr`?",
        "try: unset GYMJAX_OPTM_LR",
    ),
    "a variable near none in a section": (
        variables(GYMJAX_TRAIN_XYZZY="1"),
        "error: unknown variable `GYMJAX_TRAIN_XYZZY` in the environment",
        "hint: `train` has no such setting",
        "try: unset GYMJAX_TRAIN_XYZZY",
    ),
    "a variable without its section": (
        variables(GYMJAX_EPOCHS="3"),
        "error: unknown variable `GYMJAX_EPOCHS` in the environment",
        "hint: did you mean `GYMJAX_TRAIN_EPOCHS`, for `train.epochs`?",
        "try: unset GYMJAX_EPOCHS",
    ),
    "a variable of a section": (
        variables(GYMJAX_TRAIN="{epochs: 3}"),
        "error: variable `GYMJAX_TRAIN` names a section",
        "hint: a variable is one setting, such as `GYMJAX_TRAIN_EPOCHS`",
        "try: unset GYMJAX_TRAIN",
    ),
    "a variable near a kind": (
        variables(GYMJAX_MODEL="ltsm"),
        "error: `model.kind=ltsm` (from $GYMJAX_MODEL) is not known",
        "hint: did you mean `lstm`?",
        "try: unset GYMJAX_MODEL",
    ),
    "a variable of another kind": (
        variables(GYMJAX_MODEL_HEADS="4"),
        "error: unknown key `model.heads` (from $GYMJAX_MODEL_HEADS)",
        f"hint: it belongs to model={owners('model', 'heads')}, this is lstm",
        "try: unset GYMJAX_MODEL_HEADS",
    ),
    "a variable of a part": (
        variables(GYMJAX_DATA_SPLIT_TRAIN="2"),
        "error: `data.split` (from $GYMJAX_DATA_SPLIT_TRAIN): train 2 and val 0.1 leave no test part",
        f"hint: it has {keys('data.split')}",
        "try: unset GYMJAX_DATA_SPLIT_TRAIN",
    ),
    "a variable's list": (
        variables(GYMJAX_MODEL="mlp", GYMJAX_MODEL_HIDDEN="[16,0]"),
        "error: `model.hidden=[16, 0]` (from $GYMJAX_MODEL_HIDDEN): 0 is not > 0",
        "hint: `model.hidden` is list of integer > 0, by default [256, 256]",
        "try: unset GYMJAX_MODEL_HIDDEN",
    ),
    # combinations
    "devices without a placement": (
        typed("--placement", "one", "--devices", "2"),
        "error: train.devices=2 needs a placement: cores, shard or pmap",
        "hint: train.placement=one runs on one device",
        "try: gymjax train ... train.placement=cores",
    ),
    "heads that do not divide the width": (
        typed("--model", "transformer", "model.width=30"),
        "error: model.heads=4 does not divide model.width=30",
        "hint: every head gets an equal share of the width",
        "try: gymjax train ... model.width=32",
    ),
    "parts of no run": (
        typed("train.init_parts=[head]"),
        "error: train.init_parts names parts of a run, but there is no train.init_from",
        "hint: name the run",
        "try: gymjax train ... --init-from RUN",
    ),
    "two starts": (
        typed("run.parent=a", "train.init_from=b"),
        "error: run.parent and train.init_from are two starts",
        "hint: a child run continues with everything, init_from takes weights only",
        "try: gymjax train ... train.init_from=null",
    ),
    "frozen parts of what is not trained": (
        typed("--model", "last", "train.freeze=[head]"),
        "error: train.freeze and train.init_from mean nothing to model=last",
        "hint: it is not trained by gradient; leave them out",
        "try: gymjax train ... train.freeze=[] train.init_from=null",
    ),
    "three combinations at once": (
        typed("--placement", "one", "--devices", "2", "train.init_parts=[head]", "-m", "transformer", "model.width=30"),
        "error: train.devices=2 needs a placement: cores, shard or pmap; train.init_parts names parts of "
        "a run, but there is no train.init_from; model.heads=4 does not divide model.width=30",
        "hint: train.placement=one runs on one device; name the run; every head gets an equal share of the width",
        "try: gymjax train ... train.placement=cores --init-from RUN model.width=32",
    ),
    # several at once
    "errors of every source": (
        files(
            {"bad.yaml": "modle: 3\ntrain:\n  epoch: 1\n  seed: -1\n"},
            "optim=adamwx",
            "bad=",
            "--lr",
            "0",
            "--placement",
            "corse",
            GYMJAX_EVALUATE_SEASON="day",
        ),
        "error: `optim.kind=adamwx` (from the command line) is not known; `train.seed=-1` (from "
        "`bad.yaml`) is not >= 0; `train.placement=corse` (from the command line) is not known; unknown "
        "key `train.epoch` (from `bad.yaml`); `evaluate.season=day` (from $GYMJAX_EVALUATE_SEASON) is no "
        "integer; unknown key `modle` (from `bad.yaml`); unknown key `bad` (from the command line)",
        "hint: did you mean `adamw`?; `train.seed` is integer >= 0, < 9223372036854775808, by default 0; "
        "did you mean `cores`?; did you mean `train.epochs`?; `evaluate.season` is integer > 0 or null, "
        f"by default null; did you mean `model`?; choose from {SECTIONS}",
        "try: gymjax config show optim",
    ),
    "errors of several files": (
        files(
            {"bad.yaml": "train: [\n", "b.yaml": "train:\n  epoch: 3\n"},
            "-c",
            "b.yaml",
            "-c",
            "cpu_alocation",
            "model.heads=2",
            "a b",
        ),
        "error: `bad.yaml` line 2: expected the node content, but found '<stream end>'; no configuration "
        "`cpu_alocation`; `a b` is no setting: it has no value; unknown key `model.heads` (from the "
        "command line); unknown key `train.epoch` (from `b.yaml`)",
        "hint: check indent, quotes and brackets there; no such file; of the shipped ones, did you mean "
        "`cpu_allocation`?; settings are key=value; data are given with --data FILE; it belongs to model="
        f"{owners('model', 'heads')}, this is lstm; did you mean `train.epochs`?",
        "try: gymjax config init mine.yaml",
    ),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A function that makes a folder of files and variables the place where commands run."""

    def make(contents, variables):
        monkeypatch.chdir(tmp_path)
        for name, content in contents.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return tmp_path

    return make


def found(folder):
    """Everything in a folder."""
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_refused_in_words(here, capsys, name):
    (contents, arguments, values), *expected = BAD[name]
    folder = here(contents, values)
    before = found(folder)
    code = main(arguments)
    out, err = capsys.readouterr()
    assert err.rstrip("\n").split("\n") == expected
    assert (code, out) == (2, "")
    code = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (code, document["exit_code"], document["status"], err) == (2, 2, "error", "")
    told = [("error", document["message"]), ("hint", document["hint"]), ("try", document["try"])]
    assert [f"{word}: {text}" for word, text in told if text] == expected
    assert document["message"] == "; ".join(dict.fromkeys(problem["message"] for problem in document["problems"]))
    assert all(problem["code"] and problem["message"] for problem in document["problems"])
    assert found(folder) == before, "nothing is written"


def test_there_are_bad_configurations_of_every_sort():
    assert len(BAD) >= 80
    assert all(len(expected) == 3 for _, *expected in BAD.values())


ATTEMPTS = {
    name: expected[-1].removeprefix("try: ")
    for name, (_, *expected) in BAD.items()
    if expected[-1].startswith("try: gymjax") and "RUN" not in expected[-1]
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_is_to_be_typed_helps(here, capsys, name):
    (contents, arguments, _), *_ = BAD[name]
    here(contents, {})
    words = shlex.split(ATTEMPTS[name])[1:]
    if words[:2] == ["train", "..."]:  # what was typed, with that in its place
        keys = {word.partition("=")[0] for word in words[2:]}
        kept = [word for word in arguments if word.partition("=")[0].strip() not in keys]
        words = [*kept, *words[2:]]
    if words[0] == "train" and "--help" not in words:
        words.append("--dry-run")
    code = main(words)
    made_up = "run.parent=a" in words  # there is no such run: what was wrong before is mended all the same
    assert code == 0 or (code == 3 and "data." in ATTEMPTS[name]) or (code == 4 and made_up), capsys.readouterr().err


def test_more_portions_than_windows_are_refused_with_what_helps(here, capsys):
    here({}, {})
    words = ["train", "train.batch_size=4", "train.accumulate=8", "--dry-run"]
    assert main(words) == 2
    error, _, attempt = capsys.readouterr().err.splitlines()
    assert error.startswith("error: train.accumulate=8 ")
    assert main([*words, *attempt.removeprefix("try: gymjax train ... ").split()]) == 0
