"""The notebooks execute from top to bottom, show what was kept in them, and stay small; so does their script."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.extras
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_executes(path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("GYMJAX_DEMO_EPOCHS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = nbformat.read(path, as_version=4)
    kinds = [[output.output_type for output in cell.get("outputs", [])] for cell in page.cells]
    NotebookClient(page, timeout=170, kernel_name="python3").execute()
    for cell, kept in zip(page.cells, kinds, strict=True):
        assert not any(output.get("name") == "stderr" for output in cell.get("outputs", [])), cell.source
        assert [output.output_type for output in cell.get("outputs", [])] == kept, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_in_a_notebook_is_small_and_speaks_of_no_machine(path):
    text = path.read_text()
    assert len(text) < 700_000
    assert not any(place in text for place in ("/home/", "/root/", "/work/", "/tmp/tmp", "Traceback"))
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "executed from top to bottom"
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])


@pytest.mark.slow
def test_every_example_runs():
    script = [sys.executable, str(ROOT / "experiments" / "examples.py"), "--smoke"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "the same: True" in done.stdout


def test_an_unknown_example_is_refused():
    script = [sys.executable, str(ROOT / "experiments" / "examples.py"), "nope"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "there are train, compare" in done.stderr
