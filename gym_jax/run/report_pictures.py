"""The parts of a report that show what the model answers: forecasts, errors, residuals, intervals, classes."""

import functools
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_jax.errors import ConfigError
from gym_jax.evaluate.labels import auroc, roc_points
from gym_jax.plugins import Plugin, describe, one_line, unusable
from gym_jax.report import PLOTS
from gym_jax.report.breakdown import MOST, error_by_hour, error_by_series, error_by_step
from gym_jax.report.coverage import calibration, interval_width
from gym_jax.report.explanation import importance
from gym_jax.report.forecasts import forecast_bands, predicted_actual
from gym_jax.report.labels import confusion_matrix, roc
from gym_jax.report.page import Picture, Table, Words, shown
from gym_jax.report.residuals import residual_autocorrelation, residual_distribution
from gym_jax.run.report_parts import step_of, unit_of
from gym_jax.run.report_run import Reported

CONFUSED = 12
"""Classes whose confusion is a table too."""


def forecasts_part(run: Reported) -> list[Any]:
    """Return forecasts over series of the test part, and all of the sample against what came."""
    blocks: list[Any] = []
    named: dict[str, Any] = {"quantity": run.target, "unit": run.unit}
    pairs = _pairs(run)
    if pairs is None:
        return []
    predicted, actual, caption = pairs
    if run.sampled is not None:
        views = [view for view in run.sampled.views if len(view.times)]
        names = "; ".join(view.name + (f", {view.about}" if view.about else "") for view in views)
        below = "The end of the test part. A line breaks where a new forecast begins; each knows what was before it."
        if views:
            draw = functools.partial(forecast_bands, views, **named)
            blocks.append(Picture("forecast_bands", draw, f"Forecasts of {run.target} over what came: {names}.", below))
    known = np.isfinite(actual)
    fit = run.own.get("r2")
    alt = f"Forecast against observed {run.target}" + (
        f"; R2 of the whole test part is {shown(fit)}." if fit is not None else "."
    )
    draw = functools.partial(predicted_actual, predicted[known], actual[known], **named)
    return [*blocks, Picture("predicted_actual", draw, alt, caption)]


def errors_part(run: Reported) -> list[Any]:
    """Return the errors by step, hour and series."""
    if "per_horizon" not in run.own:
        return []
    blocks: list[Any] = []
    others = {kind: block[run.target] for kind, block in run.scores["baselines"].items()}
    errors = {run.scores["model"]["kind"]: run.own, **others}
    steps = list(range(1, len(run.own["per_horizon"]["mae"]) + 1))
    by_step = {name: block["per_horizon"]["mae"] for name, block in errors.items()}
    first, last = run.own["per_horizon"]["mae"][0], run.own["per_horizon"]["mae"][-1]
    if len(steps) > 1:
        draw = functools.partial(error_by_step, steps, by_step, unit=run.unit, span=step_of(run))
        blocks.append(
            Picture(
                "error_by_step",
                draw,
                f"MAE by step: {shown(first)} at the first, {shown(last)} at the last.",
                "Every window of the test part.",
            )
        )
    if run.sampled is not None and run.sampled.by_hour is not None:
        hour, panel = run.sampled.by_hour, run.trained.prepared.panel if run.trained else None
        zone = panel and (panel.calendar_zone or ("UTC" if panel.zone else None))
        draw = functools.partial(error_by_hour, range(24), hour["mae"], hour["bias"], unit=run.unit, zone=zone)
        worst = max(range(24), key=lambda at: hour["mae"][at] or 0)
        blocks.append(
            Picture("error_by_hour", draw, f"MAE and bias by hour of the day; the worst hour is {worst}.", _sample(run))
        )
    series = run.own["per_series"]
    if len(series["id"]) > 1:
        best = min(others, key=lambda kind: others[kind]["mae"] or np.inf) if others else None
        beside = {"beside": others[best]["per_series"]["mae"], "beside_name": best} if best else {}
        draw = functools.partial(error_by_series, series["id"], series["mae"], unit=run.unit, **beside)
        alt = f"MAE of the {min(MOST, len(series['id']))} series with the largest{f', beside {best}' if best else ''}."
        blocks.append(Picture("error_by_series", draw, alt, "Every window of the test part."))
    rows = [(step, *(values[step - 1] for values in by_step.values())) for step in steps]
    blocks.append(Table("MAE by step of the horizon", ("step", *by_step), rows, folded=True))
    order = sorted(range(len(series["id"])), key=lambda place: -(series["mae"][place] or 0))[:200]
    rows = [(series["id"][i], series["mae"][i], series["rmse"][i], series["r2"][i]) for i in order]
    return [*blocks, Table("Errors by series, worst first", ("series", "mae", "rmse", "r2"), rows, folded=True)]


