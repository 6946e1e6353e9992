"""Data read in portions: the same numbers as resident ones, every window once, the same bits after any interruption."""

import json
import threading

import numpy as np
import pandas as pd
import pytest
from ends import StopAt, final, same
from small import small_config

from gym_jax.config.load import load_config
from gym_jax.data import generate_frame
from gym_jax.data.convert import convert
from gym_jax.errors import CheckpointError, ConfigError, DataError, Interrupted
from gym_jax.run.assemble import load_panel, places, prepare
from gym_jax.run.backtest import backtest
from gym_jax.run.check import check_data
from gym_jax.run.cross_validate import cross_validate
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.find import find_rate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.stream import facts_of_stream, plan_stream, prepare_stream, take_up_stream
from gym_jax.run.train import find_resumable, resume_run, train_run
from gym_jax.train.checkpoint import read_metadata, saved_steps
from gym_jax.train.loop import Position

LAST = "evaluate.baselines=[last,seasonal]"
ALL, SOME = "100MB", "50kB"
"""Memory for all of the data, and for a part of them."""
FEATURES = {
    "plain": [],
    "imputed, clipped and with features": [
        *("data.impute=seasonal", "evaluate.season=48", "data.clip.kind=quantile", "data.lags=[1,6]"),
        *("data.calendar=[day]", "data.rolling=[[4,max]]", "data.scale.log1p=true"),
    ],
    "global scale and a peak": ["data.scale.scope=global", "task.statistic=max"],
    "by whole series": ["data.split.kind=series", "data.split.train=0.5", "data.split.val=0.25"],
    "static and words": ["data.static=[cpu_capacity_cores]", "data.categories=[group]", "data.capacity={}"],
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    generate_frame(series=8, days=1.2, gaps=0.03).to_parquet(folder / "cpu.parquet", index=False)
    static = {"static": ("cpu_capacity_cores",), "categories": ("group",), "capacity": {}}
    read_as = {"target": ("cpu_cores",), **static}
    convert(folder / "cpu.parquet", folder / "one", **read_as)
    convert(folder / "cpu.parquet", folder / "many", group_rows=300, file_rows=1000, **read_as)
    return folder


@pytest.fixture(scope="module")
def store(stores):
    return stores / "many"


def config_of(store, root, *overrides):
    given = [f"data.path={store}", "data.target=[cpu_cores]", "train.epochs=2", "data.stride=4", "train.chunk=100"]
    given += ["evaluate.baselines=[]", "model.hidden=[8]", "model.dropout=0.1"]
    return small_config(root, "mlp", *given, "train.placement=one", "train.compile=safe", *overrides)


QUICK = ("plain",)
SLOW = [
    pytest.param(value, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, value in FEATURES.items()
]


@pytest.mark.parametrize("overrides", SLOW)
def test_one_portion_that_holds_all_gives_the_bits_of_resident_data(overrides, stores, tmp_path):
    store = stores / ("many" if overrides == [] else "one")
    runs = [
        RunFolder(train_run(config_of(store, tmp_path, *overrides, *memory, LAST), folder=tmp_path / name).folder)
        for name, memory in (("resident", []), ("streamed", [f"data.memory={ALL}"]))
    ]
    lines = [(run.path / "metrics.jsonl").read_bytes() for run in runs]
    assert lines[0] == lines[1]
    assert runs[0].read_json("scores.json") == runs[1].read_json("scores.json")
    facts = [run.read_json("data.json") for run in runs]
    first, second = ({**one, "notes": one["notes"][0]} for one in facts)  # clipped values are counted piece by piece
    assert first == second


@pytest.mark.parametrize("overrides", FEATURES.values(), ids=FEATURES)
@pytest.mark.parametrize("memory", [SOME, "90kB"])
def test_any_memory_sees_every_window_once_an_epoch_and_learns_the_same(memory, overrides, store, tmp_path):
    resident = config_of(store, tmp_path, *overrides)
    whole = prepare(resident, load_panel(resident))
    config = config_of(store, tmp_path, *overrides, f"data.memory={memory}")
    data = prepare_stream(config)
    stream = plan_stream(config, data)
    assert len(stream.chunks["train"]) > 1
    assert data.survey.series == whole.panel.series
    ours, theirs = data.survey.fitted.to_json(), whole.fitted.to_json()
    assert json.dumps(ours["encoder"]) == json.dumps(theirs["encoder"])
    for name in ("shift", "scale"):
        np.testing.assert_allclose(ours["scaler"][name], theirs["scaler"][name], rtol=1e-13)
    for part in ("train", "val", "test"):
        rows, series = places(resident, whole, part)
        times = whole.panel.stamps(series, rows)
        truth = {(whole.panel.series[s], int(t)) for s, t in zip(series, times, strict=True)}
        found = []
        for number in range(len(stream.chunks[part])):
            chunk = stream.make(part, number, truth=True)
            windows, panel = chunk.windows, chunk.truth
            real = slice(0, chunk.count)
            at = panel.stamps(windows.series[real], windows.origins[real] - windows.room)
            found += [(panel.series[s], int(t)) for s, t in zip(windows.series[real], at, strict=True)]
            if part == "train":
                order = stream.order(1, number, chunk.count)
                assert sorted(order[order >= 0].tolist()) == list(range(chunk.count))
                assert (order >= 0).any(axis=1).all()
                assert order.shape == (stream.each, 16)
        assert len(found) == len(truth)
        assert set(found) == truth


def test_a_run_goes_on_in_the_same_portions_on_other_devices(store, tmp_path, monkeypatch):
    config = config_of(store, tmp_path, "data.memory=200kB")
    monkeypatch.setattr("jax.local_device_count", lambda: 1)
    data = prepare_stream(config)
    began = plan_stream(config, data).chunks
    known = json.loads(json.dumps({**facts_of_stream(data), "survey": data.survey.to_json()}))
    monkeypatch.setattr("jax.local_device_count", lambda: 8)
    assert plan_stream(config, prepare_stream(config)).chunks != began
    assert plan_stream(config, take_up_stream(config, known)).chunks == began


def test_hosts_share_the_windows_and_keep_pace(store, tmp_path):
    config = config_of(store, tmp_path, f"data.memory={SOME}")
    data = prepare_stream(config)
    parts = [plan_stream(config, data, rank=rank, count=2) for rank in range(2)]
    assert parts[0].steps == parts[1].steps
    pieces = sorted(n for part in parts for chunk in part.chunks["train"] for n in chunk)
    assert pieces == list(range(len(data.store.pieces)))
    epochs = [list(part.portions(Position(), 1)) for part in parts]
    assert [p.order.shape for p in epochs[0]] == [p.order.shape for p in epochs[1]]
    assert sum(int((p.order >= 0).sum()) for own in epochs for p in own) == parts[0].windows["train"]


def saved_position(run):
    return read_metadata(run.checkpoints / str(max(saved_steps(run.checkpoints))))["position"]


LOWERED = ["schedule=plateau", "schedule.patience=1", "schedule.threshold=0.9", "train.epochs=3"]


@pytest.mark.parametrize(("after", "more"), [(3, []), pytest.param(9, LOWERED, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_bit(after, more, store, tmp_path):
    more = [f"data.memory={SOME}", "train.chunk=3", *more]
    config = config_of(store, tmp_path, *more)
    whole = RunFolder(train_run(config, folder=tmp_path / "whole").folder)
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(after))
    run = RunFolder(tmp_path / "run")
    each = plan_stream(config, prepare_stream(config)).each
    assert after != 3 or saved_position(run)[1] % each  # in the middle of a portion
    assert find_resumable(config, tmp_path / "run") is not None
    resume_run(run)
    same(final(whole, config), final(run, config))


@pytest.mark.slow
def test_a_finished_run_is_evaluated_in_portions_and_on_resident_data(store, tmp_path):
    done = train_run(config_of(store, tmp_path, f"data.memory={SOME}"), folder=tmp_path / "run")
    assert evaluate_run(done.folder)["model"] == done.scores["model"]
    ours, resident = (
        one["model"]["targets"]["cpu_cores"] for one in (done.scores, evaluate_run(done.folder, data=str(store)))
    )
    assert resident["count"] == ours["count"]
    np.testing.assert_allclose(resident["mae"], ours["mae"], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["last", "linear"])
def test_scores_of_portions_are_those_of_all(model, store, tmp_path):
    config = [f"model={model}", "evaluate.baselines=[last,linear]", "task.context=12"]
    runs = [
        train_run(config_of(store, tmp_path, *config, *memory), folder=tmp_path / name)
        for name, memory in (("resident", []), ("streamed", [f"data.memory={SOME}"]))
    ]
    left, right = (run.scores["model"]["targets"]["cpu_cores"] for run in runs)
    for name, values in left["per_series"].items():
        if name != "id":
            ours, theirs = (np.array(one["per_series"][name], float) for one in (left, right))
            np.testing.assert_allclose(ours, theirs, rtol=1e-5 if model == "linear" else 1e-12)
        else:
            assert values == right["per_series"]["id"]
    assert runs[0].scores["notes"] == runs[1].scores["notes"] == []
    assert set(runs[0].scores["baselines"]) == set(runs[1].scores["baselines"])
    assert left["count"] == right["count"]
    for name in ("mse", "mae", "rmse", "r2", "smape", "mase"):
        for one, other in ((left, right), (left["per_horizon"], right["per_horizon"])):
            tolerance = 1e-5 if model == "linear" else 1e-12
            np.testing.assert_allclose(np.array(one[name], float), np.array(other[name], float), rtol=tolerance)


@pytest.mark.extras
def test_data_behind_an_address_train_as_those_of_a_folder(store, tmp_path):
    import fsspec

    fsspec.filesystem("memory").put(str(store), "/bucket/cpu", recursive=True)
    runs = [
        RunFolder(train_run(config_of(path, tmp_path, f"data.memory={SOME}"), folder=tmp_path / name).folder)
        for path, name in ((store, "here"), ("memory://bucket/cpu", "there"))
    ]
    lines = [(run.path / "metrics.jsonl").read_bytes() for run in runs]
    assert lines[0] == lines[1]
    assert evaluate_run(runs[1].path)["data"] == "memory://bucket/cpu"
    with fsspec.open(f"memory://bucket/cpu/{sorted(store.iterdir())[0].name}", "wb") as file:
        file.write(sorted(store.iterdir())[1].read_bytes())
    with pytest.raises(DataError, match=r"the data of .* changed since"):
        evaluate_run(runs[1].path)
    with pytest.raises(DataError, match="is an address") as caught:
        load_panel(config_of("memory://bucket/cpu", tmp_path))
    assert caught.value.attempt == "gymjax train ... data.memory=1GB"


@pytest.mark.slow
def test_a_file_that_changes_between_epochs_ends_the_run(store, tmp_path):
    for file in store.iterdir():
        (tmp_path / "cpu").mkdir(exist_ok=True)
        (tmp_path / "cpu" / file.name).write_bytes(file.read_bytes())
    config = config_of(tmp_path / "cpu", tmp_path, f"data.memory={SOME}", "train.epochs=9")
    seen = []

    def change(event):
        seen.append(event.kind)
        if event.kind == "epoch":
            sorted((tmp_path / "cpu").iterdir())[0].touch()

    with pytest.raises(DataError, match="changed since it was opened"):
        train_run(config, folder=tmp_path / "run", watch=change)
    assert seen.count("epoch") < 9
    assert not any(thread.name == "ahead" for thread in threading.enumerate())
    run = RunFolder(tmp_path / "run")
    assert run.read_json("status.json")["status"] == "failed"
    changed = sorted((tmp_path / "cpu").iterdir())[0]
    changed.write_bytes(sorted((tmp_path / "cpu").iterdir())[1].read_bytes())
    with pytest.raises(CheckpointError, match="the data of"):
        resume_run(run)


def test_what_can_not_be_had_in_portions_is_refused_in_words(store, tmp_path):
    wrong = {
        "train.seeds=2": "train.seeds=2",
        "task.kind=regress": "data.memory=100MB",
    }
    for override, said in wrong.items():
        with pytest.raises(ConfigError, match=said):
            load_config([], [override, f"data.memory={ALL}", f"data.path={store}"])
    with pytest.raises(ConfigError, match="scope=global"):
        load_config([], ["data.scale.kind=robust", "data.scale.scope=global", f"data.memory={ALL}"])
    with pytest.raises(ConfigError, match="is no size"):
        load_config([], ["data.memory=much"])
    config = config_of(store, tmp_path, f"data.memory={ALL}")
    for refused in (cross_validate, find_rate_run, lambda config: backtest(config=config)):
        with pytest.raises(ConfigError, match="needs all data in memory"):
            refused(config)
    with pytest.raises(ConfigError, match=r"no data\.path"):
        train_run(small_config(tmp_path, "mlp", f"data.memory={ALL}"))


def test_series_that_are_short_or_blank_are_judged_over_all_pieces(tmp_path):
    times = pd.date_range("2026-03-01", periods=200, freq="5min")
    rows = {"a": 200, "b": 20, "c": 200, "d": 200}
    rng = np.random.default_rng(0)
    (tmp_path / "cpu").mkdir()
    for name, count in rows.items():
        frame = pd.DataFrame({"unique_id": name, "ds": times[:count], "cpu_cores": rng.uniform(1, 2, count)})
        if name == "c":
            frame.loc[:139, "cpu_cores"] = np.nan  # nothing in its train rows
        frame.to_parquet(tmp_path / "cpu" / f"{name}.parquet", index=False)
    config = config_of(tmp_path / "cpu", tmp_path, "data.memory=10kB", "data.split.val=0.15")
    with pytest.raises(DataError, match=r"`b` \(20\)"):
        prepare_stream(config)
    config = config_of(tmp_path / "cpu", tmp_path, "data.memory=10kB", "data.split.val=0.15", "data.policy.short=drop")
    survey = prepare_stream(config).survey
    resident = config_of(tmp_path / "cpu", tmp_path, "data.split.val=0.15", "data.policy.short=drop")
    whole = prepare(resident, load_panel(resident))
    assert survey.series == whole.panel.series == ("a", "c", "d")
    np.testing.assert_allclose(survey.fitted.scaler.shift, whole.scaler.shift, rtol=1e-13)
    np.testing.assert_allclose(survey.fitted.scaler.scale, whole.scaler.scale, rtol=1e-13)
    assert "1 of 4 series are too short: dropped" in survey.notes
    for more in ("data.scale.kind=robust", "data.clip.kind=quantile"):
        with pytest.raises(DataError, match="series `c` has no value of `cpu_cores` in its train rows"):
            prepare_stream(
                config_of(
                    tmp_path / "cpu",
                    tmp_path,
                    "data.memory=10kB",
                    "data.split.val=0.15",
                    "data.policy.short=drop",
                    more,
                )
            )


def test_data_check_judges_in_portions(store, tmp_path):
    found = [check_data(config_of(store, tmp_path, *memory))[0] for memory in ([], [f"data.memory={SOME}"])]
    assert found[0]["windows"] == found[1]["windows"]
    counts = [{f["policy"]: (f["count"], f["total"]) for f in one["findings"]} for one in found]
    assert [one.pop("blank") for one in counts] == [(0, 9), (0, 8)]  # a column is not blank because a piece of it is
    assert counts[0] == counts[1]
