"""`gymjax predict`: the steps after the end of every series."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gym_jax.cli.candidates import complete_run
from gym_jax.cli.options import AsJson, CompileCache, Members, OtherData, Platform, Root

if TYPE_CHECKING:
    import pandas as pd


def predict(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run folder, a name under --root, or latest; with --url the name of a model there.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    data: OtherData = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="File to write: .parquet, .csv or .csv.gz.")] = None,
    url: Annotated[str | None, typer.Option(help="Ask the model server there; needs --data.")] = None,
    token_file: Annotated[str | None, typer.Option("--token-file", help="File with the token of that server.")] = None,
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

    if url is not None:
        frame = _ask(url, run, data, token_file)
    elif is_export(named := _need_run(run, token_file)):
        from gym_jax.inference.frame import predict_export

        frame = predict_export(named, data)
    else:
        from gym_jax.run.predict import predict_run
        from gym_jax.run.runs import open_run

        choose_platform(platform, compile_cache)
        frame = predict_run(open_run(named, root), data=data, members=members)
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


def _need_run(run: str | None, token_file: str | None) -> str:
    """Return the run that is named. Raises ConfigError when none is."""
    from gym_jax.errors import ConfigError

    if run is None or token_file is not None:
        raise ConfigError(
            "no run is named" if run is None else "--token-file is for a server, and no --url is given",
            hint="a run folder, a name under --root, or latest; or --url of a model server",
            attempt="gymjax predict latest",
            code="usage",
        )
    return run


def _ask(url: str, model: str | None, data: str | None, token_file: str | None) -> "pd.DataFrame":
    """Return the forecasts of a model server for a file. Raises ConfigError when no file is named."""
    from gym_jax.errors import ConfigError
    from gym_jax.inference.frame import predict_file
    from gym_jax.serve.client import Client
    from gym_jax.serve.guard import read_token

    if data is None:
        raise ConfigError(
            "--url needs --data",
            hint="the server has the model, not the data",
            attempt=f"gymjax predict --url {url} --data FILE",
            code="usage",
        )
    with Client(url, None if token_file is None else read_token(token_file)[0]) as client:
        return predict_file(client.open(model), data)  # type: ignore[arg-type]