def residuals_part(run: Reported) -> list[Any]:
    """Return how residuals are spread, and of forecasts how they hang together."""
    named: dict[str, Any] = {"quantity": run.target, "unit": run.unit}
    pairs = _pairs(run)
    if pairs is None:
        return []
    predicted, actual, caption = pairs
    residuals = (predicted - actual).ravel()
    residuals = residuals[np.isfinite(residuals)]
    if not len(residuals):
        return []
    mean, median = (shown(float(make(residuals))) for make in (np.mean, np.median))
    alt = f"Histogram of forecast minus observed: mean {mean}, median {median}."
    blocks = [
        Picture("residual_distribution", functools.partial(residual_distribution, residuals, **named), alt, caption)
    ]
    if run.sampled is not None and run.sampled.residuals > 1:
        lags = range(1, len(run.sampled.correlation) + 1)
        settings: dict[str, Any] = {"count": run.sampled.residuals, "span": step_of(run)}
        draw = functools.partial(residual_autocorrelation, lags, run.sampled.correlation, **settings)
        alt = f"Correlation of one-step residuals by lag; at lag 1 it is {shown(run.sampled.correlation[0])}."
        blocks.append(
            Picture("residual_autocorrelation", draw, alt, f"Of the {len(run.sampled.views)} series drawn above.")
        )
    return blocks


def intervals_part(run: Reported) -> list[Any]:
    """Return whether intervals or quantiles held what they promise, and how wide they are."""
    blocks: list[Any] = []
    for method, targets in (run.intervals or {}).items():
        found = targets.get(run.target, [])
        if not found:
            continue
        levels, held = [block["level"] for block in found], [block["coverage"] for block in found]
        draw = functools.partial(calibration, {method: levels}, {method: held})
        alt = "; ".join(
            f"{100 * level:g} % held {shown(100 * share)} %" for level, share in zip(levels, held, strict=True)
        )
        blocks.append(
            Picture("calibration", draw, f"How often intervals held: {alt}.", "Every window of the test part.")
        )
        widths = {f"{100 * block['level']:g} %": block["per_horizon"]["width"] for block in found}
        blocks += _widths(run, widths)
        rows = [
            (
                100 * block["level"],
                100 * block["coverage"],
                block["worst"]["id"],
                100 * block["worst"]["coverage"],
                block["width"],
                block["interval_score"],
            )
            for block in found
            if block["worst"] is not None
        ]
        columns = ("level, %", "held, %", "worst series", "held there, %", "mean width", "interval score")
        blocks.append(Table(f"Intervals of {run.target}, calibrated: {method}", columns, rows))
    quantiles = _quantiles(run)
    if quantiles:
        draw = functools.partial(
            calibration, {"quantiles": list(quantiles)}, {"quantiles": list(quantiles.values())}, what="quantile"
        )
        alt = "; ".join(f"at or below {level:g}: {shown(100 * share)} %" for level, share in quantiles.items())
        caption = _sample(run) if run.sampled else "Every case of the test part."
        blocks.append(Picture("calibration", draw, f"How often the truth was below each quantile: {alt}.", caption))
        if run.sampled is not None:
            blocks += _widths(
                run, {f"{100 * level:g} %, as trained": width for level, width in run.sampled.widths.items()}
            )
        blocks.append(Table("Quantiles of the model", ("level", "share at or below"), list(quantiles.items())))
    if not blocks and run.config.task.kind == "forecast":
        command = f"gymjax calibrate {shlex.quote(str(run.folder.path))}"
        return [Words(f"The run gives one number a step and is not calibrated. `{command}` adds intervals.", "note")]
    return blocks


