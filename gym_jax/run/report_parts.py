"""The parts of a report that every run has: what it is, its scores, its training, and how to make it again."""

import functools
import shlex
from typing import Any

from gym_jax.data.panel import describe_span
from gym_jax.data.split import FIELDS
from gym_jax.metrics import added
from gym_jax.plugins import recorded
from gym_jax.report.page import Code, Picture, Table, Words, shown
from gym_jax.report.training import seed_spread, throughput, training_curves
from gym_jax.run.report_run import Reported

NUMBERS = ("mae", "rmse", "r2", "smape", "mase")
LABELS = ("accuracy", "macro_f1", "auroc", "log_loss", "brier", "ece")
LISTED = 200
"""Rows of a folded table at most."""


def trained_part(run: Reported) -> list[Any]:
    """Return what was trained on what."""
    config, facts = run.config, run.facts
    task = config.task
    asked: list[tuple[str, Any]] = [("task", task.kind)]
    if task.kind == "forecast":
        step = step_of(run)
        asked += [
            ("looks back", f"{task.context:,} steps of {step}"),
            ("forecasts", f"{task.horizon:,} steps of {step}"),
        ]
        if task.statistic != "none":
            asked.append(("of the coming window", task.statistic))
        asked.append(("series", len(facts["series"])))
    best = run.status.get("best", {})
    rows = [
        *asked,
        ("target", ", ".join(_targets(run))),
        ("data", _data_name(run)),
        ("model", _fields(config.model)),
        ("parameters", run.parameters),
        ("loss", _fields(config.loss)),
        ("optimiser", _fields(config.optim)),
        ("schedule", _fields(config.schedule)),
        ("seeds", ", ".join(map(str, run.members)) or config.train.seed),
        ("epochs", f"{run.status.get('epochs', 0):,} of at most {config.train.epochs:,}"),
        ("optimiser steps", run.status.get("steps")),
        ("best epoch", best.get("epoch")),
        ("best validation loss", best.get("val_loss")),
        ("weights that answer", run.status.get("weights")),
        ("status", run.status.get("status", "unknown")),
    ]
    return [Table("The run in short", ("what", "value"), [row for row in rows if row[1] is not None])]


def scores_part(run: Reported) -> list[Any]:
    """Return the scores beside the baselines, the verdict, and what must be known about them."""
    if not run.scores:
        return [Words("There are no scores yet.", "note")]
    scores = run.scores
    blocks: list[Any] = []
    count = f"{scores['cases']:,} cases" if "cases" in scores else f"{scores['windows']:,} windows"
    for target, own in scores["model"]["targets"].items():
        columns = [*(key for key in (*NUMBERS, *LABELS) if key in own), *added(own)]
        name = scores["model"]["kind"] + (f", mean of {len(run.members)} seeds" if run.members else "")
        rows = [(name, *(own[key] for key in columns))]
        rows += [(kind, *(block[target][key] for key in columns)) for kind, block in scores["baselines"].items()]
        blocks.append(Table(f"{target}: {scores['part']} part, {count}", ("model", *columns), rows))
    unit = run.unit or "the data's own unit"
    blocks.append(Words(f"MAE and RMSE are in {unit}, sMAPE in %." if "mae" in own else "Log loss is in nats."))
    blocks += [Words(note, "note") for note in scores["notes"]]
    return blocks


def verdicts(run: Reported, named: bool = False) -> list[Words]:
    """Return what is to be read first, with the run's name where asked: does it beat the baselines, is it finished?"""
    out, name = [], f"{run.name}: " if named else ""
    if not run.finished:
        where = f"{run.status.get('epochs', 0):,} of {run.config.train.epochs:,} epochs"
        out.append(Words(f"{run.name} is not finished ({run.status.get('status', 'unknown')}): {where}.", "bad"))
    if verdict := run.scores.get("verdict"):
        out.append(Words(f"{name}{verdict}", "bad" if "does NOT" in verdict or "not finite" in verdict else "good"))
    return [
        *out,
        *(Words(f"{name}{text}", "bad") for text in run.missing),
        *(Words(f"{name}{text}", "note") for text in run.notes),
    ]


