"""What a finished run looks at, and where it fails, from its folder alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.order import sequential
from gym_jax.data.split import Part
from gym_jax.data.windows import Windows
from gym_jax.errors import ConfigError, DataError, did_you_mean, gathered
from gym_jax.evaluate.breakdown import break_down
from gym_jax.evaluate.compare import value_of
from gym_jax.evaluate.gradients import Attributions, integrated_gradients, make_attribution, mean_inputs
from gym_jax.evaluate.origins import ERRORS, origin_losses
from gym_jax.evaluate.permute import Named, make_exchanged, pieces_of
from gym_jax.evaluate.score import forecasters
from gym_jax.metrics import plain
from gym_jax.run.assemble import build_point, cut, reading
from gym_jax.run.evaluate import notes_of, refuse_changed
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import Members
from gym_jax.run.load import Trained, load_run, read_config
from gym_jax.run.runs import open_run
from gym_jax.run.task import need_forecast

METRICS = tuple(name for name in ERRORS if name != "mase")
PORTION = 128
"""Windows whose attributions are made at once."""


def explain_run(
    run: str | Path | RunFolder,
    *,
    data: str | Path | None = None,
    part: Part = "test",
    metric: str = "mae",
    target: str | None = None,
    step: int | None = None,
    windows: int = 1024,
    repeats: int = 5,
    members: Members = "mean",
    seed: int = 0,
) -> dict[str, Any]:
    """Return `importance`, `attribution` and the errors `by_horizon`, `by_hour` and `by_series` of one target.

    Importance is how much the metric rises when a piece of the input comes from another window, over `repeats` random
    exchanges; attribution is the size of each channel's and lag's share in the forecast, of one `step` of the horizon
    or of their mean. Both look at a random choice of at most so many `windows`; errors are of all. Raises
    CheckpointError, DataError, ConfigError.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    config = read_config(folder)
    need_forecast(config, "explain")
    _refuse(config, metric, step, windows, repeats)
    refuse_changed(folder, data)
    trained = load_run(folder, data, members=members)
    config, prepared, panel = trained.config, trained.prepared, trained.prepared.truth
    target = _target(panel.channels[: panel.targets], target)
    whole = cut(config, prepared, part)
    if not len(whole):
        raise DataError(
            f"the {part} part holds no window to explain",
            hint="its share of the rows is 0, or nothing in it was observed",
            attempt=f"gymjax explain {folder.path} --part val",
            code="data.no_windows",
        )
    seen = reading(trained.model, whole)
    chosen = _choice(seen, windows, seed)
    channel, size = panel.channels.index(target), config.evaluate.batch_size
    errors = break_down(
        forecasters(trained.model, trained.members, build_point(config)),
        seen,
        panel,
        prepared.scaler,
        channel=channel,
        batch_size=size,
    )
    return {
        "run": str(folder.path),
        "kind": config.model.kind,
        "step": trained.step,
        "weights": trained.weights,
        "part": part,
        "target": target,
        "metric": metric,
        "windows": len(whole),
        "chosen": len(chosen),
        "importance": _importance(trained, chosen, channel, metric, repeats, seed),
        "attribution": _attribution(trained, chosen, channel, step),
        **errors,
        "hours_in": panel.calendar_zone or ("UTC" if panel.zone else None),
        "notes": notes_of(folder, trained, data, part),
    }


def _importance(
    trained: Trained, windows: Windows, channel: int, metric: str, repeats: int, seed: int
) -> dict[str, Any]:
    prepared, config = trained.prepared, trained.config
    exchanged = make_exchanged(trained.model, trained.members, build_point(config))
    size = min(config.evaluate.batch_size, len(windows))
    named = list(_named(trained, windows))

    def cost(piece: Any, partners: np.ndarray) -> float:
        found = origin_losses(
            exchanged(piece, partners),
            windows,
            prepared.truth,
            prepared.scaler,
            metric=metric,
            channel=channel,
            batch_size=size,
        )
        return float(value_of(metric, found.losses[-1].sum() / found.counts.sum()))

    own = np.arange(len(windows))
    base = cost(named[0].piece, own)  # exchanged with itself
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    partners = [generator.permutation(len(windows)) for _ in range(repeats)]
    rows = []
    for kind, name, piece in named:
        rises = np.array([cost(piece, other) - base for other in partners])
        sd = float(rises.std(ddof=1)) if repeats > 1 else np.nan
        share = rises.mean() / base if base else np.nan
        rows.append({"kind": kind, "name": name, "increase": rises.mean(), "sd": sd, "share": share})
    rows = [{key: plain(value) for key, value in row.items()} for row in rows]
    inputs = sorted((row for row in rows if row["kind"] != "lags"), key=lambda row: -(row["increase"] or 0))
    return {"base": plain(base), "repeats": repeats, "inputs": inputs, "lags": [r for r in rows if r["kind"] == "lags"]}


