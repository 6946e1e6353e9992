"""Hydra's grammar of several values, read as plain data."""

import numpy as np
import pytest

from gym_jax.config.sweeps import FORMS, Choice, Interval, read_sweep
from gym_jax.errors import ConfigError

READ = {
    "a=1,2": Choice((1, 2)),
    "a=[64],[128,64]": Choice(([64], [128, 64])),
    "a='x y',z": Choice(("x y", "z")),
    "a=['x','y'],[z]": Choice((["x", "y"], ["z"])),
    "a=null,0.5": Choice((None, 0.5)),
    "a=true,1": Choice((True, 1)),
    "a={x: 1},{x: 2}": Choice(({"x": 1}, {"x": 2})),
    "a=choice(1, two)": Choice((1, "two")),
    "a=sort(3, 1)": Choice((1, 3)),
    "a=range(1, 10, 3)": Interval(1, 7, 3),
    "a=range(10, 1, -3)": Interval(4, 10, 3),
    "a=range(0, 1, 0.25)": Interval(0.0, 0.75, 0.25),
    "a=range(3)": Interval(0, 2, 1),
    "a=range(5, 6)": Choice((5,)),
    "a=interval(0, 1)": Interval(0.0, 1.0),
    "a=tag(log, interval(1e-4, 1e-2))": Interval(1e-4, 1e-2, log=True),
    "a=int(interval(8, 64))": Interval(8, 64),
    "a=int(tag(log, interval(8, 512)))": Interval(8, 512, log=True),
    "a=tag(log, int(interval(8, 512)))": Interval(8, 512, log=True),
}


@pytest.mark.parametrize("text", READ)
def test_a_form_is_read_as_what_it_says(text):
    found = read_sweep(text)
    assert (found.key, found.over) == ("a", READ[text])
    assert [type(value) for value in found.over.ends] == [type(value) for value in READ[text].ends]
    assert read_sweep(f"a={found.text}") == found


def test_the_example_of_every_form_is_one():
    kinds = {name: read_sweep(example).over for name, example in FORMS.items()}
    assert {name for name, over in kinds.items() if isinstance(over, Choice)} == {"list", "choice"}
    assert kinds["int"].whole
    assert kinds["range"].whole
    assert not kinds["interval"].whole
    assert kinds["log"].log


@pytest.mark.parametrize("words", ["range(1, 10, 3)", "range(10, 1, -3)", "range(0, 1, 0.25)", "range(-2, 2)"])
def test_the_values_of_a_range_are_those_of_numpy(words):
    start, stop, *step = (float(word) for word in words[6:-1].split(","))
    np.testing.assert_allclose(read_sweep(f"a={words}").over.values, sorted(np.arange(start, stop, *step)))


@pytest.mark.parametrize("text", ["a=3", "a=[1,2]", "a={x: 1}", "a='1,2'", "a=", "~a", "a=b=c", "a", "a=[x y]"])
def test_what_names_one_value_is_left_to_others(text):
    assert read_sweep(text) is None


REFUSED = {
    "a=glob(*)": "names files by a pattern",
    "a=shuffle(1, 2)": "is shuffled",
    "a=tag(x, choice(1, 2))": "has the tag `x`",
    "a=tag(log, range(1, 5))": "has the tag log, but no interval",
    "a=interval(3, 1)": "is no interval",
    "a=interval(1, 1)": "is no interval",
    "a=tag(log, interval(0, 1))": "has no logarithm",
    "a=1,1": "names a value twice",
    "a=range(5, 5)": "is empty",
    "a=choice(": "can not be read",
    "a=interval(1, x)": "can not be read",
    "+a=1,2": "adds a key",
    "a@b=1,2": "adds a key",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_form_is_refused(text):
    with pytest.raises(ConfigError, match=r"^`") as caught:
        read_sweep(text)
    assert REFUSED[text] in caught.value.message
    assert caught.value.hint
