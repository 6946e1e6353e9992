"""Results as aligned plain text.

python benchmarks/table.py benchmarks/results/NAME.json     prints a saved comparison again
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield lines: the first column to the left, the others to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(size) if i else cell.ljust(size) for i, (cell, size) in enumerate(zip(row, wide, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many figures, none as a dash."""
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e+" in text else text


def share(part: float | None, whole: float | None) -> str:
    """Return a percentage, a dash where one of the two is missing."""
    return "-" if not part or not whole else f"{100 * part / whole:.0f}%"


def spread(found: dict[str, float] | None) -> str:
    """Return a ratio and its interval."""
    return "-" if not found else f"{found['mean']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


HEAD = ("arm", "ms/step", "peer / arm", "", "GF/s", "of sgemm", "of chain", "first s", "import s", "peak MB", "differs")


def scenario_lines(name: str, facts: dict[str, Any], peak: float | None) -> Iterator[str]:
    """Yield the tables of one scenario: ordinary pages, and huge pages when they were measured."""
    chain = facts.get("chain", {}).get("gflops")
    for pages, found in facts["pages"].items():
        yield f"{name}, {pages} pages: {facts['gflop']:.4g} GFLOP a step, the products alone {number(chain)} GF/s"
        rows = [HEAD]
        for arm, one in found["arms"].items():
            if "error" in one:
                yield f"   {arm} failed: {one['error']}"
                continue
            rate = facts["gflop"] / one["ms"] * 1e3
            rows.append(
                (
                    arm,
                    number(one["ms"]),
                    spread(one.get("ratio")),
                    one.get("verdict", ""),
                    number(rate),
                    share(rate, peak),
                    share(rate, chain),
                    number(one["first_seconds"]),
                    number(one["import_seconds"]),
                    f"{one['peak_mb']:.0f}",
                    f"{one['differs']:.0e}",
                )
            )
        yield from aligned(rows)
        won = f"{spread(found['headline'])} {found['verdict']}".rstrip()
        yield f"{found['ours']} against the fastest peer, {found['peer']}: {won}"
        yield f"A/A {spread(found['same'])}; the host took at most {100 * found['stolen']:.1f}% of a round"
        yield ""


def lines(results: dict[str, Any]) -> Iterator[str]:
    """Yield all of a saved comparison."""
    where = results["machine"]
    versions = ", ".join(f"{name} {text}" for name, text in where["versions"].items())
    load = f"load before {where['load_before']:.2f}"
    chips = "".join(f"{name}, " for name in where.get("accelerators", ()))
    yield f"{chips}{where['processor']}, {where['cores']} cores, {where['memory_gb']} GB, {load}"
    yield f"Python {where['python']}, {versions}"
    peak = results["peak"]["best"]
    each = ", ".join(f"{name} {number(value)}" for name, value in results["peak"]["libraries"].items())
    yield f"sgemm peak {number(peak)} GF/s ({each}); {results['rounds']} rounds"
    yield ""
    for name, facts in results["scenarios"].items():
        yield from scenario_lines(name, facts, peak)


if __name__ == "__main__":
    print("\n".join(lines(json.loads(Path(sys.argv[1]).read_text()))))
