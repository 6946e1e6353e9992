"""Searches: what trials in one program gain, and whether a killed search is the one that was not.

python benchmarks/tune.py speed [--trials 8] [--batch 8] [--epochs 10] [--rounds 3]
python benchmarks/tune.py killed [--trials 50] [--batch 1]

`speed`: `gymjax tune` from a fresh process to its report, trials one after the other against several in one program,
A B, B A, ...; an MLP of 26,000 parameters, look-back 96, horizon 12, batches of 128, every trial trained to its end.
The values must agree. `killed`: a search killed twice (SIGKILL) and taken up again against one that was left alone; the
trials must be equal. Results go to benchmarks/results/tune_*.json; the exit status is 1 when they do not agree.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import facts
from ratios import interval, ratios

HERE = Path(__file__).parent
SPACE = (
    "optim.lr=tag(log, interval(1e-4, 3e-2))",
    "model.dropout=interval(0, 0.4)",
    "optim.weight_decay=interval(1e-6, 1e-2)",
)
S1 = (
    "-m",
    "mlp",
    "model.hidden=[128,96]",
    "train.batch_size=128",
    "--context",
    "96",
    "--horizon",
    "12",
    "data.stride=4",
)
TINY = (
    *("-m", "mlp", "model.hidden=[8]", "train.batch_size=32", "--context", "24", "--horizon", "4", "data.stride=8"),
    *("data.synthetic.series=3", "data.synthetic.days=3", "--epochs", "4", "train.patience=null"),
)
AGREE, MIDDLE = 1e-2, 1e-3
"""Largest and median relative difference: rounding, which some 900 steps at rates up to 0.03 make grow."""


def command(root, name, batch, *words):
    """Return the line of a search."""
    return [
        sys.executable,
        "-m",
        "gym_jax",
        "tune",
        *words,
        *SPACE,
        "--root",
        root,
        "--name",
        name,
        "--batch",
        str(batch),
    ]


def finished(line):
    """Run a search to its end; return its document and the seconds of its process."""
    began = time.perf_counter()
    done = subprocess.run([*line, "--json", "-q"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout), time.perf_counter() - began


def speed(given):
    """Return seconds of both ways by round, their ratio, and by how much values differ."""
    words = (*S1, "--epochs", str(given.epochs), "train.patience=null", "--pruner", "none", "--sampler", "random")
    words = (*words, "--trials", str(given.trials))
    ways = {"one by one": 1, f"{given.batch} in one program": given.batch}
    seconds, values = {way: [] for way in ways}, {}
    for number in range(given.rounds):
        for way in list(ways)[:: -1 if number % 2 else 1]:
            with tempfile.TemporaryDirectory() as root:
                document, took = finished(command(root, "search", ways[way], *words))
            seconds[way].append(took)
            values[way] = [row["value"] for row in document["trials"]]
            print(f"round {number + 1}, {way}: {took:.1f} s", flush=True)
    gained = ratios(*seconds.values())
    apart = sorted(abs(a - b) / abs(a) for a, b in zip(*values.values(), strict=True))
    most, middle = apart[-1], apart[len(apart) // 2]
    found = interval(gained)
    print(f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}] times as fast")
    print(f"values differ by {middle:.1e}, at most {most:.1e}")
    return {
        "seconds": seconds,
        "ratios": gained,
        "ratio": found._asdict(),
        "apart": apart,
        "agree": most < AGREE and middle < MIDDLE,
    }


def killed(given):
    """Return whether a search that was killed twice is the one that was left alone."""
    with tempfile.TemporaryDirectory() as root:
        words = (*TINY, "--trials", str(given.trials), "--compile-cache", f"{root}/programs")
        whole, took = finished(command(root, "whole", given.batch, *words))
        line = command(root, "cut", given.batch, *words)
        for last in (given.trials // 3, 2 * given.trials // 3):
            at = kill_after(line, last)
            print(f"killed after {at} trials", flush=True)
        rest, _ = finished(line)
    keys = ("trial", "state", "value", "epochs", "values")
    rows = [[{key: row[key] for key in keys} for row in found["trials"]] for found in (whole, rest)]
    equal = rows[0] == rows[1]
    print(f"{len(rows[0])} trials {whole['counts']}: {'equal' if equal else 'DIFFERENT'}; {took:.0f} s without kills")
    return {"trials": len(rows[0]), "counts": whole["counts"], "seconds": took, "agree": equal}


def kill_after(line, last):
    """Kill a search without a word some time after it told of a trial; return the trials it told of."""
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        told = 0
        for text in process.stderr:
            if text.startswith("trial") and int(text.split()[1]) >= last:
                told = int(text.split()[1]) + 1
                break
        time.sleep(0.3)  # somewhere within what comes next
        process.send_signal(signal.SIGKILL)
    return told


def main():
    """Measure what was asked for, print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "killed"))
    parser.add_argument("--trials", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    quick = {"speed": (8, 8), "killed": (50, 1)}[given.what]
    given.trials, given.batch = given.trials or quick[0], given.batch or quick[1]
    found = {"machine": facts(), **vars(given), **{"speed": speed, "killed": killed}[given.what](given)}
    (HERE / "results" / f"tune_{given.what}.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if found["agree"] else 1)


if __name__ == "__main__":
    main()
