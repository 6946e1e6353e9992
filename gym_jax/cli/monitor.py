"""`gymjax monitor`: runs while they train, in a browser or in a terminal."""

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gym_jax.cli.candidates import complete_run
from gym_jax.cli.options import AsJson, Host, Port, Root

if TYPE_CHECKING:
    from gym_jax.run.folder import RunFolder

PORT = 8642


def monitor(
    where: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|ROOT",
            help="A run folder, a name under --root, latest, or a folder of runs.",
            show_default="--root",
            autocompletion=complete_run,
        ),
    ] = None,
    root: Root = None,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    token_file: Annotated[
        str | None, typer.Option("--token-file", help="File with a token that who looks must know.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    tui: Annotated[bool, typer.Option("--tui", help="Show a table in this terminal instead of a page.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print that table once and leave.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1, max=60)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Watch runs while they train: curves, speed, time left, and forecasts from any origin.

    Prints where the page is and serves it until Ctrl-C. It only reads, whoever trains; nothing is written into a run.
    """
    from gym_jax.cli.show import print_json
    from gym_jax.serve.watcher import Watcher

    below, only = _find(where, root)
    watcher = Watcher(below, only, every)
    if once or tui:
        from gym_jax.cli.monitor_screen import print_screen, show_screen

        if not once:
            show_screen(watcher)
        elif as_json:
            watcher.look()
            print_json("monitor", watcher.snapshot())
        else:
            print_screen(watcher)
        return
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.serve.server import bind, make_server, need_server, url_of

    need_server()
    from gym_jax.serve.app import make_app
    from gym_jax.serve.guard import Rules, allowed_hosts, is_loopback, needed_token

    token, notes = needed_token(host, token_file, "monitor")

    # The graphics memory belongs to those who train: forecasts for the page are made on the CPU unless it is asked.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    near = is_loopback(host)
    rules = Rules(tuple(allowed_hosts(host, () if near else (socket.gethostname(), socket.getfqdn()))), not near, token)
    app = make_app(below, only=only, rules=rules, every=every)
    with bind(host, port) as listening, stop_on_signals():
        url = url_of(listening, host)
        if as_json:
            print_json("monitor", {"url": url, "root": watcher.shown, "token": token is not None})
        else:
            print(url)
            for note in notes:
                print(f"note: {note}", file=sys.stderr)
            print(f"watching {watcher.shown}; Ctrl-C ends it", file=sys.stderr)
        sys.stdout.flush()
        if open_browser:
            import webbrowser

            webbrowser.open(url)
        make_server(app).run(sockets=[listening])


def _find(where: str | None, root: str | None) -> "tuple[Path, RunFolder | None]":
    """Return the folder of runs to watch and, if it is only one of them, that run. Raises CheckpointError."""
    from gym_jax.errors import CheckpointError
    from gym_jax.run.runs import ROOT, open_run

    if where is None:
        return Path(ROOT if root is None else root).expanduser(), None
    try:
        run = open_run(where, root)
        return run.path.parent, run
    except CheckpointError as error:
        if where and (folder := Path(where).expanduser()).is_dir():
            return folder, None
        raise CheckpointError(
            f"no run and no folder of runs at `{where}`",
            hint="a run is a folder with a config.yaml in it",
            attempt=error.attempt,
            code="run.not_found",
        ) from error
