"""A resolved configuration is a source like any other, in every form it is written in."""

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gym_jax.cli import main
from gym_jax.config.document import STARTING, flat, starting_file, to_yaml
from gym_jax.config.judge import judge
from gym_jax.config.keys import sections, vocabulary
from gym_jax.config.load import load, load_config
from gym_jax.config.plain import inline, literal, meant
from gym_jax.config.schema import CHOICES, SCHEMAS, Config
from gym_jax.errors import ConfigError

KINDS = [f"{section}={kind}" for section, names in CHOICES.items() for kind in names]
NEEDS = {"optim=schedule_free": ["schedule=constant"], "loss=cross_entropy": ["task.kind=classify"]}
"""What a kind does not go without."""


def same_again(config, folder):
    """Whether every written form of a configuration loads as the same one."""
    path = folder / "resolved.yaml"
    texts = [
        to_yaml(config.document()),
        to_yaml(config.document(), lambda key: f"# from `{key}`: " * 9),
        starting_file(config, "resolved.yaml"),
    ]
    for text in texts:
        path.write_text(text, encoding="utf-8")
        assert load_config([path]) == config, text
    assert judge(config.document()) == config


@pytest.mark.parametrize("choice", KINDS)
def test_every_kind_is_its_own_source(tmp_path, choice):
    section, kind = choice.split("=")
    config = load_config([], [choice, *NEEDS.get(choice, [])])
    assert getattr(config, section) == SCHEMAS[section][kind]()
    same_again(config, tmp_path)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config.document(), sort_keys=False))
    assert load_config([tmp_path / "run.yaml"]) == config


ODD = ["${", "${a}", "a\\${train.seed}", "\\\\${oc.env:HOME}", "null", "on", "1e-3", "0x1f", "1_000", "~"]
ODD += [
    "2026-01-01",
    "12:30:00",
    "a: b",
    "# x",
    " x ",
    "- x",
    "*a",
    "&a",
    "!t",
    "%",
    "@",
    "'",
    '"',
    "[",
    "a\\",
    "=",
    "-",
]
WORDS = st.sampled_from(ODD) | st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12
)


def values(schema):
    """Values that a JSON schema allows."""
    if "anyOf" in schema:
        return st.one_of([values(part) for part in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind == "array" and "prefixItems" in schema:
        return st.tuples(*map(values, schema["prefixItems"])).map(list)
    if kind == "array":
        return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
    if kind == "object":
        return st.dictionaries(WORDS, values(schema["additionalProperties"]), max_size=2)
    if kind == "integer":
        low, high = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1), schema.get("exclusiveMaximum", 2**40)
        return st.integers(low, min(schema.get("maximum", high - 1), 2**62))
    if kind == "number":
        return st.floats(
            schema.get("minimum", schema.get("exclusiveMinimum", 0)),
            schema.get("maximum", schema.get("exclusiveMaximum", 1e9)),
            exclude_min="exclusiveMinimum" in schema,
            exclude_max="exclusiveMaximum" in schema,
        )
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).map(lambda text: text.rstrip("\n"))
    return {"boolean": st.booleans(), "null": st.none(), "string": WORDS}[kind]


def settable():
    """The JSON schema of every setting, by its dotted key."""
    from pydantic import TypeAdapter

    from gym_jax.config.keys import fields_of, schema_of_kind

    out = {}
    for key in vocabulary():
        parts = key.path.split(".")
        model = Config
        for part in parts[:-1]:
            model = schema_of_kind(part, key.kind) if part in CHOICES else fields_of(model)[part]
        if parts[-1] not in ("kind", "schema_version"):
            schema = TypeAdapter(model).json_schema()
            out[key.path, key.kind] = schema["properties"][parts[-1]]
    return out


SETTABLE = settable()


@pytest.mark.parametrize("word", ODD)
def test_an_odd_word_stays_itself(tmp_path, word):
    options = {"data.id": word, "data.missing_words": [word, "???"], "data.units": {word: "MiB"}}
    same_again(load_config(options=options), tmp_path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_set_is_its_own_source(tmp_path_factory, data):
    chosen = {section: data.draw(st.sampled_from(names)) for section, names in CHOICES.items()}
    allowed = [(path, kind) for path, kind in SETTABLE if kind in (None, chosen.get(path.split(".")[0]))]
    picked = data.draw(st.lists(st.sampled_from(allowed), max_size=6, unique=True))
    options = {path: data.draw(values(SETTABLE[path, kind]), label=path) for path, kind in picked}
    try:
        config = load_config(options=chosen | options)
    except ConfigError as error:  # every value is right by itself, but some do not go together
        assume("is no" not in error.message)
        return
    given = flat(config.document())
    for path, value in options.items():
        if not path.endswith(("path", "init_from", "parent")) and not isinstance(value, float):
            assert given[path] == value
    same_again(config, tmp_path_factory.mktemp("any", numbered=True))


def test_a_file_to_begin_with_holds_what_was_chosen_and_every_setting():
    config = load_config([], ["model=mlp", "model.dropout=0.3", "optim.lr=3e-4", "data.policy.blank=drop"])
    lines = starting_file(config, "my file.yaml").splitlines()
    assert lines[0] == "# gymjax train --config 'my file.yaml'"
    tree = yaml.safe_load("\n".join(lines))
    chosen = {*STARTING, "model.dropout", "optim.lr", "data.policy.blank"}
    assert {key for key, value in flat(tree).items() if value is not None or key in chosen} == chosen
    kept = [line.removeprefix("# ").split("#")[0].strip() for line in lines]
    for key, value in flat(config.document()).items():
        assert f"{key.split('.')[-1]}: {inline(value)}" in kept
    assert max(map(len, lines)) <= 120
    for section in sections():
        assert f"{'  ' * (len(section) - 1)}{section[-1]}:" in lines, "a line can be uncommented on its own"


def test_every_commented_line_can_be_uncommented_alone(tmp_path):
    lines = starting_file(Config(), "x.yaml").splitlines()
    settings = [number for number, line in enumerate(lines) if line.startswith("# ") and ": " in line and number > 2]
    assert len(settings) == len([key for key in flat(Config().document()) if key not in STARTING])
    for number in settings:
        (tmp_path / "x.yaml").write_text("\n".join([*lines[:number], lines[number][2:], *lines[number + 1 :]]))
        loaded = load([tmp_path / "x.yaml"])
        assert loaded.config == Config()
        assert len(loaded.origins) == len(STARTING) + 1


def test_what_is_shown_is_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["model=transformer", "data.units={cpu usage: '%'}", "run.name=null", 'data.missing_words=["-",n.a.]']
    for extra in ([], ["--origin"]):
        assert main(["config", "show", *words, *extra]) == 0
        (tmp_path / "shown.yaml").write_text(capsys.readouterr().out)
        assert load(["shown.yaml"]).config == load([], words).config


@pytest.mark.parametrize("text", ["a", "${", "a${b}c", "\\${a}", "\\\\${a}", "${a}${b}", "\\", "\\\\", "$a{"])
def test_a_run_reads_what_hydra_reads(text):
    assert meant(literal({"a": [text]})) == {"a": [text]}


@pytest.mark.parametrize("text", ["a\x85b", "\x85", "a\u2028", "\u2029", "a\tb", "é"])
def test_marks_that_yaml_takes_for_the_end_of_a_line_stay_text(text, tmp_path):
    (tmp_path / "run.yaml").write_text(to_yaml(load_config([], [], {"data.time_format": text}).document()), "utf-8")
    assert load_config([tmp_path / "run.yaml"]).data.time_format == text
