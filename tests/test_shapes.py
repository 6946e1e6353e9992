"""The shapes that stand in signatures are true: checked while the whole way from panel to score is walked once."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

WALK = """
import jaxtyping
jaxtyping.install_import_hook(["gym_jax.models", "gym_jax.train", "gym_jax.data", "gym_jax.losses", "gym_jax.metrics"],
                              "beartype.beartype")
import sys; sys.path.insert(0, "tests")
import functools, jax, jax.numpy as jnp, numpy as np, optax
from small import MODELS, small_windows
from gym_jax import losses
from gym_jax.data import Scaler, generate_panel, fit_scaler, split_by_time, shuffled
from gym_jax.metrics import measure, summarise
from gym_jax.train.parallel import make_epoch, make_evaluation, make_forecast, make_layout
from gym_jax.train.step import init_state, make_eval_step, make_train_step
"""
RIGHT = """
panel = generate_panel(series=3, days=1.5, gaps=0.05)
scaler = fit_scaler(panel, split_by_time(panel).train)
layout, examples, tx = make_layout("one"), small_windows(), optax.sgd(0.1)
order = shuffled(0, 0, len(examples), 16)[:2]
for model in MODELS.values():
    state = init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs)
    state, _ = make_epoch(functools.partial(make_train_step, model, losses.huber, tx), layout)(state, examples, order)
    make_evaluation(functools.partial(make_eval_step, model, losses.mae), layout)(state, examples, order)
    forecast = np.asarray(make_forecast(model)(state.variables, examples, order)).reshape(-1, 4, 1)
    restored = scaler.restore(forecast, np.asarray(examples.series)[order.reshape(-1)])
    summarise(measure(restored, restored, restored == restored, np.zeros(restored.shape, int), 1))
print("walked")
"""
WRONG = {
    "a flat forecast": "Scaler(np.zeros((1, 1)), np.ones((1, 1))).restore(np.ones((2, 3)), np.zeros(2, int))",
    "one shape, two losses": "losses.mse(jnp.ones((2, 3)), jnp.ones((2, 4)))",
    "a scaler without rows": "fit_scaler(generate_panel(series=2, days=1.0), None)",
}


def walk(code):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.run(
        [sys.executable, "-c", WALK + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )


def test_every_signature_holds():
    done = walk(RIGHT)
    assert done.stdout.strip() == "walked", done.stderr[-2000:]


@pytest.mark.parametrize("code", WRONG.values(), ids=WRONG)
def test_the_check_would_see_a_wrong_shape(code):
    done = walk(code)
    assert done.returncode == 1
    assert "TypeCheckError" in done.stderr or "BeartypeCallHintParamViolation" in done.stderr, done.stderr[-500:]
