"""What came of a search: one document, a file of it, and pictures."""

import json
from typing import Any

from gym_jax.report.picture import save_figure
from gym_jax.report.searching import search_history, search_importance
from gym_jax.tune.folder import BEST, Search
from gym_jax.tune.importance import importance
from gym_jax.tune.study import Asked, Study

REPORT, HISTORY, IMPORTANCE = "trials.json", "history.png", "importance.png"


def write_report(study: Study, search: Search) -> dict[str, Any]:
    """Return what came of a search; write it beside the trials, with pictures where there is something to draw."""
    trials, best, (method, shares) = study.trials(), study.best(), importance(study)
    rows = [_row(trial, search) for trial in trials]
    states = [trial.state for trial in trials]
    document = {
        "folder": str(search.path),
        **{key: value for key, value in search.asked.items() if key not in ("search", "trials")},
        "asked": search.asked["trials"],
        "counts": {state: states.count(state) for state in dict.fromkeys(sorted(states))},
        "space": {sweep.key: sweep.text for sweep in search.space},
        "best": None if best is None else _row(best, search),
        "best_config": None if best is None else str(search.path / BEST),
        "importance": shares,
        "importance_by": method,
        "trials": rows,
        "pictures": [],
    }
    metric, name = search.asked["metric"], search.path.name
    figures = {}
    if any(trial.value is not None for trial in trials):
        title = f"{name}: {len(rows)} trials"
        figures[HISTORY] = search_history(rows, metric=metric, direction=search.asked["direction"], title=title)
    if shares:
        title = f"{name}: which settings {metric} depends on"
        figures[IMPORTANCE] = search_importance(shares, metric=metric, method=method or "", title=title)
    document["pictures"] = [str(save_figure(figure, search.path / file)) for file, figure in figures.items()]
    search.write(REPORT, json.dumps({"schema": 1, **document}, indent=1, allow_nan=False) + "\n")
    return document


def _row(trial: Asked, search: Search) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "value": trial.value,
        "epochs": max(trial.course, default=0),
        "values": trial.values,
        "run": str(search.trial(trial.number)),
        **({"reason": trial.reason} if trial.reason else {}),
    }
