"""Data that are kept while a search goes on: read once, read again when they change, never written to."""

import os

import numpy as np
import pandas as pd
import pytest

from gym_jax.config.load import load_config
from gym_jax.data.keep import keep_data
from gym_jax.data.read import read
from gym_jax.run import assemble
from gym_jax.run.assemble import load_panel


@pytest.fixture
def usage(tmp_path):
    path = tmp_path / "usage.csv"
    times = pd.date_range("2026-01-05", periods=60, freq="h")
    pd.DataFrame({"ds": times, "cpu": np.arange(60.0), "memory": 1.0}).to_csv(path, index=False)
    return path


@pytest.fixture
def reads(monkeypatch):
    found = []

    def counted(path, *rest, **more):
        found.append(str(path))
        return read(path, *rest, **more)

    monkeypatch.setattr(assemble, "read", counted)
    return found


def of(path, *more):
    return load_config([], [f"data.path={path}", "data.target=[cpu]", *more])


def test_read_once_and_again_where_a_setting_or_the_file_differs(usage, reads):
    with keep_data():
        first = load_panel(of(usage))
        assert load_panel(of(usage, "optim.lr=0.5", "data.scale.kind=robust")) is first
        assert len(reads) == 1
        assert load_panel(of(usage, "data.past=[memory]")).channels == ("cpu", "memory")
        assert len(reads) == 2
        load_panel(of(usage))
        usage.write_text(usage.read_text().replace(",59.0,", ",58.0,"))
        os.utime(usage, ns=(1, 1))
        assert load_panel(of(usage)).values[-1, 0] == 58
    assert len(reads) == 4


def test_nothing_is_kept_outside(usage, reads):
    with keep_data():
        load_panel(of(usage))
    assert load_panel(of(usage)) is not load_panel(of(usage))
    assert len(reads) == 3


def test_nobody_writes_to_what_is_shared(usage):
    with keep_data():
        panel = load_panel(of(usage))
        with pytest.raises(ValueError, match="read-only"):
            panel.values[0] = 7
