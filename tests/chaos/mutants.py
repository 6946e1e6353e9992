"""Row 20: wrong signs, operators, comparisons and constants in what computes numbers; the tests must notice each.

python tests/chaos/mutants.py [--each 8] [--only losses:3] [--seed 0] [--workers 2]

Of every file a sample of mutants is drawn by its seed. Each is compiled in place of the module in a process of its own,
which runs the tests of that file until one fails. Prints every mutant that survives, and the share that was noticed.
"""

import argparse
import ast
import importlib.abc
import importlib.machinery
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from harness import wilson

ROOT = Path(__file__).parents[2]
FILES = {
    "losses": ["test_losses.py"],
    "metrics": ["test_metrics.py"],
    "ops.lstm": ["ops"],
    "ops.hoisted": ["ops"],
    "ops.attention": ["ops"],
    "ops.dense": ["ops"],
    "optim.schedules": ["optim"],
    "optim.optimisers": ["optim"],
    "train.step": ["train/test_step.py", "train/test_skip.py", "train/test_accumulate.py", "train/test_parallel.py"],
    "train.average": ["train/test_average.py"],
    "train.shards": ["train/test_shards.py"],
    "data.scale": ["data/test_scale.py"],
    "data.windows": ["data/test_windows.py"],
    "data.impute": ["data/test_impute.py"],
    "evaluate.conformal": ["evaluate/test_conformal.py"],
    "evaluate.significance": ["evaluate/test_significance.py"],
    "evaluate.score": ["evaluate/test_score.py"],
    "allocate.histogram": ["allocate"],
}
"""Of gym_jax, and the tests that are about it."""
EQUIVALENT = {
    ("ops.dense", "small = "): "chooses between ways that give the same",
    ("ops.dense", "if rows < MANY"): "chooses between ways that give the same",
    ("ops.hoisted", "UNROLL ="): "steps in a turn of the loop, not what they compute",
    ("train.step", "grads, total, changed, count = add_shards("): "shards are given here",
    ("data.scale", "out[i, part] = np.where(t < 0.5"): "two ways to interpolate that differ by rounding",
    ("data.windows", "targets = jnp.where(known"): "what has no weight may be anything",
    ("data.impute", "before = lax.cummax("): "any number below 0 says that there is none",
    ("data.impute", "share = (step - left)"): "neighbours have nothing between them",
    ("evaluate.score", "ROWS_AT_ONCE ="): "bounds the memory, not the result",
    ("evaluate.score", "known, unit ="): "what is not known may be of any unit",
    ("evaluate.conformal", "LEVELS:"): "a choice and no computation",
    ("evaluate.conformal", "PRIOR ="): "a choice and no computation",
}
"""Lines, by their beginning, whose mutants mean the same, and why; they are counted apart."""
OPPOSITES: tuple[tuple[type[ast.AST], type[ast.AST]], ...] = (
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.Lt, ast.GtE),
    (ast.LtE, ast.Gt),
    (ast.Eq, ast.NotEq),
)
SWAPPED = dict(OPPOSITES) | {other: one for one, other in OPPOSITES}
NAMES = {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "sum": "mean", "mean": "sum"}


class Place(NamedTuple):
    """Something in a file that can be made wrong."""

    line: int
    column: int
    words: str


