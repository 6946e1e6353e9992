"""`gymjax runs`: what was run and what became of it."""

from typing import Any

from gym_jax.cli.show import cell, print_json, print_scores, print_table
from gym_jax.errors import GymJaxError
from gym_jax.run.folder import RunFolder, list_runs, open_run


def show_runs(root: str, as_json: bool) -> None:
    """Print a line per run."""
    rows = [_line(run) for run in list_runs(root)]
    if as_json:
        print_json("runs list", {"root": root, "runs": rows})
    elif rows:
        columns = ("name", "model", "status", "epochs", "steps", "val_loss", "test_mae")
        print_table(columns, [[row[key] for key in columns] for row in rows])
    else:
        print(f"no runs in {root}")


def show_run(run: str, root: str, as_json: bool) -> None:
    """Print one run."""
    folder = open_run(run, root)
    scores = folder.read_json("scores.json")
    steps = sorted(int(p.name) for p in folder.checkpoints.glob("*") if p.name.isdigit())
    document = {
        **_line(folder),
        "folder": str(folder.path),
        "config": folder.read_config(),
        "environment": folder.read_json("env.json"),
        "state": folder.read_json("status.json"),
        "checkpoints": steps,
        "scores": scores,
    }
    if as_json:
        print_json("runs show", document | {"run_status": document.pop("status")})
        return
    config, environment = document["config"], document["environment"]
    rows = [
        ("folder", document["folder"]),
        ("status", document["status"]),
        ("data", config["data"]["path"] or "generated CPU-allocation panel"),
        ("model", ", ".join(f"{key}={value}" for key, value in config["model"].items())),
        ("loss, optimiser", f"{config['loss']['kind']}, {config['optim']['kind']} lr={config['optim']['lr']:g}"),
        ("epochs, steps", f"{document['epochs']}, {document['steps']}"),
        ("best", ", ".join(f"{key} {cell(value)}" for key, value in document["state"].get("best", {}).items()) or None),
        ("checkpoints", ", ".join(map(str, steps)) or "none"),
        ("made with", f"gym_jax {environment.get('gym_jax')}, jax {environment.get('packages', {}).get('jax')}"),
    ]
    print_table(("what", "value"), rows)
    if scores:
        print_scores(scores)


def _line(run: RunFolder) -> dict[str, Any]:
    try:
        status, scores, config = run.read_json("status.json"), run.read_json("scores.json"), run.read_config()
        kind = config["model"]["kind"]
    except (GymJaxError, KeyError, TypeError):
        status, scores, kind = {"status": "damaged"}, {}, None
    targets = scores.get("model", {}).get("targets", {})
    first: dict[str, Any] = next(iter(targets.values()), {})
    return {
        "name": run.path.name,
        "model": kind,
        "status": status.get("status", "unknown"),
        "epochs": status.get("epochs"),
        "steps": status.get("steps"),
        "val_loss": status.get("best", {}).get("val_loss"),
        "test_mae": first.get("mae"),
    }
