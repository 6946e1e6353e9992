"""Reports of runs: the page's numbers are those of the run, hostile names stay words, and what is missing is said."""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from page_parser import Parsed
from small import small_config, small_frame

from gym_jax.config.load import load_config
from gym_jax.data import generate_panel, generate_table
from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.evaluate.labels import auroc, roc_points
from gym_jax.evaluate.residuals import autocorrelation
from gym_jax.report.page import Picture, render
from gym_jax.report.style import new_figure
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.report import PARTS, make_page, report_runs
from gym_jax.run.report_forecasts import _Series, _view
from gym_jax.run.report_run import Asked
from gym_jax.run.train import train_run

HOSTILE = "</td><script>alert('x')</script> $\\frac{$ \"&"
ASKED = Asked(windows=64)


def of(page):
    """Return a page read, with one small figure for every picture: each is made, but not put to paper."""
    small, _ = new_figure(size=(1, 1))

    def made(picture):
        picture.draw(dark=False)
        return picture._replace(draw=lambda dark: small)

    def plain(section):
        return section._replace(blocks=[made(b) if isinstance(b, Picture) else b for b in section.blocks])

    return Parsed(render(page._replace(sections=[*map(plain, page.sections)])))


def rows_of(parsed, caption):
    """Return the body of the one table whose caption begins so, by the first cell."""
    (table,) = [table for table in parsed.tables if table.caption.startswith(caption)]
    return {row[0]: row[1:] for row in table.rows[1:]}


def values_of(parsed, caption):
    (table,) = [table for table in parsed.tables if table.caption.startswith(caption)]
    return table.values


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def run(folder):
    """A finished forecast of a file whose ids and columns are hostile."""
    frame = small_frame(rows=800, series=(HOSTILE, "b", "_c")).rename(columns={"cpu": "cpu <b>$_cores"})
    frame.drop(columns="memory").to_csv(folder / "usage.csv", index=False)
    settings = {"data.path": str(folder / "usage.csv"), "data.target": ["cpu <b>$_cores"], "task.context": 24}
    more = ["model=mlp", "model.hidden=[8]", "task.horizon=4", "train.epochs=2", "train.batch_size=32", "data.stride=4"]
    config = load_config([], [*more, "evaluate.baselines=[last,linear]"], settings)
    train_run(config, folder=folder / "<i>run & $1")
    return folder / "<i>run & $1"


@pytest.fixture(scope="module")
def page(run):
    return make_page([run], asked=ASKED)


@pytest.fixture(scope="module")
def parsed(page):
    return of(page)


def test_the_scores_are_those_of_the_run(run, parsed):
    scores = json.loads((run / "scores.json").read_text())
    target = "cpu <b>$_cores"
    blocks = {"mlp": scores["model"]["targets"], **scores["baselines"]}
    wanted = [blocks[name][target][key] for name in blocks for key in ("mae", "rmse", "r2", "smape", "mase")]
    assert values_of(parsed, f"{target}: test part") == wanted
    by_step = [
        value
        for step in range(4)
        for value in (step + 1, *(blocks[name][target]["per_horizon"]["mae"][step] for name in blocks))
    ]
    assert values_of(parsed, "MAE by step of the horizon") == by_step
    assert scores["verdict"].split("`")[0] in "".join(parsed.text)
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    keys = ("epoch", "step", "loss", "val_loss", "lr", "grad_norm")
    assert values_of(parsed, "Every epoch") == [line[key] for line in epochs for key in keys]


def test_hostile_names_stay_words_and_nothing_is_fetched(run, parsed):
    assert not {"script", "i", "b"} & parsed.tags.keys()
    assert parsed.outside == []
    assert not any(name.startswith("on") for name in parsed.attributes)
    assert parsed.headings[0] == ("h1", "Report: <i>run & $1")
    assert HOSTILE in rows_of(parsed, "Errors by series")
    assert parsed.tags["link"] == parsed.tags["iframe"] == 0


def test_what_was_trained_on_what_is_said(run, parsed, folder):
    said = rows_of(parsed, "The run in short")
    assert said["task"] == ["forecast"]
    assert said["looks back"] == ["24 steps of 5min"]
    assert said["series"] == ["3"]
    assert said["data"] == [str(folder / "usage.csv")]
    assert said["epochs"] == ["2 of at most 2"]
    assert said["status"] == ["done"]
    assert int(said["parameters"][0].replace(",", "")) > 100


