"""Orbax among several processes: it takes each save and load for one of all, unless it is told otherwise."""

import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from orbax.checkpoint import v1 as ocp

from gym_jax.train.places import from_host, is_key, put
from gym_jax.train.processes import group

COMPARES = "orbax.checkpoint.experimental.v1._src.saving.execution"
"""Where Orbax compares the path of a save over the devices of all processes, even when one of them saves alone."""
ArrayStore: Any = type(ocp.options.ArrayOptions.Saving().array_metadata_store)


def among_processes(apart: bool = False) -> AbstractContextManager[Any]:
    """Have Orbax wait for the other processes only where each of them has a part of what is read or written."""
    rank, count = group()
    if count == 1:
        return nullcontext()
    # that comparison would go between the steps that the devices train meanwhile, on each process between others
    importlib.import_module(COMPARES).__dict__["_check_directory_consistency"] = lambda directory: None
    if apart:
        return nullcontext()
    alone = {"primary_host": rank, "active_processes": {rank}, "barrier_sync_key_prefix": f"alone-{rank}"}
    context = ocp.Context(multiprocessing_options=ocp.options.MultiprocessingOptions(**alone))
    context.array_options.saving.array_metadata_store = _OwnStore()
    context.array_options.saving.use_replica_parallel = False  # else other processes would have to write a share
    return context


class _OwnStore(ArrayStore):
    """Descriptions of arrays that are not held against those of other processes: there are none."""

    async def read(self, checkpoint_dir: Any, process_index: int | None = None) -> Any:
        return None if process_index is None else await super().read(checkpoint_dir, process_index)


def writable(tree: Any) -> Any:
    """Return a tree of the host as Orbax writes it, which of several processes refuses keys on devices of one."""
    if jax.process_count() == 1:
        return tree
    everywhere = NamedSharding(Mesh(np.array(jax.devices()), ("all",)), P())
    return jax.tree.map(lambda leaf: put(leaf, everywhere) if is_key(leaf) else leaf, from_host(tree))
