"""The learned policy: it learns, covers what it says, and never looks ahead."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from usages import daily, workload

from gym_jax.allocate.frontier import ratio_at
from gym_jax.allocate.hours import by_the_hour
from gym_jax.allocate.learned import Recipe, forecast
from gym_jax.allocate.offers import _on_validation, block_of, learn_from, offers_of, tune
from gym_jax.allocate.outcome import figures
from gym_jax.allocate.policies import maximum, oracle
from gym_jax.allocate.price import Price, blend, candidates, choose, covered, react
from gym_jax.allocate.protocol import Protocol, spans
from gym_jax.allocate.recommend import Judgement, because, recommend, short_at
from gym_jax.allocate.simulate import LEARNED, simulate
from gym_jax.errors import DataError

PROTOCOL = Protocol(test_days=4, val_days=5, risks=(0.05, 0.01))
SMALL = Recipe(hidden=(32, 32), epochs=12, folds=2, seeds=1, batch_size=64, lr=3e-3)


@pytest.fixture(scope="module")
def learned(crowd):
    return learn_from(crowd, PROTOCOL, SMALL)


@pytest.fixture(scope="module")
def simulation(crowd, learned):
    policies = {"max": maximum, "oracle": partial(oracle, share=1.0)}
    return simulate(crowd, policies, PROTOCOL, learned={one.name: learned for one in crowd})


def test_it_is_cheaper_than_the_maximum_at_equal_violation(simulation):
    for risk in PROTOCOL.risks:
        own, other = (ratio_at(simulation.test[name][risk], risk) for name in (LEARNED, "max"))
        assert own < other


def test_the_margin_tuned_before_holds_the_risk_on_a_world_that_does_not_change(simulation):
    for risk in PROTOCOL.risks:
        violation = np.mean([np.mean(one.usage > one.allocation) for one in simulation.test[LEARNED][risk]])
        assert risk / 3 < violation < 2 * risk


@pytest.mark.parametrize("every", [1, 24])
def test_no_feature_sees_its_own_hour_or_what_comes(every):
    one = daily(9)
    poisoned = one.usage.copy()
    poisoned[5 * 288 :] = 1e6
    clean, dirty = (by_the_hour(one._replace(usage=usage), every=every) for usage in (one.usage, poisoned))
    before = 5 * 24 + 1  # the decision at midnight may still not see what follows
    for name in ("features", "level", "highest", "known"):
        assert np.array_equal(getattr(clean, name)[:before], getattr(dirty, name)[:before]), name


def test_the_test_changes_nothing_that_was_learned_or_tuned(crowd, learned):
    later = []
    for one in crowd:
        usage = one.usage.copy()
        usage[-4 * 288 :] = 1e3
        later.append(one._replace(usage=usage))
    again = learn_from(later, PROTOCOL, SMALL)
    for old, new in zip(_leaves(learned.params), _leaves(again.params), strict=True):
        assert np.array_equal(old, new)
    parts = spans(crowd, PROTOCOL)
    clean, dirty = (offers_of([learned] * 4, them, parts, PROTOCOL) for them in (crowd, later))
    for a, b in zip(clean, dirty, strict=True):
        assert np.array_equal(a.coverage, b.coverage)
    prices = [
        tune(offers, them, parts, PROTOCOL, 0.05, prices=(1.0, 10.0))
        for offers, them in ((clean, crowd), (dirty, later))
    ]
    assert prices[0] == prices[1]


def _leaves(tree):
    import jax

    return jax.tree.leaves(tree)


def test_quantiles_rise(learned, crowd):
    found = forecast(learned, by_the_hour(crowd[0]).features)
    assert (np.diff(found, axis=1) >= 0).all()
    assert np.isfinite(found).all()


def test_blocks_part_the_history_in_time_and_end_before_the_test(crowd):
    span = spans(crowd, PROTOCOL)[0]
    hours = by_the_hour(crowd[0], every=24)
    block = block_of(crowd[0], hours, span, Protocol(every=24), 4)
    assert set(block) == {-1, 0, 1, 2, 3}
    assert (np.diff(block[block >= 0]) >= 0).all()
    last = np.flatnonzero(block >= 0)[-1]
    assert (last + 24) * 12 <= span.test < (last + 25) * 12


def test_days_of_history_become_a_few_values_with_their_counts():
    one = workload(np.arange(3 * 288.0))
    hours = by_the_hour(one, every=24)
    assert hours.coming.shape[1] == 64
    assert_allclose(hours.counts[0].sum(), 288)
    assert_allclose((hours.coming[24] * hours.counts[24]).sum() * hours.level[24], one.usage[288:576].sum(), rtol=1e-5)
    assert hours.coming[24].max() * hours.level[24] == pytest.approx(575)


def test_a_price_chooses_where_a_core_costs_more_than_it_saves():
    choices, coverage = np.array([[1.0, 2.0, 4.0]]), np.array([0.5, 0.9, 1.0])
    for violation, answer in ((1.0, 1.0), (4.0, 2.0), (50.0, 4.0)):  # 1 + .5p, 2 + .1p, 4
        given, at = choose(choices, np.array([1.0]), coverage, Price(violation))
        assert given == answer
        assert at == coverage[list(choices[0]).index(answer)]
    given, _ = choose(choices, np.array([1.0]), coverage, Price(1.0, margin=2.0, share=0.2))
    assert given == 4.0  # no decision may risk more than a fifth: 2, doubled


def test_large_workloads_bear_the_risk():
    choices, coverage = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([0.9, 1.0])
    given, _ = choose(choices, np.array([1.0, 100.0]), coverage, Price(20.0))
    assert list(given) == [2.0, 100.0]


def test_coverage_is_counted_and_drawn_to_that_of_all():
    usage = np.array([[1.0, np.nan], [3.0, 5.0]])
    assert_allclose(covered(np.array([[1.0, 9.0], [4.0, 4.0]]), usage), [2 / 3, 2 / 3])
    own = np.array([[1.0], [0.0], [np.nan]])
    assert_allclose(blend(own, np.array([7.0, 0.0, 7.0]))[:, 0], [0.75, 0.5, 0.5])


def test_candidates_pass_through_the_learned_quantiles_and_go_beyond():
    levels = (0.1, 0.5, 0.9)
    found = candidates(np.array([[1.0, 2.0, 3.0]]), levels)[0]
    assert found[0] == 1.0
    assert found[63] == pytest.approx(3.0)
    assert (np.diff(found) >= -1e-12).all()
    assert found[-1] == pytest.approx(24.0)


def test_violations_raise_what_follows_and_only_that():
    given, coverage = np.ones(4), np.full(4, 0.95)
    usage = np.array([[0.5], [2.0], [0.5], [0.5]])
    out = react(given, coverage, usage, Price(1.0, reaction=0.5))
    assert_allclose(np.log(out), [0, 0, 0.5 * 0.95, 0.5 * 0.95 - 0.5 * 0.05])
    assert (react(given, coverage, usage, Price(1.0)) == given).all()


def test_a_workload_with_a_gap_is_not_called_young(crowd, learned):
    offers = offers_of([learned] * 4, crowd, spans(crowd, PROTOCOL), PROTOCOL)
    short = {0.05: {"w-8": 0.08, "w-9": 0.02}, 0.01: {"w-8": 0.02, "w-9": 0.0}}
    judgement = Judgement({0.05: Price(1.0), 0.01: Price(10.0)}, {}, offers[0].coverage, short)

    def why(gap, days=16.0):
        usage = crowd[0].usage[-int(days * 288) :].copy()
        usage[-36 - 12 * gap : -36] = np.nan  # hours that end three before now
        return because(recommend([crowd[0]._replace(usage=usage)], learned, judgement, PROTOCOL, 0.05)[0].why)

    assert why(0).startswith("covered 95.0% of held-out usage of the others, margin x 1.00; ")
    assert why(1) == "an hour or more of the last day is missing: highest so far x 1.2"
    assert why(0, days=0.5) == "0.5 days are too few to learn from: highest so far x 1.2"


def test_what_is_short_between_two_risks_lies_between():
    short = {0.04: {"w": 0.06}, 0.01: {"w": 0.02}}
    assert_allclose([short_at(short, risk)["w"] for risk in (0.01, 0.02, 0.04)], [0.02, 0.04, 0.06])
    assert short_at({}, 0.01) == {}


def test_a_margin_holds_the_risk_under_its_own_reactions(crowd, learned):
    jump = np.where(np.arange(16 * 288) < 9 * 288, 1, 3)  # within the days that are tuned on
    growing = [one._replace(usage=one.usage * jump) for one in crowd]
    parts = spans(growing, PROTOCOL)
    offers = offers_of([learned] * 4, growing, parts, PROTOCOL)
    price = tune(offers, growing, parts, PROTOCOL, 0.01, floors=(0.0,), reactions=(0.3,))
    assert price.reaction == 0.3
    outcomes = [
        _on_validation(offer, price, one, span, PROTOCOL)
        for offer, one, span in zip(offers, growing, parts, strict=True)
    ]
    assert 0.008 < figures(outcomes).violation <= 0.01


def test_too_little_history_is_said(crowd):
    short = [one._replace(usage=one.usage[: 3 * 288]) for one in crowd]
    with pytest.raises(DataError, match="too short"):
        spans(short, PROTOCOL)
