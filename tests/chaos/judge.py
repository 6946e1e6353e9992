"""A process that is given something hostile, under an audit hook."""

import os
import sys
from typing import Any


def judge(subject: str, folder: str, words: list[str]) -> dict[str, Any]:
    """Do what the words say in a folder, and note what a hostile thing in there might have been after."""
    import resource

    from gym_jax.cli import main

    os.chdir(folder)
    sys.path.insert(0, "")
    done: list[str] = []
    inside = (folder + os.sep, "/dev/null", "/dev/urandom")
    armed = True

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if not armed:
            return
        if event == "subprocess.Popen" and given[1] in OWN:
            return
        if event in STARTED:
            done.append(f"{event} {given!r}"[:200])
        elif event == "open" and isinstance(given[0], str) and _writes(given):
            path = os.path.abspath(given[0])
            if not path.startswith(inside):
                done.append(f"opened {path} to write")
        elif event in CHANGED and isinstance(given[0], str | os.PathLike):
            path = os.path.join(
                os.path.realpath(os.path.dirname(os.path.abspath(given[0]))), os.path.basename(given[0])
            )
            if not path.startswith(inside):
                done.append(f"{event} {path}")

    sys.addaudithook(hook)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        code = main(words)
    finally:
        armed = False
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"status": code, "done": done, "megabytes": more // 1024}


STARTED = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "pickle.find_class"),
    *("socket.connect", "socket.getaddrinfo", "socket.sendto"),
)
OWN = (["uname", "-p"], ["git", "rev-parse", "HEAD"])
"""What a run itself asks for, to note where it was trained."""
CHANGED = ("os.remove", "os.rmdir", "os.rename", "os.mkdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree")


def _writes(given: tuple[Any, ...]) -> bool:
    mode, flags = given[1], given[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
