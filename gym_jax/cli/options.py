"""Options and arguments that several commands share."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.candidates import complete_run

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Platform = Annotated[Literal["cpu", "gpu", "tpu"] | None, typer.Option(help="Where to run.")]
Root = Annotated[str | None, typer.Option(help="Folder of the runs.", envvar="GYMJAX_RUN_ROOT", show_default="runs")]
Run = Annotated[str, typer.Argument(help="A run folder, a name under --root, or latest.", autocompletion=complete_run)]
OtherData = Annotated[str | None, typer.Option("--data", "-d", help="Other data with the same columns.")]
