"""The scoreboard of faults: what is lost or falsified when something breaks, for gym_jax and for Orbax alone.

python tests/chaos/scoreboard.py [--full] [--rows 2,4] [--subject plain-orbax] [--only 2:17] [--part 1/4]

Every row prints how many faults there were, how many came out right with the 95 % Wilson bounds, and a line that
repeats each failure. A hang counts as a failure. Without `--full` every tenth fault is tried.
"""

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Outcome(NamedTuple):
    """What came of one fault."""

    number: int
    right: bool
    words: str
    silent: bool = False
    """Whether wrong bits were taken for right ones without a word."""


class Row(NamedTuple):
    """One kind of fault: what it asks, how to list its faults, how to try one."""

    title: str
    faults: Callable[["Bench"], list[int]]
    attempt: Callable[["Bench", int], Outcome]


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % bounds of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    z, share = 1.959964, right / count
    middle, half = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


class Bench:
    """A server of victims under the file system that fails, and folders to harm."""

    def __init__(self, subject: str, root: str) -> None:
        self.subject, self.root = subject, Path(root)
        library = self.root / "faultfs.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "faultfs.c", "-ldl"], check=True)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.server = subprocess.Popen(
            [sys.executable, HERE / "victims.py", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.count = 0

    def act(self, act: str, folder: Path, seconds: float = 30, **environment: str) -> dict[str, Any]:
        """Return what comes of an act in a process of its own."""
        self.count += 1
        request = {
            "act": act,
            "subject": self.subject,
            "folder": str(folder),
            "out": str(self.root / f"out-{self.count}.json"),
            "seconds": seconds,
            "environment": environment,
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return dict(json.loads(self.server.stdout.readline()))

    def fresh(self) -> Path:
        """Return an empty folder."""
        return Path(tempfile.mkdtemp(dir=self.root))

    def saved(self) -> Path:
        """Return a copy of a folder with every step saved."""
        whole = self.root / "whole"
        if not whole.exists():
            whole.mkdir()
            found = self.act("save", whole)
            assert found["status"] == 0, found
        copy = self.root / "harmed"
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(whole, copy))

    def calls(self) -> list[str]:
        """Return the file calls of all saves, in order: `what path`."""
        log, folder = self.root / "calls.log", self.fresh()
        log.unlink(missing_ok=True)
        self.act("save", folder, FAULT_PREFIX=str(folder), FAULT_LOG=str(log))
        return [line.split(" ", 1)[1].replace(str(folder), "") for line in log.read_text().splitlines()]

    def close(self) -> None:
        """End the server."""
        self.server.kill()
        self.server.wait()


def every_call(bench: Bench) -> list[int]:
    """Return the numbers of all file calls."""
    return list(range(1, len(bench.calls()) + 1))


def every_write(bench: Bench) -> list[int]:
    """Return the numbers of the calls that write bytes."""
    return [number for number, call in enumerate(bench.calls(), 1) if call.startswith("write ")]


def harmed_save(bench: Bench, kind: str, number: int) -> tuple[Path, dict[str, Any]]:
    """Save with a fault at a call; return the folder and what came of it."""
    folder = bench.fresh()
    given = {"FAULT_PREFIX": str(folder), "FAULT_KIND": kind, "FAULT_AT": str(number)}
    return folder, bench.act("save", folder, **given)


def went_on(bench: Bench, folder: Path, number: int, before: str) -> Outcome:
    """Save on without faults, and say whether it began with the right bits and ended with the right ones."""
    second = bench.act("save", folder)
    third = bench.act("take up", folder)
    right = second["status"] == 0 and second.get("right") and third.get("right") and third.get("from") == 5
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(number, bool(right), f"{before}; then {_words(second)}; then {_words(third)}")


def killed(kind: str) -> Callable[[Bench, int], Outcome]:
    """Return an attempt that dies at a call and goes on."""

    def attempt(bench: Bench, number: int) -> Outcome:
        folder, first = harmed_save(bench, kind, number)
        return went_on(bench, folder, number, _words(first))

    return attempt


def refused(kind: str) -> Callable[[Bench, int], Outcome]:
    """Return an attempt whose disk refuses: it must leave in words or go on, and end right once the disk is well."""

    def attempt(bench: Bench, number: int) -> Outcome:
        folder, first = harmed_save(bench, kind, number)
        if first["hung"]:
            return Outcome(number, False, "it hung")
        clean = first["status"] in (0, 6)
        done = went_on(bench, folder, number, _words(first))
        return done._replace(right=done.right and clean)

    return attempt


def taken(number: int, harm: str, found: dict[str, Any]) -> Outcome:
    """Return what came of taking up a harmed folder."""
    right = bool(found.get("right"))
    return Outcome(number, right, f"{harm}: {_words(found)}", silent=found["status"] == 0 and not right)


def flipped(bench: Bench, number: int) -> Outcome:
    """Change one bit of the newest step: it must not be taken up, and an older step must be, by itself."""
    folder, chance = bench.saved(), random.Random(number)
    newest = folder / "5"
    files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size)
    path = chance.choices(files, [path.stat().st_size for path in files])[0]
    content = bytearray(path.read_bytes())
    place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    found = bench.act("take up", folder)
    return taken(number, f"{path.relative_to(folder)} bit {place}", found)


