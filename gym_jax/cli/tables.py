"""What `gymjax runs` prints: a line per run, one run, the ranked field, what may go."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gym_jax.cells import cell
from gym_jax.cli.candidates import load_keys
from gym_jax.cli.show import print_json, print_scores, print_table, size
from gym_jax.errors import CheckpointError, ConfigError, GymJaxError, RunInUse, did_you_mean, nearest
from gym_jax.run.group import members_of
from gym_jax.run.prune import Chosen, Kept, choose_runs
from gym_jax.run.ranking import STATUS, Entry, Group, differences, rank, read_entry
from gym_jax.run.runs import ROOT, empty_removed, list_all, list_runs, open_run, remove_run

FIELD = ("mae", "rmse", "r2", "val_loss")
"""Metrics beside the one that ranks."""


def show_runs(
    root: str | None,
    as_json: bool,
    *,
    sort: str = "oldest",
    limit: int | None = None,
    status: str | None = None,
    model: str | None = None,
) -> None:
    """Print a line per run."""
    rows = [_line(read_entry(run)) for run in list_all(root)]
    statuses = _several("--status", status, STATUS)
    kinds = _several("--model", model, (*load_keys()["model"], *{row["model"] for row in rows if row["model"]}))
    rows = [row for row in rows if statuses is None or row["status"] in statuses]
    rows = [row for row in rows if kinds is None or row["model"] in kinds]
    if sort == "newest":
        rows.reverse()
    elif sort != "oldest":
        known = [row for row in rows if row[sort] is not None]
        rows = sorted(known, key=lambda row: row[sort]) + [row for row in rows if row[sort] is None]
    if limit is not None:
        rows = rows[-limit:] if sort == "oldest" else rows[:limit]
    if as_json:
        print_json("runs list", {"root": root or ROOT, "runs": rows})
    elif rows:
        columns = ("name", "kind", "model", "status", "epochs", "steps", "val_loss", "test_mae")
        print_table(columns, [[row[key] for key in columns] for row in rows])
    else:
        print(f"no runs in {root or ROOT}" + (" with that status and model" if statuses or kinds else ""))


def show_run(run: str, root: str | None, as_json: bool) -> None:
    """Print one run."""
    folder = open_run(run, root)
    if not folder.read_json("data.json"):
        raise CheckpointError(
            f"{folder.path} is no run: it has no data.json",
            hint="a run is a folder that gymjax train made",
            attempt="gymjax runs list",
            code="run.not_found",
        )
    scores = folder.read_json("scores.json")
    steps = sorted(int(p.name) for p in folder.checkpoints.glob("*") if p.name.isdigit())
    document = {
        **_line(read_entry(folder)),
        "folder": str(folder.path),
        "config": folder.read_config(),
        "environment": folder.read_json("env.json"),
        "state": folder.read_json("status.json"),
        "checkpoints": steps,
        "scores": scores,
    }
    config, environment, state = document["config"], document["environment"], document["state"]
    document["weights"] = state.get("weights")
    document["parent"] = config["run"].get("parent")
    document["members"] = [_line(read_entry(member)) for member in members_of(folder).values()]
    if as_json:
        print_json("runs show", document | {"run_status": document.pop("status")})
        return
    rows = [
        ("folder", document["folder"]),
        ("status", document["status"]),
        ("data", config["data"]["path"] or "generated CPU-allocation panel"),
        ("model", ", ".join(f"{key}={value}" for key, value in config["model"].items())),
        ("loss, optimiser", f"{config['loss']['kind']}, {config['optim']['kind']} lr={config['optim']['lr']:g}"),
        ("epochs, steps", f"{document['epochs']}, {document['steps']}"),
        ("best", ", ".join(f"{key} {cell(value)}" for key, value in state.get("best", {}).items()) or None),
        ("weights", document["weights"]),
        ("parent", document["parent"]),
        ("members", "; ".join(f"{m['name']} {m['status']}, {m['epochs']} epochs" for m in document["members"])),
        ("checkpoints", ", ".join(map(str, steps)) or ("in the members" if document["members"] else "none")),
        ("made with", f"gym_jax {environment.get('gym_jax')}, jax {environment.get('packages', {}).get('jax')}"),
    ]
    print_table(("what", "value"), [row for row in rows if row[0] not in ("weights", "parent", "members") or row[1]])
    if scores:
        print_scores(scores)


def show_best(root: str | None, metric: str, target: str | None, as_json: bool) -> None:
    """Print the finished runs ranked, a table for every group that can be compared."""
    with _there(root):
        groups = rank([read_entry(run) for run in list_runs(root)], metric, target)
    differ = differences(groups)
    best = None if len(groups) > 1 or groups[0].ranked[0][1] is None else groups[0].ranked[0][0].name
    if as_json:
        document = [_group(group, metric, target) for group in groups]
        print_json(
            "runs best", {"root": root or ROOT, "metric": metric, "best": best, "differ": differ, "groups": document}
        )
        return
    if differ:
        print(f"{len(groups)} groups of runs that can not be compared, because they differ in {', '.join(differ)}:\n")
    columns = [name for name in FIELD if name != metric]
    for group in groups:
        facts = group.facts
        asked = f"horizon {facts['horizon']}" if "task" not in facts else facts["task"]
        counted = f"{facts['windows']:,} {facts['part']} {'cases' if 'task' in facts else 'windows'}"
        print(f"{facts['data']}, {target or facts['targets'][0]}, {asked}, {counted}")
        top = group.ranked[0][1]
        rows = [
            (place, entry.name, entry.model, value, _behind(value, top), *(entry.value(k, target) for k in columns))
            for place, (entry, value) in enumerate(group.ranked, 1)
        ]
        print_table(("", "name", "model", metric, "behind", *columns), rows)
        print(f"best of {len(rows)}: {group.ranked[0][0].name}\n" if top is not None else f"none has {metric}\n")


def prune_runs(
    root: str | None,
    as_json: bool,
    *,
    keep: int | None = None,
    status: str | None = None,
    older_than: str | None = None,
    best_too: bool = False,
    yes: bool = False,
) -> None:
    """Print what may go and, when the user says yes, remove it. Raises ConfigError without a criterion."""
    if keep is None and status is None and older_than is None:
        raise ConfigError(
            "runs prune needs a criterion",
            hint="give --keep N, --status failed,stopped or --older-than 7d, or several",
            attempt=f"gymjax runs prune --status failed{_option(root)}",
            code="usage",
        )
    statuses, seconds = _several("--status", status, STATUS), _seconds(older_than)
    chosen, kept = choose_runs(root or ROOT, keep=keep, status=statuses, older_than=seconds, best_too=best_too)
    if yes:
        empty_removed(root or ROOT)  # what an interrupted prune has left
        chosen, kept = _remove(root, chosen, kept)
    total = sum(item.bytes for item in chosen)
    if as_json:
        rows = [{"name": item.entry.name, "status": item.entry.status, "bytes": item.bytes} for item in chosen]
        stay = [{"name": item.entry.name, "why": item.why} for item in kept]
        print_json("runs prune", {"root": root or ROOT, "removed": yes, "bytes": total, "runs": rows, "kept": stay})
        return
    if chosen:
        print_table(("name", "status", "size"), [(i.entry.name, i.entry.status, size(i.bytes)) for i in chosen])
    for item in kept:
        print(f"kept: {item.entry.name}, {item.why}")
    count = f"{len(chosen):,} run{'' if len(chosen) == 1 else 's'}, {size(total)}"
    print(f"removed {count}" if yes else f"would remove {count}; nothing was removed: add --yes to remove")


def _remove(root: str | None, chosen: list[Chosen], kept: list[Kept]) -> tuple[list[Chosen], list[Kept]]:
    """Remove what may go; a run that was taken up in the meantime stays."""
    gone, stay = [], list(kept)
    for item in chosen:
        try:
            remove_run(item.entry.run, root or ROOT)
            gone.append(item)
        except RunInUse:
            stay.append(Kept(item.entry, "in use"))
    return gone, stay


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "model": entry.model,
        "status": entry.status,
        "epochs": entry.epochs,
        "steps": entry.steps,
        "val_loss": entry.val_loss,
        "test_mae": entry.value("mae"),
    }


def _group(group: Group, metric: str, target: str | None) -> dict[str, Any]:
    ranked = [
        {"rank": place, **_line(entry), metric: value, "scores": entry.scores.get(target or next(iter(entry.scores)))}
        for place, (entry, value) in enumerate(group.ranked, 1)
    ]
    return {"of": group.facts, "best": ranked[0]["name"] if group.ranked[0][1] is not None else None, "ranked": ranked}


def _behind(value: float | None, top: float | None) -> str | None:
    if value is None or top is None or value == top:
        return None
    return f"{(value - top) / abs(top):+.1%}" if top else f"{value - top:+.3g}"


@contextmanager
def _there(root: str | None) -> Iterator[None]:
    """Say with an error about runs in which folder they are."""
    try:
        yield
    except GymJaxError as error:
        if error.attempt and error.attempt.startswith("gymjax runs"):
            error.attempt += _option(root)
        raise


def _option(root: str | None) -> str:
    return "" if root is None else f" --root {shlex.quote(root)}"


def _several(option: str, text: str | None, known: Sequence[str]) -> list[str] | None:
    """Return the words of a list with commas. Raises ConfigError at one that is not known."""
    words = [word.strip() for word in text.split(",")] if text is not None else None
    for word in words or ():
        if word not in known:
            raise ConfigError(
                f"{option} {shlex.quote(word)} is not known",
                hint=did_you_mean(word, known),
                attempt=f"gymjax runs list {option} {nearest(word, known) or known[0]}",
                code="usage",
            )
    return words


def _seconds(text: str | None) -> float | None:
    from gym_jax.cli.parse import parse_seconds

    try:
        if text and text[-1:].isdigit():
            raise ConfigError("a number alone", hint="say of what: 12h, 7d")
        return None if text is None else parse_seconds(text)
    except ConfigError as error:
        raise ConfigError(
            f"--older-than {shlex.quote(str(text))} is no length of time",
            hint=error.hint,
            attempt="gymjax runs prune --older-than 7d",
            code="usage",
        ) from error
