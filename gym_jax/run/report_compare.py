"""The parts of a report that set methods beside each other: models on common windows, policies of allocation."""

import functools
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_jax.allocate.outcome import figures
from gym_jax.allocate.protocol import Protocol
from gym_jax.allocate.usage import DAY, HOUR
from gym_jax.errors import GymJaxError
from gym_jax.report.breakdown import error_by_step
from gym_jax.report.comparison import model_comparison, significance
from gym_jax.report.page import Picture, Table, Words, shown
from gym_jax.report.training import training_curves
from gym_jax.run.allocate import Question, read_panel, simulate_data
from gym_jax.run.allocate_chart import frontier_figure
from gym_jax.run.compare import BASELINES, compare_runs
from gym_jax.run.report_parts import LABELS, NUMBERS, loss_of, step_of
from gym_jax.run.report_run import Reported

FEW_ROWS = 400_000
"""Rows of usage whose policies are simulated for a report; of more the command is named."""


def comparison_part(runs: Sequence[Reported]) -> list[Any]:
    """Return runs, and a single one's baselines, on their common windows: errors, intervals, significance.

    Runs that can not be compared in the same windows have their scores in one table, and it is said why.
    """
    first, blocks = runs[0], []
    kinds = [kind for kind in first.config.evaluate.baselines if kind in BASELINES and kind != first.config.model.kind]
    if len(runs) > 1:
        kinds = kinds[:1]
        blocks += _overview(runs)
    elif not kinds:
        return []
    if len(runs) == 1 and first.trained is None:
        return []
    if any(run.trained is None for run in runs):
        return [*blocks, Words("They are not compared in common windows: not all of them can be loaded.", "note")]
    try:
        found = compare_runs([run.folder for run in runs], target=first.target, baselines=kinds)
    except GymJaxError as error:
        said = f"They are not compared in common windows: {error.message}" + (f" ({error.hint})" if error.hint else "")
        return [*blocks, Words(f"{said}.", "note")] if len(runs) > 1 else []
    board, pairs = found["leaderboard"], found["pairs"]
    names = [row["name"] for row in board]
    values = [[row[key] for row in board] for key in ("mae", "low", "high")]
    alt = "; ".join(f"{row['name']} {shown(row['mae'])}" for row in board)
    caption = f"{found['windows']:,} windows that all of them forecast, of {found['series']:,} series."
    draw = functools.partial(model_comparison, names, *values, unit=first.unit)
    blocks.append(Picture("model_comparison", draw, f"MAE of {len(board)} models: {alt}.", caption))
    tested = [{**pair, "p": pair["diebold_mariano"]["p_holm"]} for pair in pairs]
    draw = functools.partial(significance, tested, names)
    alt = " ".join(pair["sentence"] for pair in pairs)
    blocks.append(
        Picture(
            "significance", draw, alt, "Diebold-Mariano with Holm's correction and a block bootstrap; both must agree."
        )
    )
    columns = ("rank", "model", "kind", "mae", "95 % low", "95 % high", "mean rank")
    rows = [
        (row["rank"], row["name"], row["kind"], row["mae"], row["low"], row["high"], row["mean_rank"]) for row in board
    ]
    blocks.append(Table("On common windows; intervals over series", columns, rows))
    told = [pair["sentence"] for pair in pairs if len(runs) > 1 or first.name in (pair["first"], pair["second"])]
    return [*blocks, *map(Words, told), *(Words(note, "note") for note in found["notes"])]


