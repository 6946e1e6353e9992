"""What is wrong with the docstring of a public name, as sentences; the API pages of the site are made of them."""

import ast
import builtins
import functools
import inspect
import keyword
import re
import sys
import typing

import jax
import numpy as np
import optax

ELSEWHERE = {"cpu_max", "cpu_spread", "cpu_lo80", "cpu_hi80", "difference", "by_horizon", "by_hour", "by_series"}
"""Columns and keys of answers that are made in other files than the functions which return them."""
SCALARS = (optax.Schedule, optax.ScalarOrSchedule)
"""Optax's types of a rate: a number for each step."""
WORD = re.compile(r"`([a-z_]\w+)`")
SHAPE = re.compile(r"\[[^\]`]*\]|\bshapes?\b|\bscalars?\b")


@functools.cache
def tree_of(module):
    return ast.parse(inspect.getsource(module))


@functools.cache
def nodes_of(module):
    """Return the functions and classes of a file, methods too, by their qualified names; of overloads the last."""
    top = {node.name: node for node in tree_of(module).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    inner = {f"{name}.{one.name}": one for name, node in top.items() for one in node.body if hasattr(one, "name")}
    return top | inner


def node_of(thing):
    """Return the syntax tree of a function, class or method."""
    return nodes_of(module_of(thing))[inspect.unwrap(thing).__qualname__]


def module_of(thing):
    return sys.modules[inspect.unwrap(thing).__module__]


def is_written(thing):
    """Return whether a thing is a function that somebody wrote: dataclasses make some."""
    return inspect.isfunction(thing) and inspect.unwrap(thing).__code__.co_filename.endswith(".py")


def members(cls):
    """Yield the public methods and properties that a class defines itself, with their functions."""
    for name, value in vars(cls).items():
        value = getattr(value, "__func__", getattr(value, "fget", getattr(value, "func", value)))
        if name[0] != "_" and is_written(value):
            yield name, value


def fields(cls):
    """Yield the public fields of a class with the docstrings below them."""
    body = node_of(cls).body
    for at, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(at, ast.AnnAssign) and at.target.id[0] != "_" and "ClassVar" not in ast.unparse(at.annotation):
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            yield at.target.id, text


def raised(node, module, known, seen=()):
    """Return the names of what a function raises, by itself or in private functions of its file, and does not catch."""
    caught = {
        name.id
        for part in ast.walk(node)
        if isinstance(part, ast.ExceptHandler) and part.type is not None
        for name in ast.walk(part.type)
        if isinstance(name, ast.Name)
    }
    out = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Raise) and part.exc is not None:
            error = part.exc.func if isinstance(part.exc, ast.Call) else part.exc
            name = getattr(error, "id", "")
            thing = getattr(module, name, getattr(builtins, name, None))
            if inspect.isfunction(thing):  # one that makes the error
                thing = typing.get_type_hints(thing)["return"]
            if inspect.isclass(thing):
                out.add(thing.__name__)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            name = part.func.id
            if name[0] == "_" and name in known and name not in seen:
                out |= raised(known[name], module, known, (*seen, name))
    if "Exception" in caught:
        out = {name for name in out if not hasattr(builtins, name)}
    return out - caught - {"AssertionError"}


def unshaped(hint):
    """Return whether a type holds an array that does not say its shape."""
    if hint in (jax.Array, np.ndarray):
        return True
    return hint not in SCALARS and not hasattr(hint, "dim_str") and any(map(unshaped, typing.get_args(hint)))


def hints_of(thing):
    names = {name: sys.modules.get(module) for name, module in (("pd", "pandas"), ("pa", "pyarrow"))}
    try:
        return typing.get_type_hints(inspect.unwrap(thing), localns=names)
    except NameError:  # of what is imported for type checkers alone
        return {}


@functools.cache
def strings_of(module):
    """Return the words in the strings of a file, those of its docstrings left out."""
    tree = tree_of(module)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return {word for text in texts if isinstance(text, str) for word in re.findall(r"\w+", text)}


def strange_words(doc, node, module, public):
    """Return the words in backticks that are no name in the code below, no text in its file, and not public."""
    names = {getattr(part, name, None) for part in ast.walk(node) for name in ("id", "attr", "arg", "name")}
    known = names | strings_of(module) | set(dir(module)) | set(dir(builtins)) | set(keyword.kwlist) | public
    return sorted(set(WORD.findall(doc.partition(">>>")[0])) - known - ELSEWHERE)


def faults(path, thing, public):
    """Yield what is wrong with the docstrings of a public name, but for its examples."""
    module, known = module_of(thing), nodes_of(module_of(thing))
    doc = inspect.unwrap(thing).__doc__ or ""
    parts = [(path, thing, doc)]
    if inspect.isclass(thing):
        parts += [(f"{path}.{name}", value, value.__doc__ or "") for name, value in members(thing)]
        for name, text in fields(thing):
            if not text:
                yield f"{path}.{name}: nothing says what this field is"
        for name, hint in hints_of(thing).items():
            if unshaped(hint):
                yield f"{path}.{name}: an array without a shape"
        made = [vars(thing).get(name) for name in ("__init__", "__post_init__", "__call__", "__missing__")]
        for one in made:
            if is_written(one) and inspect.unwrap(one).__module__ == thing.__module__:
                own = f"{doc} {one.__doc__ or ''}"
                for name in sorted(raised(node_of(one), module, known)):
                    if name not in own:
                        yield f"{path}: raises {name} and does not say so"
    for where, what, text in parts:
        if not text.strip():
            yield f"{where}: no docstring"
        if strange := strange_words(text, node_of(thing), module, public):
            yield f"{where}: {', '.join(strange)} in backticks, which nothing there is called"
        if inspect.isclass(what):
            continue
        for name, hint in hints_of(what).items():
            if unshaped(hint) and not SHAPE.search(text):
                yield f"{where}: {name} is an array without a shape"
        for name in sorted(raised(node_of(what), module, known)):
            if not re.search(rf"\b{name}\b", text):
                yield f"{where}: raises {name} and does not say so"


def anythings(path, thing):
    """Yield what a public function, or method of a class, takes or returns that is written as `Any` alone."""
    functions = [(path, thing)]
    if inspect.isclass(thing):
        functions = [(f"{path}.{name}", value) for name, value in members(thing)]
    for where, function in functions:
        node = node_of(function)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for one in arguments:
            if one.annotation is not None and ast.unparse(one.annotation) == "Any":
                yield f"{where}.{one.arg}"
        if node.returns is not None and ast.unparse(node.returns) == "Any":
            yield where
