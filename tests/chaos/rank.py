"""One of several processes, which harms itself: python rank.py FAULT RANK CHUNK train ...

The process of this rank does so after so many chunks, or in so manieth save, the first time that all are started. When
it does, and when it has trained a chunk in a later attempt, it writes a line with the time on stderr. RANK in the words
stands for the rank.
"""

import functools
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

FAULT, RANK, CHUNK = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
OWN = int(os.environ.get("GYMJAX_PROCESS", "0"))
TRIALS = 100


def tell(what: str) -> None:
    """Write what happens, with the time."""
    print(f"chaos {what} {time.time():.3f}", file=sys.stderr, flush=True)


def hang() -> None:
    """Live on and do nothing, as one does that waits for a lock."""
    while True:
        time.sleep(60)


def fail() -> None:
    """Raise what nobody has foreseen."""
    raise ZeroDivisionError("by chaos")


def starve() -> None:
    """Ask for more memory than there may be."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**26, held + 2**26))
    bytearray(2**30)


FAULTS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "told": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "stuck": hang,
    "exception": fail,
    "memory": starve,
    "none": lambda: None,
}


def flipped(state: Any, random: np.random.Generator) -> Any:
    """Return a state in which one bit of one parameter is the other way on one device of this process."""
    leaves, tree = jax.tree.flatten(state.params)
    at = int(
        random.choice(len(leaves), p=np.array([leaf.nbytes for leaf in leaves]) / sum(leaf.nbytes for leaf in leaves))
    )
    shards = [shard.data for shard in leaves[at].addressable_shards]
    raw = np.array(shards[0])
    place = int(random.integers(8 * raw.nbytes))
    raw.view(np.uint8).reshape(-1)[place // 8] ^= 1 << place % 8
    shards[0] = jax.device_put(raw, shards[0].device)
    leaf = leaves[at]
    leaves[at] = jax.make_array_from_single_device_arrays(leaf.shape, leaf.sharding, shards)
    return state._replace(params=jax.tree.unflatten(tree, leaves))


def arm() -> None:
    """Put the fault in its place."""
    import gym_jax.run.fit as fit
    import gym_jax.train.checkpoint as checkpoint
    import gym_jax.train.loop as loop
    from gym_jax.launch.child import launched

    mine = OWN == RANK and launched().attempt == 0
    random = np.random.default_rng(CHUNK)

    def count(function: Any, at: Any) -> Any:
        """Return a function that has `at` told how often it was called, before it does what it did."""
        calls = 0

        def counted(*words: Any, **how: Any) -> Any:
            nonlocal calls
            calls += 1
            words = at(calls, words) or words
            return function(*words, **how)

        return counted

    def at_chunk(calls: int, words: Any) -> None:
        if launched().attempt and calls == 1:
            tell("again")
        if mine and calls == CHUNK and FAULT in FAULTS:
            tell(FAULT)
            FAULTS[FAULT]()

    def at_epoch(calls: int, words: Any) -> Any:
        if mine and calls == CHUNK and FAULT == "flip":
            tell(FAULT)
            return (flipped(jax.tree.map(jnp.copy, words[0]), random), *words[1:])
        return None

    def at_save(calls: int, words: Any) -> None:
        if mine and calls == CHUNK and FAULT == "save":
            tell(FAULT)
            threading.Timer(random.uniform(0, 0.2), FAULTS["kill"]).start()

    make_epoch = fit.make_epoch
    loop.beat = count(loop.beat, at_chunk)
    fit.make_epoch = lambda *words: count(make_epoch(*words), at_epoch)
    checkpoint._save_together = count(checkpoint._save_together, at_save)


def differ(what: str) -> list[str]:
    """Return words that only this process has; of a version, pretend that it is another."""
    import gym_jax.run.peers as peers

    if OWN != RANK or what == "data":
        return []
    if what == "version":
        known = peers.package_version
        peers.package_version = lambda name: "0.0.1" if name == "optax" else known(name)
        return []
    return [what]


def flip_many(words: list[str]) -> list[dict[str, Any]]:
    """Train so many chunks again and again, one bit flipped in one of them; return which were found at their end."""
    from gym_jax.cli.platform import keep_stdout
    from gym_jax.config.load import load_config
    from gym_jax.data.order import shuffled
    from gym_jax.errors import PeerError
    from gym_jax.run.assemble import build_loss, build_optimiser, step_settings
    from gym_jax.run.plan import fresh_state, plan_run
    from gym_jax.run.several import join_group
    from gym_jax.train.copies import refuse_unlike
    from gym_jax.train.parallel import make_epoch
    from gym_jax.train.step import make_train_step

    keep_stdout()
    config = load_config([], [word for word in words if "=" in word])
    join_group(config)
    plan = plan_run(config)
    tx, _ = build_optimiser(config, plan.steps)
    step_for = functools.partial(make_train_step, plan.model, build_loss(config), tx, **step_settings(config))
    epoch, examples = make_epoch(step_for, plan.layout), plan.layout.replicate(plan.train)
    state, found = plan.layout.replicate(fresh_state(plan)), []
    for trial in range(TRIALS):
        random = np.random.default_rng(trial)
        order = shuffled(config.train.seed, trial, len(plan.train), config.train.batch_size)
        at, tried = int(random.integers(CHUNK)), jax.tree.map(jnp.copy, state)
        for chunk in range(CHUNK):
            if chunk == at and OWN == RANK:
                tried = flipped(tried, random)
            tried, _ = epoch(tried, examples, order[: plan.chunk])
        try:
            refuse_unlike(tried, trial)
            found.append({"trial": trial, "found": False})
        except PeerError as error:
            found.append({"trial": trial, "found": f"process {RANK} differs" in error.message})
        state, _ = epoch(state, examples, order[: plan.chunk])  # the next one begins elsewhere
    return found


if __name__ == "__main__":
    from gym_jax.cli import app
    from gym_jax.cli.leave import leave
    from gym_jax.launch.child import follow_launcher

    print(f"chaos-pid {os.getpid()}", file=sys.stderr, flush=True)
    words = [word.replace("RANK", str(OWN)) for word in sys.argv[4:]]
    if FAULT == "flips":
        follow_launcher()
        found = flip_many(words)
        if OWN == 0:
            print(json.dumps(found))
        leave(0)
    if FAULT.startswith("unlike:"):
        words += differ(FAULT.partition(":")[2])
    sys.argv = ["gymjax", *words]
    arm()
    app()
