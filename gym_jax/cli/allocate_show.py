"""How allocations are told: tables and sentences for people."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_jax.cli.show import print_table
from gym_jax.files import whole_file

SHORT = 3
"""A workload that was above its allocation more than so many times the risk is named under the table."""
LEVEL = ("policy", "violation", "p90", "unmet", "waste", "alloc/use", "slack", "changes/day")


def percent(share: float) -> str:
    """Return a share in per cent, with as many digits as say something."""
    return f"{100 * share:.2f} %" if share >= 0.0005 else f"{100 * share:.3f} %"


def print_simulation(document: Mapping[str, Any]) -> None:
    """Print the tables of a simulation and what follows from them."""
    policies, protocol = document["policies"], document["protocol"]
    hold = "day" if protocol["every"] == 24 else "hour"
    print(
        f"{document['column']} in {document['unit']}: {document['workloads']:,} workloads, a decision every {hold}, "
        f"judged on the last {protocol['test_days']:g} days, tuned on the {protocol['val_days']:g} days before"
    )
    rows = [
        (name, *_figures(block["plain"]), f"{block['plain']['slack']:.2f}", f"{block['plain']['changes']:.1f}")
        for name, block in policies.items()
        if block["plain"]
    ]
    if rows:
        print_table(LEVEL, rows, "\nas they are")
    for risk in protocol["risks"]:
        key = f"{risk:g}"
        rows = []
        for name, block in policies.items():
            found, tuned = block["at"][key]["frontier"], block["at"][key]["tuned"]
            rows.append(
                (
                    name,
                    f"{found['ratio']:.3f}",
                    f"{found['low']:.2f} to {found['high']:.2f}",
                    f"x {found['scale']:.2f}",
                    percent(tuned["violation"]),
                    percent(tuned["violation_p90"]),
                    f"{tuned['ratio']:.3f}",
                    f"x {tuned['scale']:.2f}",
                )
            )
        rows.sort(key=lambda row: float(row[1]))
        columns = ("policy", "alloc/use", "95 %", "factor", "violation", "p90", "alloc/use", "margin")
        title = f"\nat {100 * risk:g} % violation: off the test's own frontier (left), by a margin tuned before (right)"
        print_table(columns, rows, title)
    _print_differences(document)
    if money := document.get("money"):
        print(f"\n{money_line(document, money)}")
    if worst := document.get("worst"):
        risk = protocol["risks"][min(1, len(protocol["risks"]) - 1)]
        rows = [
            (one["name"], percent(one["violation"]), f"{one['ratio']:.2f}", one["mean_usage"])
            for one in worst[f"{risk:g}"]
        ]
        print_table(
            ("workload", "violation", "alloc/use", "mean usage"),
            rows,
            f"\nworst under {document['best']} set for {100 * risk:g} % violation",
        )
    if cold := document.get("cold_start"):
        names = [name for name in cold[0] if name != "hours"]
        rows = [
            (
                f"{row['hours']:g} h" if row["hours"] < 24 else f"{row['hours'] / 24:g} d",
                *(_first_day(row[name]) for name in names),
            )
            for row in cold
        ]
        print_table(("history", *names), rows, "\ncold start: violation and alloc/use on the first day")
    for name, share in document["left_out"].items():
        print(f"note: {name} had no answer for {share:.1%} of the measured steps; no policy is judged there")
    for note in document["notes"]:
        print(f"note: {note}")
    for name in ("chart", "worst_chart"):
        if document.get(name):
            print(f"{name.replace('_', ' ')}: {document[name]}")


def _first_day(found: Mapping[str, float] | None) -> str:
    return "-" if found is None else f"{percent(found['violation'])} at {found['ratio']:.2f}"


def _figures(block: Mapping[str, float]) -> tuple[str, ...]:
    shares = [percent(block[name]) for name in ("violation", "violation_p90", "unmet")]
    return (*shares, f"{block['waste']:.2f}", f"{block['ratio']:.3f}")


def _print_differences(document: Mapping[str, Any]) -> None:
    rows = []
    for name, risks in document.get("differences", {}).items():
        for risk, found in risks.items():
            word = "no evidence of a difference" if not found["sure"] else ("less" if found["mean"] < 0 else "MORE")
            rows.append(
                (
                    name,
                    f"{100 * float(risk):g} %",
                    f"{found['mean']:+.3f}",
                    f"{found['low']:+.2f} to {found['high']:+.2f}",
                    f"{found['cheaper_for']} of {document['workloads']}",
                    word,
                )
            )
    if rows:
        columns = ("policy", "violation", "apart", "95 %", "cheaper for", f"{document['best']} gives")
        title = f"\nalloc/use of {document['best']} minus another policy, at equal violation, bootstrap over workloads"
        print_table(columns, rows, title)


def money_line(document: Mapping[str, Any], money: Mapping[str, Any]) -> str:
    """Return what is saved against another policy's defaults, in one sentence."""
    unit = {"cores": "core-hours"}.get(document["unit"], f"{document['unit']}-hours")
    size = 1.0
    if document["unit"] == "bytes":
        unit, size = "GiB-hours", 2.0**30
    word, sign = ("less", 1) if money["saved_per_day"] >= 0 else ("MORE", -1)
    low, high = sorted((sign * money["low"] / size, sign * money["high"] / size))
    doubt = ", no evidence of a difference" if low <= 0 <= high else ""
    line = (
        f"{document['best']} gives {sign * money['saved_per_day'] / size:,.0f} {unit} a day per 1,000 workloads {word} "
        f"than {money['against']} as it is (95 %: {low:,.0f} to {high:,.0f}{doubt}; {sign * money['share']:.0%}), "
        f"at the same {percent(money['violation'])} violation"
    )
    if "saved_per_day_money" in money:
        low, high = sorted((sign * money["low_money"], sign * money["high_money"]))
        line += f": {sign * money['saved_per_day_money']:,.2f} a day ({low:,.2f} to {high:,.2f})"
    return line


