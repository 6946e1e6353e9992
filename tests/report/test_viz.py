"""Plots of the extra `viz`, and the page in a browser."""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from documents import blocks
from report_examples import EPOCHS, EXAMPLES, VIEW

from gym_jax.cli import main
from gym_jax.errors import MissingExtra
from gym_jax.report import PLOTS
from gym_jax.report.interactive import curves, forecasts, scatter
from gym_jax.report.page import Page, Picture, Section, Table, render
from gym_jax.report.picture import as_svg
from gym_jax.report.statistical import heat_map, joint, pairs

matplotlib.use("agg")  # or comparing rcParams would look for a backend
TABLE = {"cpu": [1.0, 2.0, 4.0], "error": [0.5, None, -0.5], "memory": [3.0, 2.0, 1.0]}
UNITS = {"cpu": "cores", "error": "cores", "memory": "MiB"}


@pytest.mark.extras
def test_joint_has_both_columns_and_their_distributions():
    above, corner, panel, beside = joint(TABLE, "cpu", "memory", units=UNITS).axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("cpu (cores)", "memory (MiB)")
    assert panel.collections[0].get_array().sum() == 3
    assert sum(bar.get_height() for bar in above.patches) == sum(bar.get_width() for bar in beside.patches) == 3
    assert not corner.axison


@pytest.mark.extras
def test_pairs_have_every_column_against_every_other():
    panels = pairs(TABLE, units=UNITS, dark=True).axes
    assert len(panels) == 9
    assert [panel.get_xlabel() for panel in panels[6:]] == ["cpu (cores)", "error (cores)", "memory (MiB)"]
    assert sum(bar.get_height() for bar in panels[4].patches) == 2, "None is left out"


@pytest.mark.extras
def test_a_heat_map_has_the_values_in_its_cells(recwarn):
    figure = heat_map(["a", "$b_"], ["0", "1"], [[0.5, 1.0], [2.0, None]], what="mae", unit="cores")
    panel, bar = figure.axes
    np.testing.assert_array_equal(panel.collections[0].get_array().filled(np.nan).ravel(), [0.5, 1, 2, np.nan])
    assert [text.get_text() for text in panel.texts] == ["0.5", "1", "2"]
    assert bar.get_ylabel() == "mae (cores)"
    as_svg(figure)
    assert not recwarn.list


@pytest.mark.extras
def test_statistical_plots_leave_pyplot_and_settings_alone():
    before = matplotlib.rcParams.copy()
    joint(TABLE, "cpu", "error")
    pairs(TABLE)
    heat_map(["a"], ["b"], [[1.0]])
    import matplotlib.pyplot as pyplot

    assert pyplot.get_fignums() == []
    assert matplotlib.rcParams == before


@pytest.mark.extras
def test_interactive_forecasts_have_a_button_a_series_and_a_group_a_model():
    views = [VIEW, VIEW._replace(name="<b>db")]
    figure = forecasts({"one": views, "two": views}, quantity="cpu", unit="cores")
    assert [trace.name for trace in figure.data[:7]] == [
        *("observed", "one: 90 %", "one: 50 %", "one", "two: 90 %", "two: 50 %", "two"),
    ]
    assert list(figure.data[0].y) == [2.0, 3.0, None]
    assert list(figure.data[3].y) == [2.5, 3.5, None, 4.5]
    assert list(figure.data[1].y) == [4.0, 5.0, 1.0, 0.0, None, 6.0, 2.0, None], "high ends forward, low ends back"
    assert [trace.visible for trace in figure.data] == [True] * 7 + [False] * 7
    first, second = figure.layout.updatemenus[0].buttons
    assert (first.label, second.label) == ("web", "&lt;b&gt;db")
    assert second.args[0]["visible"] == [False] * 7 + [True] * 7
    assert {trace.legendgroup for trace in figure.data[1:4]} == {"0"}
    assert figure.layout.yaxis.title.text == "cpu (cores)"


@pytest.mark.extras
def test_the_block_of_the_document_shows_two_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "--out", "usage.csv", "--series", "8", "--days", "3"]) == 0
    for name in ("a", "b"):
        words = ["--data=usage.csv", "--target=cpu_cores", "--context=24", "--horizon=4", f"--name={name}", "-q"]
        assert main(["train", "--model=mlp", "model.hidden=[8]", "--epochs=1", "data.stride=9", *words]) == 0
    [block] = [one for one in blocks("docs/report") if one.runs and one.kind == "python" and ">>> " not in one.text]
    exec(block.text, {})


@pytest.mark.extras
def test_interactive_curves_and_scatter_have_the_values():
    train, val = curves({"a": EPOCHS}).data
    assert (list(train.y), list(val.y)) == ([3.0, 2.0, 1.0], [2.5, 1.5, 2.0])
    points, diagonal = scatter({"a": ([1.0, 2.0], [1.5, 3.0])}, quantity="cpu", unit="cores").data
    assert (list(points.x), list(points.y)) == ([1.5, 3.0], [1.0, 2.0])
    assert list(diagonal.x) == [1.0, 3.0]


def test_a_missing_extra_is_named_with_its_command(monkeypatch):
    for name, draw in (
        ("seaborn", lambda: joint(TABLE, "cpu", "memory")),
        ("plotly.graph_objects", lambda: curves({})),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingExtra, match=f"{name} is not installed") as caught:
            draw()
        assert caught.value.exit_code == 8
        assert caught.value.attempt == "pip install 'gym-jax[viz]'"


@pytest.mark.extras
@pytest.mark.chromium
def test_the_page_in_a_browser_fits_asks_for_nothing_and_follows_the_theme(tmp_path):
    from playwright.sync_api import sync_playwright

    names = ("training_curves", "error_by_step", "forecast_bands")
    pictures = [
        Picture(name, lambda dark, name=name: PLOTS[name](*EXAMPLES[name][0], **EXAMPLES[name][1], dark=dark), name)
        for name in names
    ]
    wide = Table("wide", [f"column {i}" for i in range(30)], [["a" * 90, *range(29)]])
    path = tmp_path / "page.html"
    path.write_text(render(Page("Report", [], [Section("scores", "Scores", [*pictures, wide])])))
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    options += ["--disable-sync", "--no-first-run"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        for scheme, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 28)")):
            for width in (1280, 400):
                tab = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
                asked: list[str] = []
                tab.on("request", lambda request, asked=asked: asked.append(request.url))
                tab.goto(Path(path).as_uri())
                assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
                assert tab.evaluate("document.documentElement.scrollWidth") == width, "no scrolling aside"
                assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == paper
                loaded = "Array.from(document.images).map(i => i.complete && i.naturalWidth > 0)"
                assert tab.evaluate(loaded) == [True] * 3
                chosen = tab.evaluate("document.images[0].currentSrc === document.images[0].src")
                assert chosen == (scheme == "light")
                tab.emulate_media(media="print", color_scheme="dark")
                assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        browser.close()
