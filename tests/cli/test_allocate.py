"""`gymjax allocate`: its tables, documents, charts and errors."""

import csv
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from page_parser import Parsed
from usages import daily

from gym_jax.allocate.learned import LEVELS
from gym_jax.allocate.price import fine_levels
from gym_jax.cli import main
from gym_jax.config.load import load_config
from gym_jax.run.allocation import RISKS, find_allocation, load_allocation, reading_of
from gym_jax.run.folder import RunFolder

SMALL = ["--epochs=2", "--val-days=3"]


@pytest.fixture(scope="module")
def usage(tmp_path_factory):
    """A file of three workloads of twelve days, with what they were given and a new one of some hours."""
    frames = []
    for seed, name in enumerate(("web", "db", "batch")):
        one = daily(12, seed=seed, name=name, height=seed + 1)
        times = pd.to_datetime(one.first + np.arange(len(one.usage)) * one.step)
        frames.append(pd.DataFrame({"unique_id": name, "ds": times, "cpu_cores": one.usage, "given_cores": 4.0}))
    frames.append(frames[0].tail(100).assign(unique_id="new"))
    path = tmp_path_factory.mktemp("usage") / "usage.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def old(usage):
    path = usage.with_name("old.csv")
    frame = pd.read_csv(usage)
    frame[frame.unique_id != "new"].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def trained(usage, old, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    words = ["allocate", "train", str(old), "--target=cpu_cores", "--name=first", f"--root={root}", *SMALL, "-q"]
    assert main(words) == 0
    return root


def say(capsys, *words, code=0):
    assert main(["allocate", *map(str, words)]) == code
    return capsys.readouterr()


def test_simulate_compares_every_policy_and_draws(old, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["simulate", old, "--target=cpu_cores", "--request=given_cores", "--test-days=2", *SMALL]
    drawn = ["--chart=frontier.png", "--worst-chart=worst.png", "--price=0.03", "--cold-start"]
    out, _ = say(capsys, *words, *drawn, "--json")
    document = json.loads(out)
    names = {"vpa", "krr", "autopilot", "max", "percentile", "hour-of-day", "oracle", "request", "learned"}
    assert set(document["policies"]) == names
    for block in document["policies"].values():
        assert set(block["at"]) == {"0.05", "0.01", "0.001"}
        for at in block["at"].values():
            assert at["frontier"]["low"] <= at["frontier"]["ratio"] * 1.05
            assert 0 <= at["tuned"]["violation"] <= 1
    assert set(document["differences"]) == names - {"learned", "oracle"}
    assert document["money"]["low"] <= document["money"]["saved_per_day"] <= document["money"]["high"]
    assert document["money"]["saved_per_day_money"] == pytest.approx(0.03 * document["money"]["saved_per_day"])
    assert [row["hours"] for row in document["cold_start"]] == [1, 6, 24, 72, 168]
    assert document["cold_start"][-1]["learned"]["violation"] < 0.2
    assert len(document["worst"]["0.01"]) == 3
    for name in ("frontier.png", "worst.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frontier.png", "worst.png"]


def test_simulate_tells_people_the_same(old, capsys):
    words = ["simulate", old, "--target=cpu_cores", "--test-days=2", *SMALL, "--policy=vpa", "--policy=max:days=3"]
    out, err = say(capsys, *words, "--risk=2%", "--every=day", "--unseen=3")
    assert "3 workloads, a decision every day" in out
    assert "at 2 % violation" in out
    assert "max:days=3" in out
    assert "a day per 1,000 workloads less than vpa as it is" in out
    assert "no evidence of a difference" in out or "less" in out
    assert "learning 3 of 3" in err


def test_without_the_learned_policy_nothing_is_trained(old, capsys):
    words = [
        "simulate",
        old,
        "--target=cpu_cores",
        "--test-days=2",
        "--val-days=2",
        "--without-learned",
        "--json",
        "-q",
    ]
    document = json.loads(say(capsys, *words).out)
    assert "learned" not in document["policies"]
    assert document["prices"] == {}


def test_a_day_of_memory_is_decided_in_bytes(usage, tmp_path, capsys):
    frame = pd.read_csv(usage)
    frame = frame[frame.unique_id != "new"].assign(memory_mib=lambda rows: 1000 * rows.pop("cpu_cores"))
    path = tmp_path / "memory.csv"
    frame.drop(columns="given_cores").to_csv(path, index=False)
    words = ["simulate", path, "--resource=memory", "--every=day", "--test-days=2", *SMALL, "--json", "-q"]
    document = json.loads(say(capsys, *words).out)
    assert (document["unit"], document["resource"]) == ("bytes", "memory")
    assert document["policies"]["vpa"]["plain"]["allocated"] > 24 * 250e6
    disk = json.loads(say(capsys, *words[:2], "--resource=disk", *words[3:]).out)
    assert "trend" in disk["policies"]


def test_recommend_reads_as_was_told_when_it_was_learned(old, trained, tmp_path, capsys):
    """Neither the column of the names nor that of the times is found by itself."""
    path, folder = tmp_path / "odd.csv", tmp_path / "odd"
    names = {"unique_id": "rack", "ds": "clock"}
    pd.read_csv(old)[[*names, "cpu_cores"]].rename(columns=names).to_csv(path, index=False)
    told = {"data.id": "rack", "data.time": "clock"}
    config = load_config([], [f"{key}={value}" for key, value in told.items()], {"data.path": str(path)})
    assert reading_of(config) == told
    shutil.copytree(trained / "first", folder)
    facts = json.loads((folder / "allocation.json").read_text())
    assert facts["reading"] == {}
    (folder / "allocation.json").write_text(json.dumps({**facts, "reading": told}))
    out, _ = say(capsys, "recommend", folder, "--data", path)
    assert all(name in out for name in ("web", "db", "batch"))
    _, err = say(capsys, "recommend", folder, "--data", path, "data.id=null", code=3)
    assert "try: gymjax allocate recommend ... data.id=rack" in err


def test_recommend_says_what_each_workload_gets_and_why(usage, trained, capsys):
    words = ["recommend", "first", f"--root={trained}", "--data", usage]
    out, _ = say(capsys, *words)
    assert "highest so far" in out
    assert "of its own held-out usage" in out
    document = json.loads(say(capsys, *words, "--json").out)
    found = {row["name"]: row for row in document["workloads"]}
    assert set(found) == {"web", "db", "batch", "new"}
    for row in found.values():
        assert row["lower"] <= row["request"] <= row["limit"]
        assert row["request_quantity"] == f"{round(1000 * row['request'])}m"
    assert found["new"]["why"]["policy"] == "highest so far"
    own = [row["why"]["covered"] for row in found.values() if row["why"].get("covered_own")]
    assert len(own) == 3
    assert np.mean(own) >= 0.99 - 1e-3  # what is told is of the allocation with its margin, which holds the risk
    careful = json.loads(say(capsys, *words, "--risk=0.1%", "--json").out)
    assert sum(row["request"] for row in careful["workloads"]) >= sum(row["request"] for row in found.values())


def test_recommendations_are_csv_and_yaml_too(usage, trained, tmp_path, capsys):
    words = ["recommend", "latest", f"--root={trained}", "--data", usage]
    rows = list(csv.DictReader(say(capsys, *words, "--format=csv").out.splitlines()))
    assert [row["workload"] for row in rows] == ["web", "db", "batch", "new"] or len(rows) == 4
    patches = list(yaml.safe_load_all(say(capsys, *words, "--format=patch", "--no-limits", "--min=2").out))
    for patch in patches:
        (container,) = patch["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"] >= "2000m"
        assert "limits" not in container["resources"]
    target = tmp_path / "vpa.yaml"
    out, _ = say(capsys, *words, "--format=vpa", "--out", target)
    assert str(target) in out
    assert {one["kind"] for one in yaml.safe_load_all(target.read_text())} == {"VerticalPodAutoscaler"}
    told = json.loads(say(capsys, *words, "--format=vpa", "--out", target, "--json").out)
    assert (told["out"], told["workloads"]) == (str(target), 4)
    assert {one["kind"] for one in yaml.safe_load_all(target.read_text())} == {"VerticalPodAutoscaler"}


def test_very_many_are_recommended_into_a_folder(usage, trained, tmp_path, capsys):
    words = ["recommend", "first", f"--root={trained}", "--risk=2%"]
    wanted = list(csv.DictReader(say(capsys, *words, "--data", usage, "--format=csv").out.splitlines()))
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    frame = pd.read_csv(usage, parse_dates=["ds"]).drop(columns="given_cores")
    frame[frame.unique_id.isin(["web", "db"])].to_parquet(folder / "a.parquet")
    bad = frame[frame.unique_id == "db"].assign(unique_id="bad", cpu_cores=-1.0)
    pd.concat([frame[frame.unique_id.isin(["batch", "new"])], bad]).to_parquet(folder / "b.parquet")
    words += ["--data", str(folder), "--out", str(out)]
    said = say(capsys, *words).out
    assert "4 of 5 series answered: 4 rows in 2 parts" in said
    assert "1 data.negative" in said
    found = pd.concat([pd.read_parquet(part) for part in sorted(out.glob("part-*"))])
    assert list(found) == list(wanted[0])
    assert list(found["workload"]) == [row["workload"] for row in wanted]
    assert list(found["why"]) == [row["why"] for row in wanted]
    for name in ("request", "limit", "lower"):
        np.testing.assert_allclose(found[name], [float(row[name]) for row in wanted], rtol=1e-6)
    assert json.loads(say(capsys, *words, "--json").out)["unanswered"] == 1
    assert "risk" in say(capsys, *words, "--risk=1%", code=2).err
    say(capsys, "recommend", "first", f"--root={trained}", "--data", usage, "--format=csv", "--out", tmp_path / "plain")
    assert (tmp_path / "plain").is_file()
    assert "no vpa" in say(capsys, *words, "--format=vpa", code=2).err


def test_runs_are_listed_with_what_was_learned(trained, capsys):
    assert main(["runs", "list", "--root", str(trained), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    known = {key: value for key, value in row.items() if value is not None}
    assert known == {"name": "first", "kind": "allocation", "model": "learned", "status": "done"}
    assert main(["runs", "list", "--root", str(trained)]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:4] == ["first", "allocation", "learned", "done"]


def test_what_is_kept_is_what_was_learned(trained):
    folder = find_allocation("first", trained)
    kept = load_allocation(folder)
    assert set(kept.judgement.prices) == {0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001}
    assert set(kept.judgement.coverage) == {"web", "db", "batch"}
    assert sorted(path.name for path in folder.path.iterdir() if not path.name.startswith(".")) == [
        "allocation.json",
        "checkpoints",
    ]


def test_a_learned_allocation_has_a_page_of_its_own(trained, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["report", "first", f"--root={trained}", f"--html={page}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parts"] == ["trained", "intervals", "allocation", "data", "environment", "reproduce"]
    assert document["runs"] == [str(trained / "first")]
    parsed, facts = Parsed(page.read_text()), json.loads((trained / "first" / "allocation.json").read_text())
    tables = {table.caption: table for table in parsed.tables}
    tuned = [facts["prices"][repr(risk)]["violation"] for risk in sorted(RISKS)[::-1]]
    assert tables["Prices by risk"].values[::5] == tuned
    covered = next(table for caption, table in tables.items() if caption.startswith("Share of held-out usage"))
    own = {name: rows[0] for name, rows in facts["coverage"].items()}  # without a floor
    levels = fine_levels(LEVELS)
    assert (levels[0], levels[-1], len(levels)) == (pytest.approx(0.05), pytest.approx(0.998), 64)
    middle, near = (int(np.argmin(np.abs(levels - level))) for level in (0.5, 0.99))
    assert [row[0] for row in covered.rows[1:]] == sorted(own, key=lambda name: own[name][near])
    assert covered.values[::4] == [own[row[0]][middle] for row in covered.rows[1:]]
    assert covered.values[3::4] == sorted(row[near] for row in own.values())
    assert main(["report", "first", "other", f"--root={trained}", f"--html={page}"]) == 2
    assert "has a page of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["simulate", "{usage}", "--policy=vap", "--target=cpu_cores"], 2, "vpa"),
        (["simulate", "{usage}", "--policy=request", "--target=cpu_cores", "--test-days=1"], 2, "--request"),
        (["simulate", "{usage}", "--risk=200%", "--target=cpu_cores"], 2, "no risk"),
        (
            ["simulate", "{usage}", "--most=often", "--target=cpu_cores"],
            2,
            "try: gymjax allocate simulate DATA --most 1%",
        ),
        (["simulate", "{usage}", "--target=cpu_cores", "--test-days=20"], 3, "too short"),
        (
            ["train", "{old}", "--target=cpu_cores"],
            3,
            "hint: 14 days to tune on leave nothing to look back on\ntry: gymjax allocate train DATA --val-days 3",
        ),
        (["simulate", "{usage}", "--target=cpu_core"], 3, "cpu_cores"),
        (["simulate", "{usage}", "--target=cpu_cores", "--epochs=0"], 2, "--epochs"),
        (["simulate", "{usage}", "--target=cpu_cores", "--val-days=0"], 2, "--val-days"),
        (["simulate", "{old}", "--target=cpu_cores", "--test-days=2", "--val-days=3", "--unseen=1"], 3, "no workload"),
        (["simulate", "{usage}", "--target=cpu_cores", "--chart=x.bmp"], 2, ".png"),
        (["recommend", "nothing"], 4, "no learned allocation"),
        (["recommend", "first", "--root={root}", "--data={usage}", "--risk=40%"], 2, "not tuned"),
        (["recommend", "first", "--root={root}", "--data={usage}", "--out={usage}"], 2, "--out would replace it"),
        (["recommend", "first", "--root={root}", "--risk=1"], 2, "try: gymjax allocate recommend RUN --risk 1%"),
        (
            ["train", "{usage}", "--name=first", "--root={root}", "--target=cpu_cores"],
            2,
            "exists already\nhint: it is a learned allocation, and never learned anew; use it, or choose another name\n"
            "try: gymjax allocate recommend {root}/first",
        ),
    ],
)
def test_errors_say_what_to_do_and_leave_nothing(words, code, said, usage, old, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled = [word.format(usage=usage, old=old, root=trained) for word in words]
    out, err = say(capsys, *filled, code=code)
    assert out == ""
    assert said.format(root=trained) in err
    lines = [line.split(":")[0] for line in err.splitlines() if ":" in line]
    assert [word for word in lines if word in ("error", "hint", "try")] == ["error", "hint", "try"]
    assert list(tmp_path.iterdir()) == []


def test_an_allocation_is_not_taken_for_a_forecast(trained, capsys):
    assert main(["evaluate", "first", f"--root={trained}"]) == 4
    assert capsys.readouterr().err.splitlines() == [
        "error: no run at `first`",
        "hint: it is a learned allocation, and forecasts nothing",
        "try: gymjax allocate recommend first",
    ]


def test_the_latest_allocation_is_the_one_that_was_begun_last(tmp_path):
    for name, began in (("first", "2026-03-01"), ("second", "2026-03-02")):
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).write_json("allocation.json", {"began": f"{began}T00:00:00.000+00:00"})
    os.utime(tmp_path / "second/allocation.json", (1, 1))  # as a copy may have it
    assert find_allocation("latest", tmp_path).path.name == "second"
