"""`gymjax generate`: a CPU-allocation panel to try things on."""

from typing import Annotated

import typer


def generate(
    out: Annotated[str, typer.Option("--out", "-o", help="File to write: .parquet, .csv or .csv.gz.")],
    series: Annotated[int, typer.Option(help="Machines.", min=1, max=100_000)] = 16,
    days: Annotated[float, typer.Option(help="Days of 5-minute steps.", min=0.1, max=3660)] = 14,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
    gaps: Annotated[float, typer.Option(help="Share of the rows that is missing.", min=0, max=0.5)] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a generated panel of machines: cpu_cores used and cpu_capacity_cores, by unique_id and ds."""
    from gym_jax.cli.show import print_json
    from gym_jax.data.synthetic import generate_frame
    from gym_jax.run.predict import write_frame

    frame = generate_frame(series=series, days=days, seed=seed, gaps=gaps)
    path = write_frame(frame, out)
    if as_json:
        print_json("generate", {"out": str(path), "rows": len(frame), "series": series})
    else:
        print(f"{len(frame):,} rows of {series:,} machines in {path}")