def _overview(runs: Sequence[Reported]) -> list[Any]:
    """Return every run's own scores, its losses, and its error by step."""
    columns = [key for key in (*NUMBERS, *LABELS) if any(key in run.own for run in runs)]
    rows = [
        (
            run.name,
            run.config.model.kind,
            run.status.get("status", "unknown"),
            run.target,
            run.scores.get("windows", run.scores.get("cases")),
            *(run.own.get(key) for key in columns),
        )
        for run in runs
    ]
    blocks: list[Any] = [
        Table("Each on its own test part", ("run", "model", "status", "target", "windows or cases", *columns), rows)
    ]
    curves = {run.name: run.epochs for run in runs if run.epochs}
    losses = {loss_of(run) for run in runs if run.epochs}
    if curves:
        best = {run.name: run.status["best"]["epoch"] for run in runs if run.status.get("best")}
        draw = functools.partial(
            training_curves, curves, best=best, loss=next(iter(losses)) if len(losses) == 1 else ""
        )
        note = (
            ""
            if len(losses) == 1
            else f"Losses differ ({'; '.join(sorted(losses))}): their heights can not be compared."
        )
        blocks.append(Picture("training_curves", draw, f"Loss by epoch of {len(curves)} runs.", note))
    steps = [len(run.own["per_horizon"]["mae"]) for run in runs if "per_horizon" in run.own]
    if len(steps) == len(runs) and len(set(steps)) == 1 and steps[0] > 1 and len({run.target for run in runs}) == 1:
        by_step = {run.name: run.own["per_horizon"]["mae"] for run in runs}
        draw = functools.partial(
            error_by_step, range(1, steps[0] + 1), by_step, unit=runs[0].unit, span=step_of(runs[0])
        )
        blocks.append(Picture("error_by_step", draw, f"MAE by step of {len(runs)} runs.", "Each on its own test part."))
    return blocks


def allocation_part(run: Reported) -> list[Any]:
    """Return what policies of allocation would cost and risk on the run's own usage, where that is soon known.

    Nothing is learned for it: the command that learns a policy is named.
    """
    if run.config.task.kind != "forecast":
        return []
    data = run.config.data.path
    made = "" if data else "gymjax generate --out usage.parquet && "
    command = (
        f"{made}gymjax allocate simulate {shlex.quote(data or 'usage.parquet')} --target {shlex.quote(run.target)}"
    )
    more = f"With a learned policy and your own choice of policies: `{command}`"
    if run.trained is None:
        return [Words(more)]
    panel = run.trained.prepared.panel
    usage = (run.unit or "").lower() in ("cores", "core", "millicores", "cpus", "vcpus") and not panel.channels.index(
        run.target
    )
    days = float(np.median(panel.lengths)) * panel.step / DAY if panel.clock == "ns" else 0.0
    if not usage or days < 2 or panel.step > HOUR or len(panel.values) > FEW_ROWS:
        why = (
            f"`{run.target}` does not say that it counts cores"
            if not usage
            else "the data are shorter than two days"
            if days < 2
            else "their time step is longer than an hour"
            if panel.step > HOUR
            else f"{len(panel.values):,} rows take longer"
        )
        return [Words(f"Policies of allocation are not simulated here: {why}. {more}", "note")]
    protocol = Protocol(test_days=min(7.0, days / 4), val_days=min(7.0, days / 4))
    try:
        read = read_panel(panel)
        answer = simulate_data(read, Question(protocol, learned=False))
    except GymJaxError as error:
        return [Words(f"Policies of allocation are not simulated here: {error.message}. {more}", "note")]
    title = f"{read.channel}: {len(read.workloads)} workloads, decided every hour, {protocol.test_days:.3g} days"
    draw = functools.partial(frontier_figure, answer.simulation, title=title)
    names = (
        "policy",
        "violation, %",
        "allocation / usage",
        *(f"at {100 * risk:g} % violation" for risk in protocol.risks),
    )
    rows = []
    for name, of in answer.simulation.test.items():
        own = figures(next(iter(of.values())))
        at = answer.document["policies"][name]["at"]
        rows.append(
            (name, 100 * own.violation, own.ratio, *(at[f"{risk:g}"]["frontier"]["ratio"] for risk in protocol.risks))
        )
    caption = (
        "A dot is the policy as it is; its line, what it costs with all allocations scaled. The oracle sees the future."
    )
    alt = "Frontier of policies: " + "; ".join(
        f"{row[0]} {shown(row[2])} at {shown(row[1])} % violation" for row in rows
    )
    return [
        Words(
            "What rules would have given these workloads, walked forward over the end of the data; "
            "no forecast of this run is used."
        ),
        Picture("allocation_frontier", draw, f"{alt}.", caption),
        Table("Policies as they are, and at equal violation (allocation / usage)", names, rows),
        *(Words(note, "note") for note in read.notes if note not in panel.notes),
        Words(more),
    ]
