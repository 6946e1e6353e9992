"""Every name that code uses is there. The linter cannot say so: shapes of arrays in annotations are no names to it."""

import builtins
import symtable

from conftest import ROOT

FILES = sorted((ROOT / "gym_jax").rglob("*.py"))
GIVEN = {*dir(builtins), "__file__", "__name__", "__doc__", "__path__", "__spec__", "__class_getitem__"}


def unknown_names(text, name="text"):
    """Return the global names that functions and classes use and that nothing defines."""
    top = symtable.symtable(text, name, "exec")
    known = {
        one.get_name() for one in top.get_symbols() if one.is_assigned() or one.is_imported() or one.is_namespace()
    }
    out, tables = set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used = (one for one in table.get_symbols() if one.is_referenced() and (one.is_global() or table is top))
        out |= {one.get_name() for one in used if not one.is_annotated()}
        known |= {one.get_name() for one in table.get_symbols() if one.is_declared_global() and one.is_assigned()}
    return out - known - GIVEN


def test_unknown_names_by_hand():
    text = """
import math
X = 1
def f(a):
    global Y
    Y = a + X + math.pi
    return lambda b: b + a + Z
class C:
    d = W
"""
    assert unknown_names(text) == {"Z", "W"}
    assert unknown_names("print(len(V))") == {"V"}


def test_every_name_is_defined():
    found = {path.relative_to(ROOT).as_posix(): unknown_names(path.read_text(), str(path)) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {}
