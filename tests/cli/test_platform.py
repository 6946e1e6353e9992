"""What `--platform` asks JAX for."""

import jax
import pytest

from gym_jax.cli.platform import choose_platform
from gym_jax.errors import MissingExtra


@pytest.fixture
def asked(monkeypatch):
    """What was set in JAX's configuration, which stays as it was."""
    found = {}
    monkeypatch.setattr(jax.config, "update", found.__setitem__)
    return found


@pytest.mark.parametrize(("platform", "backends"), [("cpu", "cpu"), ("gpu", "cuda,cpu"), ("tpu", "tpu,cpu")])
def test_behind_an_accelerator_the_cpu_stays(platform, backends, asked):
    """An export is held against the CPU's answers, and a run counts its devices."""
    choose_platform(platform)
    assert asked == {"jax_platforms": backends}


def test_none_leaves_the_choice_to_jax(asked):
    choose_platform(None)
    assert asked == {}


@pytest.mark.parametrize(("platform", "extra"), [("gpu", "cuda"), ("tpu", "tpu")])
def test_a_platform_that_is_not_there_is_said_with_its_extra(platform, extra, asked, monkeypatch):
    def none(*_):
        raise RuntimeError("Unknown backend")

    monkeypatch.setattr(jax, "devices", none)
    with pytest.raises(MissingExtra, match=f"no {platform} can be used here") as caught:
        choose_platform(platform)
    assert f"gym-jax[{extra}]" in caught.value.hint
