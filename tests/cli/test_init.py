"""`gymjax init`: a configuration by a look at the data, with reasons; what is said stays, nothing is overwritten."""

import json

import numpy as np
import pandas as pd
import pytest

from gym_jax.cli import main
from gym_jax.config.load import load_config


@pytest.fixture
def usage(tmp_path, monkeypatch):
    """Two machines of ten days: a number that goes with the day, one that does not, one that never changes."""
    monkeypatch.chdir(tmp_path)
    hours = np.arange(240)
    frames = []
    for name, size in (("a", 4.0), ("b", 8.0)):
        load = 2 + np.sin(2 * np.pi * hours / 24) + 0.01 * (hours % 7)
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": name,
                    "ds": pd.date_range("2026-01-05", periods=240, freq="h"),
                    "queue": hours % 7,
                    "cpu_cores": load,
                    "size": size,
                }
            )
        )
    path = tmp_path / "usage.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


def init(capsys, *words, code=0):
    assert main(["init", *map(str, words)]) == code
    return capsys.readouterr()


def test_every_choice_has_its_reason_and_the_file_means_it(usage, capsys):
    document = json.loads(init(capsys, usage, "--json").out)
    assert document["chosen"] == {
        "data.target": ["cpu_cores"],  # its name says that it is usage
        "data.past": ["queue"],
        "data.static": ["size"],
        "task.horizon": 24,  # a day, of hours
        "task.context": 24,  # at most a twentieth of 240 rows, but a horizon
        "data.calendar": ["day"],  # ten days are less than three weeks
    }
    assert document["chosen"].keys() == document["reasons"].keys()
    text = (usage.parent / "gymjax.yaml").read_text()
    assert "# data.static: never changes within a series" in text
    config = load_config([usage.parent / "gymjax.yaml"])
    assert config.data.path == str(usage)
    assert (config.data.target, config.data.static, config.task.horizon) == (("cpu_cores",), ("size",), 24)
    assert main(["train", "--config", "gymjax.yaml", "--dry-run", "-q"]) == 0


def test_what_is_said_stays(usage, capsys):
    words = (usage, "--target=queue", "task.context=30", "model=linear", "--out=mine.yaml", "--json")
    chosen = json.loads(init(capsys, *words).out)["chosen"]
    assert set(chosen) == {"task.horizon"}  # no calendar: the queue knows no day
    config = load_config([usage.parent / "mine.yaml"])
    assert (config.data.target, config.task.context, config.model.kind) == (("queue",), 30, "linear")


def test_short_series_get_short_windows_and_no_calendar_without_a_day(usage, capsys):
    rows = pd.read_csv(usage).groupby("unique_id").head(30)
    rows.assign(queue=np.arange(60) % 2, cpu_cores=1.0 + np.arange(60) % 2).to_csv("short.csv", index=False)
    document = json.loads(init(capsys, "short.csv", "--json").out)
    assert document["chosen"]["task.horizon"] == 3  # 24, 12, 6, 3: a tenth of 30 rows for validation
    assert "30 rows" in document["reasons"]["task.horizon"]
    assert "data.calendar" not in document["chosen"]


def test_nothing_is_overwritten_and_errors_say_what_to_do(usage, capsys):
    init(capsys, usage)
    before = (usage.parent / "gymjax.yaml").read_bytes()
    assert "exists already" in init(capsys, usage, code=2).err
    assert (usage.parent / "gymjax.yaml").read_bytes() == before
    assert "ends in .yaml" in init(capsys, usage, "--out=x.txt", code=2).err
    assert "no data at" in init(capsys, "nothing.csv", "--out=y.yaml", code=3).err
    assert sorted(path.name for path in usage.parent.iterdir()) == ["gymjax.yaml", "usage.csv"]


def test_people_read_a_table_and_what_to_type(usage, capsys):
    out = init(capsys, usage).out
    assert "its name says that it is usage" in out
    assert out.rstrip().endswith("gymjax.yaml: gymjax train --config gymjax.yaml")
