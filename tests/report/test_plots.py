"""Every plot by hand: what is on its axes is what was given."""

import matplotlib
import numpy as np
import pytest
from report_examples import BANDS, EPOCHS, EXAMPLES, PAIRS, RATIO, TIMES, VIEW, VIOLATION

from gym_jax.report import PLOTS
from gym_jax.report.breakdown import MOST, error_by_series
from gym_jax.report.forecasts import FEW, forecast_bands, predicted_actual
from gym_jax.report.residuals import residual_distribution
from gym_jax.report.speed import short
from gym_jax.report.style import COLOURS, LIGHT
from gym_jax.report.training import training_curves


def drawn(name, **changes):
    arguments, settings = EXAMPLES[name]
    return PLOTS[name](*arguments, **{**settings, **changes})


def ys(panel):
    return [np.asarray(line.get_ydata(), float).tolist() for line in panel.lines]


def axis_labels(panel):
    return panel.get_xlabel(), panel.get_ylabel()


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_training_curves_have_losses_the_rate_and_the_best_epoch():
    losses, rates = drawn("training_curves").axes
    train, val, best = losses.lines[:3]
    assert train.get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert val.get_ydata().tolist() == [2.5, 1.5, 2.0]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([2], [1.5])
    assert ys(rates) == [[0.1, 0.05, 0.0]]
    assert legend(losses) == ["train", "validation", "best: epoch 2"]
    assert (losses.get_ylabel(), rates.get_xlabel(), rates.get_ylabel()) == (
        "loss (mae)",
        "epoch",
        "learning rate\n(per step)",
    )
    several = training_curves({"a": EPOCHS, "b": EPOCHS[:1]})
    assert legend(several.axes[0]) == ["a", "b"]
    assert several.axes[0].lines[3].get_ydata().tolist() == [2.5]


def test_throughput_has_the_speed_of_each_epoch():
    (panel,) = drawn("throughput").axes
    assert ys(panel) == [[10.0, 30.0, 20.0]]
    assert axis_labels(panel) == ("epoch", "examples per second")


def test_seed_spread_has_a_dot_a_seed_and_the_interval():
    (panel,) = drawn("seed_spread").axes
    mean, together, dots = panel.lines
    assert dots.get_xdata().tolist() == [1.0, 2.0, 3.0]
    assert (mean.get_xdata()[0], together.get_xdata()[0]) == (2.0, 0.9)
    assert (panel.patches[0].get_x(), panel.patches[0].get_width()) == (1.2, pytest.approx(1.6))
    assert [text.get_text() for text in panel.get_yticklabels()] == ["0", "1", "2"]
    assert axis_labels(panel) == ("mae (cores)", "seed")


def test_forecast_bands_break_where_a_forecast_begins():
    (panel,) = drawn("forecast_bands").axes
    actual, point = panel.lines
    np.testing.assert_array_equal(actual.get_ydata(), VIEW.actual)
    np.testing.assert_array_equal(actual.get_xdata(), TIMES)
    np.testing.assert_array_equal(point.get_ydata(), [2.5, 3.5, np.nan, 4.5])
    wide, narrow = (np.concatenate([path.vertices[:, 1] for path in band.get_paths()]) for band in panel.collections)
    assert {*narrow} == {*BANDS[:, 0].ravel()}
    assert {*wide} == {*BANDS[:, 1].ravel()}
    assert axis_labels(panel) == ("time", "cpu (cores)")
    assert panel.get_title(loc="left") == "web"
    counts = forecast_bands([VIEW._replace(times=np.arange(3))], quantity="cpu")
    assert axis_labels(counts.axes[0]) == ("time (steps)", "cpu (data's unit)")


def test_forecast_against_observed_is_points_or_counts_of_them():
    (panel,) = drawn("predicted_actual").axes
    points, diagonal = panel.lines
    assert (points.get_xdata().tolist(), points.get_ydata().tolist()) == ([1.5, 2.0, 3.0], [1.0, 2.0, 4.0])
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [1.0, 4.0]
    assert axis_labels(panel) == ("observed cpu (cores)", "forecast cpu (cores)")
    many = predicted_actual(np.arange(FEW + 1), np.arange(FEW + 1), unit="cores")
    cells = many.axes[0].collections[0]
    assert cells.get_array().sum() == FEW + 1
    assert type(cells.norm).__name__ == "LogNorm"
    assert many.axes[1].get_ylabel() == "values per cell (log)"


