"""Whether cost grows linearly: ever more windows, ever more series.

python benchmarks/linear.py [--model mlp] [--epochs 3] [--most 100] [--series 10000] [--name linear] [--quick]

Cases of `gym_jax.train_run` on generated panels, each in its own process: 1, 10 and 100 times the days of 16 series,
and 1 to 10,000 series of two days. Measured are the seconds of a steady epoch (all but the first, which compiles),
windows per second, the whole run and the peak of memory. The exponent is the slope of seconds over windows in
logarithms between the two largest cases: 1 is linear. Saves benchmarks/results/linear.json and draws linear.png.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
from clock import peak_mb
from table import aligned, number

RESULTS = Path(__file__).parent / "results"
DAYS, SHORT = 7.0, 2.0
"""Of the smallest case in windows, and of every case in series."""

Case = tuple[int, float]
"""Series, and days of each."""


def cases(most: int, series: int) -> dict[str, list[Case]]:
    """Return both ways to grow, by powers of ten."""
    powers = [10**i for i in range(int(math.log10(most) + 1e-9) + 1)]
    counts = [10**i for i in range(int(math.log10(series) + 1e-9) + 1)]
    return {"windows": [(16, DAYS * factor) for factor in powers], "series": [(count, SHORT) for count in counts]}


def measure(model: str, epochs: int, case: Case) -> None:
    """Print what one run takes, as one line of JSON."""
    began = time.perf_counter()
    from gym_jax import load_config, train_run

    series, days = case
    options = {
        "model": model,
        "data.synthetic.series": series,
        "data.synthetic.days": days,
        "train.epochs": epochs,
        "train.placement": "one",
    }
    told: dict[str, list[dict[str, Any]]] = {"start": [], "epoch": []}
    marks: dict[str, float] = {}

    def watch(event: Any) -> None:
        marks.setdefault(event.kind, time.perf_counter() - began)
        if event.kind in told:
            told[event.kind].append(event.facts)

    with tempfile.TemporaryDirectory() as folder:
        config = load_config(overrides=["train.patience=null"], options=options)
        train_run(config, folder=f"{folder}/run", watch=watch)
    plan, later = told["start"][0], told["epoch"][1:] or told["epoch"]
    facts = {
        "series": series,
        "days": days,
        "rows": plan["rows"],
        "windows": plan["windows"]["train"],
        "epoch_seconds": statistics.median(one["seconds"] for one in later),
        "windows_per_second": statistics.median(one["windows_per_second"] for one in later),
        "to_start": marks["start"],
        "total": time.perf_counter() - began,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(facts), flush=True)


def start(given: argparse.Namespace, case: Case) -> dict[str, Any]:
    """Return what a case in its own process reports, or its error."""
    words = ["--model", given.model, "--epochs", str(given.epochs), "--case", *map(str, case)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:300]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def exponent(found: list[dict[str, Any]]) -> float | None:
    """Return the power of the number of windows with which an epoch grows, between the two largest cases."""
    there = [one for one in found if one.get("epoch_seconds")]
    if len(there) < 2:
        return None
    small, large = there[-2:]
    return math.log(large["epoch_seconds"] / small["epoch_seconds"]) / math.log(large["windows"] / small["windows"])


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw speed and memory over the number of windows, both ways to grow."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    kinds = {"windows_per_second": "windows per second", "total": "seconds of the whole run", "peak_mb": "peak MB"}
    for axis, (key, title) in zip(axes, kinds.items(), strict=True):
        for way, reports in found.items():
            there = [one for one in reports if "error" not in one]
            axis.plot([one["windows"] for one in there], [one[key] for one in there], "o-", label=f"more {way}")
        axis.set(xscale="log", xlabel="training windows", title=title, yscale="linear" if key[0] == "w" else "log")
        axis.set_ylim(bottom=0 if key[0] == "w" else None)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=120)


def main(given: argparse.Namespace) -> int:
    """Measure, save, draw, print; return the exit status."""
    given.name = f"quick_{given.name}" if given.quick else given.name
    wanted = cases(given.most, given.series)
    if given.quick:
        wanted = {"windows": [(2, 1.0), (2, 2.0)], "series": [(1, SHORT), (3, SHORT)]}
    results: dict[str, Any] = {"machine": machine.facts(), "model": given.model, "epochs": given.epochs, "cases": {}}
    rows = [("grows", "series", "train windows", "windows/s", "epoch s", "to start s", "total s", "peak MB")]
    for way, some in wanted.items():
        found = results["cases"][way] = [start(given, case) for case in some]
        for case, one in zip(some, found, strict=True):
            if "error" in one:
                print(f"{case[0]:,} series of {case[1]:g} days failed: {one['error']}")
                continue
            seconds = [number(one[key]) for key in ("epoch_seconds", "to_start", "total")]
            speed = f"{one['windows_per_second']:,}"
            rows.append((way, f"{one['series']:,}", f"{one['windows']:,}", speed, *seconds, f"{one['peak_mb']:,.0f}"))
        results.setdefault("exponents", {})[way] = exponent(found)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{given.name}.json").write_text(json.dumps(results, indent=1))
    draw(results["cases"], RESULTS / f"{given.name}.png")
    print("\n".join(aligned(rows)))
    for way, power in results["exponents"].items():
        print(f"more {way}: an epoch grows with the power {number(power)} of the windows")
    return 1 if any("error" in one for found in results["cases"].values() for one in found) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--most", type=int, default=100, help="times the windows of the smallest case")
    parser.add_argument("--series", type=int, default=10_000, help="in the largest case")
    parser.add_argument("--name", default="linear", help="of the files in benchmarks/results")
    parser.add_argument("--quick", action="store_true", help="tiny panels, to try the script and not to measure")
    parser.add_argument("--case", nargs=2, metavar=("SERIES", "DAYS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        measure(arguments.model, arguments.epochs, (int(arguments.case[0]), float(arguments.case[1])))
    else:
        sys.exit(main(arguments))
