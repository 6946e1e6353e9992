"""What a run is at this moment, in one document: how far, how well, how fast, how long still."""

import math
import statistics
from typing import Any

import numpy as np

from gym_jax.metrics import plain
from gym_jax.serve.follow import Followed, number_of

RECENT = 5
"""Epochs whose time says how long one takes."""
LONGEST = 2000
"""Characters of one text of a run."""


def summarise(run: Followed) -> dict[str, Any]:
    """Return the state of a run as JSON has it; what is not known is None.

    `ends` is when training would end without an early stop, in seconds since 1970; `patience_left` how many epochs may
    still bring nothing better.
    """
    status = run.document("status.json")
    metrics = run.tables["metrics"]
    epochs = _count(run.setting("train", "epochs"))
    newest = {name: _newest(column) for name, column in metrics.columns.items()}
    speed = {name: _newest(column) for name, column in run.tables["speed"].columns.items()}
    chunk = {name: _newest(column) for name, column in run.tables["chunks"].columns.items()}
    words, reason = _status(run, status)
    best, left = _patience(run)
    within = chunk["at"] is not None and chunk["at"] > (newest["epoch"] or 0)
    return {
        "id": run.id,
        "group": run.group,
        "status": words,
        "reason": reason,
        "model": _word(run.setting("model", "kind")),
        "loss_kind": _word(run.setting("loss", "kind")),
        "task": _word(run.setting("task", "kind")),
        "data": _word(run.setting("data", "path")) or "generated CPU-allocation panel",
        "seed": _count(run.setting("train", "seed")),
        "seeds": _count(run.setting("train", "seeds")),
        "epochs": epochs,
        "epoch": _count(newest["epoch"]) or 0,
        "at": chunk["at"] if within else newest["epoch"],
        "step": _count(newest["step"]),
        **{name: newest[name] for name in ("lr", "loss", "grad_norm", "val_loss")},
        "best": best,
        "patience": _count(run.setting("train", "patience")),
        "patience_left": left,
        "stopped_early": run.early,
        "windows_per_second": (chunk if within else speed)["windows_per_second"],
        "ends": _ends(run, epochs) if words == "running" else None,
        "began": _word(run.document("env.json").get("began")),
        "updated": _word(status.get("updated")),
        "chunked": run.setting("track", "log_level") == "debug",
        "parent": _word(run.setting("run", "parent")),
        "folder": text_of(str(run.folder.path)),
        "placement": _word(run.document("choices.json").get("placement")),
        "devices": _count(run.document("choices.json").get("devices")),
        "compile": _word(run.document("choices.json").get("compile")),
        "scores": _scores(run),
    }


def _status(run: Followed, status: dict[str, Any]) -> tuple[str, str | None]:
    """Return running, done, failed, stopped, damaged or unknown, and why."""
    if run.faults:
        return "damaged", _word(next(iter(run.faults.values())))
    word = status.get("status")
    if run.in_use:
        return "running", None
    if word == "running":
        return "stopped", "its process ended without a word: it was killed, or the machine went down"
    if word == "stopped":
        why = {130: "Ctrl-C", 143: "SIGTERM", 0: "its time was up"}.get(status.get("exit_code"))  # type: ignore[arg-type]
        return "stopped", why
    if word in ("done", "failed"):
        return word, _word(status.get("reason"))
    return "unknown", None


def _patience(run: Followed) -> tuple[dict[str, Any] | None, int | None]:
    """Return the best epoch so far and how many more epochs may bring nothing better, as early stopping counts them."""
    metrics, patience = run.tables["metrics"], _count(run.setting("train", "patience"))
    values = metrics.column("val_loss")
    counted = (_count(run.setting("train", "seeds")) or 1) == 1  # of a group each member has its own
    if not np.isfinite(values).any():
        return None, None
    place = int(np.where(np.isfinite(values), values, np.inf).argmin())
    epoch, step = (_count(metrics.columns[name][place]) for name in ("epoch", "step"))
    best = {"epoch": epoch, "step": step, "val_loss": metrics.columns["val_loss"][place]}
    waited = len(values) - 1 - place
    return best, max(0, patience - waited) if patience is not None and counted else None


def _ends(run: Followed, epochs: int | None) -> float | None:
    """Return when training would end: the median time of the last epochs, times those left, after the last one."""
    began, first, rows = run.session
    speed, chunks = run.tables["speed"], run.tables["chunks"]
    if epochs is None:
        return None
    seconds = list(speed.columns["seconds"])[rows:]
    if seconds:
        per = statistics.median((seconds[1:] or seconds)[-RECENT:])  # the first one compiled
        return plain(speed.columns["time"][-1] + per * max(0, epochs - speed.columns["epoch"][-1]))
    if len(chunks) and chunks.columns["at"][-1] > first and chunks.columns["time"][-1] > began:
        rate = (chunks.columns["time"][-1] - began) / (chunks.columns["at"][-1] - first)
        return plain(chunks.columns["time"][-1] + rate * max(0, epochs - chunks.columns["at"][-1]))
    return None


def _scores(run: Followed) -> dict[str, Any] | None:
    """Return the test scores of the first target beside the baselines', and the verdict."""
    scores = run.document("scores.json")
    try:
        target, own = next(iter(scores["model"]["targets"].items()))
        metrics = [name for name in ("mae", "rmse", "r2", "mase", "accuracy", "macro_f1", "log_loss") if name in own]
        rows = {scores["model"]["kind"]: own, **{kind: found[target] for kind, found in scores["baselines"].items()}}
        table = [[_word(kind), *(plain(number_of(found[name])) for name in metrics)] for kind, found in rows.items()]
        return {
            "target": _word(target),
            "part": _word(scores["part"]),
            "columns": metrics,
            "rows": table,
            "verdict": _word(scores["verdict"]),
        }
    except (KeyError, TypeError, AttributeError, StopIteration):
        return None


def _newest(column: Any) -> float | None:
    return column[-1] if len(column) and math.isfinite(column[-1]) else None


def _count(value: Any) -> int | None:
    number = number_of(value)
    return int(number) if math.isfinite(number) else None


def _word(value: Any) -> str | None:
    """Return a text of a run, cut where it is endless."""
    if value is None or isinstance(value, dict | list):
        return None
    text = text_of(str(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def text_of(text: str) -> str:
    """Return a text that can be sent: names of files may be bytes that are no text, which become question marks."""
    return text.encode("utf-8", "replace").decode()