def mangled(bench: Bench, number: int) -> Outcome:
    """Empty, cut, zero or delete a file of the newest step, or take it from another step."""
    folder, chance = bench.saved(), random.Random(number)
    files = sorted(path for path in (folder / "5").rglob("*") if path.is_file() and path.stat().st_size)
    path, how = chance.choice(files), chance.choice(["empty", "cut", "zero", "delete", "older"])
    content = path.read_bytes()
    older = [p for p in (folder / "4").rglob("*") if p.is_file() and p.parent.name == path.parent.name]
    if how == "delete":
        path.unlink()
    elif how == "older" and older:
        path.write_bytes(chance.choice(older).read_bytes())
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "zero": bytes(len(content))}.get(how, b""))
    found = bench.act("take up", folder)
    return taken(number, f"{path.relative_to(folder)} {how}", found)


def unsynced(bench: Bench, number: int) -> Outcome:
    """Count the files of a step that were written and never synced: a loss of power may empty them."""
    calls = bench.calls()
    dirty: set[str] = set()
    for call in calls:
        what, path = call.split(" ", 1)
        name = "/".join(part.partition(".orbax-checkpoint-tmp")[0] for part in path.split("/"))
        if what == "sync":
            dirty.discard(name)
        elif what in ("write", "open", "truncate") and f"/{number}/" in name + "/":
            dirty.add(name)
        elif what == "unlink":
            dirty.discard(name)
    return Outcome(number, not dirty, f"never synced: {', '.join(sorted(dirty)) or 'none'}")


ROWS = {
    "2": Row("killed at a file call of a save, then gone on to the bit", every_call, killed("kill")),
    "3a": Row("killed in the middle of a write, then gone on to the bit", every_write, killed("torn")),
    "3b": Row("steps of which every file is synced before they count", lambda bench: [5], unsynced),
    "4": Row(
        "one bit changed in the newest step, an older one taken up by itself", lambda bench: list(range(1000)), flipped
    ),
    "5": Row(
        "a file emptied, cut, zeroed, deleted or swapped, an older one taken up",
        lambda bench: list(range(300)),
        mangled,
    ),
    "6a": Row(
        "one input/output error at a call, retried or left with status 6, then right", every_call, refused("eio")
    ),
    "6b": Row("the disk full from a call on, left with status 6, then right", every_call, refused("enospc")),
}


def _words(found: dict[str, Any]) -> str:
    told = "hung" if found["hung"] else f"status {found['status']}"
    if found.get("from") is not None:
        told += f", step {found['from']}{'' if found.get('right') else ' WRONG'}"
    return told + (f", {found['error'][:160]}" if "error" in found else "")


def chosen(faults: list[int], given: argparse.Namespace) -> Iterator[int]:
    """Yield the faults that are asked for: one, a part, a tenth, or all."""
    if given.only:
        yield int(given.only.partition(":")[2])
        return
    part, parts = (int(word) for word in given.part.split("/"))
    yield from faults[part - 1 :: parts * (10 if not given.full else 1)]


def main(given: argparse.Namespace) -> int:
    """Try the faults, print a line a row and one for every failure; return 1 when one came out wrong."""
    names = [given.only.partition(":")[0]] if given.only else given.rows.split(",")
    failures = 0
    with tempfile.TemporaryDirectory(prefix="gym-jax-chaos-") as root:
        bench = Bench(given.subject, root)
        try:
            for name in names:
                row, wrong, count = ROWS[name], [], 0
                for number in chosen(row.faults(bench), given):
                    outcome = row.attempt(bench, number)
                    count += 1
                    if not outcome.right:
                        wrong.append(outcome)
                low, high = wilson(count - len(wrong), count)
                silent = sum(outcome.silent for outcome in wrong)
                told = f", {silent} silently wrong" if silent else ""
                print(f"{name:>3} {row.title}: {count - len(wrong)}/{count} [{low:.1%}, {high:.1%}]{told}", flush=True)
                for outcome in wrong[: given.show]:
                    print(
                        f"      --subject {given.subject} --only {name}:{outcome.number}: {outcome.words}", flush=True
                    )
                failures += len(wrong)
        finally:
            bench.close()
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--subject", default="gym_jax", help="gym_jax, plain-orbax or plain-orbax-async")
    parser.add_argument("--full", action="store_true", help="every fault instead of a tenth")
    parser.add_argument("--only", help="one fault of a row, such as 4:17")
    parser.add_argument("--part", default="1/1", help="such as 2/4: every fourth fault, beginning with the second")
    parser.add_argument("--show", type=int, default=10, help="failures that are shown")
    sys.exit(main(parser.parse_args()))
