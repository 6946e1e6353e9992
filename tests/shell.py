"""A page as a reader would follow it: its blocks, one after the other, in one shell and one folder."""

import os
import re
import signal
import stat
import subprocess
import sys

from conftest import ROOT
from documents import blocks, read_page
from processes import free_port

PREAMBLE = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
server_here=
in_background() {  # a server that the page starts in a terminal of its own: go on once it says where it is
  local said pid; said=$(mktemp)
  case "$*" in *--port*) ;; *) [ -z "$server_here" ] || { kill $server_here; wait $server_here || true; } ;; esac
  "$@" >"$said" & pid=$!
  case "$*" in *--port*) ;; *) server_here=$pid ;; esac
  until grep -q http "$said"; do kill -0 $pid || return 1; sleep 0.2; done
}
"""
GYMJAX = """#!/usr/bin/env bash
case "$1 $*" in
  *--port*) ;;
  serve*) set -- "$@" --port "$SERVE_PORT" ;;
  monitor*--once*) ;;
  monitor*) set -- "$@" --port "$MONITOR_PORT" ;;
esac
exec "{python}" -m gym_jax "$@"
"""
SERVERS = re.compile(r"gymjax (serve|monitor)\b(?!.*(--once|&$))")


def as_run(line):
    """Return a line of a page as the shell gets it: servers in the background, the exit code that a comment names."""
    if SERVERS.match(line):
        line = f"in_background {line}"
    command, hash_, comment = line.partition("  # ")
    if named := re.search(r"leaves with (\d+)", comment):
        command += f" || [ $? = {named[1]} ]"
    return command + hash_ + comment


def script_of(name):
    """Return the blocks of a page that run, as one script; one that exports variables has a shell of its own."""
    lines = []
    for block in (block for block in blocks(name) if block.runs):
        if block.kind == "sh":
            said = "\n".join(as_run(line) for line in block.text.splitlines())
            lines.append(f"(\n{said}\nwait\n)" if re.search(r"^export ", said, re.M) else said)
        elif block.kind == "python" and ">>> " not in block.text:
            lines.append(f"python - <<'END OF BLOCK'\n{block.text}END OF BLOCK")
    if ">>> " in read_page(name):
        lines.append(f"python -m doctest {ROOT / name}.md")
    return "\n".join(lines)


def make_doors(folder):
    """Make a folder with the commands of this environment, `gymjax` and `python`, and return it."""
    folder.mkdir()
    for name, text in (("gymjax", GYMJAX), ("python", '#!/bin/sh\nexec "{python}" "$@"\n')):
        (folder / name).write_text(text.replace("{python}", sys.executable))
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def reader_environment(doors):
    """Return the variables of a shell that finds these commands."""
    path = {"PATH": f"{doors}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **path, "JAX_NUM_CPU_DEVICES": "2", "no_proxy": "*"}


def run_page(name, folder, *, before="", replace=None, seconds=1200, environ=None):
    """Run every block of a page in a folder, behind commands that make what it takes for granted."""
    doors = make_doors(folder.parent / f"{folder.name}-doors")
    ports = {"SERVE_PORT": str(free_port()), "MONITOR_PORT": str(free_port())}
    script = script_of(name)
    replace = replace or {}
    assert not [old for old in replace if old not in script], "replaced, and not there"
    for old, new in {"8643": ports["SERVE_PORT"], "8642": ports["MONITOR_PORT"], **replace}.items():
        script = script.replace(old, new)
    env = {**reader_environment(doors), **ports, **(environ or {})}
    command = ["bash", "-c", f"{PREAMBLE}\n{before}\nset -v\n{script}"]
    with (folder.parent / f"{folder.name}.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = "late"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        said = log.read()
    assert code == 0, f"{name} ended with {code}\n{said[-4000:]}"
    return said
