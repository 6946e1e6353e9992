"""How several seeds share the devices: a fixed rule for a short run, candidates for a long one."""

import jax
import pytest
from small import small_config

from gym_jax.config.schema import Train
from gym_jax.errors import ConfigError
from gym_jax.run import packing, plan
from gym_jax.run.packing import packs_of
from gym_jax.run.placement import LONG
from gym_jax.run.plan import describe, plan_run
from gym_jax.train.many import Pack
from gym_jax.train.parallel import make_layout


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """As on a CPU of three cores where wide vectors bring nothing."""
    monkeypatch.setattr(packing, "quickest", lambda: "fast")
    monkeypatch.setattr(packing, "cpu_cores", lambda: 3)


def names(packs):
    return [(pack.packing, len(pack.layout.devices), pack.layout.compile) for pack in packs]


LOOP = [("loop", 1, "fast")]
ONE = [("vmap", 1, "fast"), *LOOP]
SAFE = [("vmap", 1, "safe"), ("loop", 1, "safe")]
SEVERAL = [("turns", 3, "fast"), ("cores", 3, "fast"), *ONE]
CASES = {
    "a short run": ({}, 1, ("turns", 3, "safe"), []),
    "fewer seeds than cores": ({"seeds": 2}, 1, ("turns", 2, "safe"), []),
    "one device": ({"devices": 1}, 1, ("vmap", 1, "safe"), []),
    "a long run": ({}, LONG, ("turns", 3, "fast"), SEVERAL),
    "a long run on one device": ({"devices": 1}, LONG, ("vmap", 1, "fast"), ONE),
    "a long run, safe by name": ({"devices": 1, "compile": "safe"}, LONG, SAFE[0], SAFE),
    "a named placement": ({"placement": "one"}, 1, ("loop", 1, "safe"), []),
    "a named placement, long": ({"placement": "one"}, LONG, ("loop", 1, "fast"), LOOP),
    "a named placement of several": ({"placement": "shard", "devices": 2}, 1, ("loop", 2, "safe"), []),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule_by_hand(case):
    settings, whole, first, lanes = CASES[case]
    pack, raced = packs_of(Train(**{"seeds": 8, **settings}), int(whole), {})
    assert names([pack]) == [first]
    assert names(raced) == lanes


def test_one_core_takes_all_at_once(monkeypatch):
    monkeypatch.setattr(packing, "cpu_cores", lambda: 1)
    assert names([packs_of(Train(seeds=8), 1, {})[0]]) == [("vmap", 1, "safe")]


def test_several_accelerators_share_the_members(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert names([packs_of(Train(seeds=8), 1, {})[0]]) == [("cores", 4, "safe")]


def test_what_was_chosen_before_settles_it():
    choices = {"packing": "cores", "placement": "shard", "devices": 2, "compile": "wide", "chunk": 3}
    assert packs_of(Train(seeds=8), int(LONG), choices) == (Pack("cores", make_layout("shard", 2, "wide")), ())


def test_a_plan_counts_the_operations_of_all_members(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "CHUNK_FLOPS", 1e9)
    one, eight = (
        plan_run(small_config(tmp_path, "lstm", f"train.seeds={seeds}", "train.chunk=null")) for seeds in (1, 8)
    )
    assert one.pack is None
    assert eight.chunk == pytest.approx(one.chunk / 8, abs=1)
    assert 100 < one.chunk < plan.LONGEST_CHUNK
    facts, own = describe(eight), describe(one)
    assert facts["state_bytes"] == 8 * own["state_bytes"]
    assert (facts["seeds"], facts["first_seed"], facts["packing"]) == (8, 0, "turns")
    assert not {"seeds", "packing"} & own.keys()


REFUSED = {
    "a model that is solved": ("last", ["train.seeds=2"], "train.seeds=2 means nothing to model=last"),
    "a child": ("mlp", ["train.seeds=2", "run.parent=x"], "train.seeds=2 does not go with run.parent"),
    "seeds beyond the last": (
        "mlp",
        ["train.seeds=2", f"train.seed={2**63 - 1}"],
        "train.seeds=2 from train.seed=9223372036854775807 on leaves the range of seeds",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_with_several_seeds(case, tmp_path):
    model, overrides, message = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        small_config(tmp_path, model, *overrides)
    assert caught.value.message == message
    assert caught.value.hint
    assert caught.value.attempt
