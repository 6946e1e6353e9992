"""Runs that are interrupted, and everything that must not depend on it."""

import chex
import jax
from small import small_config

from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.train.checkpoint import read_metadata, restore_checkpoint, saved_steps


class StopAt:
    """A stop that answers SIGTERM's code, or another, once training has passed a number of chunks."""

    def __init__(self, chunks, code=143):
        self.left, self.code = chunks, code

    def __call__(self):
        self.left -= 1
        return self.code if self.left == 0 else None


def final(run, config=None):
    """Return everything that must not depend on interruptions."""
    plan = plan_run(config or small_config("unused", run.read_config()["model"]["kind"]))
    last = run.checkpoints / str(max(saved_steps(run.checkpoints)))
    metadata = read_metadata(last)
    return (
        jax.device_get(restore_checkpoint(last, fresh_state(plan))._replace(key=None)),
        {key: metadata[key] for key in ("position", "stopping", "plateau", "sums", "scaler", "columns", "series")},
        (run.path / "metrics.jsonl").read_bytes(),
        run.read_json("scores.json"),
    )


def same(left, right):
    chex.assert_trees_all_equal(left[0], right[0])
    assert left[1:] == right[1:]
