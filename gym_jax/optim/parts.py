"""Parts of a model by name: what is frozen, and what is taken from another model.

A parameter's path joins its keys: `layer_0/cell/input_kernel`. A pattern names a parameter or a part, which stands for
everything below it, and may be a glob: `head`, `layer_0/cell`, `*/bias`.
"""

import operator
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from gym_jax.errors import ConfigError, did_you_mean, nearest

KINDS = (jnp.floating, jnp.complexfloating, jnp.integer, jnp.bool_)


def matching(params: PyTree, patterns: Sequence[str]) -> PyTree:
    """Return True for the parameters that a pattern names. Raises ConfigError when a pattern names none.

    >>> matching(params, ["bias"])
    {'bias': True, 'kernel': False}
    """
    paths = list(_by_path(params))
    for pattern in patterns:
        if not any(_covers(pattern, path) for path in paths):
            parts = {part for path in paths for part in _parts(path)}
            near = nearest(pattern, parts)
            tops = {path.split("/")[0] for path in paths}
            raise ConfigError(
                f"no parameter is named `{pattern}`",
                hint=did_you_mean(pattern, parts if near else tops) if paths else "the model has no parameters",
                code="config.unknown_part",
            )
    chosen = [any(_covers(pattern, path) for pattern in patterns) for path in paths]
    return jax.tree.unflatten(jax.tree.structure(params), chosen)


def frozen(tx: optax.GradientTransformation, patterns: Sequence[str]) -> optax.GradientTransformation:
    """Return `tx` for all but the named parameters, which keep every bit and have no place in its state.

    Outermost, so that neither the clipped norm nor weight decay sees them. No patterns return `tx` itself; raises
    ConfigError, on `init`, when a pattern names nothing or nothing is left to train.

    >>> stepped(frozen(sgd(0.1), ["kernel"]))
    {'bias': 0.9, 'kernel': 1.0}
    """
    if not patterns:
        return tx

    def held(params: PyTree) -> PyTree:
        chosen = matching(params, patterns)
        if all(jax.tree.leaves(chosen)):
            raise ConfigError(
                f"{', '.join(patterns)}: every parameter is frozen", hint="leave something to train, such as the head"
            )
        return chosen

    # Adding -0.0 changes no number; 0.0 would turn -0.0 into 0.0.
    nothing = optax.stateless(lambda updates, _: jax.tree.map(lambda u: jnp.full_like(u, -0.0), updates))
    return optax.chain(
        optax.masked(tx, lambda params: jax.tree.map(operator.not_, held(params))), optax.masked(nothing, held)
    )


def warm_start(params: PyTree, donor: PyTree, patterns: Sequence[str] = ()) -> PyTree:
    """Return `params` with the named parameters, or all of them, taken from `donor` by path, as copies.

    They keep the type of `params`. Raises ConfigError that names every parameter which the donor lacks or has in
    another shape or kind of number.

    >>> warm_start(params, {"kernel": jnp.full((2, 2), 3.0)}, ["kernel"])["kernel"].tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    chosen = matching(params, patterns) if patterns else jax.tree.map(lambda _: True, params)
    given, problems = _by_path(donor), {}
    for (path, leaf), wanted in zip(_by_path(params).items(), jax.tree.leaves(chosen), strict=True):
        if wanted and (problem := _misfit(leaf, given.get(path))):
            problems[path] = problem
    if problems:
        tops = dict.fromkeys(path.split("/")[0] for path in _by_path(params))
        misfits = {path for path, leaf in _by_path(params).items() if _misfit(leaf, given.get(path))}
        fitting = [top for top in tops if not any(_covers(top, path) for path in misfits)]
        raise ConfigError(
            "the donor's parameters do not fit: " + "; ".join(f"{path} {what}" for path, what in problems.items()),
            hint=f"name the parts that fit: {', '.join(fitting)}" if fitting else "no part of it fits this model",
            code="config.warm_start",
        )
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf, wanted: jnp.array(given[_join(path)], leaf.dtype) if wanted else leaf, params, chosen
    )


def _misfit(leaf: Array, other: Array | None) -> str | None:
    if other is None:
        return "is missing"
    if leaf.shape != other.shape:
        return f"has shape {list(other.shape)} instead of {list(leaf.shape)}"
    if _kind(leaf) != _kind(other):
        return f"is {np.dtype(other.dtype).name} instead of {np.dtype(leaf.dtype).name}"
    return None


def _kind(leaf: Array) -> list[bool]:
    return [jnp.issubdtype(leaf.dtype, kind) for kind in KINDS]


def _join(path: tuple[object, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _by_path(tree: PyTree) -> dict[str, Array]:
    return {_join(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _parts(path: str) -> list[str]:
    """Return the path itself and every part that it lies in."""
    return list(accumulate(path.split("/"), "{}/{}".format))


def _covers(pattern: str, path: str) -> bool:
    return any(fnmatchcase(part, pattern) for part in _parts(path))
