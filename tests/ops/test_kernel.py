"""Which of two kernels computes."""

import jax
import pytest

from gym_jax.errors import ConfigError
from gym_jax.ops import KERNELS, choose


def test_plain_and_fast_are_obeyed_on_every_platform(monkeypatch):
    for platform in ("cpu", "gpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda platform=platform: platform)
        assert choose("fast")
        assert not choose("plain")


@pytest.mark.parametrize(("platform", "fast"), [("cpu", True), ("gpu", False), ("tpu", False)])
def test_auto_is_fast_where_that_was_measured_to_be_faster(platform, fast, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert choose("auto") is fast
    assert choose("auto", faster_on=(platform,))


def test_the_words_are_auto_plain_and_fast():
    assert KERNELS == ("auto", "plain", "fast")


@pytest.mark.parametrize(("word", "meant"), [("fats", "fast"), ("plane", "plain"), (None, "")])
def test_an_unknown_word_is_refused(word, meant):
    with pytest.raises(ConfigError, match=f"kernel={word!r} is no kernel") as caught:
        choose(word)
    assert meant in caught.value.hint
