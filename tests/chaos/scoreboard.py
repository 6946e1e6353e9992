"""The scoreboard of faults: what is lost or falsified when something breaks, for gym_jax and for Orbax alone.

python tests/chaos/scoreboard.py [--full] [--rows 2,4] [--subject plain-orbax] [--only 2:17] [--part 1/4]

Every row prints how many faults there were, how many came out right with the 95 % Wilson bounds, and a line that
repeats each failure. A hang counts as a failure. Without `--full` one fault in so many of a row is tried.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator

import groups
import hostile
import saves
import server_faults
import servers
import suites
import whole
from harness import Bench, Row, wilson

ROWS: dict[str, Row] = {
    "1": whole.ROWS["1"],
    **saves.ROWS,
    **whole.ROWS,
    **groups.ROWS,
    **suites.ROWS,
    **hostile.ROWS,
    **servers.ROWS,
    **server_faults.ROWS,
}


def chosen(row: Row, bench: Bench, given: argparse.Namespace) -> Iterator[int]:
    """Yield the faults of a row that are asked for: one, a part, one in so many, or all."""
    if given.only:
        yield int(given.only.partition(":")[2])
        return
    part, parts = (int(word) for word in given.part.split("/"))
    every = given.fewer * (1 if given.full else row.every or 1)
    yield from row.faults(bench)[part - 1 :: parts * every]


def main(given: argparse.Namespace) -> int:
    """Try the faults, print a line a row and one for every failure; return 1 when one came out wrong."""
    asked = given.only.partition(":")[0] if given.only else given.rows
    names = asked.split(",") if asked else [name for name, row in ROWS.items() if given.full or row.every]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="gym-jax-chaos-") as root:
        bench = Bench(given.subject, root)
        try:
            for name in names:
                row, wrong, count, times = ROWS[name], [], 0, []
                for number in chosen(row, bench, given):
                    outcome = row.attempt(bench, number)
                    count += 1
                    times += [] if outcome.seconds is None else [outcome.seconds]
                    if not outcome.right:
                        wrong.append(outcome)
                low, high = wilson(count - len(wrong), count)
                silent = sum(outcome.silent for outcome in wrong)
                told = f", {silent} silently wrong" if silent else ""
                if times:
                    told += f"; {statistics.median(times):.1f} s, at most {max(times):.1f} s"
                print(f"{name:>3} {row.title}: {count - len(wrong)}/{count} [{low:.1%}, {high:.1%}]{told}", flush=True)
                for outcome in wrong[: given.show]:
                    print(
                        f"      --subject {given.subject} --only {name}:{outcome.number}: {outcome.words}", flush=True
                    )
                failures += len(wrong)
        finally:
            bench.close()
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="such as 2,4; all by default, without --full those that no test tries anyway")
    parser.add_argument("--subject", default="gym_jax", help="gym_jax, plain-orbax or plain-orbax-async")
    parser.add_argument("--full", action="store_true", help="every fault instead of a tenth")
    parser.add_argument("--fewer", type=int, default=1, help="of these one in so many")
    parser.add_argument("--only", help="one fault of a row, such as 4:17")
    parser.add_argument("--part", default="1/1", help="such as 2/4: every fourth fault, beginning with the second")
    parser.add_argument("--show", type=int, default=10, help="failures that are shown")
    sys.exit(main(parser.parse_args()))