def test_error_by_step_has_a_line_a_method():
    (panel,) = drawn("error_by_step").axes
    assert ys(panel)[0] == [1.0, 2.0, 3.0]
    assert ys(panel)[1][:2] == [2.0, 3.0]
    assert np.isnan(ys(panel)[1][2])
    assert legend(panel) == ["mlp", "last"]
    assert axis_labels(panel) == ("step of the horizon (5min each)", "mae (cores)")


def test_error_by_hour_has_bars_and_the_bias():
    (panel,) = drawn("error_by_hour").axes
    heights = [bar.get_height() for bar in panel.patches]
    assert (heights[0], heights[2]) == (1.0, 3.0)
    assert np.isnan(heights[1])
    bias = panel.lines[0].get_ydata()
    assert (bias[0], bias[2]) == (0.5, -0.5)
    assert axis_labels(panel) == ("hour of the day (UTC)", "mae (cores)")


def test_error_by_series_has_the_worst_on_top():
    (panel,) = drawn("error_by_series").axes
    assert [bar.get_width() for bar in panel.patches] == [3.0, 2.0, 1.0]
    assert panel.lines[0].get_xdata().tolist() == [2.5, 1.0, 2.0]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["b", "c", "a"]
    assert axis_labels(panel) == ("mae (cores)", "series")
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    many = error_by_series([str(i) for i in range(50)], [*range(49), None])
    assert [bar.get_width() for bar in many.axes[0].patches] == list(range(48, 48 - MOST, -1))
    assert many.axes[0].get_title(loc="left") == "Error by series: worst 20 of 49 series"


def test_residuals_are_counted_and_their_mean_and_median_marked():
    (panel,) = drawn("residual_distribution").axes
    assert sum(bar.get_height() for bar in panel.patches) == 3
    assert [line.get_xdata()[0] for line in panel.lines] == [0, 1.0, 0.0]
    assert legend(panel) == ["mean 1", "median 0"]
    assert axis_labels(panel) == ("forecast - observed cpu (cores)", "values per bin")
    many = residual_distribution(np.append(np.zeros(999), 1e6))
    assert many.axes[0].get_title(loc="left") == "999 residuals; 1 lie beyond"


def test_autocorrelation_has_its_band():
    (panel,) = drawn("residual_autocorrelation").axes
    assert ys(panel)[0] == [0.5, -0.2, 0.1]
    assert (panel.patches[0].get_y(), panel.patches[0].get_height()) == (pytest.approx(-0.196), pytest.approx(0.392))
    assert axis_labels(panel) == ("lag (steps of 5min)", "correlation (-1 to 1)")


def test_calibration_is_what_held_over_what_was_promised():
    (panel,) = drawn("calibration").axes
    promised, own = panel.lines
    assert list(promised.get_xdata()) == list(promised.get_ydata()) == [0, 100]
    np.testing.assert_allclose(own.get_xdata(), [50, 80, 95])
    np.testing.assert_allclose(own.get_ydata(), [60, 80, 90])
    assert axis_labels(panel) == ("share that should lie within (%)", "share that lay within (%)")


def test_interval_width_has_a_line_a_level():
    (panel,) = drawn("interval_width").axes
    assert ys(panel) == [[1.0, 2.0, 3.0]]
    assert legend(panel) == ["80 %"]
    assert axis_labels(panel) == ("step of the horizon (5min each)", "mean width of the interval (cores)")


def test_model_comparison_has_dots_and_intervals():
    (panel,) = drawn("model_comparison").axes
    assert panel.lines[0].get_xdata().tolist() == [1.0, 2.0, 3.0]
    ends = [segment[:, 0].tolist() for segment in panel.collections[0].get_segments() if len(segment)]
    assert ends[:2] == [[0.5, 1.5], [1.5, 2.5]]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["a", "b", "c"]
    assert axis_labels(panel) == ("mae (cores); lower is better", "model")


def test_significance_says_both_ways_who_is_better_or_that_there_is_no_evidence():
    (panel,) = drawn("significance").axes
    said = {tuple(map(int, text.get_position()))[::-1]: text.get_text() for text in panel.texts}
    assert said[0, 1] == "better\np < 0.001"
    assert said[1, 0] == "worse\np < 0.001"
    assert said[0, 2] == said[2, 0] == "no evidence\np = 0.400"
    assert said[2, 1] == "better\np = 0.010"
    assert len(panel.patches) == 2 * len(PAIRS)
    shades = [matplotlib.colors.to_hex(patch.get_facecolor()) for patch in panel.patches]
    assert [shade.upper() for shade in shades[:2]] == list(COLOURS[:2]), "better, worse"
    assert shades[2] == shades[3] == LIGHT.grid
    assert [text.get_text() for text in panel.get_yticklabels()] == ["a", "b", "c"]


