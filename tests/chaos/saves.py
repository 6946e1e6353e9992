"""Rows 2 to 6: saves that are killed, torn, refused, and steps that are changed on the disk."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import Bench, Outcome, Row, words_of


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
    return folder, bench.act("save", folder, environment=given)


def went_on(bench: Bench, folder: Path, number: int, before: str) -> Outcome:
    """Save on without faults, and say whether it began with the right bits and ended with the right ones."""
    second = bench.act("save", folder)
    third = bench.act("take up", folder)
    right = second["status"] == 0 and second.get("right") and third.get("right") and third.get("from") == 5
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(number, bool(right), f"{before}; then {words_of(second)}; then {words_of(third)}")


def killed(kind: str) -> Callable[[Bench, int], Outcome]:
    """Return an attempt that dies at a call and goes on."""

    def attempt(bench: Bench, number: int) -> Outcome:
        folder, first = harmed_save(bench, kind, number)
        return went_on(bench, folder, number, words_of(first))

    return attempt


def refused(kind: str) -> Callable[[Bench, int], Outcome]:
    """Return an attempt whose disk refuses: it must leave in words or go on, and end right once the disk is well."""

    def attempt(bench: Bench, number: int) -> Outcome:
        folder, first = harmed_save(bench, kind, number)
        if first["hung"]:
            return Outcome(number, False, "it hung")
        clean = first["status"] in (0, 6)
        done = went_on(bench, folder, number, words_of(first))
        return done._replace(right=done.right and clean)

    return attempt


def taken(number: int, harm: str, found: dict[str, Any]) -> Outcome:
    """Return what came of taking up a harmed folder."""
    right = bool(found.get("right"))
    return Outcome(number, right, f"{harm}: {words_of(found)}", silent=found["status"] == 0 and not right)


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