def print_trained(path: str, facts: Mapping[str, Any]) -> None:
    """Print what was learned, and what to do with it."""
    print(
        f"learned from {facts['workloads']:,} workloads of {facts['days']:.1f} days: "
        f"{facts['column']} in {facts['unit']}"
    )
    rows = [
        (f"{100 * float(risk):g} %", f"{price['violation']:.3g}", f"x {price['margin']:.3f}", f"{price['reaction']:g}")
        for risk, price in sorted(facts["prices"].items(), key=lambda item: -float(item[0]))
    ]
    print_table(("risk", "price of a violation", "margin", "reaction"), rows)
    print(
        f"price: {facts['unit']} x hours that an hour in violation counts as; margin: on every allocation;\n"
        "reaction: how far violations raise what is given next"
    )
    for note in facts["notes"]:
        print(f"note: {note}")
    print(f"\nkept in {path}\ntry: gymjax allocate recommend {path} --risk 1%")


def print_recommendations(found: Sequence[Any], kept: Any, format: str, facts: Mapping[str, Any]) -> None:
    """Print recommendations as a table, JSON, CSV or YAML."""
    if format == "table":
        _print_table(found, kept, facts)
    else:
        print(_text(found, kept, format, facts), end="")


def write_recommendations(found: Sequence[Any], kept: Any, out: str, format: str, facts: Mapping[str, Any]) -> Path:
    """Write recommendations into a file, whole or not at all; a table becomes CSV. Raises StorageError."""
    text = _text(found, kept, "csv" if format == "table" else format, facts)
    with whole_file(out) as (path, temporary):
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def _print_table(found: Sequence[Any], kept: Any, facts: Mapping[str, Any]) -> None:
    from gym_jax.allocate.quantity import quantity
    from gym_jax.allocate.recommend import because

    rows = [
        (
            one.name,
            quantity(one.request, kept.resource),
            "-" if one.limit is None else quantity(one.limit, kept.resource),
            because(one.why),
        )
        for one in found
    ]
    print_table(("workload", "request", "limit", "why"), rows)
    print(f"\nset for {100 * facts['risk']:g} % of the time in violation, mean over workloads; {facts['run']}")
    _print_short(found, facts["risk"])


def print_written(path: Path, found: Sequence[Any], format: str, risk: float) -> None:
    """Print where recommendations went, and what to know of them before they are applied."""
    print(f"{len(found):,} workloads in {path}")
    _print_short(found, risk)
    bare = [one.name for one in found if "/" not in one.name]
    if format in ("patch", "vpa") and bare:
        print(
            f"note: `{bare[0]}` is no namespace/workload/container: taken for workload and container ({len(bare):,} so)"
        )


def _print_short(found: Sequence[Any], risk: float) -> None:
    """Print a note when workloads were above what they would have been given far more often than the risk."""
    short = [one for one in found if one.why.get("covered_own") and 1 - one.why["covered"] > SHORT * risk]
    if short:
        worst = min(short, key=lambda one: one.why["covered"])
        print(
            f"note: {len(short):,} of {len(found):,} workloads were above it more than {SHORT} times as often, most "
            f"{worst.name} ({1 - worst.why['covered']:.1%}):\n"
            "risk is spent where cores are dear; `gymjax allocate train ... --most 5%` caps it for each"
        )


def _text(found: Sequence[Any], kept: Any, format: str, facts: Mapping[str, Any]) -> str:
    from gym_jax.allocate.kubernetes import autoscalers, patches
    from gym_jax.allocate.quantity import quantity
    from gym_jax.allocate.recommend import COLUMNS, because, row_of

    if format == "patch":
        return patches(found, kept.resource, facts["kind"])
    if format == "vpa":
        return autoscalers(found, kept.resource, facts["kind"])
    if format == "json":
        rows = [
            {
                "name": one.name,
                "request": one.request,
                "request_quantity": quantity(one.request, kept.resource),
                "limit": one.limit,
                "limit_quantity": None if one.limit is None else quantity(one.limit, kept.resource),
                "lower": one.lower,
                "why": {**one.why, "words": because(one.why)},
            }
            for one in found
        ]
        document = {"schema": 1, "command": "allocate recommend", "status": "ok", **facts, "resource": kept.resource}
        return json.dumps({**document, "workloads": rows}, indent=1, allow_nan=False) + "\n"
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row_of(one, kept.resource).values() for one in found)
    return lines.getvalue()
