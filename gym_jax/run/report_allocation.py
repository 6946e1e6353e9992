"""The page about a learned allocation: what it learned from, whether it covers what it promises, what a risk costs."""

import functools
import shlex
from typing import Any

import numpy as np

from gym_jax.allocate.offers import FLOORS
from gym_jax.allocate.price import fine_levels
from gym_jax.report.coverage import calibration
from gym_jax.report.page import Code, Page, Picture, Section, Table, Words
from gym_jax.run.allocation import Allocation, load_allocation
from gym_jax.run.folder import RunFolder

RESOURCES = {"cpu": "CPU", "memory": "memory", "disk": "disk"}
SHOWN = (0.5, 0.9, 0.95, 0.99)
"""Levels whose coverage is told workload by workload."""
LISTED = 200


def allocation_page(folder: RunFolder) -> Page:
    """Return the page about a learned allocation. Raises CheckpointError when it is damaged."""
    kept = load_allocation(folder)
    facts = kept.facts
    lead = (
        f"It says how much {RESOURCES[facts['resource']]} each workload should get. It was learned from "
        f"{facts['workloads']:,} workloads over {facts['days']:.1f} days."
    )
    sections = [
        Section("trained", "What was learned on what", [_trained(kept)]),
        Section("intervals", "Does it cover what it promises?", _coverage(kept)),
        Section("allocation", "What it gives for a risk", _prices(kept)),
        Section("data", "Data", [Words(note, "note") for note in facts["notes"]] or [Words("Nothing was repaired.")]),
        Section("environment", "Environment", [_environment(kept)]),
        Section("reproduce", "How to use it", [_commands(folder, kept)]),
    ]
    return Page(f"Learned allocation: {folder.path.name}", [Words(lead)], sections)


def _trained(kept: Allocation) -> Table:
    facts, protocol, recipe = kept.facts, kept.protocol, kept.facts["recipe"]
    rows = [
        ("resource", facts["resource"]),
        ("column", facts["column"]),
        ("unit", facts["unit"]),
        ("data", facts["data"] or "generated panel"),
        ("workloads", facts["workloads"]),
        ("days of each, on average", facts["days"]),
        ("a decision holds", f"{protocol.every} hours" if protocol.every > 1 else "1 hour"),
        ("held out to tune prices", f"{protocol.val_days:g} days"),
        ("network", f"{'-'.join(map(str, facts['hidden']))} on {facts['features']} features of the past"),
        ("members", f"{facts['members']}, each without one of {facts['folds']} blocks of the history"),
        ("epochs", f"at most {recipe['epochs']}, patience {recipe['patience']}"),
        ("seed", recipe["seed"]),
    ]
    return Table("The allocation in short", ("what", "value"), [row for row in rows if row[1] is not None])


def _coverage(kept: Allocation) -> list[Any]:
    levels, judged = fine_levels(kept.learned.levels), kept.judgement
    plain = {name: rows[FLOORS.index(0.0), : len(levels)] for name, rows in judged.coverage.items()}
    common = judged.common[FLOORS.index(0.0), : len(levels)]
    low, high = np.quantile(list(plain.values()), (0.1, 0.9), axis=0)
    empirical = {"mean of all workloads": common, "a tenth of them lies below": low, "a tenth of them lies above": high}
    draw = functools.partial(
        calibration, dict.fromkeys(empirical, levels), empirical, what="quantile", part="days held out"
    )
    furthest = int(np.argmax(np.abs(common - levels)))
    alt = (
        f"Share of held-out usage at or below each quantile; the mean is furthest off at the quantile "
        f"{levels[furthest]:.3f}, where {common[furthest]:.1%} lay below."
    )
    picked = [int(np.argmin(np.abs(levels - level))) for level in SHOWN]
    order = sorted(plain, key=lambda name: plain[name][picked[-1]])[:LISTED]
    table = [(name, *(float(plain[name][place]) for place in picked)) for name in order]
    columns = ("workload", *(f"below the {levels[place]:.3f} quantile" for place in picked))
    caption = "Share of held-out usage that was covered, the least covered first"
    return [Picture("calibration", draw, alt), Table(caption, columns, table, folded=True)]


def _prices(kept: Allocation) -> list[Any]:
    names = ("time in violation", "price of a violation", "margin", "reaction", "floor", "highest risk of a decision")
    rows = []
    for risk, price in sorted(kept.judgement.prices.items(), reverse=True):
        rows.append((f"{risk:.1%}", price.violation, price.margin, price.reaction, price.floor, price.share))
    words = (
        "Each risk has its own price, tuned on the days held out: a decision is the quantile from which more would "
        "cost more than the violations that it avoids, times the margin. Reaction raises what follows a violation; "
        "the floor is the share of the last week's highest usage that is given at least."
    )
    return [Words(words), Table("Prices by risk", names, rows)]


def _environment(kept: Allocation) -> Table:
    known = kept.facts["environment"]
    rows = [
        ("began", kept.facts["began"]),
        *((name, known.get(name)) for name in ("gym_jax", "python", "system", "machine")),
        ("devices", ", ".join(known.get("devices", ()))),
        *known.get("packages", {}).items(),
    ]
    return Table("Versions and devices", ("what", "value"), [row for row in rows if row[1] not in (None, "")])


def _commands(folder: RunFolder, kept: Allocation) -> Code:
    path, data = shlex.quote(str(folder.path)), shlex.quote(str(kept.facts["data"] or "FILE"))
    target = shlex.quote(kept.facts["column"])
    lines = [
        f"gymjax allocate recommend {path} --data {data} --target {target}",
        f"gymjax allocate simulate {data} --target {target} --resource {kept.resource} --run {path}",
    ]
    return Code("What every workload should get now, and what the policy would have given", "\n".join(lines))
