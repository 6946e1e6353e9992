import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import FLOAT32

from gym_jax.errors import ConfigError
from gym_jax.optim import OPTIMISERS, clipped, frozen, rescalable, scale_of, sgd, with_scale
from gym_jax.train.parallel import make_layout

PARAMS = {"layer": {"kernel": jnp.array([[1.0, -2.0], [3.0, 0.5]])}, "head": {"bias": jnp.array([1.0, 2.0])}}
GRADIENT = jax.tree.map(lambda leaf: 0.1 * leaf + 0.3, PARAMS)


def around(tx):
    """As a run composes: clipped inside, frozen outermost."""
    return frozen(clipped(rescalable(tx), 100.0), ["layer"])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_factor_of_one_changes_nothing_by_a_bit(name):
    plain, wrapped = OPTIMISERS[name](0.1), rescalable(OPTIMISERS[name](0.1))
    state, other = plain.init(PARAMS), wrapped.init(PARAMS)
    for _ in range(3):
        updates, state = plain.update(GRADIENT, state, PARAMS)
        rescaled, other = wrapped.update(GRADIENT, other, PARAMS)
        jax.tree.map(np.testing.assert_array_equal, rescaled, updates)
    jax.tree.map(np.testing.assert_array_equal, other.inner, state)


@pytest.mark.parametrize("name", [name for name in OPTIMISERS if name != "schedule_free"])
def test_a_factor_is_a_factor_on_the_rate(name):
    """Decay included; a schedule keeps its own course under it."""

    def schedule(step):
        return jnp.array([0.1, 0.05, 0.01])[step]

    lowered, scaled = OPTIMISERS[name](lambda step: 0.25 * schedule(step)), rescalable(OPTIMISERS[name](schedule))
    state, other = lowered.init(PARAMS), with_scale(scaled.init(PARAMS), 0.25)
    for _ in range(3):
        updates, state = lowered.update(GRADIENT, state, PARAMS)
        rescaled, other = scaled.update(GRADIENT, other, PARAMS)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=FLOAT32), rescaled, updates)


def test_the_factor_is_set_wherever_it_is_nested():
    state = with_scale(around(sgd(1.0)).init(PARAMS), 0.5)
    assert scale_of(state) == 0.5
    updates, state = around(sgd(1.0)).update(GRADIENT, state, PARAMS)
    np.testing.assert_array_equal(updates["head"]["bias"], -0.5 * GRADIENT["head"]["bias"])
    assert scale_of(state) == 0.5
    inside = with_scale(optax.partition({"a": rescalable(sgd(1.0))}, lambda _: "a").init(PARAMS), 0.125)
    assert scale_of(inside) == 0.125


def test_setting_the_factor_compiles_nothing():
    tx, traces = around(OPTIMISERS["adamw"](0.1)), []

    @jax.jit
    def update(gradient, state, params):
        traces.append(1)
        return tx.update(gradient, state, params)

    state = tx.init(PARAMS)
    for scale in (1.0, 0.5, 0.25):
        lowered = with_scale(state, scale)
        assert jax.tree.structure(lowered) == jax.tree.structure(state)
        assert jax.tree.map(jnp.result_type, lowered) == jax.tree.map(jnp.result_type, state)
        _, state = update(GRADIENT, lowered, PARAMS)
    assert len(traces) == 1


@pytest.mark.parametrize("placement", ["one", "cores", "shard", "pmap"])
def test_the_factor_stays_where_it_was_placed(placement):
    """On every device of a layout, so that the next call moves and compiles nothing."""
    layout = make_layout(placement, None if placement == "one" else 2)
    state = layout.replicate(around(sgd(1.0)).init(PARAMS))
    lowered = with_scale(state, 0.5)
    assert scale_of(lowered).sharding == scale_of(state).sharding
    assert scale_of(lowered).committed
    assert (np.asarray(scale_of(lowered)), scale_of(lowered).dtype) == (0.5, jnp.float32)


def test_a_factor_for_each_member_keeps_the_shape_of_the_members():
    tx = rescalable(sgd(1.0))
    members = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), PARAMS)
    state = with_scale(jax.vmap(tx.init)(members), 0.5)
    assert scale_of(state).shape == (2,)
    updates, _ = jax.vmap(tx.update)(members, state, members)
    np.testing.assert_array_equal(updates["head"]["bias"], -0.5 * members["head"]["bias"])


def test_a_restored_state_of_host_arrays_takes_a_factor():
    state = jax.tree.map(np.asarray, rescalable(sgd(1.0)).init(PARAMS))
    assert scale_of(with_scale(state, 0.5)) == 0.5


def test_a_state_without_a_factor_is_refused():
    for function in (scale_of, lambda state: with_scale(state, 0.5)):
        with pytest.raises(ValueError, match="wrap the optimiser in `rescalable`"):
            function(sgd(1.0).init(PARAMS))


def test_the_rate_of_an_average_cannot_be_lowered():
    state = around(OPTIMISERS["schedule_free"](0.1)).init(PARAMS)
    assert scale_of(with_scale(state, 1.0)) == 1
    with pytest.raises(ConfigError, match="cannot be lowered on a plateau"):
        with_scale(state, 0.5)
