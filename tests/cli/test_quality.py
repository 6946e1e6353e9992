"""Gates and drift from outside: exit code 9, every verdict, one document, notes where data have changed."""

import json
import re
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from gym_jax.cli import main
from gym_jax.evaluate.gates import parse_gates

DAY = 288


def frame_of(first, days, level=2.0, series=("a", "b", "c"), seed=0):
    """Days of noise around a daily course, from a day of March on."""
    generator = np.random.default_rng([seed, first])
    times = pd.date_range("2026-03-01", periods=days * DAY, freq="5min") + pd.Timedelta(days=first)
    course = level + np.sin(np.arange(days * DAY) * 2 * np.pi / DAY)
    return pd.concat(
        pd.DataFrame({"unique_id": name, "ds": times, "cpu": course + 0.1 * generator.normal(size=len(times))})
        for name in series
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    frame_of(0, 12).to_parquet(folder / "cpu.parquet")
    words = ["-d", str(folder / "cpu.parquet"), "--context=12", "--horizon=2", "--run-dir", str(folder / "run"), "-q"]
    assert main(["train", "-m", "last", *words, "evaluate.baselines=[seasonal]"]) == 0
    return folder / "run"


def ran(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_every_gate_is_judged_and_all_failing_ones_are_named(run, capsys):
    code, out, err = ran(
        capsys, "evaluate", run, "--fail-over", "mae=0.0001", "--fail-over", "cpu:r2=0.9", "--fail-over", "rmse<9"
    )
    assert code == 9
    table = out[out.index("quality gates") :].splitlines()
    assert table[1].split() == ["gate", "target", "value", "fails", "passed"]
    assert [line.split()[0] for line in table[3:]] == ["mae=0.0001", "cpu:r2=0.9", "rmse<9"]
    assert [line.split()[-1] for line in table[3:]] == ["no", "yes", "no"]
    lines = err.splitlines()
    assert lines[0].startswith("error: 2 of 3 quality gates failed: cpu mae is 0.1")
    assert len(lines) == 3


def test_gates_that_pass_say_so_and_leave_with_0(run, capsys):
    code, out, err = ran(capsys, "evaluate", run, "--fail-over", "mae=1")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].split()[-1] == "yes"


def test_one_document_has_the_verdicts_either_way(run, capsys):
    code, out, err = ran(capsys, "evaluate", run, "--fail-over", "mae=0.0001", "--json")
    document = json.loads(out)
    assert (code, err, document["status"], document["exit_code"]) == (9, "", "error", 9)
    assert document["code"] == "gate.failed"
    (one,) = document["gates"]
    assert (one["metric"], one["fails"], one["bound"], one["passed"]) == ("mae", ">", 0.0001, False)
    assert document["model"]["targets"]["cpu"]["mae"] == one["value"]
    code, out, _ = ran(capsys, "evaluate", run, "--fail-over", "mae=1", "--json")
    document = json.loads(out)
    assert (code, document["status"], document["gates"][0]["passed"]) == (0, "ok", True)


def test_a_wrong_gate_is_refused_before_anything_is_scored(capsys):
    code, out, err = ran(capsys, "evaluate", "nowhere", "--fail-over", "maee=1")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: no metric `maee`",
        "hint: did you mean `mae`?",
        "try: gymjax evaluate RUN --fail-over mae=0.1",
    ]


