"""Very many series answered in bounded memory: series a second, and how far the memory of the process rises.

python benchmarks/batch_scoring.py [--series 100000] [--rows 200] [--memory 256MB] [--ways numpy,onnx,jax] [--save]

A folder of Parquet files with that many series of 5 minutes is made 2,000 series at a time. An MLP of the default size
looks back 96 rows and forecasts 12; it was trained on the first 20 series, so that all others are scaled by what they
bring. Each way is a process of its own: it answers 20 series first (imports, compilation), then all of them, and says
how high its resident memory stood before and at its highest. The answers to the first file are held against
`predict_file` of that file. Writes results/batch_scoring.json with --save; --quick tries it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
from clock import status
from pages import markdown, put, where

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
FILE = 2_000
"""Series of a file."""
WAYS = {"numpy": "export, NumPy", "onnx": "export, onnxruntime", "jax": "run, JAX"}


def make_data(folder: Path, series: int, rows: int) -> None:
    """Write usage of so many machines, a file at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    times = np.datetime64("2026-03-01", "ns") + np.arange(rows) * np.timedelta64(5, "m")
    for begin in range(0, series, FILE):
        count, draw = min(FILE, series - begin), np.random.default_rng(begin)
        level, phase = draw.uniform(0.5, 8, (count, 1)), draw.uniform(0, 6.3, (count, 1))
        wave = 1 + 0.3 * np.sin(np.arange(rows) * 2 * np.pi / 288 + phase) + 0.05 * draw.normal(size=(count, rows))
        names = np.array([f"machine-{number:07d}" for number in range(begin, begin + count)], object)
        columns = {
            "unique_id": pa.array(np.repeat(names, rows)),
            "ds": pa.array(np.tile(times, count)),
            "cpu_cores": pa.array((level * wave).ravel()),
        }
        pq.write_table(pa.table(columns), folder / f"{begin:07d}.parquet")


def make_model(root: Path) -> None:
    """Train for one epoch on the first series, and export."""
    import pandas as pd

    first = pd.read_parquet(sorted((root / "data").iterdir())[0])
    first[first["unique_id"] < "machine-0000020"].to_parquet(root / "few.parquet", index=False)
    words = [
        "train",
        "-m",
        "mlp",
        "--data",
        "few.parquet",
        "--target",
        "cpu_cores",
        "--run-dir",
        "run",
        "train.epochs=1",
    ]
    words += ["task.context=96", "task.horizon=12", "data.stride=1", "evaluate.baselines=[]"]
    run = [sys.executable, "-m", "gym_jax"]
    subprocess.run([*run, *words], check=True, env=environment(), capture_output=True, cwd=root)
    subprocess.run(
        [*run, "export", "run", "--out", "export"], check=True, env=environment(), capture_output=True, cwd=root
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent), "JAX_PLATFORMS": "cpu"}


def answer(root: Path, way: str, memory: int) -> dict[str, Any]:
    """Answer everything in this process."""
    from gym_jax.inference.frame import score_file
    from gym_jax.inference.model import load_export

    if way == "jax":
        from gym_jax.run.describe import open_model
        from gym_jax.run.folder import RunFolder

        model = open_model(RunFolder(root / "run"))
    else:
        model = load_export(root / "export", way)
    score_file(model, root / "few.parquet", root / f"few-{way}", way)
    before = status("VmRSS") / 1e3
    began = time.perf_counter()
    manifest = score_file(model, root / "data", root / f"out-{way}", way, memory=memory)
    seconds, peak = time.perf_counter() - began, status("VmHWM") / 1e3
    return {
        "way": way,
        "seconds": seconds,
        "series_per_second": manifest["series"] / seconds,
        "answered": manifest["series"] - manifest["unanswered"],
        "rows": manifest["rows"],
        "parts": len(manifest["parts"]),
        "before_mb": before,
        "peak_mb": peak,
        "rise_mb": peak - before,
        "apart": apart(model, root, way),
    }


def apart(model: Any, root: Path, way: str) -> float:
    """Return how far answers of the first file lie from those of `predict_file`, as a share of them."""
    import pandas as pd
    import pyarrow.dataset as ds

    from gym_jax.inference.frame import predict_file

    wanted = predict_file(model, sorted((root / "data").iterdir())[0])
    last = wanted["unique_id"].iloc[-1]
    there = ds.dataset(root / f"out-{way}", format="parquet").to_table(filter=ds.field("unique_id") <= last).to_pandas()
    assert there[["unique_id", "step"]].equals(wanted[["unique_id", "step"]])
    assert pd.Series(there["ds"].to_numpy() == wanted["ds"].to_numpy()).all()
    return float((np.abs(there["cpu_cores"] - wanted["cpu_cores"]) / np.abs(wanted["cpu_cores"])).max())


def write_page(document: dict[str, Any]) -> None:
    """Write the table of docs/batch.md."""
    rows = [("way", "series/s", "seconds", "parts", "MB before", "MB at most", "rise", "apart")]
    for one in document["ways"]:
        cells = (f"{one['series_per_second']:,.0f}", f"{one['seconds']:.1f}", str(one["parts"]))
        cells += (f"{one['before_mb']:,.0f}", f"{one['peak_mb']:,.0f}", f"{one['rise_mb']:,.0f}", f"{one['apart']:.0e}")
        rows.append((WAYS[one["way"]], *cells))
    text = (
        f"{document['series']:,} series, {document['parquet_mb']:,.0f} MB of Parquet, `--memory "
        f"{document['memory_mb']:g}MB`; on {where(document['machine'])}."
    )
    put("batch.md", "batch_scoring", f"{text}\n\n{markdown(rows)}")


def main(given: argparse.Namespace) -> None:
    from gym_jax.cli.parse import parse_bytes

    memory, found = parse_bytes(given.memory, "--memory"), []
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_data(root / "data", given.series, given.rows)
        size = sum(file.stat().st_size for file in (root / "data").iterdir())
        make_model(root)
        print(f"{given.series:,} series of {given.rows} rows, {size / 1e6:,.0f} MB of Parquet, --memory {given.memory}")
        for way in given.ways.split(","):
            command = [sys.executable, __file__, "--answer", way, "--root", place, "--memory", given.memory]
            done = subprocess.run(command, check=True, env=environment(), capture_output=True, text=True)
            found.append(one := json.loads(done.stdout.splitlines()[-1]))
            print(
                f"{way:6} {one['series_per_second']:8,.0f} series/s, {one['seconds']:6.1f} s, {one['answered']:,} "
                f"answered in {one['parts']} parts; {one['before_mb']:,.0f} MB before, {one['peak_mb']:,.0f} MB at "
                f"most (+{one['rise_mb']:,.0f}); apart from predict_file by {one['apart']:.1e}",
                flush=True,
            )
            assert one["answered"] == given.series
    if given.save:
        facts = {"series": given.series, "rows": given.rows, "memory_mb": memory / 1e6, "parquet_mb": size / 1e6}
        document = {"machine": machine.facts(), **facts, "ways": found}
        (HERE / "results" / "batch_scoring.json").write_text(json.dumps(document, indent=1) + "\n")
        write_page(document)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--quick", action="store_true", help="4,000 series: tries it and measures nothing")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--answer", help="answer in this process, in this way")
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.answer:
        from gym_jax.cli.parse import parse_bytes

        print(json.dumps(answer(given.root, given.answer, parse_bytes(given.memory, "--memory"))))
    else:
        if given.quick:
            given.series = 4_000
        main(given)