def _named(trained: Trained, windows: Windows) -> Sequence[Named]:
    panel, channels = trained.prepared.panel, trained.prepared.channels.channels
    static = () if windows.static is None else panel.static_names
    return list(pieces_of(windows, channels, static, () if windows.categories is None else panel.category_names))


def _attribution(trained: Trained, windows: Windows, channel: int, step: int | None) -> dict[str, Any]:
    prepared, scaler = trained.prepared, trained.prepared.scaler
    weights = np.zeros((windows.steps, windows.targets), np.float32)
    weights[:, channel] = 1 / windows.steps if step is None else np.arange(windows.steps) == step - 1
    order = sequential(len(windows), min(PORTION, len(windows)))
    logged = channel < scaler.log
    unit = np.ones(len(windows)) if logged else scaler.scale[scaler.row(np.asarray(windows.series)), channel]
    found = integrated_gradients(
        make_attribution(trained.model, build_point(trained.config), weights),
        trained.members,
        windows,
        order,
        mean_inputs(windows, order),
        unit,
    )
    return {
        "of": "the mean over the horizon" if step is None else f"step {step}",
        "unit": "log1p" if logged else "data",
        "gap": found.gap,
        "inputs": _shares(trained, found),
        "lags": {
            "lag": list(range(windows.context, 0, -1)),
            "channels": list(prepared.channels.channels),
            "size": found.past.tolist(),
        },
    }


def _shares(trained: Trained, found: Attributions) -> list[dict[str, Any]]:
    """Return the size of every input's attribution, past and future together, and its share of all."""
    names = trained.prepared.channels.channels
    sizes = found.past.sum(axis=0)
    if found.future is not None:
        sizes[len(names) - found.future.shape[1] :] += found.future.sum(axis=0)
    rows = list(zip(names, sizes.tolist(), strict=True))
    if found.static is not None:
        rows += list(zip(trained.prepared.panel.static_names, found.static.tolist(), strict=True))
    whole = sum(size for _, size in rows)
    shares = [{"name": name, "size": size, "share": size / whole if whole else None} for name, size in rows]
    return sorted(shares, key=lambda row: -row["size"])


def _choice(windows: Windows, most: int, seed: int) -> Windows:
    """Return a random choice of windows, in their order."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 1])))
    count = len(windows)
    index = np.sort(generator.choice(count, min(most, count), replace=False))
    return replace(windows, origins=jnp.asarray(windows.origins)[index], series=jnp.asarray(windows.series)[index])


def _target(targets: Sequence[str], target: str | None) -> str:
    if target is not None and target not in targets:
        raise ConfigError(
            f"the run does not forecast `{target}`",
            hint=did_you_mean(target, targets),
            attempt=f"gymjax explain RUN --target {targets[0]}",
        )
    return target or targets[0]


def _refuse(config: Config, metric: str, step: int | None, windows: int, repeats: int) -> None:
    problems = []
    if metric not in METRICS:
        problems.append(
            ConfigError(
                f"`{metric}` is no metric to explain by",
                hint=did_you_mean(metric, METRICS),
                attempt="gymjax explain RUN --metric mae",
            )
        )
    steps = config.task.steps
    if step is not None and not 1 <= step <= steps:
        problems.append(
            ConfigError(
                f"the run forecasts no step {step}",
                hint=f"its steps are 1 to {steps}",
                attempt=f"gymjax explain RUN --step {steps}",
            )
        )
    for name, value, least in (("windows", windows, 2), ("repeats", repeats, 1)):
        if value < least:
            problems.append(
                ConfigError(
                    f"--{name} {value} is too few", hint=f"it is at least {least}", attempt="gymjax explain RUN"
                )
            )
    if problems:
        raise gathered(problems, code="usage")
