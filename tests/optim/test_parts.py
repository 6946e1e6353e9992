import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import MODELS, small_windows
from tolerances import FLOAT32

from gym_jax.errors import ConfigError
from gym_jax.losses import mse
from gym_jax.optim import OPTIMISERS, clipped, frozen, matching, rescalable, sgd, warm_start
from gym_jax.train.step import init_state, make_train_step

PARAMS = {
    "layer_0": {"cell": {"input_kernel": jnp.ones((1, 8)), "bias": jnp.array([-0.0, 0.0, 1.0])}},
    "layer_1": {"cell": {"input_kernel": jnp.ones((2, 8)), "bias": jnp.zeros(8)}},
    "layer_10": {"kernel": jnp.ones((2, 2))},
    "head": {"kernel": jnp.ones((2, 4)), "bias": jnp.zeros(4)},
}


def named(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in leaves if leaf}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], set()),
        (["head"], {"head/kernel", "head/bias"}),
        (["layer_1"], {"layer_1/cell/input_kernel", "layer_1/cell/bias"}),
        (["layer_0/cell"], {"layer_0/cell/input_kernel", "layer_0/cell/bias"}),
        (["layer_0/cell/bias"], {"layer_0/cell/bias"}),
        (["*/bias"], {"layer_0/cell/bias", "layer_1/cell/bias", "head/bias"}),
        (["layer_?"], {f"layer_{i}/cell/{name}" for i in (0, 1) for name in ("input_kernel", "bias")}),
        (["head/bias", "layer_10"], {"head/bias", "layer_10/kernel"}),
    ],
)
def test_a_pattern_names_a_parameter_or_a_part_and_all_below(patterns, expected):
    chosen = matching(PARAMS, patterns)
    assert jax.tree.structure(chosen) == jax.tree.structure(PARAMS)
    assert named(chosen) == expected


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("layer0", "did you mean `layer_0`?"),
        ("haed", "did you mean `head`?"),
        ("head/kernal", "did you mean `head/kernel`?"),
        ("layer_0/cell/inputkernel", "did you mean `layer_0/cell/input_kernel`?"),
        ("xyz", "choose from head, layer_0, layer_1, layer_10"),
        ("params/head/kernel", "did you mean `head/kernel`?"),
    ],
)
def test_a_pattern_that_names_nothing_is_refused(pattern, hint):
    with pytest.raises(ConfigError) as error:
        matching(PARAMS, ["head", pattern])
    assert error.value.lines() == [f"error: no parameter is named `{pattern}`", f"hint: {hint}"]
    with pytest.raises(ConfigError):
        frozen(sgd(1.0), [pattern]).init(PARAMS)
    with pytest.raises(ConfigError):
        warm_start(PARAMS, PARAMS, [pattern])


def test_a_model_without_parameters_has_no_parts():
    with pytest.raises(ConfigError) as error:
        matching({}, ["head"])
    assert error.value.hint == "the model has no parameters"


def test_no_patterns_freeze_nothing():
    tx = sgd(1.0)
    assert frozen(tx, ()) is tx


