"""Files stay short as a whole, and nothing is written twice: no lines in a row stand in two places."""

import ast
import statistics
from collections import defaultdict

from conftest import ROOT

FILES = sorted((ROOT / "gym_jax").rglob("*.py"))
MEDIAN = 130
"""Lines that half of the files have at most."""
MOST = 5
"""Lines in a row that may stand in two places."""


def lines_of(text):
    """The lines of code with their numbers: no imports, signatures, fields or documentation, no brackets alone."""
    left_out = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.AnnAssign):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, ast.FunctionDef):
            left_out |= set(range(node.lineno, node.body[0].lineno))
    kept = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if number not in left_out]
    plain = [(number, line.partition("  # ")[0].strip("()[]{}, :")) for number, line in kept if line[:1] != "#"]
    return [(number, line) for number, line in plain if line]


def repeated(texts, count):
    """Where the same `count` lines stand more than once: pairs of (name, number of the first line)."""
    seen = defaultdict(list)
    for name, text in texts.items():
        lines = lines_of(text)
        for at in range(len(lines) - count + 1):
            seen[tuple(line for _, line in lines[at : at + count])].append((name, lines[at][0]))
    return [places for places in seen.values() if len(places) > 1]


def test_repeated_lines_by_hand():
    one = '"""About."""\nimport os\n\na = 1  # why\nb = [\n    2,\n]\nc = 3\n'
    other = "def f():\n    a = 1\n    b = [\n        2,\n    ]\n\n    # more\n    c = 3\n"
    assert repeated({"one": one, "other": other}, 4) == [[("one", 4), ("other", 2)]]
    assert repeated({"one": one, "other": other.replace("3", "4")}, 4) == []
    assert repeated({"one": one}, 1) == []


def test_nothing_is_written_twice():
    assert repeated({path.name: path.read_text(encoding="utf-8") for path in FILES}, MOST + 1) == []


def test_half_of_the_files_are_short():
    assert statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) <= MEDIAN
