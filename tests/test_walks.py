"""The pages for newcomers are literal: in a copy, each block is put where the page says, and each command is green."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from walks import apply_block, read_walk

PAGES = sorted(path.stem for path in (ROOT / "docs" / "changes").glob("*.md"))
LEFT = shutil.ignore_patterns(
    ".git", ".venv", ".release", "build", "dist", "runs", "*.egg-info", ".*_cache", "__pycache__"
)


def test_a_page_is_read_by_hand(tmp_path):
    text = (
        "# A\n\nNew file `a.py`:\n\n```python\nx = 1\n```\n\n"
        "In `a.py`, above `x = 1`:\n\n```python\ny = 0\n\n```\n\nThen:\n\n```sh\none\ntwo\n```\n"
    )
    walk = read_walk(text)
    assert walk.commands == ["one", "two"]
    for block in walk.blocks:
        apply_block(tmp_path, *block)
    assert (tmp_path / "a.py").read_text() == "y = 0\n\nx = 1\n"
    with pytest.raises(AssertionError, match="there already"):
        apply_block(tmp_path, *walk.blocks[0])
    with pytest.raises(AssertionError, match="has 0 lines"):
        apply_block(tmp_path, "a.py", "below", "z", "")
    with pytest.raises(AssertionError, match="no file for the block"):
        read_walk("Some code:\n\n```python\nx\n```\n")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_has_its_place(page, tmp_path):
    walk = read_walk((ROOT / "docs" / "changes" / f"{page}.md").read_text())
    for file, where, _, _ in walk.blocks:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        if where is not None and not (tmp_path / file).exists():
            shutil.copy(ROOT / file, tmp_path / file)
    for block in walk.blocks:
        apply_block(tmp_path, *block)


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("page", PAGES)
def test_a_copy_of_the_tree_is_changed_as_the_page_says_and_green(page, tmp_path):
    """Minutes: the laws of every model or policy, types and style of the copy, and what is then asked of it."""
    copy = shutil.copytree(ROOT, tmp_path / "copy", ignore=LEFT)
    (copy / ".venv").symlink_to(sys.prefix)
    walk = read_walk((ROOT / "docs" / "changes" / f"{page}.md").read_text())
    for block in walk.blocks:
        apply_block(copy, *block)
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    where = [copy / ".venv/bin/python", "-c", "import gym_jax; print(gym_jax.__file__)"]
    assert (
        str(copy) in subprocess.run(where, cwd=copy, env=environment, capture_output=True, text=True, check=True).stdout
    )
    for command in walk.commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout[-4000:] + done.stderr[-4000:])