def labels_part(run: Reported) -> list[Any]:
    """Return the confusion matrix, the ROC and what becomes of each class."""
    if "confusion" not in run.own:
        return []
    classes, counts = run.own["per_class"]["class"], run.own["confusion"]
    draw = functools.partial(confusion_matrix, classes, counts)
    alt = f"Confusion matrix of {len(classes)} classes; accuracy {shown(run.own['accuracy'])}."
    blocks: list[Any] = [Picture("confusion_matrix", draw, alt)]
    if run.said is not None:
        curves, areas = {}, {}
        for code, name in enumerate(run.said.classes):
            wrong, right = roc_points(run.said.answers, run.said.truth, code)
            if np.isfinite(wrong).all() and np.isfinite(right).all():
                curves[name] = (wrong, right)
                areas[name] = float(np.trapezoid(right, wrong))
        area = shown(auroc(run.said.answers, run.said.truth))
        draw = functools.partial(roc, curves, areas)
        blocks.append(Picture("roc", draw, f"ROC of {len(curves)} classes, each against the rest; mean area {area}."))
    each = run.own["per_class"]
    rows = list(zip(*(each[key] for key in ("class", "count", "precision", "recall", "f1")), strict=True))
    blocks.append(Table("Each class", ("class", "cases", "precision", "recall", "F1"), rows))
    if len(classes) <= CONFUSED:
        rows = [(name, *row) for name, row in zip(classes, counts, strict=True)]
        blocks.append(Table("How often a true class (row) was taken for a class (column)", ("true", *classes), rows))
    return blocks


def importance_part(run: Reported) -> list[Any]:
    """Return which inputs matter, where that was asked."""
    if run.explained is None:
        return []
    found = run.explained["importance"]["inputs"]
    columns = [[row[key] for row in found] for key in ("name", "increase", "sd")]
    draw = functools.partial(importance, *columns, unit=unit_of(run, "mae"))
    repeats = run.explained["importance"]["repeats"]
    caption = f"{run.explained['chosen']:,} windows of the test part, {repeats} random exchanges."
    alt = f"Importance of inputs; the most important is {found[0]['name']}."
    rows = [tuple(row[key] for key in ("name", "kind", "increase", "sd")) for row in found]
    return [
        Picture("importance", draw, alt, caption),
        Table("Inputs", ("input", "kind", "mae +", "sd"), rows, folded=True),
    ]


def added_part(run: Reported) -> list[Any]:
    """Return the pictures of plug-ins that were asked for, of the forecasts and what came."""
    pairs = _pairs(run)
    if pairs is None:
        return []
    predicted, actual, caption = pairs
    out = []
    for name in run.draw:
        plugin = PLOTS.plugin(name)
        assert plugin is not None  # `refuse_plots` has looked
        draw = functools.partial(_draw, plugin, predicted.ravel(), actual.ravel(), quantity=run.target, unit=run.unit)
        out.append(Picture(name, draw, f"{name} of {plugin.package}: forecast and observed {run.target}.", caption))
    return out


def refuse_plots(names: Sequence[str]) -> None:
    """Raise ConfigError on a name that is no plug-in's picture, MissingExtra on one that can not be used."""
    for name in names:
        if PLOTS.plugin(name) is None:
            hint = "a page has it where it can be drawn" if name in PLOTS else PLOTS.unknown(name)
            raise ConfigError(f"--draw {name} is no picture of a plug-in", hint=hint, attempt="gymjax doctor")
        PLOTS[name]


def _draw(plugin: Plugin, *arrays: np.ndarray, **settings: Any) -> Any:
    from matplotlib.figure import Figure

    try:
        figure = PLOTS[plugin.name](*arrays, **settings)
    except Exception as error:
        raise unusable(plugin, one_line(error)) from error
    if not isinstance(figure, Figure):
        raise unusable(plugin, f"it makes {describe(figure)}, not a figure")
    return figure


def _pairs(run: Reported) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Return forecasts, what came, and which they are in words; None of labels, and where there are none."""
    if run.sampled is not None:
        return run.sampled.predicted, run.sampled.actual, _sample(run)
    if run.said is not None and not run.said.classes:
        return run.said.answers[:, 0], run.said.truth, "Every case of the test part."
    return None


def _quantiles(run: Reported) -> dict[float, float]:
    if run.sampled is not None:
        return run.sampled.quantiles
    if run.said is None or run.said.classes:
        return {}
    known = np.isfinite(run.said.truth)
    below = run.said.truth[known, None] <= run.said.answers[known, 1:]
    return dict(zip(run.said.levels, below.mean(axis=0).tolist(), strict=True))


def _widths(run: Reported, widths: dict[str, list[float]]) -> list[Picture]:
    steps = len(next(iter(widths.values()), []))
    if steps < 2:
        return []
    draw = functools.partial(interval_width, range(1, steps + 1), widths, unit=run.unit, span=step_of(run))
    return [Picture("interval_width", draw, f"Mean width by step of {len(widths)} intervals.")]


def _sample(run: Reported) -> str:
    assert run.sampled is not None
    if run.sampled.chosen == run.sampled.windows:
        return f"All {run.sampled.windows:,} windows of the test part."
    return f"{run.sampled.chosen:,} of {run.sampled.windows:,} windows of the test part, drawn at random."
