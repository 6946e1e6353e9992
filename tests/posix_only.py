"""Finds in source text what only POSIX has, and the tests that hang on it."""

import ast
import functools
import re
from pathlib import Path

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"}
OS = {
    *(
        "chmod",
        "fork",
        "getloadavg",
        "getuid",
        "geteuid",
        "getpgid",
        "kill",
        "killpg",
        "link",
        "mkfifo",
        "pread",
        "setsid",
    ),
    *("O_CLOEXEC", "O_NONBLOCK", "sched_getaffinity", "sched_setaffinity", "symlink", "sysconf", "uname"),
}
SIGNAL = {"SIGALRM", "SIGCONT", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGUSR1", "SIGUSR2", "pthread_kill", "setitimer"}
METHODS = {"chmod", "hardlink_to", "send_signal", "symlink_to"}
"""Of paths and processes; the second is refused, or ends the process, on Windows."""
PLACES = ("/bin/", "/dev/", "/proc")
SHELLS = ("bash", "sh")
SPELT = re.compile(
    rf"(?:import|from) (?:{'|'.join(MODULES)})\b|\bos\.(?:{'|'.join(OS)})\b|\bsignal\.(?:{'|'.join(SIGNAL)})\b"
    rf"|\.(?:{'|'.join(METHODS)})\(|setattr\((?:os|signal),|\.st_mode &"
    rf"|[\"'](?:{'|'.join(PLACES)})|\[\"(?:{'|'.join(SHELLS)})\""
)
"""A text without any of these uses nothing of POSIX: most files need not be looked at closely."""


def use_of(node: ast.AST) -> str | None:
    """Return what only POSIX has of one node of a syntax tree, None when there is nothing."""
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in OS:
            return f"os.{name}"
        case ast.Attribute(value=ast.Name(id="signal"), attr=name) if name in SIGNAL:
            return f"signal.{name}"
        case ast.Attribute(attr=name) if name in METHODS:
            return name
        case ast.Constant(value=str(text)) if text.startswith(PLACES):
            return text
        case ast.Constant(value=str(text)) if found := SPELT.search(text):  # code for another process
            return f"code with {found[0]}"
        case ast.List(elts=[ast.Constant(value=name), *_]) if name in SHELLS:
            return name
        case ast.Import(names=names) if found := {one.name for one in names} & MODULES:
            return min(found)
        case ast.ImportFrom(module=module) if module in MODULES:
            return module
        case ast.BinOp(op=ast.BitAnd(), left=ast.Attribute(attr="st_mode")):
            return "st_mode"
        case ast.Call(func=ast.Attribute(attr="setattr"), args=[_, ast.Constant(value=name), *_]) if (
            name in OS | SIGNAL
        ):
            return name
    return None


def used_by(path: Path) -> set[str]:
    """Return what a file uses that only POSIX has."""
    return uses(parsed(path)) if SPELT.search(path.read_text(encoding="utf-8")) else set()


def uses(tree: ast.AST, *, lazily: bool = True) -> set[str]:
    """Return what a tree uses that only POSIX has; a case of a test that is marked `posix` is left out.

    Without `lazily` only what happens at an import: not what functions do, but what cases are made of.
    """
    out, rest = set(), [tree]
    while rest:
        node = rest.pop()
        if found := use_of(node):
            out.add(found)
        if (
            lazily
            and isinstance(node, ast.Call)
            and any(one.arg == "marks" and _is_mark(one.value) for one in node.keywords)
        ):
            continue
        if lazily or not isinstance(node, ast.FunctionDef | ast.Lambda):
            rest += ast.iter_child_nodes(node)
        elif isinstance(node, ast.FunctionDef):
            rest += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    return out


def _is_mark(node: ast.AST) -> bool:
    return "mark.posix" in ast.unparse(node)


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def at_import(path: Path) -> set[str]:
    """Return what a file uses as soon as it is imported; texts and what is looked up in objects break nothing there."""
    if not SPELT.search(path.read_text(encoding="utf-8")):
        return set()
    found = uses(parsed(path), lazily=False)
    return {one for one in found if one in MODULES or one.startswith(("os.", "signal."))}


def hanging(path: Path, known: dict[str, dict[str, set[str]]]) -> dict[str, set[str]]:
    """Return the names of a file that hang on POSIX, and on what of it; `known` are those of helpers, by module."""
    text, helpers = path.read_text(encoding="utf-8"), {name for names in known.values() for name in names}
    if not SPELT.search(text) and not any(name in text for name in helpers):
        return {}
    tree = parsed(path)
    parts: dict[str, tuple[set[str], set[str]]] = {}
    out: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in known:
            out |= {one.asname or one.name: found for one in node.names if (found := known[node.module].get(one.name))}
        names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else _assigned(node)
        inner = list(ast.walk(node))
        mentioned = {one.id for one in inner if isinstance(one, ast.Name)} | {
            one.arg for one in inner if isinstance(one, ast.arg)
        }
        asked = [
            one.args for one in inner if isinstance(one, ast.Call) and getattr(one.func, "attr", "") == "usefixtures"
        ]
        mentioned |= {word.value for words in asked for word in words}
        for name in names:
            parts[name] = (uses(node), mentioned)
    out |= {name: own for name, (own, _) in parts.items() if own}
    while more := {
        name: set().union(*(out[one] for one in mentioned & out.keys()))
        for name, (_, mentioned) in parts.items()
        if name not in out and mentioned & out.keys()
    }:
        out |= more
    return out


def _assigned(node: ast.AST) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def marked(path: Path) -> set[str]:
    """Return the tests of a file that are marked `posix`, or have cases that are; all of them when the file is."""
    tree = parsed(path)
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    if any(_assigned(node) == ["pytestmark"] and _is_mark(node) for node in tree.body):
        return {node.name for node in tests}
    return {one.name for one in tests if any(map(_is_mark, one.decorator_list))}
