import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32

from gym_jax.config.derive import schema_of
from gym_jax.optim import HOST_SCHEDULES, SCHEDULES, Plateau, constant, one_cycle, plateau

PEAK, STEPS = 2.0, 200
EVERY = SCHEDULES | HOST_SCHEDULES


def half_wave(share):
    """From 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * min(share, 1))) / 2


def true_constant(step, steps, **settings):
    return 1.0


def true_linear(step, steps, *, final=0.0):
    return 1 - (1 - final) * min(step / steps, 1)


def true_cosine(step, steps, *, final=0.0):
    return final + (1 - final) * half_wave(step / steps)


def true_exponential(step, steps, *, final=0.01):
    return final ** min(step / steps, 1)


def true_step(step, steps, *, every=0.25, factor=0.5):
    return factor ** (min(step, steps - 1) // round(every * steps))


def true_one_cycle(step, steps, *, rise=0.3, start=25.0, final=1e4):
    """From 1 / start to 1 in the share `rise`, and to 1 / (start final) in what is left."""
    top, end = rise * steps, 1 / (start * final)
    if step < top:
        return 1 - (1 - 1 / start) * half_wave(step / top)
    return end + (1 - end) * half_wave((step - top) / (steps - top))


def true_warmup_constant(step, steps, *, warmup=0.05):
    return min((step + 1) / max(warmup * steps, 1), 1)


def true_warmup_cosine(step, steps, *, warmup=0.05, final=0.01):
    rise = max(warmup * steps, 1)
    if step < rise:
        return (step + 1) / rise
    return final + (1 - final) * half_wave((step - rise) / (steps - rise))


CASES = {
    "constant": (true_constant, [{}]),
    "linear": (true_linear, [{}, {"final": 0.1}]),
    "cosine": (true_cosine, [{}, {"final": 0.1}]),
    "exponential": (true_exponential, [{}, {"final": 0.5}]),
    "step": (true_step, [{}, {"every": 0.1, "factor": 0.1}, {"every": 1 - 1e-9}]),
    "one_cycle": (true_one_cycle, [{}, {"rise": 0.5, "start": 2.0, "final": 10.0}, {"rise": 0.0}]),
    "warmup_constant": (true_warmup_constant, [{}, {"warmup": 0.25}, {"warmup": 0.0}]),
    "warmup_cosine": (true_warmup_cosine, [{}, {"warmup": 0.25, "final": 0.1}, {"warmup": 0.0, "final": 0.0}]),
    "plateau": (true_constant, [{}, {"factor": 0.1, "patience": 5}]),
}
ALL_CASES = [(name, settings) for name, (_, cases) in CASES.items() for settings in cases]


def rates(schedule, steps):
    return np.array([schedule(step) for step in steps], np.float64)


@pytest.mark.parametrize(("name", "settings"), ALL_CASES, ids=str)
def test_a_schedule_is_its_closed_formula(name, settings):
    steps = [*range(STEPS), STEPS, STEPS + 1, 10 * STEPS]
    expected = [PEAK * CASES[name][0](step, STEPS, **settings) for step in steps]
    seen = rates(EVERY[name](PEAK, STEPS, **settings), steps)
    np.testing.assert_allclose(seen, expected, rtol=FLOAT32, atol=FLOAT32 * PEAK)


LENGTHS = {"warmup_constant": "warmup", "warmup_cosine": "warmup", "one_cycle": "rise", "step": "every"}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_length_may_be_a_number_of_optimiser_steps(name):
    every = [*range(STEPS + 1), 10 * STEPS]
    share, number, longer, whole = (
        rates(SCHEDULES[name](PEAK, STEPS, **{LENGTHS[name]: length}), every) for length in (0.25, 50, 5000, STEPS)
    )
    np.testing.assert_array_equal(number, share)
    np.testing.assert_array_equal(longer, whole, err_msg="a length beyond the run ends with it")
    assert longer[-1] == longer[-2], "a rate stays where it was at the end"
    assert not np.array_equal(longer, share)


BY_HAND = {
    "linear": ([2, 1.5, 1, 0.5], {}),
    "cosine": ([2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5)], {}),
    "exponential": ([2, 1, 0.5, 0.25], {"final": 1 / 16}),
    "step": ([2, 1, 0.5, 0.25], {}),
    "one_cycle": ([1, 1.5, 2, 1.025], {"rise": 0.5, "start": 2.0, "final": 20.0}),
    "warmup_constant": ([1, 2, 2, 2], {"warmup": 0.5}),
    "warmup_cosine": ([1, 2, 2, 1], {"warmup": 0.5, "final": 0.0}),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_four_steps_by_hand(name):
    expected, settings = BY_HAND[name]
    np.testing.assert_allclose(rates(SCHEDULES[name](2.0, 4, **settings), range(4)), expected, rtol=FLOAT32)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", EVERY)
def test_a_schedule_of_a_few_steps_is_finite_and_learns_at_once(name, steps):
    seen = rates(EVERY[name](2.0, steps), range(steps + 2))
    assert np.isfinite(seen).all()
    assert seen[0] > 0
    assert seen.max() <= 2.0


@pytest.mark.parametrize("peak", [0.0003, 0.7, 3.0])
@pytest.mark.parametrize("steps", [1, 7, 1000])
@pytest.mark.parametrize("name", EVERY)
def test_no_rate_is_above_the_peak_and_each_rises_once_at_most(name, steps, peak):
    """Also for a peak that has no exact binary form; after the rise no rate is above the one before."""
    seen = rates(jax.jit(jax.vmap(lambda step: jnp.asarray(EVERY[name](peak, steps)(step)))), [np.arange(2 * steps)])[0]
    assert (seen <= np.float32(peak)).all()
    assert (seen >= 0).all()
    top = seen.argmax()
    assert (np.diff(seen[: top + 1]) >= 0).all()
    assert (np.diff(seen[top:]) <= 0).all()
    if "warmup" not in name and name != "one_cycle":
        assert top == 0
    np.testing.assert_array_equal(seen[steps:], seen[steps])


@pytest.mark.parametrize("name", EVERY)
def test_a_schedule_is_the_same_inside_a_program(name):
    schedule = EVERY[name](0.3, 40)
    inside = jax.jit(jax.vmap(lambda step: jnp.asarray(schedule(step), jnp.float32)))(jnp.arange(50))
    np.testing.assert_allclose(inside, rates(schedule, range(50)), rtol=FLOAT32, atol=FLOAT32 * 0.3)


def test_constant_is_the_peak_at_every_step():
    schedule = constant(0.3, 100)
    assert [schedule(step) for step in (0, 50, 1000)] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize("name", EVERY)
def test_the_configuration_derives_from_the_signature(name):
    settings = schema_of(name, EVERY[name])().model_dump(exclude={"kind"})
    assert settings == (EVERY[name].__kwdefaults__ or {})


RULE = {"factor": 0.5, "patience": 2, "threshold": 0.1, "final": 0.2}


def walk(values, **rule):
    seen, states = Plateau(), []
    for value in values:
        seen = seen.update(value, **{**RULE, **rule})
        states.append(tuple(seen))
    return states


def test_the_rate_falls_on_a_plateau_by_hand():
    """8 % better is no improvement at a threshold of 10 %; 0.25 times 0.5 is below the floor of 0.2."""
    assert walk([1.0, 0.92, 1.5, 0.8, 0.8, 0.8, 0.79, 0.79, 0.79, 0.79, 0.5]) == [
        (1.0, 0, 1.0),
        (1.0, 1, 1.0),
        (1.0, 0, 0.5),
        (0.8, 0, 0.5),
        (0.8, 1, 0.5),
        (0.8, 0, 0.25),
        (0.8, 1, 0.25),
        (0.8, 0, 0.2),
        (0.8, 1, 0.2),
        (0.8, 0, 0.2),
        (0.5, 0, 0.2),
    ]


def test_a_patience_of_one_lowers_the_rate_at_once():
    assert walk([1.0, 1.0, 1.0, 0.5], patience=1) == [(1.0, 0, 1.0), (1.0, 0, 0.5), (1.0, 0, 0.25), (0.5, 0, 0.25)]


def test_what_is_not_a_number_is_no_improvement():
    assert walk([math.nan, math.inf, 3.0, math.nan]) == [
        (math.inf, 1, 1.0),
        (math.inf, 0, 0.5),
        (3.0, 0, 0.5),
        (3.0, 1, 0.5),
    ]


def test_a_likelihood_below_zero_must_improve_by_the_share_of_its_size():
    """-1.05 is not 10 % better than -1, -0.95 is worse, -1.2 is better."""
    assert walk([-1.0, -1.05, -0.95, -1.2]) == [(-1.0, 0, 1.0), (-1.0, 1, 1.0), (-1.0, 0, 0.5), (-1.2, 0, 0.5)]


def test_without_a_threshold_anything_lower_is_better_and_the_same_is_not():
    assert walk([1.0, 1.0 - 1e-12, 1.0 - 1e-12], threshold=0.0)[1:] == [(1.0 - 1e-12, 0, 1.0), (1.0 - 1e-12, 1, 1.0)]


def test_the_settings_of_plateau_are_those_of_its_rule():
    assert set(plateau.__kwdefaults__) == set(RULE)
    assert Plateau().update(1.0, **plateau.__kwdefaults__) == Plateau(1.0, 0, 1.0)


@pytest.mark.parametrize("steps", [1, 2, 4, 10])
def test_one_cycle_may_rise_to_its_end(steps):
    rates = [float(one_cycle(1.0, steps, rise=0.99)(step)) for step in range(steps + 2)]
    assert np.isfinite(rates).all()
    assert max(rates) <= 1