def test_the_frontier_has_cost_over_violation_and_each_policy_as_it_is():
    (panel,) = drawn("allocation_frontier").axes
    line, own = panel.lines[:2]
    np.testing.assert_allclose(line.get_xdata(), 100 * VIOLATION)
    assert line.get_ydata().tolist() == RATIO.tolist()
    assert (list(own.get_xdata()), list(own.get_ydata())) == ([5.0], [2.0])
    assert legend(panel) == ["vpa", "oracle"]
    assert "%" in panel.get_xlabel()
    assert "ratio" in panel.get_ylabel()


def test_worst_workloads_have_usage_allocation_and_where_one_is_above():
    (panel,) = drawn("worst_workloads").axes
    assert ys(panel) == [[1.0, 3.0, 1.0], [2.0, 2.0, 2.0]]
    assert panel.get_title(loc="left") == "web: 33.3% of the time in violation"
    assert axis_labels(panel) == ("time (measured days of the test)", "usage (cores)")


def test_the_confusion_matrix_has_counts_and_shares():
    panel, bar = drawn("confusion_matrix").axes
    np.testing.assert_allclose(panel.images[0].get_array(), [[75, 25], [0, 100]])
    assert [text.get_text() for text in panel.texts] == ["3", "1", "0", "2"]
    assert axis_labels(panel) == ("predicted class", "true class")
    assert bar.get_ylabel() == "share of the true class (%)"


def test_the_roc_has_a_curve_and_an_area_for_each_class():
    (panel,) = drawn("roc").axes
    chance, own = panel.lines
    assert own.get_xdata().tolist() == [0, 0, 100]
    assert own.get_ydata().tolist() == [0, 50, 100]
    assert legend(panel) == ["chance", "yes: area 0.750"]
    assert all("%" in word for word in axis_labels(panel))
    assert chance.get_linestyle() == ":"


def test_importance_has_a_bar_an_input():
    (panel,) = drawn("importance").axes
    assert [bar.get_width() for bar in panel.patches] == [2.0, 1.0]
    assert [text.get_text() for text in panel.get_yticklabels()][:2] == ["cpu", "day"]
    assert axis_labels(panel) == ("rise of mae (cores)", "input")


def test_an_explanation_has_six_panels():
    panels = drawn("explanation").axes
    assert [bar.get_width() for bar in panels[0].patches] == [2.0, 1.0]
    assert [ys(panel)[0] for panel in panels[2:5]] == [[1.0, 3.0], [1.0, 2.0, 3.0], [1.0, 3.0]]
    assert [bar.get_width() for bar in panels[5].patches] == [3.0, 1.0]


def test_speeds_are_bars_and_faults_crosses():
    (panel,) = drawn("speeds").axes
    assert [bar.get_height() for bar in panel.patches] == [10.0]
    assert [line.get_marker() for line in panel.lines] == ["x"]
    assert panel.get_ylabel() == "windows per second (higher is better)"
    assert [short(value) for value in (999.4, 999.6, 1000, 999_600, 1234)] == ["999", "1k", "1k", "1M", "1.23k"]


def test_a_search_shows_every_trial_and_the_best_so_far():
    (panel,) = drawn("search_history").axes
    assert ys(panel) == [[3.0, 1.0, 2.0], [4.0], [3.0, 1.0, 1.0, 1.0]]
    assert [line.get_xdata().tolist() for line in panel.lines] == [[0, 1, 3], [2], [0, 1, 3, 3]]
    assert legend(panel) == ["complete (3)", "pruned (1)", "best so far"]
    assert ys(drawn("search_history", direction="maximize").axes[0])[2] == [3.0, 3.0, 3.0, 3.0]
    assert axis_labels(panel) == ("trial (number)", "mae on the val part")


def test_a_few_bad_trials_do_not_flatten_a_search():
    trials = [{"trial": n, "state": "complete", "value": value} for n, value in enumerate([1.0, 1.1, 1.2, 900.0])]
    (panel,) = PLOTS["search_history"](trials).axes
    assert panel.get_ylim()[1] < 10
    assert axis_labels(panel)[0] == "trial (number); 1 beyond the axis"


def test_the_settings_of_a_search_have_a_bar_each():
    (panel,) = drawn("search_importance").axes
    assert [bar.get_width() for bar in panel.patches] == [0.2, 0.8]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["model.hidden", "optim.lr"]
    assert axis_labels(panel) == ("importance (ped-anova), shares of 1", "setting")
