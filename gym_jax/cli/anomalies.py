"""`gymjax anomalies`: values that a calibrated run did not expect."""

from typing import Annotated

import typer

from gym_jax.cli.options import AsJson, CompileCache, OtherData, Platform, Root, Run


def anomalies(
    run: Run,
    data: OtherData = None,
    rate: Annotated[float, typer.Option(help="Share of the values to flag where all is as it was.")] = 0.001,
    every: Annotated[bool, typer.Option("--every", help="Also values that the run was trained on.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="File for every value, flagged or not: .parquet, .csv, ....")
    ] = None,
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Hold each value after the training rows against its forecast one step before, and flag the surprising ones.

    The run must be calibrated. Prints the flagged values, the most surprising first; --out writes all of them.
    """
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, print_table
    from gym_jax.data.write import refuse_out, write_frame
    from gym_jax.metrics import plain
    from gym_jax.run.anomalies import find_anomalies
    from gym_jax.run.runs import open_run

    if out:
        refuse_out(out, data)
    choose_platform(platform, compile_cache)
    frame = find_anomalies(open_run(run, root), data=data, rate=rate, every=every)
    path = str(write_frame(frame, out)) if out else None
    flagged = frame[frame["anomaly"]] if len(frame) else frame
    if len(flagged):
        flagged = flagged.sort_values(["p_value", "surprise"], ascending=[True, False])
        flagged = flagged.astype({flagged.columns[1]: str}).drop(columns="anomaly")
    facts = {"values": len(frame), "flagged": len(flagged), "rate": rate, "out": path}
    if as_json:
        rows = [{name: plain(value) for name, value in row.items()} for row in flagged.to_dict("records")]
        print_json("anomalies", {"run": run, **facts, "anomalies": rows})
        return
    if len(flagged):
        print_table(list(flagged.columns), flagged.head(20).itertuples(index=False))
    more = ", the first 20 are shown; --out FILE or --json has all of them" if len(flagged) > 20 else ""
    print(f"\n{len(flagged):,} of {len(frame):,} values flagged at a rate of {rate:g}{more}")
    if path:
        print(f"all values in {path}")
