"""The command line: parse, call, print. Results go to stdout, everything else to stderr.

Nothing heavier than Typer is imported before a command runs.
"""

import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from gym_jax.cli import allocate as allocations
from gym_jax.cli import config as configs
from gym_jax.cli.anomalies import anomalies
from gym_jax.cli.backtest import backtest
from gym_jax.cli.bench import bench
from gym_jax.cli.calibrate import calibrate
from gym_jax.cli.candidates import COMPLETE, answer
from gym_jax.cli.compare import compare
from gym_jax.cli.cv import cv
from gym_jax.cli.data import check, convert, describe, resample
from gym_jax.cli.drift import drift
from gym_jax.cli.evaluate import evaluate
from gym_jax.cli.explain import explain
from gym_jax.cli.export import export
from gym_jax.cli.generate import generate
from gym_jax.cli.init import init
from gym_jax.cli.launch import launch
from gym_jax.cli.leave import leave
from gym_jax.cli.log import Output, log, log_error, log_to, parse_output
from gym_jax.cli.models import list_models, show_model
from gym_jax.cli.monitor import monitor
from gym_jax.cli.options import AsJson
from gym_jax.cli.predict import predict
from gym_jax.cli.pull import pull
from gym_jax.cli.report import report
from gym_jax.cli.runs import best_run, list_runs, prune_runs, show_run
from gym_jax.cli.serve import serve
from gym_jax.cli.show import print_error
from gym_jax.cli.sweep import sweep
from gym_jax.cli.train import train
from gym_jax.cli.tune import tune
from gym_jax.cli.usage import usage_error
from gym_jax.errors import EXIT_CODES, GymJaxError, Interrupted, StorageError
from gym_jax.launch.child import follow_launcher, tell_error

INTERRUPTED = 130
PANEL = "Anywhere on the line"
ANYWHERE = "On every command: -q, -qq, -v, -vv, --log-format, --log-level, --log-file, --debug; see gymjax --help."
EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
EPILOG += ". What an error means: gymjax explain CODE, with the code that --debug, --json and a log tell."


class App(typer.Typer):
    """A Typer app whose errors are three lines and whose exit codes are the documented ones."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and leave the process with its exit code."""
        leave(main(sys.argv[1:]))


READ_ALIKE = ("init", *(f"data {one}" for one in ("check", "describe", "convert", "resample")))
READ_ALIKE += tuple(f"allocate {one}" for one in ("simulate", "train", "recommend"))
"""Commands that read data as `train` does, and take the same `--target` and settings to cure them."""