def test_baselines_are_compared_with_intervals_and_significance(parsed):
    board = rows_of(parsed, "On common windows")
    assert {row[0] for row in board.values()} == {"<i>run & $1", "last", "linear"}
    assert {"model_comparison", "significance"} <= set(parsed.plots)


def test_training_is_drawn(parsed):
    assert {"training_curves", "throughput"} <= set(parsed.plots)


def test_forecasts_are_drawn_over_series_and_against_what_came(page, parsed):
    assert {"forecast_bands", "predicted_actual"} <= set(parsed.plots)
    (bands,) = [picture for picture in page.pictures() if picture.name == "forecast_bands"]
    figure = bands.draw(dark=False)
    frame = small_frame(rows=800, series=(HOSTILE, "b", "_c"))
    assert len(figure.axes) == 3
    (panel,) = [one for one in figure.axes if one.get_title(loc="left").startswith("b:")]
    observed = panel.lines[0].get_ydata()
    np.testing.assert_allclose(observed, frame[frame["unique_id"] == "b"]["cpu"].to_numpy()[-len(observed) :])
    assert len(observed) == 160, "40 windows of 4 steps: the test part"


def test_errors_are_shown_by_step_hour_and_series(parsed):
    assert {"error_by_step", "error_by_hour", "error_by_series"} <= set(parsed.plots)


def test_residuals_are_drawn(parsed):
    assert {"residual_distribution", "residual_autocorrelation"} <= set(parsed.plots)


def test_the_data_their_files_and_notes_stand_there(run, parsed):
    facts = json.loads((run / "data.json").read_text())
    (row,) = rows_of(parsed, "Files").values()
    assert row[1] == facts["files"][0]["sha256"]
    assert rows_of(parsed, "How they were read")["rows"] == ["2,400"]
    assert all(note in "".join(parsed.text) for note in facts["notes"])


def test_the_environment_and_how_to_make_it_again_stand_there(run, parsed):
    environment = json.loads((run / "env.json").read_text())
    said = rows_of(parsed, "Versions, devices, choices")
    assert said["jax"] == [environment["packages"]["jax"]]
    text = "".join(parsed.text)
    assert f"gymjax train --config '{run}'/config.yaml" in text
    assert (run / "config.yaml").read_text() in text


def test_the_page_is_whole_and_small(page):
    whole = render(page)
    found = Parsed(whole)
    assert len(whole) < 3_000_000
    assert found.outside == []
    assert found.tags["img"] == found.tags["source"] == len(found.alts) == len(list(page.pictures()))
    assert all(found.alts)
    parts = [section.part for section in page.sections]
    assert parts == [part for part in PARTS if part in parts]


def test_policies_of_allocation_are_simulated_on_the_runs_own_usage(parsed):
    assert "allocation_frontier" in parsed.plots
    policies = rows_of(parsed, "Policies as they are")
    assert list(policies) == ["vpa", "krr", "autopilot", "max", "percentile", "hour-of-day", "oracle"]
    assert "gymjax allocate simulate" in "".join(parsed.text)


def test_a_calibrated_run_shows_whether_its_intervals_held(run, folder):
    shutil.copytree(run, folder / "calibrated")
    held = calibrate_run(folder / "calibrated", levels=(0.5, 0.8))["intervals"]["adaptive"]["cpu <b>$_cores"]
    found = of(make_page([folder / "calibrated"], asked=ASKED))
    assert {"calibration", "interval_width"} <= set(found.plots)
    values = values_of(found, "Intervals of cpu <b>$_cores, calibrated: adaptive")
    assert values[0:2] == [50.0, 100 * held[0]["coverage"]]
    assert any("50 % held" in alt for alt in found.alts)


