"""`gymjax predict`: the steps after the end of every series."""

from typing import Annotated, Any

import typer

from gym_jax.cli.options import AsJson, CompileCache, Members, OtherData, Platform, Root, Run


def predict(
    run: Run,
    data: OtherData = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="File to write: .parquet, .csv or .csv.gz.")] = None,
    members: Members = "mean",
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Forecast the steps after the data: id, time, step and a column per target, in the data's units.

    A run of a table or of sequences answers every case: its columns or its id, and the prediction beside them. The
    folder of an export stands for its run.
    """
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, print_table, weights_line
    from gym_jax.data.write import write_frame
    from gym_jax.inference.artefact import is_export
    from gym_jax.metrics import plain

    if is_export(run):
        from gym_jax.inference.frame import predict_export

        frame = predict_export(run, data)
    else:
        from gym_jax.run.predict import predict_run
        from gym_jax.run.runs import open_run

        choose_platform(platform, compile_cache)
        frame = predict_run(open_run(run, root), data=data, members=members)
    path = str(write_frame(frame, out)) if out else None
    origin: dict[str, Any] = {name: frame.attrs[name] for name in ("step", "weights", "seeds") if name in frame.attrs}
    cases, notes = "cases" in frame.attrs, frame.attrs["notes"]
    text = frame if cases else frame.astype({frame.columns[1]: str})
    if as_json:
        rows = (
            {"rows": len(frame)}
            if path
            else {"forecast": [{k: plain(v) for k, v in row.items()} for row in text.to_dict("records")]}
        )
        print_json("predict", {"run": run, "out": path, **origin, "notes": notes, **rows})
        return
    if path is None:
        print_table(list(text.columns), text.itertuples(index=False))
    else:
        print_table(list(text.columns), text.head(6).itertuples(index=False))
        series = "" if cases else f" of {frame.iloc[:, 0].nunique():,} series"
        print(f"... {len(frame):,} rows{series} in {path}")
    for note in notes:
        print(f"\nnote: {note}")
    print(f"\n{weights_line(**origin)}")
