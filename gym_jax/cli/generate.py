"""`gymjax generate`: a CPU-allocation panel or table to try things on."""

from typing import Annotated, Any, Literal

import typer

from gym_jax.cli.options import AsJson


def generate(
    out: Annotated[
        str, typer.Option("--out", "-o", help="File to write, in the format of its ending: .parquet, .csv.gz ...")
    ],
    kind: Annotated[
        Literal["panel", "table"],
        typer.Option(help="panel: machines over time; table: workloads and the CPU share to allocate."),
    ] = "panel",
    series: Annotated[
        int | None, typer.Option(help="Machines of a panel.", min=1, max=100_000, show_default="16")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="Days of 5-minute steps in a panel.", min=0.1, max=3660, show_default="14")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Rows of a table.", min=1, max=100_000_000, show_default="5000")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
    gaps: Annotated[
        float | None,
        typer.Option(help="Share of a panel's rows that is missing.", min=0, max=0.5, show_default="0.01"),
    ] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Add mean and sd of the target, before clipping.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write generated data: a panel of machines by unique_id and ds (CPU, memory, disk), or a table of workloads."""
    from inspect import signature

    from gym_jax.cli.show import print_json
    from gym_jax.data.datasets import DATASETS
    from gym_jax.data.write import write_frame
    from gym_jax.errors import ConfigError

    given: dict[str, Any] = {"series": series, "days": days, "gaps": gaps, "rows": rows}
    chosen = {name: value for name, value in given.items() if value is not None}
    takes = {name: signature(make).parameters for name, make in DATASETS.items()}
    if wrong := [name for name in chosen if name not in takes[kind]]:
        other = next(name for name in DATASETS if wrong[0] in takes[name])
        known = [f"--{name}" for name in (*given, "seed", "truth") if name in takes[kind]]
        raise ConfigError(
            f"--{wrong[0]} belongs to --kind {other}, this is a {kind}",
            hint=f"a {kind} takes {', '.join(known)}",
            attempt=f"gymjax generate --kind {other} --out {out} --{wrong[0]} {chosen[wrong[0]]}",
        )
    frame = DATASETS[kind](seed=seed, truth=truth, **chosen)
    path = write_frame(frame, out)
    counts = {"rows": len(frame), **({"series": frame["unique_id"].nunique()} if kind == "panel" else {})}
    if as_json:
        print_json("generate", {"out": str(path), **counts})
    elif kind == "panel":
        print(f"{counts['rows']:,} rows of {counts['series']:,} machines in {path}")
    else:
        print(f"{counts['rows']:,} rows in {path}")