@pytest.mark.slow
def test_quantiles_show_how_often_the_truth_was_below(folder):
    config = small_config(folder, "mlp", "loss=quantiles", "loss.levels=[0.1,0.5,0.9]", "train.epochs=2")
    train_run(config, folder=folder / "quantiles")
    page = make_page([folder / "quantiles"], asked=ASKED)
    found = of(page)
    shares = values_of(found, "Quantiles of the model")
    assert shares[::2] == [0.1, 0.5, 0.9]
    assert shares[1] <= shares[3] <= shares[5]
    (bands,) = [picture for picture in page.pictures() if picture.name == "forecast_bands"]
    assert [band.get_label() for band in bands.draw(dark=False).axes[0].collections] == ["80 % interval"]


@pytest.mark.slow
def test_inputs_are_exchanged_when_that_is_asked(run):
    found = of(make_page([run], asked=ASKED._replace(explain=True)))
    assert "importance" in found.plots
    assert list(rows_of(found, "Inputs")) == ["cpu <b>$_cores"]


def test_numbers_of_cases_are_drawn(folder):
    generate_table(rows=300).to_csv(folder / "table.csv", index=False)
    given = ["task.kind=regress", "model=mlp", "model.hidden=[8]", "train.epochs=2", "data.target=cpu_share"]
    train_run(load_config([], given, {"data.path": str(folder / "table.csv")}), folder=folder / "numbers")
    found = of(make_page([folder / "numbers"]))
    scores = json.loads((folder / "numbers" / "scores.json").read_text())
    assert values_of(found, "cpu_share: test part")[0] == scores["model"]["targets"]["cpu_share"]["mae"]
    assert {"predicted_actual", "residual_distribution"} <= set(found.plots)


@pytest.mark.slow
def test_classes_have_a_confusion_and_a_roc(folder):
    noise, lines = np.random.default_rng(0), []
    for i in range(60):
        wave = np.sin(np.arange(12) * (0.4 if i % 2 else 1.3)) + 0.1 * noise.normal(size=12)
        lines.append(",".join(f"{x:.3f}" for x in wave) + f":{'<b>slow' if i % 2 else '$fast'}")
    text = "@classLabel true <b>slow $fast\n@data\n" + "\n".join(lines) + "\n"
    (folder / "W.ts.gz").write_bytes(gzip.compress(text.encode()))
    given = ["task.kind=classify", "model=mlp", "model.hidden=[8]", "train.epochs=2"]
    train_run(load_config([], given, {"data.path": str(folder / "W.ts.gz")}), folder=folder / "classes")
    found = of(make_page([folder / "classes"]))
    own = json.loads((folder / "classes" / "scores.json").read_text())["model"]["targets"]["label"]
    assert {"confusion_matrix", "roc"} <= set(found.plots)
    assert values_of(found, "How often a true class") == [count for row in own["confusion"] for count in row]
    assert not found.tags["b"]


@pytest.mark.slow
def test_a_group_shows_how_far_its_seeds_lie_apart(folder):
    train_run(small_config(folder, "mlp", "train.seeds=2", "train.epochs=2"), folder=folder / "group")
    found = of(make_page([folder / "group"], asked=ASKED))
    spread = json.loads((folder / "group" / "scores.json").read_text())["members"]["targets"]["cpu_cores"]
    assert "seed_spread" in found.plots
    wanted = [spread[metric][key] for metric in spread for key in ("mean", "sd", "low", "high")]
    assert values_of(found, "One seed alone") == wanted


@pytest.mark.slow
def test_several_runs_are_compared(folder, run, tmp_path):
    for name, model in (("one", "mlp"), ("two", "linear")):
        train_run(small_config(folder, model, "train.epochs=1"), folder=tmp_path / name)
    found = of(make_page([tmp_path / "one", tmp_path / "two"], asked=ASKED))
    assert {row[0] for row in rows_of(found, "On common windows").values()} == {"one", "two", "last"}
    assert [text for tag, text in found.headings if tag == "h2"] == ["Comparison", "Run: one", "Run: two"]
    mae = [
        json.loads((tmp_path / name / "scores.json").read_text())["model"]["targets"]["cpu_cores"]["mae"]
        for name in ("one", "two")
    ]
    assert set(mae) <= set(values_of(found, "Each on its own test part"))
    odd = of(make_page([tmp_path / "one", run], asked=ASKED))
    assert "They are not compared in common windows" in "".join(odd.text)
    assert "model_comparison" not in odd.plots


