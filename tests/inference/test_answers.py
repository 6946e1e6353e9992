"""A run that is asked series by series answers what `predict_run` does, with JAX, with NumPy, from its export."""

import functools

import numpy as np
import pandas as pd
import pytest
from made_runs import SETTINGS, shared, trained, write_frame
from tolerances import BFLOAT16, FLOAT32

from gym_jax.errors import DataError
from gym_jax.inference import Series, load_export, prepare
from gym_jax.inference.frame import predict_file, series_of_panel
from gym_jax.run.assemble import reading, windows_of
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.describe import describe_run, open_model, window_of
from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run
from gym_jax.run.predict import _starts, predict_run
from gym_jax.run.recent import lengthened


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def run_of(root):
    """Return what trains a run of some settings once."""

    @functools.cache
    def run_of(name, model="mlp", *settings):
        folder = "-".join(f"{name} {model} {len(settings)}".split())
        return trained(root, folder, *SETTINGS[name], *settings, model=model)

    return run_of


def quick(names, *chosen):
    """Return names as parameters; what is not chosen is slow."""
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.slow) for name in names]


WINDOWS = [name for name, words in SETTINGS.items() if not any(word.startswith("loss") for word in words)]


def same(found, wanted, rtol=2e-5):
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("name", quick(WINDOWS, "features", "zone", "seasonal gaps"))
def test_a_window_is_that_of_the_data_to_the_bit(name, run_of):
    run = run_of(name, "last")
    whole = load_run(run)
    starts = _starts(whole.prepared.panel)
    series = np.arange(len(starts))
    prepared = lengthened(whole.config, whole.prepared)
    windows = reading(whole.model, windows_of(whole.config, prepared, starts + 4 * series, series))
    wanted = window_of(windows.take(np.arange(len(series))).inputs)
    spec = describe_run(run).spec
    found = prepare(spec, list(series_of_panel(spec, whole.prepared.panel)))
    for part, mine, theirs in zip(wanted._fields, found, wanted, strict=True):
        if theirs is None:
            assert mine is None, part
        elif name == "linear gaps" or part == "future":  # XLA fuses a product and a sum
            np.testing.assert_allclose(mine, theirs, rtol=FLOAT32, atol=FLOAT32, err_msg=part)
        else:
            np.testing.assert_array_equal(mine, theirs, err_msg=part)


ANSWERS = ("plain", "features", "covariates", "peak", "quantiles", "gaussian", "around")


