"""Options and arguments that several commands share."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_config, complete_kind, complete_override, complete_run

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="Settings as key=value in Hydra's grammar, such as model.hidden=128 or data.time_unit=s.",
        show_default=False,
        autocompletion=complete_override,
    ),
]
Configs = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="YAML file or shipped name; may be repeated.", autocompletion=complete_config),
]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Model kind.", autocompletion=complete_kind)]
Data = Annotated[str | None, typer.Option("--data", "-d", help="File, folder or glob.")]
Target = Annotated[list[str] | None, typer.Option(help="Column to forecast; may be repeated.")]
Context = Annotated[int | None, typer.Option(help="Steps the model looks back.")]
Horizon = Annotated[int | None, typer.Option(help="Steps it forecasts.")]
Platform = Annotated[Literal["cpu", "gpu", "tpu"] | None, typer.Option(help="Where to run.")]
CompileCache = Annotated[
    str | None,
    typer.Option("--compile-cache", help="Keep compiled programs in this folder of your own; off by default."),
]
Root = Annotated[str | None, typer.Option(help="Folder of the runs.", envvar="GYMJAX_RUN_ROOT", show_default="runs")]
Run = Annotated[str, typer.Argument(help="A run folder, a name under --root, or latest.", autocompletion=complete_run)]
Members = Annotated[
    Literal["mean", "best"],
    typer.Option(help="Of a run of several seeds: the mean of its members, or the best of them alone."),
]
OtherData = Annotated[str | None, typer.Option("--data", "-d", help="Other data with the same columns.")]
Host = Annotated[str, typer.Option(help="Address to listen at; another than this machine's own needs a token.")]
Port = Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65535)]