def test_an_unfinished_run_is_shown_as_far_as_it_is(run, folder):
    shutil.copytree(run, folder / "part")
    (folder / "part" / "scores.json").unlink()
    status = json.loads((folder / "part" / "status.json").read_text())
    (folder / "part" / "status.json").write_text(json.dumps({**status, "status": "stopped", "epochs": 1}))
    text = "".join(of(make_page([folder / "part"], asked=ASKED)).text)
    assert "part is not finished (stopped): 1 of 2 epochs." in text
    assert "the run is not finished (stopped): these are the scores of step" in text
    shutil.rmtree(folder / "part" / "checkpoints")
    bare = of(make_page([folder / "part"], asked=ASKED))
    said = "".join(bare.text)
    assert "Pictures of forecasts are missing" in said
    assert "There are no scores yet." in said
    assert "training_curves" in bare.plots


def test_data_that_changed_are_said_and_the_scores_stay(run, folder):
    shutil.copytree(run, folder / "moved")
    facts = json.loads((folder / "moved" / "data.json").read_text())
    facts["files"][0]["sha256"] = "0" * 64
    (folder / "moved" / "data.json").write_text(json.dumps(facts))
    found = of(make_page([folder / "moved"], asked=ASKED))
    assert "changed since it was trained" in "".join(found.text)
    scores = json.loads((run / "scores.json").read_text())
    assert values_of(found, "cpu <b>$_cores: test part")[0] == scores["model"]["targets"]["cpu <b>$_cores"]["mae"]
    assert "forecast_bands" not in found.plots
    assert "allocation_frontier" not in found.plots
    assert "gymjax allocate simulate" in "".join(found.text)


def test_what_can_not_be_reported_is_refused_and_nothing_written(run, tmp_path):
    for given, message in (
        ({}, "there is nothing to write"),
        ({"html": tmp_path / "page.pdf"}, "is of no kind that is written"),
        ({"html": tmp_path / "gone" / "page.html"}, "can not be written"),
        ({"plots": tmp_path / "gone" / "plots"}, "can not be a folder"),
        ({"plots": tmp_path, "format": "bmp"}, "is not drawn"),
        ({"html": tmp_path / "page.html", "asked": Asked(target="cpu")}, "does not answer with `cpu`"),
        ({"html": tmp_path / "page.html", "asked": ASKED._replace(series=("c",))}, "there is no series `c`"),
    ):
        with pytest.raises(ConfigError, match=message):
            report_runs([run], **given)
    with pytest.raises(CheckpointError, match="no run at"):
        report_runs([tmp_path / "nothing"], html=tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_roc_points_by_hand():
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1]])
    truth = np.array([1, 0, 1, 0])
    wrong, right = roc_points(probabilities, truth, 1)
    assert (wrong.tolist(), right.tolist()) == ([0, 0, 0.5, 1], [0, 0.5, 1, 1])
    assert np.trapezoid(right, wrong) == pytest.approx(auroc(probabilities, truth)) == 0.875
    assert np.isnan(roc_points(probabilities, np.ones(4, int), 1)[0]).any()


def test_autocorrelation_by_hand_and_beside_pandas():
    found, count = autocorrelation([np.array([1.0, -1.0, 1.0, -1.0])], 5)
    assert found[:3].tolist() == [-1, 1, -1]
    assert np.isnan(found[3:]).all()
    assert count == 4
    gaps = np.random.default_rng(0).normal(size=4000).cumsum()[::4]
    gaps[::7] = np.nan
    found, _ = autocorrelation([gaps], 3)
    np.testing.assert_allclose(found, [pd.Series(gaps).autocorr(lag) for lag in (1, 2, 3)], atol=0.02)


@pytest.mark.parametrize("horizon", [4, 288, 300])
def test_the_last_forecast_is_drawn_however_long_it_is(horizon):
    panel = generate_panel(series=1, days=4)
    rows = np.arange(400, 500)
    found = _Series(rows, 0, np.zeros((len(rows), horizon)), (), None)
    view = _view(panel, found, "", 0)
    assert len(view.times) >= horizon
    assert view.times[-1] <= panel.times(np.zeros(1, int), np.array([499 + horizon - 1]))[0]
    assert len(view.times) <= max(288, horizon)