def test_the_answers_are_those_of_predict_run():
    run, wanted = RunFolder(shared() / "run"), predict_run(shared() / "run")
    for model in (open_model(run), load_export(shared() / "export", "numpy")):
        same(predict_file(model, shared() / "cpu.csv"), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_with_any_settings_the_answers_are_those_of_predict_run(name, root, run_of):
    run, folder = run_of(name), root / f"{name} export"
    export_run(run, folder, onnx=False)
    wanted = predict_run(run)
    for model in (open_model(run), load_export(folder, "numpy")):
        same(predict_file(model, root / "cpu.csv"), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lstm", "transformer", "fcn", "linear", "seasonal"])
def test_every_kind_of_model_answers_alike(kind, root, run_of):
    own = {"fcn": ["model.filters=[4,4]", "model.sizes=[3,3]"], "seasonal": ["model.season=20"]}.get(kind, [])
    run = run_of("plain", kind, *own)
    export_run(run, root / f"{kind} export", onnx=False)
    same(predict_file(load_export(root / f"{kind} export"), root / "cpu.csv"), predict_run(run))


@pytest.mark.slow
def test_intervals_stand_as_they_did_at_the_end_of_the_calibration(root, run_of):
    run = run_of("quantiles")
    calibrate_run(run, method="series", levels=(0.8, 0.9))
    export_run(run, root / "calibrated export", onnx=False)
    model = load_export(root / "calibrated export", "numpy")
    assert model.spec.interval_levels == (0.8, 0.9)
    same(predict_file(model, root / "cpu.csv"), predict_run(run))
    [first, again] = model.predict([Series("m0", np.full((12, 1), 20.0)), Series("who", np.full((12, 1), 20.0))])
    assert first.intervals.shape == again.intervals.shape == (4, 1, 2, 2)
    assert first.times is None


@pytest.mark.parametrize("name", quick(("clipped", "hampel", "global", "features"), "hampel"))
def test_an_unseen_series_is_scaled_by_what_it_brings(name, run_of, tmp_path):
    run = run_of(name, "linear", "model.normalise=none")  # a model that looks at the scale
    other = write_frame(tmp_path / "other.csv", seed=7)
    frame = pd.read_csv(other)
    frame = frame[frame["unique_id"].isin(["m1", "m2"])].replace({"m2": "new"})  # one of the training, one that is not
    frame.to_csv(other, index=False)
    same(predict_file(open_model(run), other), predict_run(run, data=other))


def test_a_series_answers_alone_as_among_others(root, run_of):
    run, folder = run_of("features", "last"), root / "alone"
    export_run(run, folder, onnx=False)
    model = load_export(folder, "numpy")
    asked = list(series_of_panel(model.spec, load_run(run).prepared.panel))
    asked.append(asked[0]._replace(id="nobody", values=asked[0].values[-60:]))
    together = model.predict(asked)
    for one, among in zip(asked, together, strict=True):
        [alone] = model.predict([one])
        np.testing.assert_allclose(alone.values, among.values, rtol=1e-6)
    recent = model.spec.rows_wanted
    cut = [one._replace(values=one.values[-recent:]) for one in asked[:-1]]
    for short, long in zip(prepare(model.spec, cut), prepare(model.spec, asked[:-1]), strict=True):
        np.testing.assert_array_equal(short, long)
    fewer = prepare(model.spec, [one._replace(values=one.values[-recent + 1 :]) for one in asked[:-1]])
    assert not np.array_equal(fewer.mask, prepare(model.spec, cut).mask)


def test_everything_that_is_wrong_is_said_at_once(run_of):
    run = run_of("covariates", "last", "data.calendar=[day]")
    spec = describe_run(run).spec
    good = Series("m0", np.ones((20, 3)), np.datetime64("2026-03-29"), np.ones((4, 1)), {"size": 1.0, "tier": "web"})
    assert prepare(spec, [good, good._replace(static={"size": 10**20})]).past.shape == (2, 12, 5)
    values = np.ones((20, 3))
    values[3, 1] = np.inf
    future = np.ones((4, 1))
    future[2] = np.nan
    bad = [
        good._replace(values=values),
        good._replace(values=np.ones((20, 2))),
        good._replace(values=np.full((20, 3), np.nan)),
        good._replace(last=None),
        good._replace(last=3),
        good._replace(future=future),
        good._replace(future=None),
        good._replace(static={"sice": 1.0}),
        good._replace(static={"size": "large", "tier": 3}),
        good._replace(static={"size": 10**400}),
        good._replace(id=None, values="none"),
    ]
    with pytest.raises(DataError) as caught:
        prepare(spec, [good, *bad])
    said = str(caught.value)
    for words in (
        "`memory` is infinite in row 4",
        "its values are an array of [20, 2]",
        "nothing of `cpu` was observed in its last 12 rows",
        "it does not say when its last row was",
        "its last row is at 3",
        "`job` is not known in step 3 to come",
        "it has no future",
        "it has `sice`",
        "`size` is `large`",
        "`tier` is 3",
        "`size` is `1000",
        "series 12: its values are no numbers",
    ):
        assert words in said, words
    assert "did you mean `size`?" in caught.value.hint
    with pytest.raises(DataError, match="no series"):
        prepare(spec, [])
    with pytest.raises(DataError, match="and 20 more"):
        prepare(spec, [good._replace(last=None)] * 40)


def test_a_short_series_is_masked_in_front_or_refused(run_of):
    plain = describe_run(run_of("seasonal gaps", "last")).spec
    window = prepare(plain, [Series("m0", np.array([[20.0], [21.0]]))])
    assert window.mask[0, :, 0].tolist() == [False] * 10 + [True] * 2
    features = describe_run(run_of("features", "last")).spec
    with pytest.raises(DataError, match="it has 2 rows"):
        prepare(features, [Series("m0", np.ones((2, 1)), np.datetime64("2026-01-01"))])


@pytest.mark.slow
def test_a_model_of_bfloat16_answers_in_float32_and_says_so(root, run_of):
    run = run_of("plain", "transformer", "train.compute_dtype=bfloat16")
    manifest = export_run(run, root / "bfloat16", onnx=False)
    assert manifest["notes"] == ["trained with products in bfloat16, answers in float32"]
    found, wanted = predict_file(load_export(root / "bfloat16", "numpy"), root / "cpu.csv"), predict_run(run)
    np.testing.assert_allclose(found["cpu"], wanted["cpu"], rtol=BFLOAT16)
    assert not np.array_equal(found["cpu"], wanted["cpu"])
