"""Systems that are not POSIX: what would break there is listed, and tried as far as it can be tried here."""

import ast
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from posix_only import at_import, hanging, marked, parsed, used_by

from gym_jax import files
from gym_jax.errors import StorageError
from gym_jax.locks import FAR, claim, release, try_lock, wait_for_lock

LIBRARY = {
    "launch/attempt.py": {"/proc/", "os.killpg", "signal.SIGKILL"},  # supervise refuses first
    "launch/child.py": {"signal.SIGKILL"},  # on Linux alone
    "run/bench_memory.py": {"/proc/self/clear_refs", "/proc/self/status"},  # None without
    "run/bench_peers.py": {"os.sched_getaffinity"},  # asked for before
    "serve/system.py": {"/proc/meminfo", "os.getloadavg", "os.sched_getaffinity"},  # None without
    "train/cache.py": {"/proc/cpuinfo", "os.getuid", "st_mode"},  # the same, asked for before
    "train/parallel.py": {"os.sched_getaffinity"},  # asked for before
}
"""What the library uses of POSIX, and why it does no harm elsewhere."""
GUARDED = {"processes": {"os.kill", "signal.SIGCONT"}}
"""What helpers of tests use on POSIX only."""
LAUNCHER = {"gym_jax.launch.supervise": {"supervise": {"os.killpg"}}}
SOURCES = sorted((ROOT / "gym_jax").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "chaos" not in path.parts)
"""Less the faults on purpose, which are of Linux."""


def test_what_the_library_uses_of_posix_is_listed_with_what_happens_without():
    found = {path.relative_to(ROOT / "gym_jax").as_posix(): used_by(path) for path in SOURCES}
    assert {path: what for path, what in found.items() if what} == LIBRARY


def test_nothing_is_used_of_posix_at_an_import():
    assert {path.name: found for path in [*SOURCES, *TESTS] if (found := at_import(path))} == {}


def test_a_test_that_hangs_on_posix_is_marked():
    known = dict(LAUNCHER)
    for path in TESTS:
        if not path.name.startswith("test_"):
            named = path.relative_to(ROOT / "tests").with_suffix("").as_posix().replace("/", ".")
            found = hanging(path, known)
            known[named] = {name: more for name, what in found.items() if (more := what - GUARDED.get(named, set()))}
    lacking = {}
    for path in TESTS:
        if path.name.startswith("test_") and path.name != "test_elsewhere.py":
            asked = {name for name in hanging(path, known) if name.startswith("test_")}
            if lacks := asked - marked(path):
                lacking[path.name] = lacks
    assert lacking == {}


def test_the_search_sees_what_hangs_on_posix_by_hand(tmp_path):
    path = tmp_path / "test_it.py"
    path.write_text(
        "import os, signal\n\n"
        "def helper():\n    os.mkfifo('a')\n\n"
        "@pytest.fixture\ndef pipe():\n    helper()\n\n"
        "def test_direct():\n    import fcntl\n\n"
        "def test_by_fixture(pipe):\n    pass\n\n"
        "@pytest.mark.posix\ndef test_marked(pipe):\n    pass\n\n"
        "@pytest.mark.parametrize('n', [pytest.param(signal.SIGKILL, marks=pytest.mark.posix), 1])\n"
        "def test_case(n):\n    pass\n\n"
        "def test_free():\n    os.getpid()\n"
    )
    assert set(hanging(path, {})) == {"helper", "pipe", "test_direct", "test_by_fixture", "test_marked"}
    assert marked(path) == {"test_marked", "test_case"}
    assert at_import(path) == {"signal.SIGKILL"}  # cases are made at once, whether marked or not


def test_text_is_read_and_written_as_utf_8_with_one_end_of_line():
    faults = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        tree = parsed(path) if re.search(r"_text\(|open\(", text) else ast.Module([], [])
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            words = {word.arg for word in call.keywords}
            match call:
                case ast.Call(func=ast.Attribute(attr="read_text")):
                    needed = {"encoding"}
                case ast.Call(func=ast.Attribute(attr="write_text")):
                    needed = {"encoding", "newline"}
                case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value="w" | "a" | "x")]):
                    needed = {"encoding", "newline"}
                case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value="r" | "a+")]):
                    needed = {"encoding"}
                case _:
                    continue
            if needed - words:
                faults.append(f"{path.name}:{call.lineno} {ast.unparse(call)}")
    assert faults == []


