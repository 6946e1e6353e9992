"""`gymjax predict`: the steps after the end of every series."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gym_jax.cli.candidates import complete_run
from gym_jax.cli.options import AsJson, CompileCache, Members, OtherData, Platform, Root
from gym_jax.cli.parts import (
    Memory,
    OnError,
    answer_into_folder,
    is_folder,
    print_manifest,
    refuse_folder_options,
)

if TYPE_CHECKING:
    import pandas as pd

    from gym_jax.inference.model import Model


def predict(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run folder, a name under --root, or latest; with --url the name of a model there.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    data: OtherData = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="File to write: .parquet, .csv or .csv.gz; or a folder, for very many series."
        ),
    ] = None,
    memory: Memory = None,
    on_error: OnError = "skip",
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

    Into a folder, Parquet files are read, answered and written a portion of whole series at a time. Interrupted, the
    same command goes on after the last whole part.
    """
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json, print_table, weights_line
    from gym_jax.data.write import refuse_out, write_frame
    from gym_jax.inference.artefact import is_export
    from gym_jax.inference.frame import score_file
    from gym_jax.metrics import plain

    if is_folder(out) and url is None:
        named = _need_run(run, token_file)
        model = _open_model(named, data, root, members, platform, compile_cache)
        score = partial(score_file, model, str(data), str(out), named)
        manifest, rate = answer_into_folder(ctx.obj, score, memory, on_error)
        print_manifest("predict", {"run": run}, manifest, rate, as_json)
        return
    refuse_folder_options(memory, on_error, "predict")
    if out:
        refuse_out(out, data)
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


def _open_model(
    run: str,
    data: str | None,
    root: str | None,
    members: Literal["mean", "best"],
    platform: str | None,
    compile_cache: str | None,
) -> "Model":
    """Return the model that answers into a folder. Raises ConfigError without data, and for another platform."""
    from gym_jax.errors import ConfigError
    from gym_jax.inference.artefact import is_export
    from gym_jax.inference.model import load_export

    if data is None or platform not in (None, "cpu"):
        raise ConfigError(
            "answers into a folder need --data" if data is None else f"--platform {platform}: the CPU answers here",
            hint="a Parquet file or a folder of them, their rows sorted by series"
            if data is None
            else "on a GPU products may be rounded; several processes can share the series",
            attempt=f"gymjax predict {run} --data FOLDER --out FOLDER",
            code="usage",
        )
    if is_export(run):
        return load_export(run)
    from gym_jax.cli.platform import choose_platform
    from gym_jax.run.describe import open_single
    from gym_jax.run.runs import open_run

    choose_platform("cpu", compile_cache)
    return open_single(open_run(run, root), members)


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