def training_part(run: Reported) -> list[Any]:
    """Return losses, learning rate and speed by epoch."""
    if not run.epochs:
        return [Words("No epoch has ended: the model is solved, or its training has just begun.", "note")]
    best = run.status.get("best", {}).get("epoch")
    curves = functools.partial(
        training_curves, {run.name: run.epochs}, best={run.name: best} if best else None, loss=loss_of(run)
    )
    last = run.epochs[-1]
    said = f"Loss by epoch, ending at train {shown(last.get('loss'))} and validation {shown(last.get('val_loss'))}."
    blocks: list[Any] = [Picture("training_curves", curves, said + (f" The best epoch is {best}." if best else ""))]
    if speeds := [event for event in run.events if event.get("event") == "epoch" and "windows_per_second" in event]:
        last_speed = speeds[-1]["windows_per_second"]
        draw = functools.partial(throughput, {run.name: speeds})
        blocks.append(Picture("throughput", draw, f"Examples per second by epoch; the last {last_speed:,.0f}."))
    columns = [key for key in ("epoch", "step", "loss", "val_loss", "lr", "grad_norm") if key in last]
    rows = [[line.get(key) for key in columns] for line in run.epochs[-LISTED:]]
    return [*blocks, Table("Every epoch", columns, rows, folded=True)]


def seeds_part(run: Reported) -> list[Any]:
    """Return how far the seeds of a group lie apart; nothing of a single run."""
    found = run.scores.get("members", {}).get("targets", {}).get(run.target)
    if not run.members or not found:
        return []
    metric = next(key for key in (*NUMBERS, *LABELS) if key in found)
    seeds, block = run.scores["members"]["seeds"], found[metric]
    named = dict(zip(map(str, seeds), block["values"], strict=True))
    facts = {"mean": block["mean"], "low": block["low"], "high": block["high"], "together": run.own.get(metric)}
    draw = functools.partial(seed_spread, named, metric=metric, unit=unit_of(run, metric), **facts)
    alt = f"{metric} of {len(named)} seeds: mean {shown(block['mean'])}, mean forecast {shown(run.own.get(metric))}."
    blocks: list[Any] = [Picture("seed_spread", draw, alt)]
    if any(run.members.values()):
        curves = {f"seed {seed}": lines for seed, lines in run.members.items() if lines}
        draw = functools.partial(training_curves, curves, loss=loss_of(run))
        blocks.append(Picture("training_curves", draw, f"Loss by epoch of {len(curves)} seeds."))
    table = [(key, block["mean"], block["sd"], block["low"], block["high"]) for key, block in found.items()]
    return [*blocks, Table("One seed alone", ("metric", "mean", "sd", "95 % low", "95 % high"), table)]


def environment_part(run: Reported) -> list[Any]:
    """Return with what the run was made."""
    known = run.environment
    git = known.get("git") or {}
    commit = f"{git['commit']}{' with changes' if git.get('changed') else ''}" if git.get("commit") else None
    rows = [
        ("began", known.get("began")),
        ("gym_jax", known.get("gym_jax")),
        ("python", known.get("python")),
        ("system", known.get("system")),
        ("machine", known.get("machine")),
        ("devices", ", ".join(known.get("devices", ()))),
        *((name, version) for name, version in known.get("packages", {}).items()),
        *((f"plug-in {one['group']}/{one['name']}", f"{one['package']} {one['version']}") for one in recorded(known)),
        ("git commit of the working folder", commit),
        *((name, run.choices.get(name)) for name in ("placement", "devices", "compile", "chunk")),
    ]
    return [Table("Versions, devices, choices", ("what", "value"), [row for row in rows if row[1] not in (None, "")])]


