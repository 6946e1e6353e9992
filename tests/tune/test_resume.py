"""A search that is killed and taken up again is the search that was not: the same trials, to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from tune.worker import WORKER, search, told

from gym_jax.tune.tune import tune


def killed(root, *words):
    """Work on a search in a process of its own, which kills itself."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, WORKER, root, *map(str, words)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == -9, done.stderr


CASES = [
    pytest.param(6, 10, (("epoch", 2), ("epoch", 4)), id="in one program"),
    pytest.param(1, 12, (("epoch", 5), ("start", 5)), id="one by one", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("batch", "trials", "places"), CASES)
def test_killed_twice_and_resumed_is_the_uninterrupted_search(batch, trials, places, tmp_path):
    whole = tune(search(tmp_path / "whole", batch, trials=trials))
    for kind, count in places:
        killed(tmp_path / "cut", batch, trials, kind, count)
    rest = tune(search(tmp_path / "cut", batch, trials=trials))
    assert told(rest) == told(whole)
    assert {row["state"] for row in whole["trials"]} == {"complete", "pruned"}
    for rows in zip(whole["trials"], rest["trials"], strict=True):
        one, other = (Path(row["run"], "metrics.jsonl").read_bytes() for row in rows)
        assert one == other
    assert Path(whole["best_config"]).read_text() == Path(rest["best_config"]).read_text().replace("cut", "whole")
