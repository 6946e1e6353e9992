"""The laws that hold for every plot, and what hostile names do to it."""

import copy
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from conftest import ROOT
from report_examples import EPOCHS, EXAMPLES, VIEW

from gym_jax.report import PLOTS
from gym_jax.report.breakdown import error_by_series
from gym_jax.report.forecasts import forecast_bands
from gym_jax.report.picture import as_png, as_svg, save_figure
from gym_jax.report.style import COLOURS, DARK, LIGHT, label
from gym_jax.report.training import training_curves

matplotlib.use("agg")  # or comparing rcParams would look for a backend
HOSTILE = "$x_{$ <b>&'\" \N{BELL}\n日本 🚀 _"


def drawn(name, **changes):
    arguments, settings = EXAMPLES[name]
    return PLOTS[name](*arguments, **{**settings, **changes})


def words(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_every_plot_has_an_example():
    assert set(EXAMPLES) == set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_laws(name, tmp_path, recwarn):
    from matplotlib.figure import Figure

    before, given = matplotlib.rcParams.copy(), copy.deepcopy(EXAMPLES[name])
    for dark, theme in ((False, LIGHT), (True, DARK)):
        figure = drawn(name, dark=dark)
        assert type(figure) is Figure
        assert matplotlib.colors.to_hex(figure.get_facecolor()) == theme.paper
        for panel in figure.axes:
            shared = len(panel.get_shared_x_axes().get_siblings(panel)) > 1
            assert panel.get_ylabel() or panel.get_title(loc="left") or name == "explanation"
            assert (
                panel.get_xlabel() or shared or panel.get_label() == "<colorbar>" or name in ("explanation", "speeds")
            )
        ending, begin = (".svg", b"<?xml") if dark else (".png", b"\x89PNG")
        assert save_figure(figure, tmp_path / f"figure{ending}").read_bytes().startswith(begin)
    assert {path.name for path in tmp_path.iterdir()} == {"figure.png", "figure.svg"}
    assert repr(EXAMPLES[name]) == repr(given), "what is drawn is not changed"
    assert matplotlib.rcParams == before
    assert not recwarn.list


@pytest.mark.parametrize("name", ["training_curves", "forecast_bands", "confusion_matrix"])
def test_a_picture_is_the_same_bytes_again(name, tmp_path):
    assert as_svg(drawn(name)) == as_svg(drawn(name))
    assert as_png(drawn(name)) == as_png(drawn(name))
    assert save_figure(drawn(name), tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from report_examples import EXAMPLES; from gym_jax.report import PLOTS\n"
        "for name, (arguments, settings) in EXAMPLES.items(): PLOTS[name](*arguments, **settings)\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_loading_the_plots_does_not_load_matplotlib():
    code = "import sys, gym_jax.report; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_hostile_names_are_drawn_as_they_are_without_a_warning(recwarn):
    figures = [
        training_curves({HOSTILE: EPOCHS, "_hidden": EPOCHS}),
        forecast_bands([VIEW._replace(name=HOSTILE)], quantity=HOSTILE, unit=HOSTILE),
        error_by_series([HOSTILE, "$", "$a$"], [1.0, 2.0, 3.0], unit=HOSTILE),
        PLOTS["confusion_matrix"]([HOSTILE, "b"], [[1, 0], [0, 1]]),
        PLOTS["roc"]({HOSTILE: ([0, 1], [0, 1])}),
        PLOTS["importance"]([HOSTILE], [1.0]),
        PLOTS["explanation"]({**EXAMPLES["explanation"][0][0], "run": HOSTILE, "target": HOSTILE}),
        PLOTS["significance"]([{"first": HOSTILE, "second": "b", "p": 0.5, "better": None}], [HOSTILE, "b"]),
    ]
    for figure in figures:
        as_svg(figure)
    assert not recwarn.list
    assert legend(figures[0].axes[0])[1] == " _hidden"
    ticks = [text.get_text() for text in figures[2].axes[0].get_yticklabels()]
    assert ticks[:2] == [r"\$a\$", r"\$"]
    assert all("\n" not in text and "\N{BELL}" not in text for text in words(figures[1]))


def test_labels_are_short_and_printable():
    assert label("a" * 40, 10) == "a" * 9 + "…"
    assert label("a\nb") == "a\N{REPLACEMENT CHARACTER}b"
    assert label("100 $") == r"100 \$"


def luminance(colour):
    parts = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_ink_and_the_first_colours_stand_out_from_the_paper(theme):
    assert contrast(theme.ink, theme.paper) >= 7
    assert contrast(theme.muted, theme.paper) >= 4.5
    assert all(contrast(colour, theme.paper) >= 3 for colour in theme.colours[:3])
    steps = [luminance(colour) for colour in theme.ramp]
    assert steps == sorted(steps, reverse=theme is LIGHT), "more is ever further from the paper"
    assert {colour.lower() for colour in theme.colours} <= {colour.lower() for colour in (*COLOURS, "#ffffff")}