def test_every_command_of_the_page_runs(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GYMJAX_RUN_ROOT", str(run.parent))
    frame_of(12, 2).to_parquet("new.parquet")
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "quality.md").read_text(), re.S)[1]
    lines = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert [ran(capsys, *line)[0] for line in lines] == [9, 0], "this run is not good enough"
    (gates,) = re.findall(
        r"\| gate \| fails when \|\n\|[-| ]+\|\n((?:\|.*\n)+)", (ROOT / "docs" / "quality.md").read_text()
    )
    words = [word.strip("'") for row in gates.splitlines() for word in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(parse_gates(words)) == len(words) == 9


@pytest.fixture
def moved(tmp_path):
    """Later data in which `b` has risen, `c` is gone and `d` is new."""
    frames = [frame_of(12, 4, series=("a", "d")), frame_of(12, 4, level=5.0, series=("b",))]
    pd.concat(frames).to_parquet(tmp_path / "later.parquet")
    return tmp_path / "later.parquet"


def test_drift_names_what_changed(run, moved, capsys):
    code, out, err = ran(capsys, "drift", run, "--data", moved)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["column", "drifted", "distance", "limit"]
    assert lines[2].startswith("cpu     1 of 2")
    assert lines[7].split()[:2] == ["b", "cpu"]
    assert lines[-3:] == ["note: 1 series are new: d", "note: 1 series are gone: c", "1 of 2 series drifted"]


def test_the_runs_own_later_rows_do_not_drift(run, capsys):
    code, out, _ = ran(capsys, "drift", "run", "--root", run.parent, "--fail-over", 0)
    assert code == 0
    assert out.splitlines()[-1] == "0 of 3 series drifted"


def test_a_file_that_has_grown_is_judged_by_its_new_rows(run, tmp_path, capsys):
    pd.concat([frame_of(0, 12), frame_of(12, 3, level=5.0)]).to_parquet(tmp_path / "grown.parquet")
    code, out, _ = ran(capsys, "drift", run, "--data", tmp_path / "grown.parquet")
    assert (code, out.splitlines()[-1]) == (0, "3 of 3 series drifted")


def test_too_much_drift_leaves_with_9(run, moved, capsys):
    code, out, err = ran(capsys, "drift", run, "--data", moved, "--fail-over", 0.3)
    assert code == 9
    assert err.splitlines()[0] == "error: 50.0% of 2 series drifted, at most 30.0% may"
    assert ran(capsys, "drift", run, "--data", moved, "--fail-over", 0.5)[0] == 0
    code, out, _ = ran(capsys, "drift", run, "--data", moved, "--fail-over", 0.3, "--json")
    document = json.loads(out)
    assert (code, document["status"], document["series"]["share"]) == (9, "error", 0.5)


def test_another_step_is_told(run, tmp_path, capsys):
    frame = frame_of(12, 4)
    frame[frame["ds"].dt.minute % 10 == 0].to_parquet(tmp_path / "slow.parquet")
    code, out, _ = ran(capsys, "drift", run, "--data", tmp_path / "slow.parquet")
    assert code == 0
    assert "note: the step is 10min, the run was trained on 5min" in out


def test_evaluate_and_predict_warn(run, moved, capsys):
    for command in ("evaluate", "predict"):
        code, out, _ = ran(capsys, command, run, "--data", moved)
        assert code == 0
        assert f"note: 1 of 2 series no longer look as they did in training: gymjax drift {run} --data {moved}" in out
        code, out, _ = ran(capsys, command, run)
        assert "no longer look" not in out


def test_a_run_that_keeps_no_profile_says_so(run, moved, tmp_path, capsys):
    old = tmp_path / "old"
    shutil.copytree(run, old)
    (old / "profile.json").unlink()
    code, out, err = ran(capsys, "drift", old, "--data", moved)
    assert (code, out) == (4, "")
    assert err.splitlines() == [
        f"error: {old} keeps no profile of its data: it was trained by an earlier version",
        "hint: trained again, it does",
        f"try: gymjax train --config {old}/config.yaml",
    ]
    code, out, _ = ran(capsys, "evaluate", old, "--data", moved)
    assert code == 0
    assert "no longer look" not in out
    (old / "profile.json").write_text('{"schema": 1, "names": 3}')
    code, _, err = ran(capsys, "drift", old)
    assert (code, err.splitlines()[0]) == (4, f"error: {old / 'profile.json'} can not be read")