def reproduce_part(run: Reported) -> list[Any]:
    """Return the commands that repeat the run, and its whole configuration."""
    path = shlex.quote(str(run.folder.path))
    command = run.environment.get("command", [])
    lines = [
        f"gymjax train --config {path}/config.yaml",
        f"gymjax evaluate {path}",
        f"gymjax report {path} --html report.html",
    ]
    if not run.finished:
        lines.insert(0, f"gymjax train --resume {path}")
    if run.config.task.kind == "forecast":
        lines.append(f"gymjax explain {path}")
        lines += [] if run.intervals else [f"gymjax calibrate {path}"]
    blocks: list[Any] = [
        Code("The configuration alone repeats the run, to the bit on the same machine", "\n".join(lines))
    ]
    if command[1:]:
        blocks.append(Code("As it was begun", shlex.join(["gymjax", *map(str, command[1:])])))
    return [*blocks, Code("config.yaml", (run.folder.path / "config.yaml").read_text(encoding="utf-8"), folded=True)]


def data_part(run: Reported) -> list[Any]:
    """Return where the data came from, how they were divided, and what was noted while reading."""
    facts, data = run.facts, run.config.data
    blocks: list[Any] = []
    if "files" in facts:
        files = [(file["path"], file["bytes"], file["sha256"]) for file in facts["files"][:LISTED]]
        blocks.append(Table("Files", ("file", "bytes", "sha256"), files))
    else:
        made = ", ".join(f"{key}={value}" for key, value in facts.get("synthetic", {}).items())
        blocks.append(Words(f"The data are generated: {made}." if made else "The data are generated."))
    split = {"kind": data.split.kind, **{name: getattr(data.split, name) for name in FIELDS[data.split.kind]}}
    rows = [("split", _words(split)), ("scaling", _fields(data.scale))]
    if run.config.task.kind == "forecast":
        rows += [("time step", step_of(run)), ("channels", ", ".join(facts["columns"]["channels"]))]
    if run.trained is not None and run.config.task.kind == "forecast":
        panel = run.trained.prepared.panel
        rows += [
            ("rows", f"{len(panel.values):,}"),
            ("observed", f"{panel.mask[:, : panel.targets].mean():.1%} of the target"),
        ]
    blocks.append(Table("How they were read", ("what", "value"), rows))
    notes = [Words(note, "note") for note in facts.get("notes", [])]
    return [*blocks, *(notes or [Words("Nothing was repaired or assumed.")])]


def _targets(run: Reported) -> list[str]:
    return list(run.scores.get("model", {}).get("targets", {})) or [run.target]


def _data_name(run: Reported) -> str:
    return run.config.data.path or ("generated panel" if run.config.task.kind == "forecast" else "generated table")


def _fields(settings: Any) -> str:
    return _words(settings.model_dump(mode="json") if hasattr(settings, "model_dump") else dict(vars(settings)))


def _words(plain: dict[str, Any]) -> str:
    """Return settings in words, the kind in front."""
    kind = plain.pop("kind", None)
    said = ", ".join(f"{key}={shown(value)}" for key, value in plain.items() if value not in (None, [], ()))
    return f"{kind}: {said}" if kind and said else str(kind or said)


def loss_of(run: Reported) -> str:
    """Return the loss with its unit."""
    kind = run.config.loss.kind
    return f"{kind}, nats" if kind == "cross_entropy" else f"{kind}, scaled data"


def step_of(run: Reported) -> str:
    """Return the time step of a forecast in words."""
    return describe_span(run.facts["step"], run.facts["clock"])


def unit_of(run: Reported, metric: str) -> str | None:
    """Return the unit of a metric of the run's target."""
    return {"r2": "1 is best", "smape": "%", "mase": "naive errors"}.get(
        metric, run.unit if metric in ("mae", "rmse") else "share"
    )