class Msvcrt:
    """What Windows' module does with locks: a handle holds a byte until it is closed, every other handle is refused."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self):
        import fcntl

        self.flock, self.how, self.claims = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB, set()

    def locking(self, number, mode, count):
        assert count == 1
        place = (os.fstat(number).st_ino, os.lseek(number, 0, os.SEEK_CUR))
        if place[1] == FAR:  # stands for the whole file
            self.flock(number, self.how)
        elif mode == self.LK_UNLCK:
            self.claims.remove(place)
        elif place in self.claims:
            raise PermissionError(13, "Permission denied")
        else:
            self.claims.add(place)


@pytest.fixture(params=["own", pytest.param("msvcrt", marks=pytest.mark.posix)])
def system(request, monkeypatch):
    if request.param == "msvcrt":
        monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt())
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return request.param


def test_a_file_is_held_by_one_handle_until_it_is_closed(system, tmp_path):
    path = tmp_path / "lock"
    with path.open("a+") as one, path.open("a+") as other:
        assert try_lock(one)
        one.write("who holds it")
        one.flush()
        assert path.read_text() == "who holds it"
        assert not try_lock(other)
        assert not try_lock(other, shared=True)
    with path.open() as other:
        assert try_lock(other, shared=True)
    with path.open("a+") as other:
        wait_for_lock(other)


def test_places_are_claimed_apart_and_given_back(system, tmp_path):
    with (tmp_path / "claims").open("a+") as file:
        assert claim(file, 3)
        assert claim(file, 4)
        release(file, 3)
        assert claim(file, 3)
        assert file.tell() == 0


def test_without_any_locks_the_error_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    with (tmp_path / "lock").open("w") as file, pytest.raises(StorageError, match="no locks on files"):
        try_lock(file)


@pytest.mark.parametrize("name", ["file/x.csv", "x" * 253])
def test_where_nothing_can_be_written_the_error_says_so(name, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can not be written"), files.whole_file(tmp_path / name) as (_, temporary):
        temporary.write_text("")


def test_windows_syncs_no_folder_and_opens_files_to_write(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "WINDOWS", True)
    flags = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flag: (flags.append(flag), real(path, flag))[1])
    (tmp_path / "a").write_text("a")
    files.sync(tmp_path)
    files.sync(tmp_path / "a")
    assert flags == [os.O_RDWR]


def test_launch_says_that_it_needs_posix(monkeypatch):
    from gym_jax.errors import ConfigError
    from gym_jax.launch.supervise import supervise

    monkeypatch.delattr(os, "killpg", raising=False)
    with pytest.raises(ConfigError, match="on Linux and macOS only"):
        supervise(["true"], 1, say=lambda rank, line: None)


BARE = """
import builtins, importlib, os, pkgutil, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
hidden, real = {hidden!r}, builtins.__import__

def hide(name, given=None, *more, **others):
    own = (given or {{}}).get("__name__", "")
    if name in hidden and own.partition(".")[0] in ("gym_jax", "small"):
        raise ImportError(name + " is hidden")
    return real(name, given, *more, **others)

import jax, optax, pandas, asyncio, subprocess, multiprocessing  # Linux' own ways of these are not what is tried
from test_elsewhere import Msvcrt
builtins.__import__ = hide
sys.modules["msvcrt"], sys.modules["fcntl"] = Msvcrt(), None
for name in ("killpg", "fork", "getuid", "getloadavg", "sched_getaffinity", "mkfifo"):
    delattr(os, name)
for name in ("SIGUSR1", "SIGALRM", "SIGSTOP", "SIGCONT"):
    delattr(signal, name)
"""
HIDDEN = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")


def bare(code):
    """What a process says that has neither the modules nor the functions of POSIX, as far as ours are concerned."""
    head = BARE.format(root=str(ROOT), tests=str(ROOT / "tests"), hidden=HIDDEN)
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.posix
def test_every_module_is_imported_without_posix():
    said = bare(
        "import gym_jax\n"
        "from gym_jax.errors import MissingExtra\n"
        "count = 0\n"
        "for one in pkgutil.walk_packages(gym_jax.__path__, 'gym_jax.'):\n"
        "    if one.name.rpartition('.')[2] in ('__main__', 'bench_torch', 'bench_keras'): continue\n"
        "    importlib.import_module(one.name); count += 1\n"
        "print(count)\n"
    )
    assert int(said.split()[-1]) > 300


@pytest.mark.slow
@pytest.mark.posix
def test_a_run_is_trained_saved_locked_stopped_and_resumed_without_posix(tmp_path):
    said = bare(
        "from pathlib import Path\n"
        "from small import small_config\n"
        "from gym_jax.errors import Interrupted, RunInUse\n"
        "from gym_jax.run.folder import RunFolder\n"
        "from gym_jax.run.train import resume_run, train_run\n"
        f"root, steps = Path({str(tmp_path)!r}), []\n"
        "def watch(event):\n"
        "    steps.append(event.kind)\n"
        "stop = lambda: 143 if steps.count('saved') >= 2 else None\n"
        "config = small_config(root, 'mlp', 'run.save_seconds=0')\n"
        "try:\n"
        "    train_run(config, folder=root / 'run', watch=watch, stop=stop)\n"
        "except Interrupted: print('stopped')\n"
        "run = RunFolder(root / 'run')\n"
        "with run.lock():\n"
        "    assert run.in_use()\n"
        "    try: resume_run(run)\n"
        "    except RunInUse: print('in use')\n"
        "assert not run.in_use()\n"
        "print(resume_run(run).status)\n"
        "train_run(config, folder=root / 'whole')\n"
        "print((root / 'run/metrics.jsonl').read_bytes() == (root / 'whole/metrics.jsonl').read_bytes())\n"
    )
    assert said.split("\n")[-5:-1] == ["stopped", "in use", "done", "True"]


@pytest.mark.slow
@pytest.mark.posix
def test_the_suite_is_collected_without_posix_and_says_how_many_it_leaves_out():
    """In place of Windows: the modules are hidden from all tests, and what is marked is left out."""
    code = (
        "import pytest\n"
        "os.environ['GYMJAX_TESTS_WITHOUT_POSIX'] = '1'\n"
        f"os.chdir({str(ROOT)!r})\n"
        "sys.exit(pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', '-p', 'no:unraisableexception']))\n"
    )
    said = bare(code)
    assert int(re.search(r"not POSIX: (\d+) tests that need it are left out", said)[1]) > 50
    assert "tests/cli/test_signals.py" not in said  # all of it is marked
