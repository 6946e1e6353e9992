"""`gymjax serve` from outside: what it prints, what it refuses to begin with, and how it leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from conftest import ROOT

from gym_jax.cli import main
from gym_jax.inference.artefact import MANIFEST, read_export, seal_of
from gym_jax.serve.client import Client

ARTEFACT = ROOT / "tests" / "inference" / "artefacts" / "v1"
"""An export that reads everything a model can: calendar, future, numbers and words that stay."""


@pytest.fixture
def export(tmp_path):
    """Return an export folder."""
    return Path(shutil.copytree(ARTEFACT, tmp_path / "cpu-model"))


@pytest.fixture
def newer(tmp_path):
    """Return an export of a later step."""
    folder = Path(shutil.copytree(ARTEFACT, tmp_path / "newer"))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["spec"]["trained_step"] += 1
    spec = replace(read_export(ARTEFACT).spec, trained_step=manifest["spec"]["trained_step"])
    manifest["model"] = spec.digest
    manifest["seal"] = seal_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def question(facts):
    """Return one series that has all a model reads."""
    past = {name: [1.0] * 40 for name in facts["columns"]}
    future = {name: [1.0] * facts["horizon"] for name in facts["future"]}
    static = {**dict.fromkeys(facts["static"], 1.0), **dict.fromkeys(facts["categories"], "web")}
    return {"values": past, "future": future, "static": static, "last": "2026-03-01T10:00:00Z"}


def begun(*arguments):
    """Start the command as a process; return it and what it printed first."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "gym_jax", "serve", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    return process, process.stdout.readline()


@pytest.mark.posix
def test_an_export_is_served_without_jax_and_leaves_with_143(export):
    process, line = begun(export, "--port", 0)
    try:
        url = line.strip()
        facts = httpx.get(f"{url}v1/models").json()["models"][0]
        assert facts["name"] == "cpu-model"
        assert httpx.get(f"{url}readyz").status_code == 200
        one = question(facts)

        def ask(number):
            return httpx.post(f"{url}v1/predict", json={"series": [one] * 40}, timeout=20).status_code

        with ThreadPoolExecutor(20) as pool:
            asking = [pool.submit(ask, number) for number in range(20)]
            asking[0].result(20)
            process.send_signal(signal.SIGTERM)
            codes = [future.exception(20) or future.result() for future in asking]
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 143
    assert all(code == 200 or isinstance(code, httpx.ConnectError | httpx.ReadError) for code in codes)
    assert out == ""
    assert "cpu-model: version" in err
    assert "Traceback" not in err


def test_serving_an_export_loads_no_jax(export):
    program = (
        "import sys, gym_jax.serve.api.app; from gym_jax.serve.api.served import *; import gym_jax.cli.serve;"
        f"open_served(sources_of([{str(export)!r}])[0]);"
        "print(sorted({'jax', 'flax', 'orbax', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nowhere"], 4, "no run at `nowhere`"),
        (["--host", "0.0.0.0"], 2, "there is no token"),
        (["--host", "no.such.host.invalid", "--token-file", "{token}"], 2, "no address"),
        (["--token-file", "{export}/manifest.json"], 2, "no token of 16 characters"),
        (["{export}"], 2, "two models are called"),
    ],
)
def test_what_can_not_be_served_is_refused_in_three_lines(export, tmp_path, capsys, arguments, code, word):
    (tmp_path / "token").write_text("correct-horse-battery-staple")
    words = [one.format(export=export, token=tmp_path / "token") for one in arguments]
    first = [] if arguments == ["nowhere"] else [str(export)]
    assert main(["serve", *first, *words, "--port", "0"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint", "try"]


def test_a_damaged_model_is_not_served(export, tmp_path, capsys):
    shutil.copytree(export, tmp_path / "bad")
    weights = (tmp_path / "bad" / "weights.npz").read_bytes()
    (tmp_path / "bad" / "weights.npz").write_bytes(weights[:-100])
    assert main(["serve", str(export), str(tmp_path / "bad"), "--port", "0"]) == 4
    assert capsys.readouterr().err.startswith("error: ")


def test_one_document_says_where_it_is(export, capsys, monkeypatch):
    monkeypatch.setattr(
        "gym_jax.serve.api.door.make_model_server",
        lambda app, limits, begin: SimpleNamespace(run=lambda sockets: begin()),
    )
    assert main(["serve", f"cpu={export}", "--port", "0", "--json", "--reload", "0"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["url"].startswith("http://127.0.0.1:")
    assert [one["name"] for one in document["models"]] == ["cpu"]
    assert document["token"] is False


@pytest.mark.posix
def test_a_newer_export_takes_over_and_a_damaged_one_does_not(export, newer, tmp_path):
    place = Path(shutil.copytree(export, tmp_path / "cpu"))
    process, line = begun(place, "--port", 0, "--reload", 0.05)
    try:
        url = line.strip()

        def until(right):
            with Client(url) as client:
                for _ in range(800):
                    if right(facts := client.model()):
                        return facts
                    time.sleep(0.025)
            return pytest.fail(str(facts))

        first = until(lambda facts: True)["version"]
        exchange(place, newer, damage=True)
        assert until(lambda facts: facts["refused"])["version"] == first
        assert httpx.get(f"{url}readyz").status_code == 200
        exchange(place, newer)
        facts = until(lambda facts: facts["version"] != first)
        assert facts["refused"] is None
        assert 'gymjax_reloads_total{model="cpu",result="taken"} 1' in httpx.get(f"{url}metrics").text
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"cpu: a newer version is refused, {first} goes on: " in err
    assert f"cpu: version {first} -> {facts['version']}" in err


def exchange(place, source, damage=False):
    """Put another export in the place of one, as a whole."""
    fresh = Path(shutil.copytree(source, place.with_name("fresh")))
    if damage:
        (fresh / "weights.npz").write_bytes((fresh / "weights.npz").read_bytes()[:-10])
    place.rename(place.with_name("old"))
    fresh.rename(place)
    shutil.rmtree(place.with_name("old"))
