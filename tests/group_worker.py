"""A process of a group that trains a small run, and may leave it after some chunks: `python group_worker.py JSON`.

The JSON has `folder`, `model`, `overrides`, and perhaps `stop` (chunks) and `resume`. Process 0 prints what came of it.
"""

import json
import sys

import jax
from ends import StopAt
from small import small_config

from gym_jax.errors import Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.several import join_group
from gym_jax.run.train import resume_run, train_run
from gym_jax.train.processes import gather


def main(folder, model, overrides=(), stop=None, resume=False):
    """Train, and return how it ended on every process."""
    config = small_config("unused", model, *overrides)
    group = join_group(config)
    told = []
    keywords = {"stop": None if stop is None else StopAt(stop), "watch": lambda event: told.append(event.kind)}
    try:
        if resume:
            result = resume_run(RunFolder(folder), config=config, **keywords)
        else:
            result = train_run(config, folder=folder, **keywords)
        ended = {"status": result.status, "steps": result.steps}
    except Interrupted as error:
        ended = {"status": "stopped", "code": error.exit_code}
    everywhere = gather("ended", {**ended, "told": len(told), "devices": len(jax.devices())})
    if group.writer:
        print(json.dumps(everywhere))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
