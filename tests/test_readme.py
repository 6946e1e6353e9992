"""The README: a fresh clone to a model and to an allocation in few commands; its links and its one picture."""

import re
import shlex
import subprocess

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from documents import blocks, read_page
from shell import make_doors, reader_environment


def test_its_links_lead_somewhere_and_its_picture_is_light():
    places = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read_page("README"))
    assert not [place for place in places if not (ROOT / place).exists()]
    assert [place for place in places if place.endswith(".png")] == ["docs/forecast.png"]
    assert (ROOT / "docs" / "forecast.png").stat().st_size < 150_000


def own_file():
    """Return the commands of the section about a file of one's own, by its blocks."""
    begin = read_page("README").partition("## Your own file")[0].count("\n")
    return [block.lines for block in blocks("README") if block.line > begin and block.kind == "sh"][:2]


@pytest.mark.posix
@pytest.mark.slow
def test_from_a_fresh_clone_to_a_model_and_an_allocation(tmp_path):
    """Literally its commands, but for the download: what is installed here stands for the first one."""
    clone, doors = tmp_path / "clone", make_doors(tmp_path / "doors")
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True, capture_output=True)
    environment = {**reader_environment(doors), "PYTHONPATH": str(clone)}
    run = [doors / "gymjax", "generate", "--out", tmp_path / "all.csv", "--series", "6", "--days", "21"]
    subprocess.run(run, check=True, capture_output=True, env=environment)
    pd.read_csv(tmp_path / "all.csv")[["unique_id", "ds", "cpu_cores"]].to_csv(clone / "usage.csv", index=False)
    to_model, to_allocation = own_file()
    assert len(to_model) <= 2
    assert len(to_model) + len(to_allocation) <= 5
    assert to_model[0] == "python3 -m venv .venv && .venv/bin/pip install -q ."
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "gymjax").symlink_to(doors / "gymjax")
    for line in (to_model + to_allocation)[1:]:
        done = subprocess.run(
            shlex.split(line), cwd=clone, env=environment, timeout=180, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr[-2000:])
        if line in to_model:
            assert re.search(r"cpu_cores: mlp (beats|does NOT beat)", done.stdout)
    wanted = list(yaml.safe_load_all((clone / "allocation.yaml").read_text()))
    assert [one["kind"] for one in wanted] == ["VerticalPodAutoscaler"] * 6
