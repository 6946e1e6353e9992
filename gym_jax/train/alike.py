"""Whether a saved tree is the one that is wanted: the same leaves, shapes and types."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from gym_jax.errors import CheckpointError
from gym_jax.train.places import is_key


def refuse_other(saved: PyTree, wanted: PyTree, path: Path) -> None:
    """Refuse a leaf of another shape or type before any array is read: Orbax would cast types in silence."""
    have = {_name(where): leaf for where, leaf in jax.tree_util.tree_leaves_with_path(saved)}
    want = {_name(where): leaf for where, leaf in jax.tree_util.tree_leaves_with_path(wanted)}
    wrong = [f"{name}: only in the checkpoint" for name in have if name not in want]
    wrong += [f"{name}: not in the checkpoint" for name in want if name not in have]
    for name in have.keys() & want.keys():
        if is_key(want[name]):
            want[name] = jax.eval_shape(jax.random.key_data, want[name])  # saved as its words
        old, new = (getattr(leaf, "shape", None) for leaf in (have[name], want[name]))
        if old is not None and tuple(old) != tuple(new or ()):
            wrong.append(f"{name}: saved {tuple(old)} -> now {tuple(new or ())}")
        kinds = [getattr(leaf, "dtype", None) for leaf in (have[name], want[name])]
        if all(isinstance(kind, np.dtype | type) for kind in kinds) and np.dtype(kinds[0]) != np.dtype(kinds[1]):
            wrong.append(f"{name}: saved {np.dtype(kinds[0])} -> now {np.dtype(kinds[1])}")
    if wrong:
        shown = "; ".join(sorted(wrong, key=lambda text: (not text.startswith("params"), text))[:5]) + (
            f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        )
        raise CheckpointError(
            f"checkpoint {path} holds another state: {shown}",
            hint="the model, the optimiser or their sizes were changed since it was saved",
            code="checkpoint.mismatch",
        )


def _name(where: tuple[Any, ...]) -> str:
    return "/".join(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in where)
