"""Which layouts race: none for a short run or a settled one, the likely ones for a long one."""

import json

import jax
import pytest
from small import small_config

from gym_jax.config.load import load_config
from gym_jax.config.schema import Train
from gym_jax.errors import ConfigError, Interrupted
from gym_jax.run import fit, placement, plan
from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.placement import LONG, SHARED, layouts_of
from gym_jax.run.train import find_resumable, resume_run, train_run
from gym_jax.train.parallel import make_layout

LARGE, SMALL = int(10 * SHARED), int(SHARED / 10)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """As on a CPU of two cores where wide vectors bring nothing."""
    monkeypatch.setattr(placement, "quickest", lambda: "fast")
    monkeypatch.setattr(placement, "cpu_cores", lambda: 2)


def names(layouts):
    return [(layout.placement, layout.compile) for layout in layouts]


CASES = {
    "a short run": ({}, LARGE, 1, ("one", "safe"), []),
    "a long run": ({}, LARGE, LONG, ("one", "fast"), [("one", "fast"), ("cores", "fast")]),
    "a long run of small steps": ({}, SMALL, LONG, ("one", "fast"), [("one", "fast")]),
    "a batch of one": ({"batch_size": 1}, LARGE, LONG, ("one", "fast"), [("one", "fast")]),
    "a named placement, short": ({"placement": "shard", "devices": 2}, LARGE, 1, ("shard", "safe"), []),
    "a named placement, long": ({"placement": "shard"}, LARGE, LONG, ("shard", "fast"), [("shard", "fast")]),
    "pmap is always compared": ({"placement": "pmap"}, LARGE, 1, ("pmap", "fast"), [("pmap", "fast")]),
    "a number of devices": ({"devices": 2}, LARGE, 1, ("cores", "safe"), []),
    "safe by name": ({"placement": "one", "compile": "safe"}, LARGE, LONG, ("one", "safe"), []),
    "wide by name": ({"compile": "wide"}, LARGE, 1, ("one", "wide"), [("one", "wide")]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule_by_hand(case):
    settings, step, whole, first, lanes = CASES[case]
    layout, raced = layouts_of(Train(**settings), step, int(whole), {})
    assert (layout.placement, layout.compile) == first
    assert names(raced) == lanes


def test_what_was_chosen_before_settles_it():
    choices = {"placement": "shard", "devices": 2, "compile": "wide", "chunk": 3}
    assert layouts_of(Train(), LARGE, int(LONG), choices) == (make_layout("shard", 2, "wide"), ())


@pytest.fixture
def long(monkeypatch):
    """Every run is long enough for a race, which is a short one."""
    monkeypatch.setattr(placement, "LONG", 0)
    monkeypatch.setattr(placement, "SHARED", 0)
    whole = fit.race
    monkeypatch.setattr(fit, "race", lambda *args, **kwargs: whole(*args, seconds=0.01, **kwargs))


@pytest.mark.usefixtures("long")
def test_the_winner_is_kept_told_and_used_again(tmp_path):
    told = []
    asked = iter([None, None, 143])
    config = small_config(tmp_path, "mlp")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "cut", watch=told.append, stop=lambda: next(asked))
    run = RunFolder(tmp_path / "cut")
    choices = run.read_json("choices.json")
    assert {lane["placement"] for lane in choices["race"]} == {"one", "cores"}
    assert all(lane["ms_per_step"] > 0 and lane["fault"] is None for lane in choices["race"])
    won = {name: choices[name] for name in ("placement", "devices", "compile")}
    assert won == {name: choices["race"][0][name] for name in won}
    assert [event.facts["placement"] for event in told if event.kind == "placement"] == [won["placement"]]

    told.clear()
    found = find_resumable(config, run.path)
    assert found is not None, "`--resume auto` finds a run that has settled what was left open"
    assert resume_run(found, config=config, watch=told.append).status == "done"
    assert not [event for event in told if event.kind == "placement"]
    assert run.read_json("choices.json") == choices

    named = load_config([str(run.path / "config.yaml")], [])
    assert (named.train.placement, named.train.compile) == (won["placement"], won["compile"])
    told.clear()
    whole = train_run(named, folder=tmp_path / "whole", watch=told.append)
    assert all(
        lane["ms_per_step"] is None for event in told if event.kind == "placement" for lane in event.facts["race"]
    )
    lines = [(path / "metrics.jsonl").read_bytes() for path in (run.path, whole.folder)]
    assert lines[0] == lines[1]


@pytest.mark.usefixtures("long")
def test_a_candidate_with_wrong_numbers_is_dropped_and_said(tmp_path, monkeypatch):
    from gym_jax.train import race

    monkeypatch.setattr(race, "disagreement", lambda *args, **kwargs: "its gradients differ")
    told = []
    run = train_run(small_config(tmp_path, "mlp", "train.epochs=1"), watch=told.append)
    choices = json.loads((run.folder / "choices.json").read_text())
    assert (choices["placement"], choices["compile"]) == ("one", "safe")
    assert {lane["fault"] for lane in choices["race"]} == {"its gradients differ"}


def test_several_accelerators_race_shards(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert names(layouts_of(Train(), LARGE, int(LONG), {})[1]) == [("one", "fast"), ("shard", "fast")]


def test_a_resume_asks_for_the_devices_it_began_with_and_counts_nothing(tmp_path, monkeypatch):
    """The machine may have other cores by then."""
    asked = []
    monkeypatch.setattr(plan, "request_cpu_devices", lambda placement, count: asked.append((placement, count)))
    monkeypatch.setattr(plan, "count_flops", None)
    choices = {"placement": "cores", "devices": 3, "compile": "safe", "chunk": 5}
    planned = plan.plan_run(small_config(tmp_path, "mlp", "train.placement=cores"), choices)
    assert asked == [("cores", 3)]
    assert (planned.layout, planned.lanes, planned.chunk) == (make_layout("cores", 3), (), 5)


def test_a_resume_opens_as_many_devices_as_were_open_when_it_began(tmp_path, monkeypatch):
    """Programs that were compiled and kept fit only a process with as many, used or not."""
    run = train_run(small_config(tmp_path, "mlp", "train.epochs=1"))
    choices = json.loads((run.folder / "choices.json").read_text())
    assert (choices["devices"], choices["opened"]) == (1, jax.local_device_count("cpu"))
    asked = []
    monkeypatch.setattr(plan, "request_cpu_devices", lambda placement, count: asked.append((placement, count)))
    plan.plan_run(small_config(tmp_path, "mlp", "train.placement=one"), {**choices, "opened": 4})
    assert asked == [("auto", 4)]


def test_a_run_needs_no_cpu_backend(tmp_path, monkeypatch):
    """JAX_PLATFORMS=cuda leaves a process without one."""

    def without(ask):
        def asked(*args, **keywords):
            if "cpu" in (*args, *keywords.values()):
                raise RuntimeError("Unknown backend cpu")
            return ask(*args, **keywords)

        return asked

    for name in ("devices", "local_devices", "local_device_count"):
        monkeypatch.setattr(jax, name, without(getattr(jax, name)))
    run = train_run(small_config(tmp_path, "mlp", "train.epochs=1"))
    assert json.loads((run.folder / "choices.json").read_text())["opened"] == 0
    assert export_run(run.folder, tmp_path / "export")
    with pytest.raises(ConfigError, match="placement=cores needs 2 devices, JAX has 0 cpu"):
        make_layout("cores", 2)
