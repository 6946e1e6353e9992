"""The commands that documents show."""

import re
import shlex

from gym_jax.cli import main


def commands(text):
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("gymjax ")]


def run_commands(lines, capsys, *more):
    """Run commands of a document, one after the other; return what each said on stderr."""
    said = []
    for line in lines:
        code = main([*shlex.split(line, comments=True)[1:], *more])
        said.append(capsys.readouterr().err)
        assert code == 0, (line, said[-1])
    return said
