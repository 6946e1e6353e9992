"""A process of a group that trains a small run, and may leave it after some chunks: `python group_worker.py JSON`.

The JSON has `folder`, `model`, `overrides`, and perhaps `stop` (chunks; on the process `stopped` only),
`resume`, `part`, and `dies`: the process that is gone at once `before` or `after` it writes its third step. Process 0
prints what came of it.
"""

import json
import os
import sys

import jax
from ends import StopAt
from orbax.checkpoint import v1 as ocp
from small import small_config

from gym_jax.errors import Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.several import join_group
from gym_jax.run.train import resume_run, train_run
from gym_jax.train.processes import gather


def main(folder, model, overrides=(), stop=None, stopped=None, resume=False, part="test", dies=()):
    """Train, and return how it ended on every process."""
    config = small_config("unused", model, *overrides)
    group = join_group(config)
    if group.rank in dies:
        die_in_save(dies[1])
    told = []
    keywords = {
        "stop": StopAt(stop) if stop and stopped in (None, group.rank) else None,
        "watch": lambda event: told.append(event.kind),
    }
    keywords["part"] = part
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


def die_in_save(when):
    """Have this process end as a kill would end it, in its third save."""
    save, count = ocp.save_checkpointables, [0]

    def saving(*args, **keywords):
        count[0] += 1
        if (count[0], when) == (3, "before"):
            os._exit(9)
        save(*args, **keywords)
        if count[0] == 3:
            os._exit(9)

    ocp.save_checkpointables = saving


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
