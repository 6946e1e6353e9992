"""Panels from the configuration to windows and back: what a run of forecasts does its own way."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.config.schema import Config, Data
from gym_jax.data.panel import Panel
from gym_jax.data.preprocess import Fitted
from gym_jax.data.windows import Windows
from gym_jax.errors import DataError
from gym_jax.run.assemble import Prepared, cut, load_panel, places, prepare, windows_of


def prepare_panel(config: Config) -> Prepared:
    """Read and judge the configured data, split them and learn from train rows. Raises DataError."""
    prepared = prepare(config, load_panel(config))
    for part, count in (
        ("train", len(cut(config, prepared, "train"))),
        ("test", len(places(config, prepared, "test")[0])),
    ):
        if not count:
            raise DataError(
                f"no {part} window: nothing was observed in the {part} part",
                hint="look at the gaps, or at the split; a run is scored at its end",
                code="data.no_windows",
            )
    return prepared


def restore_panel(config: Config, facts: Mapping[str, Any], data: str | Path | None) -> tuple[Config, Prepared]:
    """Return the panel of a run's own data, or of other `data` of the same columns and step, and how it was read.

    Series that the run knows keep its scaler; unknown ones are scaled by their own rows of the train share.
    """
    config = config.model_copy(update={"data": same_columns(config, facts, data)})
    panel = _same_kind(load_panel(config), facts)
    if data is None:  # the series that the run kept
        kept = set(facts["series"])
        panel = panel.select([i for i, name in enumerate(panel.series) if name in kept])
    return config, prepare(config, panel, Fitted.from_json(dict(facts)), facts["series"])


def one_window(config: Config, prepared: Prepared) -> Windows:
    """Return a single window, which lends its shapes."""
    return windows_of(config, prepared.of_series(0), np.zeros(1, np.int64), np.zeros(1, np.int64))


def describe_panel(config: Config, prepared: Prepared, counts: dict[str, int]) -> dict[str, Any]:
    """Return the panel in numbers, as a plan shows it, with how many windows each part has."""
    panel = prepared.panel
    return {
        "data": config.data.path or "generated CPU-allocation panel (no --data given)",
        "series": len(panel.series),
        "rows": len(panel.values),
        "interval": panel.describe_step(),
        "targets": list(panel.channels[: panel.targets]),
        **({} if prepared.coming is None else {"statistic": config.task.statistic}),
        **_covariates(prepared),
        "notes": list(prepared.channels.notes),
        "windows": counts,
    }


def locate_step(config: Config, prepared: Prepared, example: int, step: int) -> str:
    """Return the series and the time of a step of a train window; step 0 is the first that it forecasts."""
    rows, series = (part[example : example + 1] for part in places(config, prepared, "train"))
    time = prepared.panel.times(series, rows + step)[0]
    return f"series `{prepared.panel.series[series[0]]}` at {str(time)[:19]}"


def facts_of_panel(prepared: Prepared) -> dict[str, Any]:
    """Return what a model needs of its data to be used again: columns, time step, series and scaler."""
    panel, used = prepared.panel, prepared.split.val.end
    return {
        "columns": {
            "id": panel.id_name,
            "time": panel.time_name,
            "channels": list(panel.channels),
            "targets": panel.targets,
            "known": panel.known,
            "static": list(panel.static_names),
            "categories": list(panel.category_names),
        },
        "step": panel.step,
        "clock": panel.clock,
        "zone": panel.zone,
        "series": list(panel.series),
        "used_until": panel.stamps(np.arange(len(used)), used).tolist(),
        **prepared.fitted.to_json(),
        "notes": list(prepared.channels.notes),
    }


def _covariates(prepared: Prepared) -> dict[str, list[str]]:
    """Return what models see besides the targets, by its kind; kinds that are not there are left out."""
    channels, known = prepared.channels.channels, len(prepared.channels.channels) - prepared.channels.known
    kinds = {
        "past": channels[prepared.panel.targets : known],
        "known": channels[known:],
        "static": prepared.panel.static_names,
        "categories": prepared.panel.category_names,
    }
    return {kind: list(names) for kind, names in kinds.items() if names}


def same_columns(config: Config, facts: Mapping[str, Any], path: str | Path | None) -> Data:
    """Return how to read the columns that the run was trained on, from its own data or from another `path`."""
    columns = facts["columns"]
    changed: dict[str, Any] = {} if path is None else {"path": str(path)}
    if (config.data.path is None and path is None) or config.data.layout == "wide":
        return replace(config.data, **changed)  # the columns of a wide file are its series: others may come
    channels, known = columns["channels"], len(columns["channels"]) - columns["known"]
    return replace(
        config.data,
        **changed,
        target=tuple(channels[: columns["targets"]]),
        past=tuple(channels[columns["targets"] : known]),
        known=tuple(channels[known:]),
    )


def _same_kind(panel: Panel, facts: Mapping[str, Any]) -> Panel:
    if panel.step != facts["step"] or panel.clock != facts["clock"]:
        raise DataError(
            f"the data have a step of {panel.describe_step()}, the run was trained on another "
            f"({facts['step'] / 1e9:g} s)"
            if facts["clock"] == "ns"
            else "the data and the run count time differently",
            hint="resample the data to the run's step, or train on these data",
            code="data.step",
        )
    return panel
