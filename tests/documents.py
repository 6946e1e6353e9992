"""The pages of the project, and what they show: blocks of code and the commands in them."""

import re
import shlex
from typing import NamedTuple

from conftest import ROOT

from gym_jax.cli import main

CODE = ("sh", "python", "yaml", "json", "toml")
"""Kinds of blocks that are run or read; the others show what is printed."""
FENCE = re.compile(r"^(?:<!-- (.*?) -->\n)?```(\S*)\n(.*?)^```$", re.S | re.M)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    kind: str
    text: str
    mark: str
    """The comment right before it, such as `not run: needs a cluster`."""

    @property
    def runs(self) -> bool:
        """Whether a test runs it."""
        return self.kind in CODE and not self.mark.startswith(("not run: ", "ci: "))

    @property
    def lines(self) -> list[str]:
        """Its lines that are neither blank nor comments."""
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("#")]


def pages():
    """Return the names of all pages, without their ending."""
    top = ["README", "QUICKSTART", "CONTRIBUTING"]
    docs = [path for path in (ROOT / "docs").rglob("*.md") if not {"reference", "_build"} & set(path.parts)]
    return top + sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in docs)


def read_page(name):
    return (ROOT / f"{name}.md").read_text()


def blocks(name):
    """Return the blocks of a page, in their order."""
    text = read_page(name)
    found = [
        Block(name, text.count("\n", 0, one.start(2)) + 1, one[2], one[3], one[1] or "") for one in FENCE.finditer(text)
    ]
    assert 2 * len(found) == len(re.findall(r"^ *```", text, re.M)), f"{name} has a block that is not read"
    return found


def commands(text):
    found = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in found for line in block.splitlines() if line.startswith("gymjax ")]


def run_commands(lines, capsys, *more):
    """Run commands of a document, one after the other; return what each said on stderr."""
    said = []
    for line in lines:
        code = main([*shlex.split(line, comments=True)[1:], *more])
        said.append(capsys.readouterr().err)
        assert code == 0, (line, said[-1])
    return said
