"""Rows 14 to 16 and 19: what the tests already try by the hundred, counted as the rest of the scoreboard is."""

import re
import subprocess
import sys
from xml.etree import ElementTree

from harness import ROOT, Bench, Outcome, Row

SUITES = {
    "14": ("dirty files refused in words or read as they are", ["tests/data/test_bad_inputs.py"]),
    "15": ("bad configurations refused in words", ["tests/config/test_bad_configs.py"]),
    "16": (
        "the future changed: no bit of what is learnt changes",
        ["tests/data/test_poison.py", "tests/run/test_poison.py"],
    ),
    "19": (
        "steps that are not finite: never saved",
        ["tests/train/test_skip.py", "tests/run/test_trouble.py", "tests/run/test_failures.py"],
    ),
}
"""Title and files of a row."""


def results(bench: Bench, name: str) -> list[Outcome]:
    """Return what came of every test of a row; they are run once."""
    key = f"suite {name}"
    if key not in bench.known:
        report = bench.root / f"suite-{name}.xml"
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", "--hypothesis-show-statistics"]
        options += ["-m", "not extras and not peers"]  # the slow ones too
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *SUITES[name][1]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        cases = sum(int(count) for count in re.findall(r"(\d+) passing examples", done.stdout))
        if cases:
            print(f"    {name}: {cases:,} examples by Hypothesis", flush=True)
        outcomes = []
        for number, case in enumerate(ElementTree.parse(report).iter("testcase")):
            wrong = (
                case.find("failure") is not None or case.find("error") is not None or case.find("skipped") is not None
            )
            outcomes.append(Outcome(number, not wrong, f"{case.get('classname')}::{case.get('name')}"))
        bench.known[key] = {"outcomes": outcomes}
    return list(bench.known[key]["outcomes"])


ROWS = {
    name: Row(
        title,
        lambda bench, name=name: list(range(len(results(bench, name)))),
        lambda bench, number, name=name: results(bench, name)[number],
        every=0,
    )
    for name, (title, _) in SUITES.items()
}
