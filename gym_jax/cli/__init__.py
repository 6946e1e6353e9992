"""The command line: parse, call, print. Results go to stdout, everything else to stderr.

Nothing heavier than Typer is imported before a command runs.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from gym_jax.cli.data import check, convert, describe, resample
from gym_jax.cli.evaluate import evaluate
from gym_jax.cli.generate import generate
from gym_jax.cli.predict import predict
from gym_jax.cli.show import print_error
from gym_jax.cli.train import train
from gym_jax.errors import EXIT_CODES, ConfigError, GymJaxError, StorageError

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


class App(typer.Typer):
    """A Typer app whose errors are three lines and whose exit codes are the documented ones."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and leave the process with its exit code."""
        sys.exit(main(sys.argv[1:]))


app = App(
    help="Forecast the resource use of machines and containers: train, evaluate, predict, resume.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. `--debug` (or GYMJAX_DEBUG=1) anywhere lets tracebacks through."""
    arguments = list(arguments)
    debug = "--debug" in arguments or os.environ.get("GYMJAX_DEBUG", "") not in ("", "0")
    arguments = [word for word in arguments if word != "--debug"]
    as_json = "--json" in arguments
    try:
        code = typer.Typer.__call__(app, arguments, standalone_mode=False, prog_name="gymjax")
        return code if isinstance(code, int) else 0
    except GymJaxError as error:
        problem = error
    except typer.exceptions.TyperException as error:
        problem = _usage(error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        problem = GymJaxError("stopped by Ctrl-C before anything was saved", code="run.interrupted")
        problem.exit_code = 130
    except OSError as error:
        problem = StorageError(
            f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), hint="see the path above"
        )
        problem.__cause__ = error
    except Exception as error:
        text = str(error).strip().splitlines()
        problem = GymJaxError(
            f"{type(error).__name__}: {text[0] if text else 'no message'}",
            hint="this is a fault of gym_jax or of a plug-in, not of yours; please report it with the traceback",
            attempt=f"gymjax {' '.join(arguments)} --debug",
        )
        problem.__cause__ = error
    if debug:
        traceback.print_exception(problem)
    groups = {group.name for group in app.registered_groups}
    words = [word for word in arguments[:2] if not word.startswith("-")]
    print_error(problem, as_json=as_json, command=" ".join(words if words[:1] and words[0] in groups else words[:1]))
    return problem.exit_code


def _usage(error: Any, arguments: Sequence[str]) -> GymJaxError:
    text = error.format_message().strip()
    message, _, hint = text.partition(" Did you mean ")
    if "(Possible options:" in message:
        message, _, options = message.partition(" (Possible options:")
        hint = f"{options.strip(' )')}?"
    command = next((word for word in arguments if not word.startswith("-")), "")
    known = {name.name or name.callback.__name__ for name in app.registered_commands if name.callback}
    return ConfigError(
        f"{message[:1].lower()}{message[1:]}".rstrip("."),
        hint=f"did you mean {hint}" if hint else None,
        attempt=f"gymjax {command} --help" if command in known else "gymjax --help",
        code="usage",
    )


def _version(value: bool) -> None:
    if value:
        from gym_jax import __version__

        print(f"gymjax {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None: ...


data = typer.Typer(help="Look at data, judge them, write them in another shape.", no_args_is_help=True)
models = typer.Typer(help="The model kinds there are, and their settings.", no_args_is_help=True)
runs = typer.Typer(help="The runs there are, and what became of them.", no_args_is_help=True)

app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command()(generate)
for command in (check, describe, convert, resample):
    data.command()(command)
app.add_typer(data, name="data")
app.add_typer(models, name="models")
app.add_typer(runs, name="runs")


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Check this installation: versions, devices, a compiled step, a checkpoint, disk."""
    from gym_jax.cli.doctor import doctor

    doctor(as_json)


@models.command("list")
def models_list(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the model kinds with what they are and their size at the default settings."""
    from gym_jax.cli.models import list_models

    list_models(as_json)


@models.command("show")
def models_show(
    kind: Annotated[str, typer.Argument(help="A kind, such as lstm.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show the settings of a kind with their defaults, and its parameters."""
    from gym_jax.cli.models import show_model

    show_model(kind, as_json)


@runs.command("list")
def runs_list(
    root: Annotated[str, typer.Option(help="Folder of the runs.")] = "runs",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the runs under a folder, oldest first."""
    from gym_jax.cli.runs import show_runs

    show_runs(root, as_json)


@runs.command("show")
def runs_show(
    run: Annotated[str, typer.Argument(help="A run folder, a name under --root, or latest.")],
    root: Annotated[str, typer.Option(help="Folder of the runs.")] = "runs",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show one run: settings, status, scores, checkpoints."""
    from gym_jax.cli.runs import show_run

    show_run(run, root, as_json)
