"""How fast a training step is beside PyTorch and Keras, in pairs.

python benchmarks/paired.py [--scenarios S1,S3] [--rounds 5] [--arms gymjax,torch] [--name NAME] [--quick]
python benchmarks/paired.py --platform gpu --arms gymjax,torch --name paired_gpu

One process per arm and round, in the order A B, B A, B A, A B. An arm's number is its median in a round; a ratio is
taken within each round. The fastest of our arms stands for us, as the race at the start of a run would choose it, and
the fastest peer arm for all others. From the second round on, the arm of ours that was the fastest in the first runs
twice: A/A. An arm whose first losses differ from ours by more than 1e-4 is no peer, and the exit status is then 1.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import chain
import machine
import peak
import table
from arms import AGAIN, ARMS, export, run, start
from ratios import Interval, band, disagreement, fastest, interval, ratios, turn, verdict
from scenarios import SCENARIOS, find, flops

AGREE = 1e-4
RESULTS = Path(__file__).parent / "results"

Round = dict[str, dict[str, Any]]
"""What each arm reported in a round."""


def play(
    scenario: str, names: list[str], *, rounds: int, folder: str, huge: bool, quick: bool, platform: str = "cpu"
) -> tuple[list[Round], float]:
    """Return all rounds, and the largest share of a round that the host has taken away."""
    played: list[Round] = []
    again: list[str] = []
    stolen = 0.0
    for number in range(rounds):
        now: Round = {}
        before = machine.jiffies()
        for name in turn([*names, *again], number):
            now[name] = run(name, scenario, folder=folder, huge=huge, quick=quick, platform=platform)
            print(f"  {scenario} round {number + 1} {name}: {_brief(now[name])}", file=sys.stderr, flush=True)
        stolen = max(stolen, machine.stolen(before, machine.jiffies()))
        played.append(now)
        mine = fastest(medians(played[:1]), [name for name in names if ARMS[name].ours])
        again = [mine + AGAIN] if mine else []
    return played, stolen


def medians(played: list[Round]) -> dict[str, float]:
    """Return the median over rounds of every arm that finished in all of its rounds."""
    names = dict.fromkeys(name for one in played for name in one)
    found = {name: [one[name] for one in played if name in one] for name in names}
    return {
        name: statistics.median(one["ms_per_step"] for one in reports)
        for name, reports in found.items()
        if not any("error" in one for one in reports)
    }


def paired(played: list[Round], slow: str, fast: str) -> list[float]:
    """Return the ratios of the rounds in which both finished."""
    both = [one for one in played if all("ms_per_step" in one.get(name, {}) for name in (slow, fast))]
    return ratios([one[slow]["ms_per_step"] for one in both], [one[fast]["ms_per_step"] for one in both])


def judge(played: list[Round]) -> dict[str, Any]:
    """Return what the rounds of one scenario say."""
    typical = medians(played)
    mine = [name for name in typical if name in ARMS and ARMS[name].ours]
    reference = next((played[0][name]["losses"] for name in mine), None)
    arms: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in played for name in one):
        reports = [one[name] for one in played if name in one]
        failed = [one["error"] for one in reports if "error" in one]
        arms[name] = {"error": failed[0]} if failed else _summary(reports, reference)
    same = [name for name, one in arms.items() if one.get("differs", AGREE) <= AGREE]
    ours = fastest(typical, [name for name in mine if name in same])
    peer = fastest(typical, [name for name in same if name in ARMS and not ARMS[name].ours])
    again = next((name for name in typical if name.endswith(AGAIN)), None)
    alike = interval(paired(played, again, again.removesuffix(AGAIN))) if again else None
    noise = band(alike) if alike else 1.0
    for name in typical if peer else ():
        found = interval(paired(played, peer, name))
        arms[name] |= {"ratio": found._asdict(), "verdict": "" if name == peer else verdict(found, noise)}
    headline = interval(paired(played, peer, ours)) if peer and ours else None
    return {
        "arms": arms,
        "ours": ours,
        "peer": peer,
        "headline": _plain(headline),
        "verdict": verdict(headline, noise) if headline else "",
        "same": _plain(alike),
        "noise": noise,
        "different": [name for name, one in arms.items() if one.get("differs", 0) > AGREE],
    }


def _summary(reports: list[dict[str, Any]], reference: list[float] | None) -> dict[str, Any]:
    """Return one arm over its rounds; the first process compiles with nothing kept from before."""
    losses = max((disagreement(reference, one["losses"]) for one in reports), default=0.0) if reference else 0.0
    return {
        "ms": statistics.median(one["ms_per_step"] for one in reports),
        "rounds": [one["ms_per_step"] for one in reports],
        "fastest_ms": min(one["fastest_ms"] for one in reports),
        "first_seconds": reports[0]["first_seconds"],
        "import_seconds": statistics.median(one["import_seconds"] for one in reports),
        "peak_mb": max(one["peak_mb"] for one in reports),
        "cores": reports[0]["cores"],
        "threads": reports[0]["threads"],
        "differs": losses,
    }


def _plain(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else found._asdict()


def _brief(report: dict[str, Any]) -> str:
    return report.get("error") or f"{report['ms_per_step']:.4g} ms"


def sgemm(folder: str, quick: bool) -> dict[str, Any]:
    """Return the product peak of every library, each in a process of its own, and the best of them."""
    small = ("--quick",) if quick else ()
    reports = {name: start("peak.py", name, *small, folder=folder) for name in peak.LIBRARIES}
    found = {name: max(one["gflops"].values()) for name, one in reports.items() if "gflops" in one}
    return {"best": max(found.values(), default=None), "libraries": found}


def chosen(words: str, platform: str) -> list[str]:
    """Return the arms of a platform that are named, or that begin with a word that is no name."""
    some = [word.strip() for word in words.split(",")]
    there = [name for name, arm in ARMS.items() if platform in arm.platforms]
    return [name for name in there if name in some or any(name.startswith(word) for word in some if word not in ARMS)]


def main(given: argparse.Namespace) -> int:
    """Measure, save, print; return the exit status."""
    given.name = f"quick_{given.name}" if given.quick else given.name
    names, on_cpu = chosen(given.arms, given.platform), given.platform == "cpu"
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "platform": given.platform,
        "rounds": given.rounds,
        "quick": given.quick,
        "scenarios": {},
    }
    path = RESULTS / f"{given.name}.json"
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results["peak"] = sgemm(folder, given.quick) if on_cpu else {"best": None, "libraries": {}}
        for scenario in given.scenarios.split(","):
            one = find(scenario, given.quick)
            export(scenario, folder=folder, quick=given.quick)
            facts: dict[str, Any] = {"gflop": flops(one) / 1e9, "pages": {}}
            if on_cpu:
                facts["chain"] = chain.together(one, given.quick)
            results["scenarios"][scenario] = facts
            for pages in given.pages.split(","):
                played, stolen = play(
                    scenario,
                    names,
                    rounds=given.rounds,
                    folder=folder,
                    huge=pages == "huge",
                    quick=given.quick,
                    platform=given.platform,
                )
                facts["pages"][pages] = {**judge(played), "stolen": stolen}
                path.write_text(json.dumps(results, indent=1))
    print("\n".join(table.lines(results)))
    found = [judged for facts in results["scenarios"].values() for judged in facts["pages"].values()]
    different = sorted({name for judged in found for name in judged["different"]})
    for name in different:
        print(f"{name}: its first losses differ from ours by more than {AGREE:g}, so it is not compared")
    return 1 if different else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arms", default="gymjax,torch,keras", help="names or their beginnings, with commas")
    parser.add_argument("--platform", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--pages", default="ordinary", help="ordinary, huge (for malloc), or both: a table each")
    parser.add_argument("--name", default="paired", help="of the file in benchmarks/results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script and not to measure")
    sys.exit(main(parser.parse_args()))
