"""The vocabulary is the schema: every field, with its type in words, its default and what it means."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Lt
from pydantic import BaseModel, Field, TypeAdapter

from gym_jax.config import keys
from gym_jax.config.document import flat
from gym_jax.config.judge import judge
from gym_jax.config.keys import (
    all_keys,
    docs_of,
    fields_of,
    find_key,
    inline,
    known_keys,
    sections,
    vocabulary,
    words_of,
    written,
)
from gym_jax.config.load import load_config
from gym_jax.config.schema import CHOICES, SCHEMAS, Config
from gym_jax.errors import ConfigError


def test_a_configuration_is_read_without_looking_descriptions_up(monkeypatch):
    """They are taken from the source, which takes a second."""
    monkeypatch.setattr(keys, "docs_of", None)
    vocabulary.cache_clear()
    assert load_config([], ["model=mlp", "train.epochs=3"], {}, {"GYMJAX_TRAIN_SEED": "4"}).train.seed == 4


def test_the_vocabulary_is_what_configurations_are_made_of():
    made = dict.fromkeys(flat(Config().document()))
    for section, names in CHOICES.items():
        for kind in names:
            made |= dict.fromkeys(flat(judge({section: {"kind": kind}} | _needed(kind)).document()))
    assert set(all_keys()) == set(made)
    assert len(all_keys()) == len(set(all_keys()))


def _needed(kind):
    needed = {"schedule_free": {"schedule": {"kind": "constant"}}, "cross_entropy": {"task": {"kind": "classify"}}}
    return needed.get(kind, {})


def test_every_key_has_its_default_and_a_type_in_words():
    for key in vocabulary():
        section, *path = key.path.split(".")
        found = SCHEMAS[section][key.kind]() if key.kind else getattr(Config(), section)
        for part in path:
            found = getattr(found, part)
        assert found == key.default or key.path.endswith(".kind")
        assert key.type
        assert "object" not in key.type
        assert "any" not in key.type.split()
        assert key.describe().startswith(f"`{key.path}` is {key.type}, by default ")


def test_a_key_of_two_kinds_has_the_type_of_each():
    mlp, lstm = find_key("model.hidden", "mlp"), find_key("model.hidden", "lstm")
    assert (mlp.type, lstm.type) == ("list of integer > 0", "integer > 0")
    assert (mlp.default, lstm.default) == ((256, 256), 64)
    assert find_key("model.hidden", "transformer") is None
    assert find_key("model.kind", "transformer").type == " | ".join(CHOICES["model"])
    assert find_key("train.epochs", "lstm").kind is None


def test_sections_are_all_that_hold_keys():
    assert {("data",), ("data", "split"), ("model",), ("train",)} <= sections()
    assert not {path for path in sections() if find_key(".".join(path))}
    assert known_keys([]) == list(Config.model_fields)
    assert known_keys(["data", "split"])[0] == "kind"
    assert "heads" in known_keys(["model"], "transformer")
    assert "heads" not in known_keys(["model"])


class Inner(BaseModel):
    """A section."""

    first: int = 0
    """The first; None is nothing."""


@dataclass
class Plain:
    """What settings are inherited from."""

    kept: int = 0
    """Said once,
    in two lines."""
    changed: int = 0
    """As it was."""


@dataclass
class Further(Plain):
    """What inherits them."""

    changed: int = 1
    """As it is."""
    silent: int = 0


class Outer(Inner):
    """A section that inherits."""

    second: int = 0


def test_docstrings_below_fields_are_found_also_inherited_ones():
    assert docs_of(Further) == {"kept": "Said once, in two lines.", "changed": "As it is."}
    assert docs_of(Outer) == {"first": "The first; null is nothing."}
    assert docs_of(int) == {}
    assert find_key("data.id").doc, "of a base of the section's class"
    assert list(fields_of(Outer)) == ["first", "second"]


@pytest.mark.parametrize("key", [key.path for key in vocabulary() if key.kind is None])
def test_every_setting_that_is_of_no_kind_says_what_it_is(key):
    assert find_key(key).doc


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (int, "integer"),
        (float | None, "number or null"),
        (str, "text"),
        (bool, "true | false"),
        (Annotated[int, Gt(0)], "integer > 0"),
        (Annotated[float, Ge(0), Lt(1)], "number >= 0, < 1"),
        (Annotated[int, Ge(0), Lt(2**63)], "integer >= 0, < 9223372036854775808"),
        (Literal["a", "b"], "a | b"),
        (Literal["auto", ",", "\t"], 'auto | "," | "\\t"'),
        (Literal["only"], "only"),
        (tuple[str, ...], "list of text"),
        (list[Annotated[int, Gt(0)]] | None, "list of integer > 0 or null"),
        (tuple[tuple[int, Literal["mean", "max"]], ...], "list of [integer, mean | max]"),
        (dict[str, float] | None, "mapping or null"),
        (Annotated[str, Field(pattern="^[a-z]$")], "a word of at most 64 letters, digits, `.`, `_` and `-`"),
    ],
    ids=str,
)
def test_types_in_words(type_, words):
    assert words_of(TypeAdapter(type_).json_schema()) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1e-08, "1.0e-08"),
        ("cpu", "cpu"),
        ("1e-3", "'1e-3'"),
        ("3", "'3'"),
        ("null", "'null'"),
        ("", "''"),
        ((256, 256), "[256, 256]"),
        ({"cpu usage": "%"}, "{cpu usage: '%'}"),
        ("größe", "größe"),
    ],
)
def test_values_in_yaml_on_one_line(value, text):
    assert inline(value) == text


def test_values_in_messages_are_short():
    assert len(written(list(range(100)))) == 60
    assert written(object()).startswith("<object object")


@pytest.mark.parametrize("key", ["data.path", "train.init_from", "run.parent", "run.root"])
def test_an_empty_text_is_no_path(key):
    """It would become the working directory."""
    with pytest.raises(ConfigError, match=f"`{key}=''` .* is empty"):
        load_config([], [], {key: ""})


def test_every_setting_of_a_model_says_what_it_means():
    keys = [key for key in vocabulary() if key.path.startswith("model.")]
    assert len(keys) > 20
    assert [key.path for key in keys if not key.doc] == []
    assert not [key.path for key in keys if key.owner is not None and ">>>" in (key.owner.__doc__ or "")]
