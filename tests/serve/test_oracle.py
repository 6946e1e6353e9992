"""Forecasts that a page asks for are those of `gymjax predict`, as if the data ended at the origin."""

import asyncio
import functools

import numpy as np
import pandas as pd
import pytest
from small import small_config, small_csv

from gym_jax.errors import ConfigError
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.predict import predict_run
from gym_jax.run.train import train_run
from gym_jax.serve import desk as desks
from gym_jax.serve.choice import Band, choices
from gym_jax.serve.desk import Desk, Full
from gym_jax.serve.oracle import open_oracle

ROWS, HORIZON, CONTEXT = 400, 4, 24


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_csv(tmp_path_factory.mktemp("data") / "usage.csv", ROWS)


SETTINGS = {
    "quantiles": ("mlp", "loss=quantiles"),
    "calibrated": ("mlp", "loss=gaussian"),
    "seeds": ("mlp", "loss=quantiles", "train.seeds=2"),
    "max": ("mlp", "loss=quantiles", "task.statistic=max"),
    "point": ("last",),
}


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Return a function from a kind of run to one that was trained once."""
    root = tmp_path_factory.mktemp("runs")

    @functools.cache
    def run(kind):
        model, *overrides = SETTINGS[kind]
        settings = (f"data.path={data}", "data.target=[cpu]", "train.epochs=1", *overrides)
        folder = RunFolder(train_run(small_config(root, model, *settings)).folder)
        if kind == "calibrated":
            calibrate_run(folder, levels=(0.5, 0.8))
        return folder

    return run


def predicted(run, data, rows, tmp_path):
    """Return what `predict` says of series `b` when its data end after so many rows."""
    frame = pd.read_csv(data)
    cut = pd.concat([part.head(rows) for _, part in frame.groupby("unique_id")])
    cut.to_csv(tmp_path / "cut.csv", index=False)
    found = predict_run(run, data=tmp_path / "cut.csv")
    return found[found["unique_id"] == "b"]


@pytest.mark.parametrize("origin", [CONTEXT, 130, 395, ROWS])
@pytest.mark.parametrize(
    "kind", ["quantiles", "calibrated", *(pytest.param(k, marks=pytest.mark.slow) for k in ("seeds", "max"))]
)
def test_a_forecast_is_that_of_predict_at_the_origin(runs, data, tmp_path, kind, origin):
    answer = open_oracle(runs(kind)).answer("b", origin, 0)
    truth = predicted(runs(kind), data, origin, tmp_path)
    name, steps = ("cpu_max", 1) if kind == "max" else ("cpu", HORIZON)
    low, high = ("_lo80", "_hi80") if kind == "calibrated" else ("_q0.1", "_q0.9")
    band = answer["bands"][0]
    assert band["name"] == "80 %"
    assert len(answer["forecast"]) == HORIZON
    np.testing.assert_allclose(answer["forecast"][:steps], truth[name], rtol=2e-5)
    np.testing.assert_allclose(band["low"][:steps], truth[name + low], rtol=2e-5)
    np.testing.assert_allclose(band["high"][:steps], truth[name + high], rtol=2e-5)
    assert answer["time"] * 1e9 == pd.to_datetime(truth["ds"]).iloc[0].value


def test_what_came_and_what_was_before_stand_beside_it(runs, data):
    oracle = open_oracle(runs("quantiles"))
    values = pd.read_csv(data).query("unique_id == 'a'")["cpu"].to_numpy()
    answer = oracle.answer("a", 398, 0)
    assert answer["actual"] == [values[398], values[399], None, None]
    begin = answer["around"]["begin"]
    assert begin == 398 - 2 * CONTEXT
    assert answer["around"]["values"] == values[begin:].tolist()
    parts = [oracle.answer("a", origin, 0)["part"] for origin in (CONTEXT, 279, 280, 319, 320, 399, 400)]
    assert parts == ["train", "train", "val", "val", "test", "test", "future"]
    told = oracle.describe()
    assert told["series"] == [{"name": name, "first": CONTEXT, "last": ROWS} for name in "ab"]
    assert (told["bands"], told["hint"]) == ("quantiles", None)
    assert oracle.answer("a", -np.inf, 0)["origin"] == CONTEXT
    assert oracle.answer("a", np.inf, 0)["origin"] == ROWS


def test_a_run_without_bands_says_what_gives_them(runs):
    oracle = open_oracle(runs("point"))
    assert oracle.describe()["hint"] == f"gymjax calibrate {runs('point').path}"
    answer = oracle.answer("a", 300, 0)
    assert (answer["bands"], answer["allocation"]) == ([], [])
    for series, target in (("c", 0), ("a", 1), ("a", 0.5), ("a", -1)):
        with pytest.raises(ConfigError):
            oracle.answer(series, 300, target)


def test_an_allocation_is_the_greatest_upper_end_by_hand():
    band = Band("80 %", "0.9 quantile", np.array([0.0, 1.0, 1.0]), np.array([2.0, 5.0, 3.0]))
    (found,) = choices([band], np.array([6.0, np.nan, 1.0]))
    assert found == {
        "band": "80 %",
        "rule": "greatest 0.9 quantile in the window",
        "value": 5.0,
        "observed": 2,
        "violated": 1,
        "spare": 2.0,  # nothing in the first step, 4 in the last
    }
    assert choices([band], np.full(3, np.nan))[0]["violated"] is None
    unknown = band._replace(high=np.full(3, np.nan))  # nothing was observed in the look-back
    (found,) = choices([unknown], np.array([6.0, 5.0, 1.0]))
    assert (found["value"], found["violated"], found["spare"]) == (None, None, None)


def test_a_desk_keeps_the_last_runs_and_refuses_a_crowd(runs, monkeypatch):
    monkeypatch.setattr(desks, "LOADED", 2)
    monkeypatch.setattr(desks, "WAITING", 3)
    desk = Desk()

    async def ask(*names):
        asked = [desk.ask(desk.forecast, runs(name), series="a", origin=300.0, target=0.0) for name in names]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(ask("quantiles", "point", "quantiles"))
    assert found[0] == found[2]
    assert [name.rsplit("/")[-1] for name in desk.loaded] == [runs(n).path.name for n in ("point", "quantiles")]
    asyncio.run(ask("calibrated"))
    assert [name.rsplit("/")[-1] for name in desk.loaded] == [runs(n).path.name for n in ("quantiles", "calibrated")]
    assert [type(one) for one in asyncio.run(ask(*["calibrated"] * 5))][3:] == [Full, Full]
    kept = desk.loaded[str(runs("calibrated").path)]
    asyncio.run(desk.ask(desk.series, runs("calibrated"), fresh=True))
    assert desk.loaded[str(runs("calibrated").path)] is not kept
