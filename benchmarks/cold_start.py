"""How long a fresh process takes to its first loss and to its end: S10.

python benchmarks/cold_start.py [--rounds 5] [--scenarios S1,S3,S5] [--no-cache] [--name cold_start] [--quick]

`gymjax train` for one epoch on a small generated panel, with the models of S1, S3 and S5. Three ways: without a
compile cache, with an empty one, and with the one that the run before has filled. The first loss is the first line of
progress that has one; the total ends with the process and holds the scores beside the baselines.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
from scenarios import COLD, HORIZON, Scenario, find
from table import aligned

RESULTS = Path(__file__).parent / "results"
WAYS = ("no cache", "empty cache", "filled cache")


def command(scenario: Scenario, folder: str, days: float, cache: str | None) -> list[str]:
    """Return the command line of one run."""
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in scenario.settings.items()}
    overrides = [f"model.{name}={json.dumps(value)}" for name, value in settings.items()]
    overrides += ["data.synthetic.series=4", f"data.synthetic.days={days}", f"train.batch_size={scenario.batch}"]
    context = min(scenario.context, 96)
    given = ["--model", scenario.kind, "--context", str(context), "--horizon", str(HORIZON), "--epochs", "1"]
    kept = ["--compile-cache", cache] if cache else []
    return [sys.executable, "-m", "gym_jax", "-v", "train", *overrides, *given, *kept, "--plain", "--run-dir", folder]


def start(words: list[str]) -> dict[str, Any]:
    """Return the seconds to the first loss and to the end, or the error."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("GYMJAX_")}
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=around)
    assert process.stderr
    first, said = None, []
    for line in process.stderr:
        said.append(line.strip())
        if first is None and line.startswith("epoch") and " loss " in line:
            first = time.perf_counter() - began
    status = process.wait()
    total = time.perf_counter() - began
    if status or first is None:
        return {"error": " / ".join(said[-3:])[:300] or f"exit status {status}"}
    return {"first_loss": first, "total": total}


def main(given: argparse.Namespace) -> int:
    """Measure, save, print; return the exit status."""
    given.name = f"quick_{given.name}" if given.quick else given.name
    ways = WAYS[:1] if given.no_cache else WAYS
    results: dict[str, Any] = {"machine": machine.facts(), "rounds": given.rounds, "scenarios": {}}
    rows = [("cold start", "", "first loss s", "total s", "slowest total s")]
    failed = 0
    for name in given.scenarios.split(","):
        scenario = find(name)
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for _ in range(given.rounds):
            with tempfile.TemporaryDirectory() as folder:
                for number, way in enumerate(ways):
                    cache = None if way == "no cache" else f"{folder}/cache"
                    words = command(scenario, f"{folder}/run{number}", 1 if given.quick else 3, cache)
                    found[way].append(start(words))
        results["scenarios"][name] = found
        for way, reports in found.items():
            errors = [one["error"] for one in reports if "error" in one]
            failed += len(errors)
            if errors:
                print(f"{name}, {way} failed: {errors[0]}")
                continue
            first, total = (statistics.median(one[key] for one in reports) for key in ("first_loss", "total"))
            slowest = max(one["total"] for one in reports)
            rows.append((f"{name} {scenario.kind}", way, f"{first:.2f}", f"{total:.2f}", f"{slowest:.2f}"))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{given.name}.json").write_text(json.dumps(results, indent=1))
    print("\n".join(aligned(rows)))
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenarios", default=",".join(COLD.scenarios))
    parser.add_argument("--no-cache", action="store_true", help="only the way without a compile cache")
    parser.add_argument("--name", default="cold_start", help="of the file in benchmarks/results")
    parser.add_argument("--quick", action="store_true", help="a tiny panel, to try the script and not to measure")
    sys.exit(main(parser.parse_args()))