app = App(
    help="Forecast the resource use of machines and containers: train, evaluate, predict, resume.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Anywhere on the line: `--debug` (or GYMJAX_DEBUG=1) shows the traceback and code of an error, -q, -qq, -v, -vv and
    --log-format, --log-level, --log-file say what is told on stderr and in a log.
    """
    if COMPLETE in os.environ:
        return answer(app)
    follow_launcher()
    if "NO_COLOR" in os.environ:  # rich would leave bold and dim in the help
        os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
    arguments = list(arguments)
    debug = "--debug" in arguments or os.environ.get("GYMJAX_DEBUG", "").lower() not in ("", "0", "false", "no")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    arguments = [word for word in arguments[:end] if word != "--debug"] + arguments[end:]
    as_json, shown = "--json" in arguments, True
    try:
        output, arguments = parse_output(arguments)
        with log_to(output):
            began = time.monotonic()
            log("command", {"arguments": arguments})
            code, problem = _attempt(arguments, output)
            if problem is not None:
                log_error(problem, traceback=debug)
                shown = output.format == "text"
            log("exit", {"exit_code": code, "seconds": round(time.monotonic() - began, 3)})
    except GymJaxError as error:  # of the output options themselves
        code, problem = error.exit_code, error
    if problem is None:
        return code
    if _command(arguments) in READ_ALIKE and (problem.attempt or "").startswith("gymjax train ... "):
        problem.attempt = (problem.attempt or "").replace("train", _command(arguments), 1)
    tell_error(problem)
    if debug and shown:
        traceback.print_exception(problem)
        print(f"code: {problem.code}; `gymjax explain {problem.code}` says what it means", file=sys.stderr)
    if shown or as_json:
        print_error(problem, as_json=as_json, command=_command(arguments))
    return code


def _call(arguments: Sequence[str], output: Output) -> int:
    code = typer.Typer.__call__(app, arguments, standalone_mode=False, prog_name="gymjax", obj=output)
    return code if isinstance(code, int) else 0


def _attempt(arguments: Sequence[str], output: Output) -> tuple[int, GymJaxError | None]:
    """Return the exit code of a command and, when it failed, an error that a user can act on."""
    problem: GymJaxError
    try:
        code = _call(arguments, output)
        if code != INTERRUPTED:  # which is what Typer makes of Ctrl-C
            return code, None
        problem = _interrupted(arguments)
    except GymJaxError as error:
        problem = error
    except typer.exceptions.TyperException as error:
        problem = usage_error(error, _command(arguments))
    except (KeyboardInterrupt, typer.Abort):
        problem = _interrupted(arguments)
    except OSError as error:
        problem = StorageError(
            f"{error.strerror or error}: {error.filename or 'standard output'}", hint="it can not be read or written"
        )
        problem.__cause__ = error
    except Exception as error:
        text = str(error).strip().splitlines()
        problem = GymJaxError(
            f"{type(error).__name__}: {text[0] if text else 'no message'}",
            hint="this is a fault of gym_jax or of a plug-in, not of yours; please report it with the traceback",
            attempt=shlex.join(["gymjax", *arguments, "--debug"]),
        )
        problem.__cause__ = error
    return problem.exit_code, problem


def _interrupted(arguments: Sequence[str]) -> GymJaxError:
    """Return the error of a command that was stopped, and is none of those that save and go on."""
    return Interrupted(
        "stopped by Ctrl-C before anything was saved",
        exit_code=INTERRUPTED,
        hint="nothing is left to go on with: it begins anew",
        attempt=shlex.join(["gymjax", *arguments]),
    )


def _command(arguments: Sequence[str]) -> str:
    """Return the command of a line, with its group; "" when it names none."""
    words = [word for word in arguments if not word.startswith("-")]
    inner = {group.name: group.typer_instance for group in app.registered_groups}.get(words[0] if words else "")
    names = [_names(app), *([_names(inner)] if inner else [])]
    return " ".join(word for word, known in zip(words, names, strict=False) if word in known)


def _names(typed: Any) -> set[str]:
    single = {command.name or command.callback.__name__ for command in typed.registered_commands if command.callback}
    return single | {group.name for group in typed.registered_groups}


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
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback and the code of an error.", rich_help_panel=PANEL)
    ] = False,
    quiet: Annotated[
        int,
        typer.Option(
            "--quiet", "-q", count=True, help="No progress, no notes; -qq: errors only.", rich_help_panel=PANEL
        ),
    ] = 0,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="Chunks, saves and timings too; -vv: every fact.", rich_help_panel=PANEL
        ),
    ] = 0,
    log_format: Annotated[
        Literal["text", "json"],
        typer.Option(help="json: one object a line on stderr instead of progress.", rich_help_panel=PANEL),
    ] = "text",
    log_level: Annotated[
        str,
        typer.Option(
            metavar="LEVEL[,MODULE=LEVEL]",
            help="debug, info, warning or error: least level of the log file, and of JSON on stderr. data=debug: of a "
            "module, on stderr too.",
            rich_help_panel=PANEL,
        ),
    ] = "info",
    log_file: Annotated[
        str | None, typer.Option(help="Append events, warnings and errors to this file.", rich_help_panel=PANEL)
    ] = None,
) -> None: ...  # `main` has taken them out already, wherever they stood; here they are only described


data = typer.Typer(help="Pull data, look at them, judge them, write them in another shape.", no_args_is_help=True)
config = typer.Typer(help="What a run would be: show, judge, compare, begin a configuration.", no_args_is_help=True)
models = typer.Typer(help="The model kinds there are, and their settings.", no_args_is_help=True)
allocate = typer.Typer(help="Compare allocation policies on data, learn one, recommend.", no_args_is_help=True)
runs = typer.Typer(help="The runs there are, and what became of them.", no_args_is_help=True)

for command in (
    init,
    train,
    launch,
    evaluate,
    predict,
    drift,
    calibrate,
    anomalies,
    backtest,
    cv,
    tune,
    sweep,
    compare,
    explain,
    export,
    report,
    generate,
    bench,
    monitor,
    serve,
):
    app.command(epilog=ANYWHERE)(command)
for door in (pull, check, describe, convert, resample):
    data.command(epilog=ANYWHERE)(door)
for name, listing in (("list", list_runs), ("show", show_run), ("best", best_run), ("prune", prune_runs)):
    runs.command(name, epilog=ANYWHERE)(listing)
for view in (configs.show, configs.validate, configs.diff, configs.init, configs.schema):
    config.command(epilog=ANYWHERE)(view)
for name, kinds in (("list", list_models), ("show", show_model)):
    models.command(name, epilog=ANYWHERE)(kinds)
for decision in (allocations.simulate, allocations.train, allocations.recommend):
    allocate.command(epilog=ANYWHERE)(decision)
app.add_typer(allocate, name="allocate")
app.add_typer(data, name="data")
app.add_typer(config, name="config")
app.add_typer(models, name="models")
app.add_typer(runs, name="runs")


@app.command(epilog=ANYWHERE)
def doctor(as_json: AsJson = False) -> None:
    """Check this installation: versions, devices, a compiled step, a checkpoint, disk."""
    from gym_jax.cli.doctor import doctor

    doctor(as_json)
