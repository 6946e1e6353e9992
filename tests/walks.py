"""The pages that walk through a change: their blocks, applied to a tree in order, and their commands."""

import re
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^(?P<lead>[^\n]*)\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
LEAD = re.compile(r"New file `(?P<new>.+)`:|In `(?P<file>[^`]+)`, (?P<where>above|below) `(?P<line>.+)`:")


class Walk(NamedTuple):
    """Blocks as (file, where, line, text), of new files as (file, None, None, text); commands in order."""

    blocks: list[tuple[str, str | None, str | None, str]]
    commands: list[str]


def read_walk(text: str) -> Walk:
    """Return what a page has one do. Every block must be a command, or say into which file it goes."""
    blocks, commands = [], []
    for found in BLOCK.finditer(text):
        if found["language"] == "sh":
            commands += found["text"].splitlines()
            continue
        lead = LEAD.fullmatch(found["lead"])
        assert lead, f"no file for the block below: {found['lead']}"
        blocks.append((lead["new"] or lead["file"], lead["where"], lead["line"], found["text"]))
    assert text.count("\n```") == 2 * len(BLOCK.findall(text)), "a block that no blank line leads to"
    return Walk(blocks, commands)


def apply_block(root: Path, file: str, where: str | None, line: str | None, text: str) -> None:
    """Write a new file, or insert into one beside the only line that begins with `line`, blanks before it aside."""
    path = root / file
    if where is None:
        assert not path.exists(), f"{file} is there already"
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [number for number, one in enumerate(lines) if one.strip().startswith(line)]
    assert len(places) == 1, f"{file} has {len(places)} lines `{line}`"
    at = places[0] + (where == "below")
    path.write_text("".join([*lines[:at], text, *lines[at:]]), encoding="utf-8", newline="\n")
