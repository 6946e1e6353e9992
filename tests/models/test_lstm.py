import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FLOAT32, PEER

from gym_jax.models import LSTM, LSTMCell, LSTMLayer
from gym_jax.types import Inputs

each_kernel = pytest.mark.parametrize("kernel", ["plain", "fast"])
RECORDED = json.loads((Path(__file__).parents[1] / "reference" / "lstm.json").read_text())


def close(got, expected, tolerance):
    expected = np.asarray(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def truth_layer(parameters, x, *, reverse=False):
    """The recurrence of Hochreiter and Schmidhuber, step by step in float64."""
    cell = {name: np.asarray(value, np.float64) for name, value in parameters["cell"].items()}
    h = c = np.zeros((len(x), len(cell["recurrent_kernel"])))
    outputs = np.zeros((*x.shape[:2], h.shape[1]))
    for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ cell["input_kernel"] + h @ cell["recurrent_kernel"] + cell["bias"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs[:, t] = h
    return outputs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@each_kernel
def test_the_model_is_the_recurrence_in_float64(layers, bidirectional, kernel):
    past = jnp.asarray(np.random.default_rng(0).normal(size=(3, 7, 2)), jnp.float32)
    ways = {"layers": layers, "bidirectional": bidirectional}
    model = LSTM(horizon=4, targets=2, hidden=5, normalise="none", kernel=kernel, **ways)
    variables = model.init(jax.random.key(0), Inputs(past=past))
    params = variables["params"]
    assert len(params) == layers * (1 + bidirectional) + 1

    x = np.asarray(past, np.float64)
    for layer in range(layers):
        forward = truth_layer(params[f"layer_{layer}"], x)
        last = forward[:, -1]
        if bidirectional:
            backward = truth_layer(params[f"layer_{layer}_reverse"], x, reverse=True)
            forward, last = np.concatenate([forward, backward], 2), np.concatenate([last, backward[:, 0]], 1)
        x = forward
    head = {name: np.asarray(value, np.float64) for name, value in params["head"].items()}
    close(model.apply(variables, Inputs(past=past)), (last @ head["kernel"] + head["bias"]).reshape(3, 4, 2), FLOAT32)


@each_kernel
def test_a_patch_is_several_rows_at_a_step_filled_up_at_the_far_end(kernel):
    past = jnp.asarray(np.random.default_rng(0).normal(size=(3, 7, 2)), jnp.float32)
    model = LSTM(horizon=4, targets=2, hidden=5, normalise="none", kernel=kernel, patch=3)
    variables = model.init(jax.random.key(0), Inputs(past=past))
    params = variables["params"]
    x = np.zeros((3, 9, 2))
    x[:, 2:] = past
    last = truth_layer(params["layer_0"], x.reshape(3, 3, 6))[:, -1]
    head = {name: np.asarray(value, np.float64) for name, value in params["head"].items()}
    close(model.apply(variables, Inputs(past=past)), (last @ head["kernel"] + head["bias"]).reshape(3, 4, 2), FLOAT32)


def test_every_step_of_the_first_layer_reads_static_numbers_and_categories():
    """Two channels, two numbers and the two columns of a category's embedding."""
    side = {"static": jnp.ones((3, 2)), "categories": jnp.ones((3, 1), int)}
    inputs = Inputs(past=jnp.ones((3, 7, 2)), future=jnp.ones((3, 4, 1)), **side)
    model = LSTM(horizon=4, hidden=5, layers=2, bidirectional=True, categories=(2,))
    params = jax.eval_shape(model.init, jax.random.key(0), inputs)["params"]
    for way in ("", "_reverse"):
        assert params[f"layer_0{way}"]["cell"]["input_kernel"].shape == (2 + 2 + 2, 4 * 5)
        assert params[f"layer_1{way}"]["cell"]["input_kernel"].shape == (2 * 5, 4 * 5)


def test_the_cell_starts_with_an_open_forget_gate_and_orthogonal_recurrence():
    carry = (jnp.zeros((1, 3)), jnp.zeros((1, 3)))
    params = LSTMCell(3).init(jax.random.key(0), carry, jnp.zeros((1, 2)))["params"]
    np.testing.assert_array_equal(params["bias"], [0] * 3 + [1] * 3 + [0] * 6)
    for gate in np.split(np.asarray(params["recurrent_kernel"], np.float64), 4, axis=1):
        close(gate.T @ gate, np.eye(3), FLOAT32)


def carried(weights, suffix):
    """The parameters of one direction of one PyTorch layer, as those of an LSTMLayer; both biases are added."""
    ih, hh, bias_ih, bias_hh = (
        np.asarray(weights[f"{name}_{suffix}"], np.float32) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return {
        "cell": {"input_kernel": jnp.asarray(ih.T), "recurrent_kernel": jnp.asarray(hh.T), "bias": bias_ih + bias_hh}
    }


def stack(params, x, *, layers, directions, hidden, kernel):
    """The outputs of layers of LSTMLayer, which reads and answers time first; `params` are by PyTorch's suffix."""
    x = jnp.swapaxes(x, 0, 1)
    for layer in range(layers):
        ways = {f"l{layer}": False, f"l{layer}_reverse": True}
        read = [
            LSTMLayer(hidden, reverse=back, kernel=kernel).apply({"params": params[suffix]}, x)
            for suffix, back in list(ways.items())[:directions]
        ]
        x = jnp.concatenate(read, axis=-1)
    return jnp.swapaxes(x, 0, 1)


@each_kernel
@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_state_alone_is_that_after_the_last_step_read(reverse, kernel):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(6, 3, 2)), jnp.float32)
    layer = LSTMLayer(5, reverse=reverse, kernel=kernel)
    states, variables = layer.init_with_output(jax.random.key(0), x)
    last = layer.clone(last=True).apply(variables, x)
    assert (states.shape, last.shape) == ((6, 3, 5), (1, 3, 5))
    close(last[0], states[0 if reverse else -1], FLOAT32)


@each_kernel
@pytest.mark.parametrize("case", RECORDED)
def test_outputs_and_gradients_are_those_of_pytorch(case, kernel):
    """`tests/reference/make_lstm.py` wrote them."""
    document = RECORDED[case]
    layers, directions = document["settings"]["num_layers"], 1 + document["settings"]["bidirectional"]
    suffixes = [f"l{layer}{way}" for layer in range(layers) for way in ("", "_reverse")[:directions]]
    assert len(document["parameters"]) == 4 * len(suffixes)
    params = {suffix: carried(document["parameters"], suffix) for suffix in suffixes}
    past, loss_weights = (jnp.asarray(document[name], jnp.float32) for name in ("past", "loss_weights"))

    @jax.jit
    def loss(params, past):
        sizes = {"layers": layers, "directions": directions, "hidden": document["settings"]["hidden"]}
        outputs = stack(params, past, kernel=kernel, **sizes)
        return (loss_weights * outputs**2).sum(), outputs

    (gradients, past_gradient), outputs = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, past)
    close(outputs, document["outputs"], PEER)
    close(past_gradient, document["past_gradient"], PEER)
    for suffix in suffixes:
        cell, expected = gradients[suffix]["cell"], document["gradients"]
        close(cell["input_kernel"].T, expected[f"weight_ih_{suffix}"], PEER)
        close(cell["recurrent_kernel"].T, expected[f"weight_hh_{suffix}"], PEER)
        close(cell["bias"], expected[f"bias_ih_{suffix}"], PEER)


@each_kernel
def test_windows_in_half_precision_are_computed_in_float32(kernel):
    model = LSTM(horizon=2, hidden=4, kernel=kernel)
    past = jnp.linspace(0, 1, 12, dtype=jnp.float16).reshape(2, 6, 1)
    forecast, variables = model.init_with_output(jax.random.key(0), Inputs(past))
    assert forecast.dtype == jnp.float32
    np.testing.assert_allclose(forecast, model.apply(variables, Inputs(past.astype(jnp.float32))), rtol=1e-2)
    grads = jax.grad(lambda variables: model.apply(variables, Inputs(past)).sum())(variables)
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
