"""The model of the scaling page, by hand."""

import importlib

import pytest
from conftest import ROOT


@pytest.fixture
def model(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("scaling_model")


def test_a_ring_a_tree_and_both_within_hosts_and_across_by_hand(model):
    near, far = model.Link(1.0, 10.0), model.Link(5.0, 2.0)
    assert model.ring(near, 40, 4) == 2 * 3 * (1 + 10 / 10)  # three times around, twice
    assert model.tree(far, 8, 5) == 2 * 3 * (5 + 8 / 2)  # three levels hold five
    assert model.ring(near, 40, 1) == model.tree(near, 40, 1) == 0
    network = model.Network(0.5, near, far)
    assert model.all_reduce(network, 40, 1) == 0  # nothing is told to nobody
    assert model.all_reduce(network, 40, 4) == 0.5 + 12
    # across two hosts the parts of 10 bytes: a ring takes 2 * (5 + 5 / 2), a tree 2 * (5 + 10 / 2)
    assert model.all_reduce(network, 40, 4, 2) == 0.5 + 12 + 15
    # across 64 hosts a ring pays 126 latencies, a tree 12
    assert model.all_reduce(network, 40, 4, 64) == 0.5 + 12 + 12 * (5 + 10 / 2)


def test_a_step_computes_its_share_adds_up_and_waits_for_input_by_hand(model):
    compute, network = model.Compute(3.0, 2.0), model.Network(0.5, model.Link(1.0, 10.0), model.Link(5.0, 2.0))
    assert model.step(compute, network, 40, 7, 1) == 3 + 2 * 7
    assert model.step(compute, network, 40, 7, 4) == 3 + 2 * 2 + 12.5  # the last device has one window less
    slow = model.Input(100.0, 10.0)
    assert model.step(compute, network, 40, 8, 4, 1, slow) == 8 * 100 / 10  # longer than it computes
    assert model.step(compute, network, 40, 8, 4, 2, slow) == max(3 + 2 * 1 + 27.5, 4 * 100 / 10)


def test_constants_are_found_again_and_never_below_zero(model):
    found = model.fit_compute([64, 256, 1024], [3 + 2 * 64, 3 + 2 * 256, 3 + 2 * 1024])
    assert found == pytest.approx((3, 2))
    link = model.fit_link([10, 100, 1000], [2 * (5 + size / 2 / 4) for size in (10, 100, 1000)])
    assert link == pytest.approx((5, 4))
    assert model.fit_compute([1, 2], [1, 3]).fixed == 0
    assert model.fit_compute([1, 2], [3, 1]).window == 0
    assert model.fit_compute([1, 2], [1, 3]).window == pytest.approx((1 + 2 / 3) / (1 + 4 / 9))
