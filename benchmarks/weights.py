"""The initial weights that all arms begin with: ours, made by a seed, and what they are called elsewhere.

python benchmarks/weights.py S3 weights.npz [--seed 0] [--quick]
"""

import argparse
import re

import numpy as np
from scenarios import SEED, find

Weights = dict[str, np.ndarray]
"""Our parameters by path: `layer_0/cell/input_kernel`; kernels are [inputs, outputs]."""


def read(path: str) -> Weights:
    """Return the weights of a file."""
    with np.load(path) as file:
        return dict(file)


def nested(weights: Weights) -> dict:
    """Return our own tree of parameters."""
    tree: dict = {}
    for path, value in weights.items():
        *folders, leaf = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[leaf] = value
    return tree


def for_torch(weights: Weights, heads: int = 1) -> Weights:
    """Return a state dict: kernels turned round, an LSTM's bias in the first of its two, the second all 0.

    Our query, key and value columns stand head by head; theirs stand query, key, value, each over all heads.
    """
    found: Weights = {}
    for path, value in weights.items():
        *folders, leaf = path.split("/")
        if folders[-1:] == ["cell"]:
            layer = folders[0].removeprefix("layer_")
            if leaf == "bias":
                found[f"lstm.bias_ih_l{layer}"], found[f"lstm.bias_hh_l{layer}"] = value, np.zeros_like(value)
            else:
                found[f"lstm.weight_{'ih' if leaf == 'input_kernel' else 'hh'}_l{layer}"] = value.T
            continue
        if folders[-1:] == ["qkv"]:
            rows, columns = value.shape
            value = value.reshape(rows, heads, 3, -1).swapaxes(1, 2).reshape(rows, columns)
        name = ".".join([*folders, {"kernel": "weight", "scale": "weight"}.get(leaf, leaf)])
        found[name] = value.T if leaf == "kernel" else value
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def for_keras(weights: Weights) -> Weights:
    """Return values by the paths of Keras variables, without the name of the model; gates and kernels are as ours."""
    found: Weights = {}
    for path, value in weights.items():
        *folders, leaf = path.split("/")
        if folders[-1:] == ["cell"]:
            found[f"{folders[0]}/{leaf.replace('input_', '')}"] = value
        elif any(folder.startswith("norm") for folder in folders):
            found["/".join([*folders, {"scale": "gamma", "bias": "beta"}[leaf]])] = value
        else:
            found[path] = value
    return found


def plain_path(path: str) -> str:
    """Return the path of a Keras variable without the folders that Keras adds: its model and the cell of an LSTM."""
    return re.sub(r"^model/|lstm_cell/", "", path)


def export(name: str, path: str, seed: int = SEED, quick: bool = False) -> None:
    """Write the weights that our model begins with."""
    import jax
    from flax.traverse_util import flatten_dict
    from model_gymjax import fresh_state

    params = jax.device_get(fresh_state(find(name, quick), seed=seed).params)
    np.savez(path, **flatten_dict(params, sep="/"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("path")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    export(given.scenario, given.path, given.seed, given.quick)