def bits(leaf):
    return np.asarray(leaf).tobytes()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_frozen_part_keeps_every_bit_and_costs_no_state(name):
    """Even of a -0.0, under decay, with a gradient; the others move as if they were alone."""
    settings = {"weight_decay": 0.5} if "weight_decay" in OPTIMISERS[name].__kwdefaults__ else {}
    optimiser = OPTIMISERS[name](0.1, **settings)
    tx = frozen(clipped(rescalable(optimiser), 1.0), ["layer_*", "head/bias"])
    alone = clipped(rescalable(optimiser), 1.0)
    params, rest = PARAMS, {"head": {"kernel": PARAMS["head"]["kernel"]}}
    state, other = tx.init(params), alone.init(rest)
    assert sorted(leaf.shape for leaf in jax.tree.leaves(state)) == sorted(
        leaf.shape for leaf in jax.tree.leaves(other)
    )

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.tree.map(lambda leaf: leaf + 3, params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
        updates, other = alone.update(jax.tree.map(lambda leaf: leaf + 3, rest), other, rest)
        rest = optax.apply_updates(rest, updates)
    for part in ("layer_0", "layer_1", "layer_10"):
        assert jax.tree.map(bits, params[part]) == jax.tree.map(bits, PARAMS[part])
    assert bits(params["head"]["bias"]) == bits(PARAMS["head"]["bias"])
    np.testing.assert_allclose(params["head"]["kernel"], rest["head"]["kernel"], rtol=FLOAT32)
    assert (params["head"]["kernel"] != PARAMS["head"]["kernel"]).all()


def test_a_frozen_zero_keeps_its_sign_outside_a_program():
    """Inside one the compiler leaves out a sum with 0.0, which would turn -0.0 into 0.0."""
    tx = frozen(sgd(1.0), ["layer_*"])
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    moved = optax.apply_updates(PARAMS, updates)
    assert bits(moved["layer_0"]["cell"]["bias"]) == bits(PARAMS["layer_0"]["cell"]["bias"])


def test_the_clipped_norm_leaves_frozen_parts_out_by_hand():
    """A gradient of 3 and 4 has norm 5 and is clipped to 1; one of 12 beside it is frozen and does not count."""
    params = {"head": jnp.zeros(2), "body": jnp.zeros(1)}
    gradient = {"head": jnp.array([3.0, 4.0]), "body": jnp.array([12.0])}
    tx = frozen(clipped(sgd(1.0), 1.0), ["body"])
    updates, _ = tx.update(gradient, tx.init(params), params)
    np.testing.assert_allclose(updates["head"], [-0.6, -0.8], rtol=FLOAT32)
    np.testing.assert_array_equal(updates["body"], 0)


def test_freezing_everything_is_refused():
    with pytest.raises(ConfigError, match=r"\*: every parameter is frozen"):
        frozen(sgd(1.0), ["*"]).init(PARAMS)


@pytest.mark.parametrize("name", MODELS)
def test_training_a_model_moves_all_but_its_frozen_parts(name):
    batch = small_windows().take(jnp.arange(8))
    tx = frozen(clipped(OPTIMISERS["adamw"](0.01, weight_decay=0.1), 1.0), ["head", "*/bias"])
    before = init_state(MODELS[name], tx, jax.random.key(0), batch.inputs)
    after, _ = jax.jit(make_train_step(MODELS[name], mse, tx))(before, batch)
    held = matching(before.params, ["head", "*/bias"])
    same = jax.tree.map(lambda old, new: bits(old) == bits(new), before.params, after.params)
    assert same == held
    assert {True, False} == set(jax.tree.leaves(held))


def shifted(params, amount):
    return jax.tree.map(lambda leaf: leaf + amount, params)


def test_a_warm_start_takes_everything_by_path():
    donor = shifted(PARAMS, 5)
    started = warm_start(PARAMS, donor)
    assert jax.tree.structure(started) == jax.tree.structure(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, started, donor)
    for new, old in zip(jax.tree.leaves(started), jax.tree.leaves(donor), strict=True):
        assert new.unsafe_buffer_pointer() != old.unsafe_buffer_pointer()


def test_a_warm_start_takes_the_named_parts_alone_and_keeps_its_own_type():
    donor = {"head": {"kernel": np.full((2, 4), 7.0), "bias": np.full(4, 8.0)}, "other": {"kernel": np.ones(3)}}
    started = warm_start(PARAMS, donor, ["head/kernel"])
    np.testing.assert_array_equal(started["head"]["kernel"], 7)
    assert started["head"]["kernel"].dtype == jnp.float32
    for part in ("layer_0", "layer_1", "layer_10"):
        jax.tree.map(np.testing.assert_array_equal, started[part], PARAMS[part])
    np.testing.assert_array_equal(started["head"]["bias"], PARAMS["head"]["bias"])


def test_a_donor_that_does_not_fit_is_refused_with_every_leaf_named():
    donor = {
        "layer_0": {"cell": {"input_kernel": np.ones((3, 8)), "bias": np.zeros(3)}},
        "layer_1": PARAMS["layer_1"],
        "head": {"kernel": np.ones((2, 4), int), "bias": np.zeros(4)},
    }
    with pytest.raises(ConfigError) as error:
        warm_start(PARAMS, donor)
    assert error.value.lines() == [
        "error: the donor's parameters do not fit: head/kernel is int64 instead of float32; "
        "layer_0/cell/input_kernel has shape [3, 8] instead of [1, 8]; layer_10/kernel is missing",
        "hint: name the parts that fit: layer_1",
    ]
    with pytest.raises(ConfigError, match=r"do not fit: layer_10/kernel is missing$"):
        warm_start(PARAMS, donor, ["layer_1", "layer_10"])
    jax.tree.map(np.testing.assert_array_equal, warm_start(PARAMS, donor, ["layer_1"]), PARAMS)


def test_a_donor_of_another_model_has_no_part_that_fits():
    with pytest.raises(ConfigError) as error:
        warm_start(PARAMS, {"elsewhere": np.ones(3)})
    assert error.value.message.count("is missing") == 7
    assert error.value.hint == "no part of it fits this model"


def test_parts_of_one_model_start_another():
    """The layers of a model trained for four steps ahead start one for eight; the head is its own."""
    inputs = small_windows().take(jnp.arange(2)).inputs
    short, long = MODELS["lstm"], MODELS["lstm"].clone(horizon=8)
    donor, params = (model.init(jax.random.key(seed), inputs)["params"] for seed, model in enumerate((short, long)))
    with pytest.raises(ConfigError) as error:
        warm_start(params, donor)
    assert error.value.hint == "name the parts that fit: layer_0, layer_1"
    started = warm_start(params, donor, ["layer_*"])
    for part in ("layer_0", "layer_1"):
        jax.tree.map(np.testing.assert_array_equal, started[part], donor[part])
    jax.tree.map(np.testing.assert_array_equal, started["head"], params["head"])