class Mutator(ast.NodeTransformer):
    """Lists what can be made wrong, and makes the so-manieth of it wrong."""

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted, self.places = wanted, list[Place]()

    def _here(self, node: ast.AST, words: str) -> bool:
        self.places.append(Place(getattr(node, "lineno", 0), getattr(node, "col_offset", 0), words))
        return len(self.places) - 1 == self.wanted

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Enter the body alone: neither annotations nor defaults nor the docstring compute anything."""
        node.body = [self.visit(line) for line in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Leave the type alone."""
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Leave words alone."""
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Leave words alone."""
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Leave subscripts of types alone; of arrays take the array."""
        node.value = self.visit(node.value)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Take another operator."""
        other = SWAPPED.get(type(node.op))
        strings = any(
            isinstance(part, ast.Constant | ast.JoinedStr) and not _number(part) for part in (node.left, node.right)
        )
        if other is not None and not strings and self._here(node, f"{type(node.op).__name__} -> {other.__name__}"):
            node.op = other()  # type: ignore[assignment]
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Take the opposite."""
        other = SWAPPED.get(type(node.ops[0]))
        if other is not None and self._here(node, f"{type(node.ops[0]).__name__} -> {other.__name__}"):
            node.ops[0] = other()  # type: ignore[call-overload]
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Leave a sign out."""
        if (
            isinstance(node.op, ast.USub)
            and not isinstance(node.operand, ast.Constant)
            and self._here(node, "- left out")
        ):
            return self.generic_visit(node).operand  # type: ignore[attr-defined,no-any-return]
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Take another number."""
        if _number(node):
            value = node.value
            assert isinstance(value, int | float)
            other = value + 1 if isinstance(value, int) else value * 1.1 + 0.01
            if self._here(node, f"{value} -> {other:.6g}"):
                return ast.copy_location(ast.Constant(other), node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Take the opposite of a reduction."""
        if node.attr in NAMES and self._here(node, f"{node.attr} -> {NAMES[node.attr]}"):
            node.attr = NAMES[node.attr]
        return self.generic_visit(node)


def _number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def path_of(name: str) -> Path:
    """Return the file of a module."""
    return ROOT / "gym_jax" / f"{name.replace('.', '/')}.py"


def places_of(name: str) -> list[Place]:
    """Return what can be made wrong in a module."""
    mutator = Mutator()
    mutator.visit(ast.parse(path_of(name).read_text()))
    return mutator.places


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a module's mutant to who imports it."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = f"gym_jax.{name}", number

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Return how to load that one module."""
        if name != self.name:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(path_of(name.removeprefix("gym_jax."))))

    def exec_module(self, module: object) -> None:
        """Run the mutant."""
        path = path_of(self.name.removeprefix("gym_jax."))
        tree = ast.fix_missing_locations(Mutator(self.number).visit(ast.parse(path.read_text())))
        exec(compile(tree, str(path), "exec"), vars(module))


def survives(name: str, number: int, seconds: int = 300) -> bool:
    """Return whether a mutant passes the tests of its file, in a process of its own."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    import signal

    signal.alarm(seconds)  # one that loops for ever is noticed
    sys.meta_path.insert(0, Finder(name, number))
    os.chdir(ROOT)
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/pytest", "-m", "not slow"]
        code = pytest.main([*options, *(f"tests/{test}" for test in FILES[name])])
    os._exit(int(code))


def drawn(given: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Yield the mutants to try: a sample of every file, or one."""
    if given.only:
        for mutant in given.only.split(","):
            name, _, number = mutant.partition(":")
            yield name, int(number)
        return
    for name in FILES:
        places = places_of(name)
        chosen = random.Random(f"{given.seed} {name}").sample(range(len(places)), min(given.each, len(places)))
        yield from ((name, number) for number in sorted(chosen))


def main(given: argparse.Namespace) -> int:
    """Try the mutants; return 1 when fewer than nine of ten are noticed."""
    mutants = list(drawn(given))
    with ThreadPoolExecutor(given.workers) as pool:
        found = list(pool.map(lambda mutant: survives(*mutant), mutants))
    left = [mutant for mutant, alive in zip(mutants, found, strict=True) if alive]
    same = [mutant for mutant in left if reason_of(*mutant)]
    count, right = len(mutants) - len(same), len(mutants) - len(left)
    low, high = wilson(right, count)
    print(f" 20 mutants that the tests notice: {right}/{count} [{low:.1%}, {high:.1%}], {len(same)} mean the same")
    for name, number in left:
        place = places_of(name)[number]
        told = f"gym_jax/{name.replace('.', '/')}.py:{place.line}: {place.words} {reason_of(name, number)}"
        print(f"      --only {name}:{number}: {told}")
    return int(right < 0.9 * count)


def reason_of(name: str, number: int) -> str:
    """Return why a mutant means the same; nothing when it does not."""
    line = path_of(name).read_text().splitlines()[places_of(name)[number].line - 1].strip()
    found = [why for (module, begin), why in EQUIVALENT.items() if module == name and line.startswith(begin)]
    return found[0] if found else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=8, help="mutants of every file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="some mutants, such as losses:3,losses:7")
    parser.add_argument("--workers", type=int, default=2)
    sys.exit(main(parser.parse_args()))
